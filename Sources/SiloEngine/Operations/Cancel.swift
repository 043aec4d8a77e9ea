import Protobuf
public import SiloCore
import SiloStore

/// Cancels a job for good (spec/jobs.md 6.7): no attempt starts after it.
///
/// A scheduled job is cancelled at once. A running one is marked: its worker learns of it by the next heartbeat, and
/// whatever it reports but a success ends the job as cancelled.
public struct Cancel: Command {
    public let tenant: Tenant
    public let id: JobID

    public init(tenant: Tenant, id: JobID) {
        self.tenant = tenant
        self.id = id
    }

    /// Durable when answered.
    public func run(in transaction: Transaction) async throws {
        let (stored, job) = try await transaction.find(tenant, id)
        if stored.cancelledAt != nil { throw SiloError.jobAlreadyCancelled }
        switch stored.state {
        case .succeeded, .failed:
            throw SiloError.jobAlreadyTerminal
        case .running:
            transaction.rewrite(try transaction.liveLease(stored)) { $0.cancelledAtMs = transaction.now.milliseconds }
        case .cancelled:
            guard var status = stored.status else { return }
            status.cancelledAtMs = transaction.now.milliseconds
            let expiresAt = transaction.retention(of: .cancelled).map { Timestamp(status.changedAtMs) + $0 }
            transaction.put(job.keys.status(id), status.serializedBytes(), expiresAt: expiresAt)
        case .scheduled:
            let start = stored.nextStart(at: transaction.moment) ?? transaction.now
            _ = try await transaction.takePending(job, stored)
            let end = JobEnd(
                state: .cancelled, attempt: stored.attempt, relative: stored.relativeAttempt,
                cancelledAt: transaction.now, start: start
            )
            try await transaction.finish(job, end)
        }
    }
}
