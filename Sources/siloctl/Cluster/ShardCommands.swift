import CommandLineTool
import SiloAPI

/// The commands that work on one shard's storage and place.
struct ShardCommands {
    let arguments: Arguments
    let output: Output
    private var shard: String { arguments.operands[0] }

    func compact() async throws {
        var request = SiloV1.CompactShardRequest()
        request.shard = shard
        let status = try await owner().call(SiloV1.Silo.compactShard, request).status
        try output.print(["shard_id": shard, "status": status], ["\(status)"])
    }

    func flush() async throws {
        var request = SiloV1.FlushShardRequest()
        request.shard = shard
        let status = try await owner().call(SiloV1.Silo.flushShard, request).status
        try output.print(["shard_id": shard, "status": status], ["\(status)"])
    }

    /// What its sorted files look like.
    func storage() async throws {
        var request = SiloV1.GetShardStorageInfoRequest()
        request.shard = shard
        let info = try await owner().call(SiloV1.Silo.getShardStorageInfo, request)
        let runs = info.sortedRuns.map { run -> [Line] in
            ["\(run.id)", "\(run.sstCount)", "\(Words.size(run.estimatedSize))"]
        }
        try output.print(
            [
                "shard_id": shard, "l0_sst_count": info.l0SstCount, "total_l0_size": info.totalL0Size,
                "sorted_run_count": info.sortedRunCount, "total_sorted_run_size": info.totalSortedRunSize,
                "sorted_runs": info.sortedRuns.map { run -> [String: Any] in
                    ["id": run.id, "sst_count": run.sstCount, "estimated_size": run.estimatedSize]
                },
            ],
            Output.fields([
                ("Shard", "\(shard)"), ("Files not merged yet", "\(info.l0SstCount), \(Words.size(info.totalL0Size))"),
                ("Merged files", "\(Words.count(info.sortedRunCount, "run")), \(Words.size(info.totalSortedRunSize))"),
            ]) + (runs.isEmpty ? [] : Table.lines(["Run", "Files", "Size"], runs, indent: 2, onTheRight: [0, 1, 2]))
        )
    }

    func configure() async throws {
        var request = SiloV1.ConfigureShardRequest()
        request.shard = shard
        request.placementRing = arguments.text("ring")
        request.allowUnpopulatedRing = arguments.has("allow-unpopulated-ring")
        request.tenant = try ServerPlace.tenant(arguments)
        guard request.placementRing != nil || !request.allowUnpopulatedRing else {
            throw Arguments.Mistake("--allow-unpopulated-ring needs --ring")
        }
        let response = try await ownerOrAny().call(SiloV1.Silo.configureShard, request)
        func name(_ ring: String) -> String { ring.isEmpty ? "(default)" : ring }
        try output.print(
            ["shard_id": shard, "previous_ring": response.previousRing, "current_ring": response.currentRing],
            [
                "Shard \(shard) configured", "Previous ring: \(name(response.previousRing))",
                "Current ring:  \(name(response.currentRing))",
            ]
        )
    }

    func forceRelease() async throws {
        var request = SiloV1.ForceReleaseShardRequest()
        request.shard = shard
        let released = try await ownerOrAny().call(SiloV1.Silo.forceReleaseShard, request).released
        try output.print(["shard_id": shard, "released": released], ["Force-released shard lease for \(shard)"])
    }

    private func owner() async throws -> Server { try await Server(arguments).owner(of: shard, orOf: nil).server }

    /// A shard that nobody serves is put right through any server.
    private func ownerOrAny() async throws -> Server {
        let server = try Server(arguments)
        let info = try await server.clusterInfo()
        let isUnowned = info.shardOwners.contains { $0.shardId.lowercased() == shard.lowercased() && $0.grpcAddr.isEmpty }
        return isUnowned ? server : try server.owner(of: shard, info)
    }
}
