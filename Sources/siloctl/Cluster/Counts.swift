import CommandLineTool
import SiloAPI

/// `counts`: how many jobs each shard has, by every server that serves some.
func showCounts(_ arguments: Arguments, _ output: Output) async throws {
    guard arguments.text("tenant") == nil else {
        throw Arguments.Mistake("these are counts of whole shards: leave --tenant out; siloctl query counts one tenant's jobs")
    }
    let server = try Server(arguments)
    defer { server.close() }
    let info = try await server.clusterInfo()
    var open: [String: SiloV1.OwnedShardInfo] = [:]
    var asked: Set<String> = []
    for owner in info.shardOwners where !owner.grpcAddr.isEmpty && asked.insert(owner.grpcAddr).inserted {
        let node = try await server.owner(of: owner.shardId, info).call(SiloV1.Silo.getNodeInfo, .init())
        for shard in node.ownedShards { open[shard.shardId] = shard }
    }
    let shards = info.shardOwners.map { ($0, open[$0.shardId]) }
    let known = shards.compactMap(\.1)
    let total = known.reduce(0) { $0 + $1.totalJobs }
    let finished = known.reduce(0) { $0 + $1.completedJobs }
    let rows = shards.map { owner, shard -> [Line] in
        guard let shard else { return ["\(owner.shardId)", Line("not open", .bad)] + Array(repeating: "-", count: 5) }
        return [
            "\(owner.shardId)", "\(shard.totalJobs)", "\(shard.totalJobs - shard.completedJobs)", "\(shard.leases)",
            "\(shard.completedJobs)", "\(shard.waitingWorkers)",
            shard.ghostHolders == 0 ? "0" : Line("\(shard.ghostHolders)", .bad),
        ]
    }
    func sum(_ field: KeyPath<SiloV1.OwnedShardInfo, UInt64>) -> UInt64 { known.reduce(0) { $0 + $1[keyPath: field] } }
    let all: [Line] = [
        "all", "\(total)", "\(total - finished)", "\(sum(\.leases))", "\(finished)", "\(sum(\.waitingWorkers))",
        "\(sum(\.ghostHolders))",
    ]
    try output.print(
        [
            "total_jobs": total, "unfinished_jobs": total - finished, "completed_jobs": finished,
            "shards": shards.map { owner, shard -> [String: Any] in
                var object: [String: Any] = ["shard_id": owner.shardId, "open": shard != nil]
                object["total_jobs"] = shard?.totalJobs
                object["unfinished_jobs"] = shard.map { $0.totalJobs - $0.completedJobs }
                object["completed_jobs"] = shard?.completedJobs
                object["ghost_holders"] = shard?.ghostHolders
                object["leases"] = shard?.leases
                object["waiting_workers"] = shard?.waitingWorkers
                return object
            },
        ],
        Table.lines(
            ["Shard", "Jobs", "Unfinished", "Leased", "Finished", "Workers", "Ghosts"], rows + [all],
            onTheRight: [1, 2, 3, 4, 5, 6]
        )
    )
}
