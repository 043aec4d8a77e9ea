package import SiloStore
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

    package static var lane: Lane { .renewal }

    public var contentBytes: Int { worker.utf8.count }

    /// What the worker has.
    package enum Held {
        case lease(LiveLease)
        case refresh(LiveRefresh)
    }

    /// Refused with `.leaseNotFound` or `.leaseOwnerMismatch`: stop the work.
    package func check(_ view: View) async throws(Refusal) -> Held {
        if let lease = view.lease(task, of: tenant) {
            guard lease.record.workerId.hasSameBytes(as: worker) else {
                view.reached(.heartbeatOfStranger)
                throw .refused(.leaseOwnerMismatch)
            }
            return .lease(lease)
        }
        guard let refresh = view.refresh(task, of: tenant), refresh.isLeased else { throw .refused(.leaseNotFound) }
        guard refresh.record.workerId.hasSameBytes(as: worker) else { throw .refused(.leaseOwnerMismatch) }
        return .refresh(refresh)
    }

    /// When cancellation was asked for; nil when it was not. Durable when answered.
    package func run(_ held: Held, in transaction: Transaction) async throws(StoreError) -> Timestamp? {
        switch held {
        case .lease(let lease):
            transaction.leases.renew(lease)
            return lease.cancelledAt
        case .refresh(let refresh):
            transaction.refreshes.renew(refresh)
            return nil
        }
    }
}
