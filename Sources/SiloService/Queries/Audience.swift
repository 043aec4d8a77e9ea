import SiloCore

extension Tenancy {
    /// Whose rows a caller's statement sees, in every table; nil: everybody's. With a tenant in the request that one's alone,
    /// else those that the caller is bound to.
    /// - Throws: `.denied` for a tenant that is not the caller's, and for callers that are bound to task groups: limits, leases
    /// and   counts are not of groups, so a statement would show more than theirs.
    func audience(of name: String?, for context: RequestContext) throws(SiloError) -> [Tenant]? {
        try context.caller.checkAllGroups()
        guard isEnabled, let name, !name.isEmpty else { return context.caller.tenants?.sorted() }
        guard Bounds.hasScalars(name, atMost: Tenant.nameScalarsMax) else { throw .invalidTenant }
        let tenant = Tenant(name)
        try context.caller.check(tenant)
        return [tenant]
    }
}

extension ShardResolver {
    /// The shard that a statement names, or all that may have rows for it.
    func queried(_ shard: String, for audience: [Tenant]?) throws(SiloError) -> [any HostedShard] {
        guard shard.isEmpty else { return [try host(shard)] }
        guard let audience else { return all }
        return all.filter { host in audience.contains { host.range.contains($0.hash) } }
    }
}
