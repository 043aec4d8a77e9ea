import Protobuf
public import SiloCore
import SiloStore

/// Runs a failed or cancelled job again, with all its retries (spec/jobs.md 6.8).
///
/// Attempt numbers go on; an attempt that was cancelled before it ran keeps its number.
public struct Restart: Command {
    public let tenant: Tenant
    public let id: JobID

    public init(tenant: Tenant, id: JobID) {
        self.tenant = tenant
        self.id = id
    }

    /// Durable when answered.
    public func run(in transaction: Transaction) async throws {
        let (stored, job) = try await transaction.find(tenant, id)
        func refuse(_ reason: String) -> SiloError { .jobRefused(.restart, id, reason: reason, stored.state) }
        guard let status = stored.status, stored.isFinished else { throw refuse("job is still in progress") }
        guard stored.state != .succeeded else { throw refuse("job already succeeded") }

        transaction.removeFinished(job, status)
        var attempt = status.attempt
        if let last = status.lastAttempt {
            transaction.put(job.keys.attempt(id, last.number), last.serializedBytes())
            attempt += 1
        }
        if !transaction.keepsRecordsForEver { 
            try await transaction.keepRecords(of: job, attempts: stored.earlierAttempts, until: nil)
        }
        let start = max(transaction.now, Timestamp(stored.job.enqueueTimeMs))
        Probe.restarted.reached()
        try await transaction.schedule(job, stored.job, stored.jobBytes, attempt: max(1, attempt), relative: 1, start: start)
    }
}
