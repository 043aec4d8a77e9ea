import CommandLineTool
import SiloAPI

/// `cluster info`: the shards and who serves them.
func showCluster(_ arguments: Arguments, _ output: Output) async throws {
    let server = try Server(arguments)
    defer { server.close() }
    let info = try await server.clusterInfo()
    let owners = info.shardOwners.map { owner in
        [
            "shard_id": owner.shardId, "node_id": owner.nodeId, "grpc_addr": owner.grpcAddr,
            "range_start": owner.rangeStart, "range_end": owner.rangeEnd,
        ]
    }
    let rows = info.shardOwners.map { owner -> [Line] in
        let isOwned = !owner.grpcAddr.isEmpty
        return [
            "\(owner.shardId)", "\(owner.range)", isOwned ? "\(owner.nodeId)" : Line("nobody", .bad),
            isOwned ? "\(owner.grpcAddr)" : "-",
        ]
    }
    let table = Table.lines(["Shard", "Range", "Node ID", "gRPC Address"], rows)
    try output.print(
        [
            "num_shards": Int(info.numShards), "this_node_id": info.thisNodeId, "this_grpc_addr": info.thisGrpcAddr,
            "shard_owners": owners,
        ],
        [
            Line("Cluster Information", .heading), "===================", "Total shards: \(info.numShards)",
            "Connected to: \(info.thisGrpcAddr) (node \(info.thisNodeId))", "",
        ] + table.prefix(1) + ["\(String(repeating: "-", count: max(120, table.map(\.width).max() ?? 0)))"] + table.dropFirst()
    )
}

extension SiloV1.ShardOwner {
    /// `[start, end)` of tenant hashes.
    var range: String { "[\(rangeStart.isEmpty ? "-∞" : rangeStart), \(rangeEnd.isEmpty ? "+∞" : rangeEnd))" }
}
