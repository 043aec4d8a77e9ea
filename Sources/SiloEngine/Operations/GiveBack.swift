public import SiloCore
import SiloStore

/// Puts tasks back that a worker was never told of, as if they had not been leased.
public struct GiveBack: Command {
    public let tasks: [TaskID]

    public init(_ tasks: [TaskID]) {
        self.tasks = tasks
    }

    public static var lane: Lane { .own }

    public func run(in transaction: Transaction) async throws {
        var seen: Set<TaskID> = []
        for id in tasks where seen.insert(id).inserted {
            if let lease = transaction.memory.leases[id] {
                try await transaction.release(lease, unheard: lease.record.unheard)
            } else if let refresh = transaction.memory.limits.refreshes[id] {
                transaction.giveBack(refresh)
            }
        }
    }
}

extension Transaction {
    /// Puts a leased task back where it came from.
    /// - Parameter unheard: how often it was leased then without a word from its worker.
    func release(_ lease: LiveLease, unheard: UInt32) async throws {
        let record = lease.record
        let slots = record.slots.map { LimitKey($0) }
        let found: (stored: StoredJob, job: JobReference)
        do {
            found = try await find(lease.queue.id.tenant, lease.job)
        } catch is SiloError {
            // There is nothing to give back to; the others are not held up.
            removeLease(lease)
            try await free(slots, hold: record.hold, of: lease.queue.id.tenant)
            return
        }
        let (stored, job) = found
        removeLease(lease)
        if let cancelledAt = lease.cancelledAt {
            Probe.cancelledLeaseGivenBack.reached()
            try await free(slots, hold: record.hold, of: job.tenant)
            let end = JobEnd(
                state: .cancelled, attempt: record.attempt, relative: record.relativeAttempt, cancelledAt: cancelledAt
            )
            return try await finish(job, end)
        }
        Probe.leaseGivenBack.reached()
        var task = task(
            stored.job, attempt: record.attempt, relative: record.relativeAttempt, start: Timestamp(record.startMs),
            scheduledAt: stored.scheduledAt, encodedBytes: stored.jobBytes
        )
        task.unheard = unheard
        guard record.hold != nil else { return try await admit(job, task, after: stored.delay) }
        if record.used {
            // Its hits may be of a window that has passed: it is admitted anew.
            let start = Moment(wall: Timestamp(record.startedAtMs), steady: Timestamp(record.startedSteadyMs))
            let now = moment
            try await changeBuckets(stored.job.limits.rates, of: job.tenant) { $0.refund($1, startedAt: start, now: now) }
            try await free(slots, hold: record.hold, of: job.tenant)
            return try await admitAgain(job, task)
        }
        // It keeps its slots; an external limiter is not asked twice.
        task.hold = record.hold
        task.ratesPassed = UInt32(stored.job.limits.rates.count)
        placeReady(job, task)
    }
}
