import SiloStore
public import SiloCore

/// Extends a worker's claim on a task and tells whether its job was cancelled (spec/jobs.md 6.3).
///
/// It never makes a lease that is gone again. An expired lease that nobody has taken away yet is renewed.
public struct Heartbeat: Command {
    public let tenant: Tenant
    public let task: TaskID
    public let worker: String

    public init(tenant: Tenant, task: TaskID, worker: String) {
        self.tenant = tenant
        self.task = task
        self.worker = worker
    }

    public static var lane: Lane { .renewal }

    public var contentBytes: Int { worker.utf8.count }

    /// When cancellation was asked for; nil when it was not. Durable when answered.
    /// Throws `.leaseNotFound` or `.leaseOwnerMismatch`: stop the work.
    public func run(in transaction: Transaction) async throws -> Timestamp? {
        guard let lease = transaction.memory.leases[task], lease.queue.id.tenant == tenant else {
            guard try transaction.renew(task, of: tenant, worker: worker) else { throw SiloError.leaseNotFound }
            return nil
        }
        guard lease.record.workerId == worker else {
            Probe.heartbeatOfStranger.reached()
            throw SiloError.leaseOwnerMismatch
        }
        transaction.renew(lease)
        return lease.cancelledAt
    }
}
