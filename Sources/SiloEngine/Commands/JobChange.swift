package import SiloCore
import SiloStore

/// A command that changes one stored job, or is refused by how that stands.
package protocol JobChange: Command {
    var tenant: Tenant { get }
    var id: JobID { get }

    /// The check, of a job that was found.
    func check(_ view: View, _ stored: StoredJob, _ job: JobReference) async throws(Refusal) -> Found
}

extension JobChange {
    package func check(_ view: View) async throws(Refusal) -> Found {
        let (stored, job) = try await view.find(tenant, id)
        try await view.prepare(stored.job.limits, of: tenant)
        return try await check(view, stored, job)
    }
}
