import Protobuf
public import SiloCore
import SiloStore

/// Starts now what waits for a later time: a first attempt or a retry (spec/jobs.md 6.9). The attempt keeps its number.
public struct Expedite: Command {
    public let tenant: Tenant
    public let id: JobID

    public init(tenant: Tenant, id: JobID) {
        self.tenant = tenant
        self.id = id
    }

    /// Durable when answered.
    public func run(in transaction: Transaction) async throws {
        let (stored, job) = try await transaction.find(tenant, id)
        func refuse(_ reason: String) -> SiloError { .jobRefused(.expedite, id, reason: reason, stored.state) }
        switch stored.state {
        case .succeeded, .failed: throw refuse("job is already in terminal state")
        case _ where stored.cancelledAt != nil: throw refuse("job is cancelled")
        case .running: throw refuse("job is currently running")
        case .cancelled, .scheduled: break
        }
        guard stored.state == .scheduled, let due = stored.due else {
            throw refuse("job has no pending task to expedite")
        }
        guard try await !transaction.isWaiting(job, stored) else { throw refuse("job has no pending task to expedite") }
        guard !due.hasCome(by: transaction.moment) else { throw refuse("task is already ready to run (not future-scheduled)") }
        guard let task = try await transaction.takePending(job, stored) else {
            throw refuse("job has no pending task to expedite")
        }
        Probe.expeditedTimer.reached()
        try await transaction.schedule(
            job, stored.job, stored.jobBytes, attempt: task.attempt, relative: task.relativeAttempt, start: transaction.now
        )
    }
}
