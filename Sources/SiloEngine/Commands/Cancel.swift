import Protobuf
public import SiloCore
package import SiloStore

/// Cancels a job for good (spec/jobs.md 6.7): no attempt starts after it.
///
/// A scheduled job is cancelled at once. A running one is marked: its worker learns of it by the next heartbeat, and
/// whatever it reports but a success ends the job as cancelled.
public struct Cancel: JobChange {
    public let tenant: Tenant
    public let id: JobID

    public init(tenant: Tenant, id: JobID) {
        self.tenant = tenant
        self.id = id
    }

    /// What there is to cancel.
    package enum Found {
        case running(LiveLease)
        /// It was cancelled before it ran, without being asked to.
        case cancelled(JobReference, StorageV1.Status)
        case scheduled(JobReference, StoredJob, Pending?)
        case nothing
    }

    package func check(_ view: View, _ stored: StoredJob, _ job: JobReference) async throws(Refusal) -> Found {
        if stored.cancelledAt != nil { throw .refused(.jobAlreadyCancelled) }
        switch stored.state {
        case .succeeded, .failed: throw .refused(.jobAlreadyTerminal)
        case .running: return .running(try view.liveLease(stored))
        case .cancelled: return stored.status.map { .cancelled(job, $0) } ?? .nothing
        case .scheduled: return .scheduled(job, stored, try await view.pending(job, stored))
        }
    }

    /// Durable when answered.
    package func run(_ found: Found, in transaction: Transaction) async throws(StoreError) {
        switch found {
        case .nothing:
            break
        case .running(let lease):
            transaction.leases.markCancelled(lease)
        case .cancelled(let job, var status):
            status.cancelledAtMs = transaction.now.milliseconds
            transaction.rows.put(job.keys.status(id), status.serializedBytes())
        case .scheduled(let job, let stored, let pending):
            let start = stored.nextStart(at: transaction.moment) ?? transaction.now
            if let pending { _ = try await transaction.pending.takeReleasing(pending, job, stored) }
            let end = JobEnd(
                state: .cancelled, attempt: stored.attempt, relative: stored.relativeAttempt, kept: Kept(stored.job),
                cancelledAt: transaction.now, start: start
            )
            transaction.finished.add(job, end)
        }
    }
}
