import Protobuf
public import SiloCore
import SiloStore

/// Erases a finished job: every row of it (spec/jobs.md 6.10). A job that is not there is erased already.
public struct Delete: Command {
    public let tenant: Tenant
    public let id: JobID

    public init(tenant: Tenant, id: JobID) {
        self.tenant = tenant
        self.id = id
    }

    /// Durable when answered. Throws `.jobInProgress` for a job that has not finished: cancel it first.
    public func run(in transaction: Transaction) async throws {
        let found: (stored: StoredJob, job: JobReference)
        do {
            found = try await transaction.find(tenant, id)
        } catch SiloError.jobNotFound {
            return
        }
        let (stored, job) = found
        guard stored.isFinished, let status = stored.status else { throw SiloError.jobInProgress(id) }
        Probe.deleted.reached()
        transaction.removeFinished(job, status)
        transaction.delete(job.keys.job(id))
        transaction.delete(job.keys.status(id))
        for (name, value) in stored.job.metadata { transaction.delete(job.keys.metadata(name, value, id)) }
        // Unread: what attempts carry may be far larger than all else that a batch holds.
        for number in stored.earlierAttempts { transaction.delete(job.keys.attempt(id, number)) }
        transaction.afterwards { $0.totalJobs -= 1 }
    }
}
