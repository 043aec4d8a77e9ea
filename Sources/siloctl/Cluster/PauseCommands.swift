import CommandLineTool
import Foundation
import Protobuf
import SiloAPI
import SiloCore

/// `pause`, `resume` and `pauses`.
struct PauseCommands {
    let arguments: Arguments
    let output: Output
    private let tenant: String?

    init(_ arguments: Arguments, _ output: Output) throws {
        self.arguments = arguments
        self.output = output
        tenant = try ServerPlace.tenant(arguments)
    }

    func pause() async throws {
        let reason = arguments.text("reason", default: "")
        let before = try await onEachShard { shard, server in
            var request = SiloV1.PauseRequest()
            request.shard = shard
            request.tenant = tenant
            request.target = target
            request.reason = reason
            return try await server.call(SiloV1.Silo.pause, request).wasPaused
        }
        let wasPaused = before.allSatisfy { $0 }
        let text = wasPaused ? "was paused already; the reason is the new one" : "is paused; what runs goes on"
        try show("paused", wasPaused, before.count, text)
    }

    func resume() async throws {
        let before = try await onEachShard { shard, server in
            var request = SiloV1.ResumeRequest()
            request.shard = shard
            request.tenant = tenant
            request.target = target
            return try await server.call(SiloV1.Silo.resume, request).wasPaused
        }
        let wasPaused = before.contains(true)
        try show("resumed", wasPaused, before.count, wasPaused ? "goes on" : "was not paused; siloctl pauses lists what is")
    }

    private var target: SiloV1.PauseTarget {
        var target = SiloV1.PauseTarget()
        switch arguments.command.split(separator: " ").last {
        case "group": target.target = .taskGroup(arguments.operands[0])
        case "limit": target.target = .limitKey(arguments.operands[0])
        default: target.target = .wholeTenant(true)
        }
        return target
    }

    /// Asks the tenant's shard; for a group of all tenants every shard. Nobody is asked when one of them has no owner.
    private func onEachShard(_ ask: (_ shard: String, _ server: Server) async throws -> Bool) async throws -> [Bool] {
        let server = try Server(arguments)
        let info = try await server.clusterInfo()
        var shards = info.shardOwners.map(\.shardId)
        if !target.isForAllTenants(tenant) { shards = [try info.shard(of: tenant)] }
        let owners = try shards.map { ($0, try server.owner(of: $0, info)) }
        var answers: [Bool] = []
        for (shard, owner) in owners {
            do {
                answers.append(try await ask(shard, owner))
            } catch let failure as Failure where !answers.isEmpty {
                let all = Words.count(owners.count, "shard")
                throw Failure("\(failure); taken by \(answers.count) of \(all): repeat the command")
            }
        }
        return answers
    }

    private func show(_ status: String, _ wasPaused: Bool, _ shards: Int, _ text: String) throws {
        var object = target.object
        object["tenant"] = tenant
        object["status"] = status
        object["was_paused"] = wasPaused
        object["shards"] = shards
        try output.print(object, ["\(target.title(of: tenant)) \(text)"])
    }

    // MARK: List

    func list() async throws {
        let server = try Server(arguments)
        let info = try await server.clusterInfo()
        let home = try tenant.map { try info.shard(of: $0) }
        let asked = info.shardOwners.map(\.shardId).filter { home == nil || $0 == home }
        var found: [(pause: SiloV1.PauseInfo, shards: Int)] = []
        var missing: [String] = []
        for shard in asked {
            var request = SiloV1.ListPausesRequest()
            request.shard = shard
            var pauses: [SiloV1.PauseInfo] = []
            do {
                pauses = try await server.owner(of: shard, info).call(SiloV1.Silo.listPauses, request).pauses
            } catch let failure as Failure where failure.isPassing && missing.count + 1 < asked.count {
                missing.append(shard)
            }
            for pause in pauses {
                guard tenant == nil || pause.tenant == nil || ExactText(pause.tenant) == ExactText(tenant) else { continue }
                let index = found.firstIndex { $0.pause.isSame(as: pause) }
                if let index {
                    found[index].shards += 1
                    found[index].pause.sinceMs = min(found[index].pause.sinceMs, pause.sinceMs)
                } else {
                    found.append((pause, 1))
                }
            }
        }
        for shard in missing { Program.complain("shard \(shard) does not answer: its pauses are not shown") }
        found.sort { $0.pause.sinceMs < $1.pause.sinceMs }
        let answered = asked.count - missing.count
        var isPartial = false
        let rows = found.map { pause, shards -> [Line] in
            // Of one tenant only its own shard is looked at.
            let isMissing = home == nil && pause.isForAllTenants && shards < answered
            isPartial = isPartial || isMissing
            let whose = home != nil && pause.isForAllTenants ? " of all tenants" : ""
            return [
                "\(pause.target?.title(of: pause.tenant) ?? "?")\(whose)",
                "\(Words.distance(pause.sinceMs, from: output.times.now))",
                (isMissing ? "(only \(shards) of \(answered) shards) " : "")
                    + (pause.reason.isEmpty ? "-" : "\(pause.reason)"),
            ]
        }
        let advice: [Line] = ["", "A pause that only some shards have was broken off: pause it again, or resume it."]
        try output.print(
            [
                "pauses": found.map { pause, shards in
                    var object = pause.target?.object ?? [:]
                    object["tenant"] = pause.tenant
                    object["reason"] = pause.reason
                    object["since_ms"] = pause.sinceMs
                    object["shards"] = shards
                    return object
                },
                "missing_shards": missing,
            ],
            found.isEmpty ? ["Nothing is paused"]
                : Table.lines(["Paused", "Since", "Reason"], rows) + (isPartial ? advice : [])
        )
    }
}

extension SiloV1.PauseInfo {
    var isForAllTenants: Bool { target?.isForAllTenants(tenant) ?? false }

    /// By bytes: messages compare their texts as Swift does, to whom texts that look alike are the same.
    fileprivate func isSame(as other: Self) -> Bool {
        ExactText(tenant) == ExactText(other.tenant) && target?.serializedBytes() == other.target?.serializedBytes()
    }
}

extension SiloV1.PauseTarget {
    /// A group without a tenant is one of all tenants.
    fileprivate func isForAllTenants(_ tenant: String?) -> Bool {
        if case .taskGroup = target { tenant == nil } else { false }
    }

    fileprivate func title(of tenant: String?) -> String {
        let whose = tenant.map { " of tenant \($0)" } ?? ""
        return switch target {
        case .taskGroup(let group): "Task group \(group)\(whose)"
        case .limitKey(let key): "Limit \(key)\(whose)"
        case .wholeTenant, nil: tenant.map { "Tenant \($0)" } ?? "Everything"
        }
    }

    fileprivate var object: [String: Any] {
        switch target {
        case .taskGroup(let group): ["target": "group", "group": group]
        case .limitKey(let key): ["target": "limit", "limit": key]
        case .wholeTenant, nil: ["target": "tenant"]
        }
    }
}
