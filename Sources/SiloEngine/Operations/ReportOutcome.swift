import Protobuf
public import SiloCore
import SiloStore

/// Takes a worker's outcome for its task and decides what becomes of the job (spec/jobs.md 6.4).
///
/// Exactly one outcome is taken for each lease. Whoever knows the task may report, also late, as long as it is leased.
public struct ReportOutcome: Command {
    public enum Outcome: Sendable {
        case success(result: Bytes)
        case failure(code: String, data: Bytes)
        case cancelled
    }

    public let tenant: Tenant
    public let task: TaskID
    public let outcome: Outcome

    public init(tenant: Tenant, task: TaskID, outcome: Outcome) {
        self.tenant = tenant
        self.task = task
        self.outcome = outcome
    }

    public static var lane: Lane { .renewal }

    public var contentBytes: Int {
        switch outcome {
        case .success(let result): result.count
        case .failure(let code, let data): code.utf8.count + data.count
        case .cancelled: 0
        }
    }

    /// Durable when answered. Throws `.leaseNotFound`, changing nothing.
    public func run(in transaction: Transaction) async throws {
        guard let lease = transaction.memory.leases[task], lease.queue.id.tenant == tenant else {
            guard let refresh = transaction.memory.limits.refreshes[task], refresh.limit.tenant == tenant else {
                Probe.lateReport.reached()
                throw SiloError.leaseNotFound
            }
            throw SiloError.invalidArgument("task is a RefreshFloatingLimit: report it with ReportRefreshOutcome")
        }
        try await transaction.end(lease, outcome)
    }
}

/// Ends the leases that expired: their workers are taken for dead (spec/jobs.md 6.6).
struct ExpireLeases: Command {
    /// Leases ended in one go.
    static let countMax = 256

    /// In steady time. Not later than the oldest renewal that waits to be read: it may be for any of them.
    let endedBy: Timestamp

    func run(in transaction: Transaction) async throws {
        var left = Self.countMax
        while left > 0, let alarm = transaction.memory.leaseAlarms.first, alarm.at <= endedBy {
            transaction.memory.leaseAlarms.popFirst()
            guard let lease = transaction.memory.leases[alarm.taskID] else { continue }
            guard lease.expiresAt <= endedBy else {
                transaction.memory.leaseAlarms.insert(LeaseAlarm(at: lease.expiresAt, taskID: lease.taskID))
                continue
            }
            left -= 1
            try await transaction.expire(lease)
            // Memory must know of what became ready before the next one is looked at.
            transaction.keep()
        }
    }
}

extension Transaction {
    /// Nobody renewed a lease in time.
    fileprivate func expire(_ lease: LiveLease) async throws {
        if lease.cancelledAt != nil {
            Probe.cancelledLeaseExpired.reached()
            return try await end(lease, .cancelled)
        }
        if !lease.record.heard, lease.record.unheard < settings.unheardLeasesMax {
            Probe.unheardLeaseGivenBack.reached()
            return try await release(lease, unheard: lease.record.unheard + 1)
        }
        Probe.leaseExpired.reached()
        let text = "lease expired at \(moment.date(of: lease.expiresAt)) (now \(now)), worker=\(lease.record.workerId)"
        try await end(lease, .failure(code: "WORKER_CRASHED", data: messagePack(text)))
    }
}

extension Transaction {
    /// Ends an attempt. A failure is retried as the job's policy says, unless the job was cancelled: cancel is final.
    fileprivate func end(_ lease: LiveLease, _ outcome: ReportOutcome.Outcome) async throws(StoreError) {
        let job = JobReference(id: lease.job, queue: lease.queue)
        let record = lease.record
        removeLease(lease)
        try await free(record.slots.map { LimitKey($0) }, hold: record.hold, of: job.tenant)

        var attempt = StorageV1.Attempt()
        attempt.number = record.attempt
        attempt.relativeNumber = record.relativeAttempt
        attempt.taskId = record.taskId
        attempt.startedAtMs = record.startedAtMs
        attempt.finishedAtMs = now.milliseconds

        var state: StorageV1.JobState
        switch outcome {
        case .success(let result):
            state = .succeeded
            attempt.result = result
        case .cancelled:
            state = .cancelled
        case .failure(let code, let data):
            state = .failed
            attempt.errorCode = code
            attempt.errorData = data
        }
        attempt.outcome = state

        if state == .failed {
            if lease.cancelledAt != nil {
                Probe.failureOfCancelledJob.reached()
                state = .cancelled
            } else if try await retry(job, after: attempt) {
                return
            }
        }
        try await finish(
            job,
            JobEnd(
                state: state, attempt: record.attempt, relative: record.relativeAttempt,
                cancelledAt: lease.cancelledAt, lastAttempt: attempt
            )
        )
    }

    /// Schedules the next attempt when the job's policy grants one. A job whose row is gone or cannot be read has no policy.
    private func retry(_ job: JobReference, after attempt: StorageV1.Attempt) async throws(StoreError) -> Bool {
        guard let bytes = try await get(job.keys.job(job.id)), let stored = try? StorageV1.Job(serializedBytes: bytes),
            let wait = stored.retryPolicy?.wait(after: attempt, of: job)
        else { return false }
        put(job.keys.attempt(job.id, attempt.number), attempt.serializedBytes())
        if wait == 0 { Probe.retryAtOnce.reached() }
        try await schedule(
            job, stored, bytes.count, attempt: attempt.number + 1, relative: attempt.relativeNumber + 1, start: now + wait,
            after: wait > 0 ? .delay(until: steady + wait) : nil
        )
        return true
    }

    /// Makes the job scheduled for an attempt, and the attempt due.
    /// - Parameter delay: the end of the length of time that it waits for; nil: it waits for the date of its start, if that is to
    ///   come.
    func schedule(
        _ job: JobReference, _ stored: StorageV1.Job, _ storedBytes: Int,
        attempt: UInt32, relative: UInt32, start: Timestamp, after delay: Due? = nil
    ) async throws(StoreError) {
        var status = StorageV1.Status()
        status.state = .scheduled
        status.changedAtMs = now.milliseconds
        status.attempt = attempt
        status.relativeAttempt = relative
        status.startMs = start.milliseconds
        status.dueMs = delay?.at.milliseconds
        put(job.keys.status(job.id), status.serializedBytes())
        let task = task(stored, attempt: attempt, relative: relative, start: start, scheduledAt: now, encodedBytes: storedBytes)
        try await admit(job, task, after: delay)
    }
}
