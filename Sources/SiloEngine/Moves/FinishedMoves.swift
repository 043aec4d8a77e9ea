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

/// Finished: nothing happens to the job any more, unless it is restarted, imported anew or deleted.
struct FinishedMoves: Part {
    let transaction: Transaction

    /// Writes what became of the job and puts it among the finished ones.
    func add(_ job: JobReference, _ end: JobEnd) async throws(StoreError) {
        let expiresAt = settings.retention(of: end.state).map { now + $0 }
        var status = StorageV1.Status()
        status.state = end.state
        let changedAt = end.at ?? now
        status.changedAtMs = changedAt.milliseconds
        status.attempt = end.attempt
        status.relativeAttempt = end.relative
        status.startMs = end.start?.milliseconds
        status.cancelledAtMs = end.cancelledAt?.milliseconds
        status.lastAttempt = end.lastAttempt
        rows.put(job.keys.status(job.id), status.serializedBytes(), expiresAt: expiresAt)
        index(job, end.state, at: changedAt, expiresAt: expiresAt)
        memory.addFinished(end.state, to: job.queue)
        memory.markDirty(job.queue)
        if expiresAt != nil { try await keepRecords(of: job, attempts: 1..<max(1, end.attempt), until: expiresAt) }
    }

    private func index(_ job: JobReference, _ state: StorageV1.JobState, at time: Timestamp, expiresAt: Timestamp?) {
        let stored = UInt8(state.rawValue)
        rows.insert(job.keys.finished(stored, time, job.id), [], expiresAt: expiresAt)
        if state == .failed { rows.insert(job.keys.failed(time, job.id), [], expiresAt: expiresAt) }
        let period = FinishedPeriod(of: time)
        guard job.queue.lastPeriods[stored] != period else { return }
        job.queue.lastPeriods[stored] = period
        rows.put(job.keys.period(period, stored), [])
    }

    /// Takes a job out from among the finished ones.
    func remove(_ job: JobReference, _ status: StorageV1.Status) {
        let changedAt = Timestamp(status.changedAtMs)
        rows.delete(job.keys.finished(UInt8(status.state.rawValue), changedAt, job.id))
        if status.state == .failed { rows.delete(job.keys.failed(changedAt, job.id)) }
        memory.removeFinished(status.state, from: job.queue)
        memory.markDirty(job.queue)
    }

    /// The same for one that is to run again: the attempt that ended it gets a row of its own.
    func takeBack(_ job: JobReference, _ status: StorageV1.Status) {
        remove(job, status)
        if let last = status.lastAttempt { rows.insert(job.keys.attempt(job.id, last.number), last.serializedBytes()) }
    }

    /// The records of a job that goes on do not expire.
    func keepRecordsForEver(of job: JobReference, _ stored: StoredJob) async throws(StoreError) {
        guard settings.hasRetention else { return }
        try await keepRecords(of: job, attempts: stored.earlierAttempts, until: nil)
    }

    /// Rewrites the rows that a job keeps through its life so that they expire together, or never.
    /// - Parameter attempts: those with rows of their own.
    private func keepRecords(of job: JobReference, attempts: Range<UInt32>, until expiresAt: Timestamp?) async throws(StoreError)
    {
        guard let bytes = try await rows.get(job.keys.job(job.id)) else { return }
        rows.put(job.keys.job(job.id), bytes, expiresAt: expiresAt)
        for (name, value) in (try? StorageV1.Job(serializedBytes: bytes))?.metadata ?? [:] {
            rows.put(job.keys.metadata(name, value, job.id), [], expiresAt: expiresAt)
        }
        for number in attempts {
            let key = job.keys.attempt(job.id, number)
            if let attempt = try await rows.get(key) { rows.put(key, attempt, expiresAt: expiresAt) }
        }
    }
}

extension EngineSettings {
    var hasRetention: Bool { succeededRetentionMilliseconds != nil || failedRetentionMilliseconds != nil }

    /// How long the records of a job that ended so are kept, in milliseconds; nil: for ever.
    func retention(of state: StorageV1.JobState) -> Int64? {
        state == .succeeded ? succeededRetentionMilliseconds : failedRetentionMilliseconds
    }
}

extension StorageV1.QueueCounts {
    /// Jobs in a finished state.
    subscript(_ state: StorageV1.JobState) -> UInt64 {
        get {
            switch state {
            case .succeeded: succeeded
            case .failed: failed
            case .cancelled: cancelled
            default: 0
            }
        }
        set {
            switch state {
            case .succeeded: succeeded = newValue
            case .failed: failed = newValue
            case .cancelled: cancelled = newValue
            default: break
            }
        }
    }
}
