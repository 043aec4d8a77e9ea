import Protobuf
public import SiloCore
package import SiloStore

/// Erases a finished job: every row of it (spec/jobs.md 6.10). A job that is not there is erased already.
public struct Delete: JobChange {
    public let tenant: Tenant
    public let id: JobID

    public init(tenant: Tenant, id: JobID) {
        self.tenant = tenant
        self.id = id
    }

    package func check(_ view: View) async throws(Refusal) -> Finished? {
        let found: (stored: StoredJob, job: JobReference)
        do throws(Refusal) {
            found = try await view.find(tenant, id)
        } catch .refused(.jobNotFound) {
            return nil
        }
        return try await check(view, found.stored, found.job)
    }

    /// Refused with `.jobInProgress` for a job that has not finished: cancel it first.
    package func check(_ view: View, _ stored: StoredJob, _ job: JobReference) async throws(Refusal) -> Finished? {
        guard stored.isFinished, let status = stored.status else { throw .refused(.jobInProgress(id)) }
        return Finished(job: job, stored: stored, status: status)
    }

    /// Durable when answered.
    package func run(_ found: Finished?, in transaction: Transaction) async throws(StoreError) {
        guard let found else { return }
        transaction.reached(.deleted)
        let kept = Kept(found.stored.job)
        transaction.finished.remove(found.job, found.status, kept)
        transaction.finished.erase(found.job, attempts: found.stored.attempt, found.stored.job.metadata)
    }
}

/// A job that has finished.
package struct Finished {
    let job: JobReference
    let stored: StoredJob
    let status: StorageV1.Status
}
