import SiloCore

/// Whether requests name tenants, and how (spec/api.md 2.3).
package struct Tenancy: Sendable {
    let isEnabled: Bool

    package init(isEnabled: Bool) { self.isEnabled = isEnabled }

    /// The tenant of a request about jobs, or of an entry of one. Every operation that names a tenant asks here, and so this is
    /// where a caller is kept to its own.
    func tenant(_ name: String?, of shard: any HostedShard, for context: RequestContext) throws(SiloError) -> Tenant {
        let name = name ?? ""
        guard isEnabled else {
            guard name.isEmpty else { throw .tenantNotTaken }
            return .none
        }
        guard !name.isEmpty else { throw .tenantRequired }
        return try checked(name, in: shard, context.caller)
    }

    /// The tenant of a worker's request. Without tenancy whatever it says is ignored.
    func workerTenant(_ name: String?, of shard: any HostedShard, for context: RequestContext) throws(SiloError) -> Tenant {
        guard isEnabled else { return .none }
        guard let name, !name.isEmpty else {
            throw .outOfBounds(field: "tenant_id", bound: "is required for worker operations when tenancy is enabled")
        }
        return try checked(name, in: shard, context.caller)
    }

    /// The tenant as workers see it: absent without tenancy.
    func shown(_ tenant: Tenant) -> String? { isEnabled ? tenant.name : nil }

    private func checked(_ name: String, in shard: any HostedShard, _ caller: Caller) throws(SiloError) -> Tenant {
        guard Bounds.hasScalars(name, atMost: Tenant.nameScalarsMax) else { throw .invalidTenant }
        let tenant = Tenant(name)
        try caller.check(tenant)
        guard shard.range.contains(tenant.hash) else { throw .tenantElsewhere(tenant, shard.id, shard.range) }
        return tenant
    }
}
