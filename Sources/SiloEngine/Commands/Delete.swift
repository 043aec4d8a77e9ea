import Protobuf
public import SiloCore
package import SiloStore

/// Erases a finished job: every row of it (spec/jobs.md 6.10). A job that is not there is erased already.
public struct Delete: Command {
    public let tenant: Tenant
    public let id: JobID

    public init(tenant: Tenant, id: JobID) {
        self.tenant = tenant
        self.id = id
    }

    /// Refused with `.jobInProgress` for a job that has not finished: cancel it first.
    package func check(_ view: View) async throws(Refusal) -> Finished? {
        let found: (stored: StoredJob, job: JobReference)
        do throws(Refusal) {
            found = try await view.find(tenant, id)
        } catch .refused(.jobNotFound) {
            return nil
        }
        guard found.stored.isFinished, let status = found.stored.status else { throw .refused(.jobInProgress(id)) }
        return Finished(job: found.job, stored: found.stored, status: status)
    }

    /// Durable when answered.
    package func run(_ found: Finished?, in transaction: Transaction) async throws(StoreError) {
        guard let (job, stored, status) = found.map({ ($0.job, $0.stored, $0.status) }) else { return }
        transaction.reached(.deleted)
        let rows = transaction.rows
        transaction.finished.remove(job, status)
        rows.delete(job.keys.job(id))
        rows.delete(job.keys.status(id))
        for (name, value) in stored.job.metadata { rows.delete(job.keys.metadata(name, value, id)) }
        // Unread: what attempts carry may be far larger than all else that a batch holds.
        for number in stored.earlierAttempts { rows.delete(job.keys.attempt(id, number)) }
        transaction.memory.totalJobs -= 1
    }
}

/// A job that has finished.
package struct Finished {
    let job: JobReference
    let stored: StoredJob
    let status: StorageV1.Status
}
