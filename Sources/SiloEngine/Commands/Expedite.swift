import Protobuf
public import SiloCore
package import SiloStore

/// Starts now what waits for a later time: a first attempt or a retry (spec/jobs.md 6.9). The attempt keeps its number.
public struct Expedite: JobChange {
    public let tenant: Tenant
    public let id: JobID

    public init(tenant: Tenant, id: JobID) {
        self.tenant = tenant
        self.id = id
    }

    package func check(_ view: View, _ stored: StoredJob, _ job: JobReference) async throws(Refusal) -> PendingJob {
        func refuse(_ reason: String) -> Refusal { .refused(.jobRefused(.expedite, id, reason: reason, stored.state)) }
        switch stored.state {
        case .succeeded, .failed: throw refuse("job is already in terminal state")
        case _ where stored.cancelledAt != nil: throw refuse("job is cancelled")
        case .running: throw refuse("job is currently running")
        case .cancelled, .scheduled: break
        }
        guard stored.state == .scheduled, let due = stored.due, try await !view.isWaiting(job, stored) else {
            throw refuse("job has no pending task to expedite")
        }
        guard !due.hasCome(by: view.moment) else { throw refuse("task is already ready to run (not future-scheduled)") }
        guard let pending = try await view.pending(job, stored) else { throw refuse("job has no pending task to expedite") }
        return PendingJob(job: job, stored: stored, pending: pending)
    }

    /// Durable when answered.
    package func run(_ found: PendingJob, in transaction: Transaction) async throws(StoreError) {
        let (job, stored) = (found.job, found.stored)
        let task = try await transaction.pending.takeReleasing(found.pending, job, stored)
        transaction.reached(.expeditedTimer)
        try await transaction.attempts.schedule(
            job, stored.job, stored.jobBytes, attempt: task.attempt, relative: task.relativeAttempt, start: transaction.now
        )
    }
}

/// A job with a pending attempt.
package struct PendingJob {
    let job: JobReference
    let stored: StoredJob
    let pending: Pending
}
