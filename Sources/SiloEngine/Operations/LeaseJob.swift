public import SiloCore
import SiloStore

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

    public func run(in transaction: Transaction) async throws -> LeasedTask {
        let (stored, reference) = try await transaction.find(tenant, id)
        func refuse(_ reason: String) -> SiloError { .jobRefused(.lease, id, reason: reason, stored.state) }
        switch stored.state {
        case .running: throw refuse("job is currently running")
        case .succeeded, .failed: throw refuse("job is already in terminal state")
        case .cancelled: throw refuse(stored.cancelledAt != nil ? "job is cancelled" : "job has no pending task")
        case .scheduled: break
        }
        guard try await !transaction.isWaiting(reference, stored),
            var task = try await transaction.takePending(reference, stored)
        else { throw refuse("job has no pending task in queue") }
        task.relativeAttempt = task.attempt
        return transaction.lease(stored.job, reference, task, worker, slots: [])
    }
}
