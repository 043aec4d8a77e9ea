import GRPC
import Protobuf
import SiloAPI
import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry
import SlateDB

/// What operators call, and what clients ask to find their way.
struct AdminMethods: Sendable {
    let shards: ShardSet
    let node: NodeIdentity
    /// Nil where the shards are not kept in SlateDB.
    let location: DataLocation?
    let isDevelopment: Bool
    let logger: Logger

    func register(on methods: inout MethodTable, for callers: Callers) {
        methods.serve(SiloV1.Silo.getClusterInfo, for: callers) { _, call in call.answer(clusterInfo()) }
        methods.serve(SiloV1.Silo.getNodeInfo, for: callers) { _, call in call.answer(nodeInfo()) }
        methods.serve(SiloV1.Silo.resetShards, for: callers) { (_: SiloV1.ResetShardsRequest) in try await resetShards() }
        methods.serve(SiloV1.Silo.compactShard, for: callers) { (request: SiloV1.CompactShardRequest) in
            let (host, _) = try shards.open(request.shard)
            do {
                _ = try await admin(host).submitFullCompaction()
            } catch {
                throw Status(.internalError, "compaction failed: \(error)")
            }
            logger.info("full compaction submitted", ["shard": .init(host.id)])
            var response = SiloV1.CompactShardResponse()
            response.status = "full compaction submitted for shard \(request.shard)"
            return response
        }
        methods.serve(SiloV1.Silo.flushShard, for: callers) { (request: SiloV1.FlushShardRequest) in
            let (_, store) = try shards.open(request.shard)
            do {
                switch store {
                case let store as LoggedStore: try await store.checkpoint()
                case let store as SlateStore: try await store.database.flush(.sortedFiles)
                default: throw Self.noSlateDB
                }
            } catch let status as Status {
                throw status
            } catch {
                throw Status(.internalError, "flush failed: \(error)")
            }
            var response = SiloV1.FlushShardResponse()
            response.status = "flushed shard \(request.shard)"
            return response
        }
        methods.serve(SiloV1.Silo.getShardStorageInfo, for: callers) { (request: SiloV1.GetShardStorageInfoRequest) in
            let (host, _) = try shards.open(request.shard)
            do {
                guard let manifest = try await admin(host).manifest() else {
                    throw StorageError.invalid("the shard has no manifest")
                }
                return SiloV1.GetShardStorageInfoResponse(manifest)
            } catch {
                throw Status(.internalError, "failed to read LSM state: \(error)")
            }
        }
    }

    private func admin(_ host: ShardHost) throws -> Admin {
        guard let location else { throw Self.noSlateDB }
        return try location.admin(host.id.description)
    }

    private static let noSlateDB = Status(.unimplemented, "the shard is not kept in SlateDB")

    private func clusterInfo() -> SiloV1.GetClusterInfoResponse {
        var response = SiloV1.GetClusterInfoResponse()
        response.numShards = UInt32(shards.hosts.count)
        response.thisNodeId = node.id
        response.thisGrpcAddr = node.address
        response.shardOwners = shards.hosts.map { host in
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
        return response
    }

    private func nodeInfo() -> SiloV1.GetNodeInfoResponse {
        var response = SiloV1.GetNodeInfoResponse()
        response.nodeId = node.id
        response.ownedShards = shards.hosts.sorted { $0.id.description < $1.id.description }.compactMap { host in
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
            return info
        }
        return response
    }

    private func resetShards() async throws -> SiloV1.ResetShardsResponse {
        guard isDevelopment else {
            throw Status(.permissionDenied, "ResetShards is only available in dev mode")
        }
        var response = SiloV1.ResetShardsResponse()
        for host in shards.hosts {
            try await host.reset()
            response.shardsReset += 1
        }
        logger.warn("erased every job of this node", ["shards": .init(Int(response.shardsReset))])
        return response
    }
}

extension SiloV1.GetShardStorageInfoResponse {
    init(_ manifest: Manifest) {
        self.init()
        l0SstCount = UInt64(manifest.flushedFiles)
        totalL0Size = manifest.flushedSize
        sortedRunCount = UInt64(manifest.sortedRuns.count)
        totalSortedRunSize = manifest.sortedRuns.reduce(0) { $0 + $1.size }
        sortedRuns = manifest.sortedRuns.map { run in
            var info = SiloV1.SortedRunInfo()
            info.id = run.id
            info.sstCount = UInt64(run.fileCount)
            info.estimatedSize = run.size
            return info
        }
    }
}
