import CommandLineTool
import SiloAPI
import SiloCore

/// `shard split` and `shard split-status`.
struct SplitCommands {
    let arguments: Arguments
    let output: Output
    private var shard: String { arguments.operands[0] }
    private static let pollMilliseconds: Int64 = 1000

    func split() async throws {
        let selectors = ["at", "at-hash", "auto"].filter(arguments.has)
        guard selectors.count <= 1 else {
            throw Arguments.Mistake("--\(selectors.joined(separator: " and --")) exclude each other: give one of them")
        }
        guard let selector = selectors.first else { throw Failure("say where to split: --at, --at-hash or --auto") }
        let any = try Server(arguments)
        let info = try await any.clusterInfo()
        let server = try any.owner(of: shard, info)
        var request = SiloV1.RequestSplitRequest()
        request.shardId = shard
        request.splitPoint = try point(selector, info)
        let response = try await server.call(SiloV1.Silo.requestSplit, request)
        try output.print(
            [
                "status": "split_requested", "parent_shard_id": shard, "split_point": request.splitPoint,
                "left_child_id": response.leftChildId, "right_child_id": response.rightChildId, "phase": response.phase,
            ],
            ["Split of shard \(shard) requested"] + Output.fields([
                ("Parent", "\(shard)"), ("Split Point", "\(request.splitPoint)"), ("Left Child", "\(response.leftChildId)"),
                ("Right Child", "\(response.rightChildId)"), ("Phase", "\(response.phase)"),
            ])
        )
        if arguments.has("wait") { try await wait(any, response.phase) }
    }

    /// Tells each phase, until there is none.
    private func wait(_ server: Server, _ first: String) async throws {
        var shown = first
        while true {
            let status = try await server.call(SiloV1.Silo.getSplitStatus, request())
            guard status.inProgress, status.phase != "SplitComplete" else { break }
            if status.phase != shown { output.say("Phase: \(status.phase)") }
            shown = status.phase
            try await SystemClock().sleep(milliseconds: Self.pollMilliseconds)
        }
        output.say("Split completed!")
    }

    func status() async throws {
        let status = try await Server(arguments).call(SiloV1.Silo.getSplitStatus, request())
        try output.print(
            [
                "shard_id": shard, "in_progress": status.inProgress, "phase": status.phase, "left_child_id": status.leftChildId,
                "right_child_id": status.rightChildId, "split_point": status.splitPoint,
                "initiator_node_id": status.initiatorNodeId, "requested_at_ms": status.requestedAtMs,
            ],
            status.inProgress
                ? Output.fields([
                    ("Shard", "\(shard)"), ("Phase", "\(status.phase)"), ("Left Child", "\(status.leftChildId)"),
                    ("Right Child", "\(status.rightChildId)"), ("Split Point", "\(status.splitPoint)"),
                    ("Initiator", "\(status.initiatorNodeId)"), ("Requested", "\(output.times.text(status.requestedAtMs))"),
                ]) : ["No split in progress for shard \(shard)"]
        )
    }

    private func request() -> SiloV1.GetSplitStatusRequest {
        var request = SiloV1.GetSplitStatusRequest()
        request.shardId = shard
        return request
    }

    /// A tenant hash, 16 hexadecimal digits.
    private func point(_ selector: String, _ info: SiloV1.GetClusterInfoResponse) throws -> String {
        switch selector {
        case "at": return Tenant(arguments.text("at", default: "")).hash.text
        case "at-hash":
            let text = arguments.text("at-hash", default: "").lowercased()
            guard TenantHash(text: text) != nil, text.utf8.count == 16 else {
                throw Arguments.Mistake("--at-hash wants 16 hexadecimal digits, not \(text)")
            }
            return text
        default:
            guard let owner = info.shardOwners.first(where: { $0.shardId.lowercased() == shard.lowercased() }) else {
                throw Failure("shard `\(shard)` not found in cluster; siloctl cluster info lists the shards")
            }
            return try Self.middle(of: owner)
        }
    }

    private static func middle(of owner: SiloV1.ShardOwner) throws -> String {
        let start = UInt64(owner.rangeStart, radix: 16) ?? 0
        let end = UInt64(owner.rangeEnd, radix: 16) ?? .max
        guard end > start, end - start > 1 else { throw Failure("the range \(owner.range) has no middle: it cannot be split") }
        let digits = String(start + (end - start) / 2, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
