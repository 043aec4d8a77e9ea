import CommandLineTool
import Foundation
import GRPC
import SiloAPI
import SiloClient
import SiloCore

// What the network library has to say is in the errors of the calls; GRPC_VERBOSITY asks for its own lines.
if ProcessInfo.processInfo.environment["GRPC_VERBOSITY"] == nil { CoreLog.setHandler { _ in } }

await Program.run(usage) { arguments in
    let output = Output(isJSON: arguments.has("json"))
    let job = JobCommands(arguments: arguments, output: output)
    switch arguments.command {
    case "cluster info": try await showCluster(arguments, output)
    case "job explain": try await ExplainCommand(arguments: arguments, output: output).run()
    case "job import": try await ImportCommand(arguments: arguments, output: output).run()
    case "job get": try await job.get()
    case "job result": try await job.result()
    case "job cancel":
        try await job.change("cancelled", SiloV1.Silo.cancelJob) { $0.shard = $1; $0.id = $2; $0.tenant = $3 }
    case "job restart":
        try await job.change("restarted", SiloV1.Silo.restartJob) { $0.shard = $1; $0.id = $2; $0.tenant = $3 }
    case "job expedite":
        try await job.change("expedited", SiloV1.Silo.expediteJob) { $0.shard = $1; $0.id = $2; $0.tenant = $3 }
    case "job delete":
        try await job.change("deleted", SiloV1.Silo.deleteJob) { $0.shard = $1; $0.id = $2; $0.tenant = $3 }
    case "enqueue": try await enqueue(arguments, output)
    case "pause tenant", "pause group", "pause limit": try await PauseCommands(arguments: arguments, output: output).pause()
    case "resume tenant", "resume group", "resume limit": try await PauseCommands(arguments: arguments, output: output).resume()
    case "pauses": try await PauseCommands(arguments: arguments, output: output).list()
    case "tenant drop-holders": try await dropHolders(arguments, output)
    case "tenant hash":
        let tenant = arguments.operands[0]
        let hash = Tenant(tenant).hash.text
        try output.print(["tenant_id": tenant, "hash": hash], [hash])
    default: throw Arguments.Mistake("unknown command \(arguments.command)")
    }
}

func showCluster(_ arguments: Arguments, _ output: Output) async throws {
    let info = try await Server(arguments).clusterInfo()
    func range(_ owner: SiloV1.ShardOwner) -> String {
        "[\(owner.rangeStart.isEmpty ? "-∞" : owner.rangeStart), \(owner.rangeEnd.isEmpty ? "+∞" : owner.rangeEnd))"
    }
    let owners = info.shardOwners.map { owner in
        [
            "shard_id": owner.shardId, "node_id": owner.nodeId, "grpc_addr": owner.grpcAddr,
            "range_start": owner.rangeStart, "range_end": owner.rangeEnd,
        ]
    }
    let heading = Output.pad("Shard", 38) + Output.pad("Range", 40) + Output.pad("Node ID", 38) + "gRPC Address"
    let rows = info.shardOwners.map { owner in
        Output.pad(owner.shardId, 38) + Output.pad(range(owner), 40) + Output.pad(owner.nodeId, 38) + owner.grpcAddr
    }
    try output.print(
        [
            "num_shards": Int(info.numShards), "this_node_id": info.thisNodeId, "this_grpc_addr": info.thisGrpcAddr,
            "shard_owners": owners,
        ],
        [
            "Cluster Information", "===================", "Total shards: \(info.numShards)",
            "Connected to: \(info.thisNodeId) (\(info.thisGrpcAddr))", "", heading, String(repeating: "-", count: 130),
        ] + rows
    )
}

func dropHolders(_ arguments: Arguments, _ output: Output) async throws {
    var request = SiloV1.DropTenantHoldersRequest()
    request.tenant = arguments.text("tenant")
    let server = try Server(arguments)
    request.shard = try await server.shard(of: request.tenant)
    if request.tenant == nil { Program.complain("No tenant is named: this frees every slot of every limit, whoever holds it") }
    let count = try await server.owner(of: request.shard).call(SiloV1.Silo.dropTenantHolders, request).holdersDropped
    var object: [String: Any] = ["shard": request.shard, "holders_dropped": count]
    object["tenant"] = request.tenant
    let whose = request.tenant.map { " of tenant \($0)" } ?? ", those of all jobs"
    try output.print(object, ["Freed \(count) slot\(count == 1 ? "" : "s")\(whose); attempts that run go on"])
}
