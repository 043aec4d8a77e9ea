public import SiloCore
package import SiloStore

/// Gives a worker one named job, before its time and past its limits if need be: a helper for tests (spec/jobs.md 6.12).
public struct LeaseJob: Command {
    public let tenant: Tenant
    public let id: JobID
    public let worker: String

    public init(tenant: Tenant, id: JobID, worker: String) {
        self.tenant = tenant
        self.id = id
        self.worker = worker
    }

    package func check(_ view: View) async throws(Refusal) -> PendingJob {
        let (stored, job) = try await view.find(tenant, id)
        func refuse(_ reason: String) -> Refusal { .refused(.jobRefused(.lease, id, reason: reason, stored.state)) }
        switch stored.state {
        case .running: throw refuse("job is currently running")
        case .succeeded, .failed: throw refuse("job is already in terminal state")
        case .cancelled: throw refuse(stored.cancelledAt != nil ? "job is cancelled" : "job has no pending task")
        case .scheduled: break
        }
        guard try await !view.isWaiting(job, stored), let pending = try await view.pending(job, stored) else {
            throw refuse("job has no pending task in queue")
        }
        try await view.prepare(stored.job.limits, of: tenant)
        return PendingJob(job: job, stored: stored, pending: pending)
    }

    package func run(_ found: PendingJob, in transaction: Transaction) async throws(StoreError) -> LeasedTask {
        var task = try await transaction.pending.takeReleasing(found.pending, found.job, found.stored)
        task.relativeAttempt = task.attempt
        let lease = transaction.leases.add(found.job, task, Kept(found.stored.job), worker: worker, slots: [])
        return LeasedTask(found.stored.job, lease, of: tenant, scheduledAt: Timestamp(task.scheduledAtMs))
    }
}
