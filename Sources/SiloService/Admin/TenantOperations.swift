package import SiloAPI
package import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry

/// Everything of a tenant, deleted.
package struct TenantOperations: Sendable {
    let shards: ShardResolver
    let tenancy: Tenancy
    let logger: Logger

    package func dropTenant(
        _ request: SiloV1.DropTenantRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.DropTenantResponse {
        let (host, shard) = try shards.serving(request.shard)
        try context.caller.checkAllGroups()
        let tenant = try tenancy.tenant(request.tenant, of: host, for: context)
        let drop = try await shard.run(DropTenant(tenant: tenant), for: context)
        logger.warn("dropping a tenant", [
            "tenant": .init(tenant.name), "shard": .init(host.id), "jobs": .init(Int(clamping: drop.jobs)),
        ])
        var response = SiloV1.DropTenantResponse()
        response.drop = SiloV1.TenantDrop(drop)
        return response
    }

    package func getTenantDrop(
        _ request: SiloV1.GetTenantDropRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.GetTenantDropResponse {
        let (host, shard) = try shards.serving(request.shard)
        let tenant = try tenancy.tenant(request.tenant, of: host, for: context)
        var response = SiloV1.GetTenantDropResponse()
        response.drop = shard.drop(of: tenant).map(SiloV1.TenantDrop.init)
        return response
    }
}

extension SiloV1.TenantDrop {
    init(_ drop: StorageV1.TenantDrop) {
        self.init()
        startedAtMs = drop.startedAtMs
        jobs = drop.jobs
        rowsDeleted = drop.rowsDeleted
        let share = Double(drop.rowsDeleted) / Double(max(1, drop.rowsExpected))
        percent = UInt32(min(99, 100 * share))
    }
}
