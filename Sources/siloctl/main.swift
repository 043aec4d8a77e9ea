import CommandLineTool
import Foundation
import SiloAPI
import SiloClient
import SiloCore

await Program.run(usage) { arguments in
    let output = Output(isJSON: arguments.has("json"))
    let job = JobCommands(arguments: arguments, output: output)
    switch arguments.command {
    case "cluster info": try await showCluster(arguments, output)
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

func enqueue(_ arguments: Arguments, _ output: Output) async throws {
    let info = try await Server(arguments).clusterInfo()
    var text = Data(arguments.operands[1].utf8)
    if arguments.operands[1] == "-" { text = try FileHandle.standardInput.readToEnd() ?? Data() }
    guard let payload = MessagePack(json: text) else { throw Arguments.Mistake("<json> is no JSON document") }

    var request = SiloV1.EnqueueRequest()
    let tenant = arguments.text("tenant")
    let hash = Tenant(tenant ?? Tenant.none.name).hash
    let owner = info.shardOwners.first { owner in
        ShardRange(start: TenantHash(text: owner.rangeStart), end: TenantHash(text: owner.rangeEnd)).contains(hash)
    }
    guard let owner else { throw Failure("no shard holds the tenant") }
    request.shard = owner.shardId
    request.tenant = tenant
    request.id = arguments.text("id", default: "")
    request.taskGroup = arguments.operands[0]
    request.priority = UInt32(try arguments.number("priority", default: 50, in: 0...99))
    let delay = try arguments.number("start-in", default: 0, in: 0...315_360_000)
    request.startAtMs = SystemClock().now.milliseconds + Int64(delay) * 1000
    let retries = try arguments.number("retries", default: 0, in: 0...1_000_000)
    if retries > 0 {
        var policy = SiloV1.RetryPolicy()
        policy.retryCount = UInt32(retries)
        policy.initialIntervalMs = 1000
        policy.maxIntervalMs = 60_000
        policy.backoffFactor = 2
        policy.randomizeInterval = true
        request.retryPolicy = policy
    }
    for label in arguments.text("label", default: "").split(separator: ",") {
        let sides = label.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard sides.count == 2 else { throw Arguments.Mistake("--label wants key=value, not \(label)") }
        request.metadata[String(sides[0])] = String(sides[1])
    }
    var content = SiloV1.SerializedBytes()
    content.encoding = .msgpack(payload.bytes)
    request.payload = content
    let response = try await Server(arguments).owner(of: owner.shardId).call(SiloV1.Silo.enqueue, request)
    try output.print(
        ["id": response.id, "shard": owner.shardId], ["Job \(response.id) enqueued in shard \(owner.shardId)"]
    )
}
