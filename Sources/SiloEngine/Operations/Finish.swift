import Protobuf
import SiloCore
import SiloStore

/// How a job ends.
struct JobEnd {
    let state: StorageV1.JobState
    let attempt: UInt32
    let relative: UInt32
    /// When it ended; nil: now.
    var at: Timestamp?
    /// When cancellation was asked for.
    var cancelledAt: Timestamp?
    /// Of an attempt that never ran: when it would have started.
    var start: Timestamp?
    /// The attempt that ended the job; nil when none did.
    var lastAttempt: StorageV1.Attempt?
}

extension Transaction {
    /// Writes what became of the job and puts it among the finished ones.
    func finish(_ job: JobReference, _ end: JobEnd) async throws(StoreError) {
        let expiresAt = retention(of: end.state).map { now + $0 }
        var status = StorageV1.Status()
        status.state = end.state
        let changedAt = end.at ?? now
        status.changedAtMs = changedAt.milliseconds
        status.attempt = end.attempt
        status.relativeAttempt = end.relative
        status.startMs = end.start?.milliseconds
        status.cancelledAtMs = end.cancelledAt?.milliseconds
        status.lastAttempt = end.lastAttempt
        put(job.keys.status(job.id), status.serializedBytes(), expiresAt: expiresAt)
        placeFinished(job, end.state, at: changedAt, expiresAt: expiresAt)
        if expiresAt != nil { try await keepRecords(of: job, attempts: 1..<max(1, end.attempt), until: expiresAt) }
    }

    /// Rewrites the rows that a job keeps through its life so that they expire together, or never.
    /// - Parameter attempts: those with rows of their own.
    func keepRecords(of job: JobReference, attempts: Range<UInt32>, until expiresAt: Timestamp?) async throws(StoreError) {
        guard let bytes = try await get(job.keys.job(job.id)) else { return }
        put(job.keys.job(job.id), bytes, expiresAt: expiresAt)
        for (name, value) in (try? StorageV1.Job(serializedBytes: bytes))?.metadata ?? [:] {
            put(job.keys.metadata(name, value, job.id), [], expiresAt: expiresAt)
        }
        for number in attempts {
            let key = job.keys.attempt(job.id, number)
            if let attempt = try await get(key) { put(key, attempt, expiresAt: expiresAt) }
        }
    }

    var keepsRecordsForEver: Bool {
        settings.succeededRetentionMilliseconds == nil && settings.failedRetentionMilliseconds == nil
    }

    /// How long the records of a job that ended so are kept, in milliseconds; nil: for ever.
    func retention(of state: StorageV1.JobState) -> Int64? {
        state == .succeeded ? settings.succeededRetentionMilliseconds : settings.failedRetentionMilliseconds
    }
}
