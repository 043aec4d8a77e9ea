package import SiloAPI
package import SiloCore
import SiloEngine

/// What clients ask to find their way.
package struct ClusterOperations: Sendable {
    let shards: ShardResolver
    let node: NodeIdentity
    let tenancy: Tenancy
    let registry: WorkerRegistry
    let overview: any NodeOverview

    package func getClusterInfo(
        _ request: SiloV1.GetClusterInfoRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.GetClusterInfoResponse>
    ) throws(SiloError) {
        let hosts = shards.all
        var response = SiloV1.GetClusterInfoResponse()
        response.numShards = UInt32(hosts.count)
        response.thisNodeId = node.id
        response.thisGrpcAddr = node.address
        response.shardOwners = hosts.map { host in
            var owner = SiloV1.ShardOwner()
            owner.shardId = host.id.description
            owner.grpcAddr = node.address
            owner.nodeId = node.id
            owner.rangeStart = host.range.start?.text ?? ""
            owner.rangeEnd = host.range.end?.text ?? ""
            return owner
        }
        var member = SiloV1.ClusterMember()
        member.nodeId = node.id
        member.grpcAddr = node.address
        response.members = [member]
        response.tenancy = tenancy.isEnabled
        reply.send(response)
    }

    package func getNodeInfo(
        _ request: SiloV1.GetNodeInfoRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.GetNodeInfoResponse>
    ) throws(SiloError) {
        var response = SiloV1.GetNodeInfoResponse()
        response.nodeId = node.id
        response.ownedShards = shards.all.sorted { $0.id.description < $1.id.description }.compactMap { host in
            guard let shard = host.shard else { return nil }
            var info = SiloV1.OwnedShardInfo()
            info.shardId = host.id.description
            info.totalJobs = shard.counts.total
            info.completedJobs = shard.counts.completed
            // A split leaves nothing to clean up.
            info.cleanupStatus = "CompactionDone"
            info.createdAtMs = shard.createdAt.milliseconds
            let audit = shard.audit
            info.ghostHolders = audit.last.ghosts
            info.auditedAtMs = audit.last.endedAt.milliseconds
            info.audits = UInt64(audit.count)
            info.leases = UInt64(clamping: shard.counts.leases)
            info.waitingWorkers = UInt64(clamping: shard.counts.waitingWorkers)
            return info
        }
        reply.send(response)
    }

    package func getOverview(
        _ request: SiloV1.GetOverviewRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.GetOverviewResponse>
    ) throws(SiloError) {
        var response = overview.read()
        let workers = registry.workersByGroup(within: Self.workersLookMilliseconds)
        for index in response.groups.indices {
            response.groups[index].workers = workers[TaskGroup(response.groups[index].taskGroup)] ?? 0
        }
        reply.send(response)
    }

    /// A worker that has not asked for so long is not counted for the group.
    private static let workersLookMilliseconds: Int64 = 60_000
}

/// What a node has counted, and how it stands.
package protocol NodeOverview: Sendable {
    /// Without waiting for anything.
    func read() -> SiloV1.GetOverviewResponse
}

/// Nothing is counted.
package struct NoOverview: NodeOverview {
    package init() {}
    package func read() -> SiloV1.GetOverviewResponse { SiloV1.GetOverviewResponse() }
}
