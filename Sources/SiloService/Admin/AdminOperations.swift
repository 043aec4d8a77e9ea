package import SiloAPI
package import SiloCore
import SiloStore
import SiloTelemetry
package import SlateDB

/// What operators ask of the storage beneath a shard.
package protocol StorageOperator: Sendable {
    func submitFullCompaction(of shard: ShardID) async throws(StorageError)
    /// Nil: nothing was ever written.
    func manifest(of shard: ShardID) async throws(StorageError) -> Manifest?
}

/// What operators call.
package struct AdminOperations: Sendable {
    let shards: ShardResolver
    /// Nil where the shards are not kept in SlateDB.
    let storage: (any StorageOperator)?
    let isDevelopment: Bool
    let logger: Logger

    package func resetShards(
        _ request: SiloV1.ResetShardsRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.ResetShardsResponse {
        guard isDevelopment else { throw .developmentOnly(operation: "ResetShards") }
        var response = SiloV1.ResetShardsResponse()
        for host in shards.all {
            do { try await host.reset() } catch { throw .failed("\(error)", cause: .init(error)) }
            response.shardsReset += 1
        }
        logger.warn("erased every job of this node", ["shards": .init(Int(response.shardsReset))])
        return response
    }

    package func compactShard(
        _ request: SiloV1.CompactShardRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.CompactShardResponse {
        let (host, _) = try shards.open(request.shard)
        guard let storage else { throw Self.noSlateDB }
        do {
            try await storage.submitFullCompaction(of: host.id)
        } catch {
            throw .failed("compaction failed: \(error)", cause: .init(error))
        }
        logger.info("full compaction submitted", ["shard": .init(host.id)])
        var response = SiloV1.CompactShardResponse()
        response.status = "full compaction submitted for shard \(request.shard)"
        return response
    }

    package func flushShard(
        _ request: SiloV1.FlushShardRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.FlushShardResponse {
        let (_, store) = try shards.open(request.shard)
        do {
            switch store {
            case let store as LoggedStore: try await store.checkpoint()
            case let store as SlateStore: try await store.database.flush(.sortedFiles)
            default: throw Self.noSlateDB
            }
        } catch let error as SiloError {
            throw error
        } catch {
            throw .failed("flush failed: \(error)", cause: .init(error))
        }
        var response = SiloV1.FlushShardResponse()
        response.status = "flushed shard \(request.shard)"
        return response
    }

    package func getShardStorageInfo(
        _ request: SiloV1.GetShardStorageInfoRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.GetShardStorageInfoResponse {
        let (host, _) = try shards.open(request.shard)
        guard let storage else { throw Self.noSlateDB }
        do {
            guard let manifest = try await storage.manifest(of: host.id) else {
                throw StorageError.invalid("the shard has no manifest")
            }
            return SiloV1.GetShardStorageInfoResponse(manifest)
        } catch {
            throw .failed("failed to read LSM state: \(error)", cause: .init(error))
        }
    }

    private static let noSlateDB = SiloError.unsupported("the shard is not kept in SlateDB")
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
