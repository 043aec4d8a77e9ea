import GRPC
import SiloCore

/// Whether requests name tenants, and how (spec/api.md 2.3).
struct Tenancy: Sendable {
    let isEnabled: Bool

    /// The tenant of a request about jobs.
    func tenant(_ name: String?, of shard: ShardHost) throws(Status) -> Tenant {
        let name = name ?? ""
        guard isEnabled else {
            guard name.isEmpty else {
                throw Status(.failedPrecondition, "tenant must not be provided when tenancy is disabled on the server")
            }
            return .none
        }
        guard !name.isEmpty else { throw Status(.invalidArgument, "tenant id required") }
        return try checked(name, in: shard)
    }

    /// The tenant of a worker's request. Without tenancy whatever it says is ignored.
    func workerTenant(_ name: String?, of shard: ShardHost) throws(Status) -> Tenant {
        guard isEnabled else { return .none }
        guard let name, !name.isEmpty else {
            throw Status(.invalidArgument, "tenant_id is required for worker operations when tenancy is enabled")
        }
        return try checked(name, in: shard)
    }

    /// The tenant as workers see it: absent without tenancy.
    func shown(_ tenant: Tenant) -> String? { isEnabled ? tenant.name : nil }

    private func checked(_ name: String, in shard: ShardHost) throws(Status) -> Tenant {
        guard Bounds.hasScalars(name, atMost: Tenant.nameScalarsMax) else { throw Status(.invalidArgument, "invalid tenant id") }
        let tenant = Tenant(name)
        guard shard.range.contains(tenant.hash) else {
            throw Status(
                .failedPrecondition,
                "tenant '\(tenant)' is not within shard \(shard.id) range \(shard.range); refresh topology and retry"
            )
        }
        return tenant
    }
}
