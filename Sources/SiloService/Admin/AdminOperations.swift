package import SiloAPI
package import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry
package import SlateDB

/// What operators ask of the storage beneath a shard.
package protocol StorageOperator: Sendable {
    func admin(of shard: ShardID) throws(StorageError) -> Admin
    /// Nil: nothing was ever written.
    func manifest(of shard: ShardID) async throws(StorageError) -> Manifest?
    func checkpoints(of shard: ShardID) async throws(StorageError) -> [Admin.Checkpoint]
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
        logger.of(context).warn("erased every job of this node", ["shards": .init(Int(response.shardsReset))])
        return response
    }

    package func compactShard(
        _ request: SiloV1.CompactShardRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.CompactShardResponse {
        let (host, store) = try shards.open(request.shard)
        guard let storage, let sorted = store.sorted else { throw Self.noSlateDB }
        do {
            try await sorted.mergeAll(try storage.admin(of: host.id))
        } catch {
            throw .failed("compaction failed: \(error)", cause: .init(error))
        }
        logger.of(context).info("full compaction submitted", ["shard": .init(host.id)])
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
        } catch let error as StoreError {
            // It may be asked for again, unless somebody must look first.
            guard case .corrupt = error else { throw .init(stopped: error) }
            throw .failed("flush failed: \(error.message)", cause: .init(error))
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
        let (host, store) = try shards.open(request.shard)
        do {
            guard let (manifest, debt) = try await debt(of: host.id, store) else {
                throw StorageError.invalid("the shard has no manifest")
            }
            var response = SiloV1.GetShardStorageInfoResponse(manifest)
            response.add(debt)
            return response
        } catch let error as SiloError {
            throw error
        } catch {
            throw .failed("failed to read LSM state: \(error)", cause: .init(error))
        }
    }

    /// What the files of a shard that is open here cost beyond what they hold; nil: it is not open, or has none.
    package func storageDebt(of shard: ShardID) async throws -> StorageDebt? {
        guard let (host, store) = try? shards.open(shard.description) else { return nil }
        return try await debt(of: host.id, store)?.debt
    }

    private func debt(
        of shard: ShardID, _ store: any KeyValueStore
    ) async throws -> (manifest: Manifest, debt: StorageDebt)? {
        guard let storage else { throw Self.noSlateDB }
        guard let sorted = store.sorted, let manifest = try await storage.manifest(of: shard) else { return nil }
        let debt = StorageDebt(
            manifest, try await storage.checkpoints(of: shard), deletedBytes: sorted.deletedBytes.estimate,
            hasLog: !(store is LoggedStore))
        return (manifest, debt)
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
