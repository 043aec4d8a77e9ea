import SiloAPI
import SiloCore
import SiloEngine
import SiloStore

extension SiloV1.BulkAction {
    /// What an action has come to, from its parts on shards; there is one at least.
    init(_ parts: [(shard: ShardID, action: StorageV1.BulkAction)], _ tenancy: Tenancy) {
        self.init()
        guard let first = parts.first?.action else { return }
        id = UUID(bytes: first.id)?.text ?? ""
        kind = first.verb.kind
        condition = first.condition
        tenants = Set(parts.flatMap { $0.action.scope.tenants ?? [] }).sorted().map(\.name)
        startedBy = first.startedBy
        startedAtMs = parts.map(\.action.startedAtMs).min() ?? 0
        shards = parts.map { SiloV1.BulkShardAction($0.shard, $0.action) }
        state = Self.sum(shards.map(\.state))
        if state != .running { endedAtMs = shards.map(\.endedAtMs).max() ?? 0 }
        error = shards.first { !$0.error.isEmpty }?.error ?? ""
        for shard in shards {
            done += shard.done
            refused += shard.refused
            lookedAt += shard.lookedAt
            expected += shard.expected
        }
        for refusal in parts.flatMap(\.action.refusals) { add(refusal, tenancy) }
    }

    private static func sum(_ states: [SiloV1.BulkActionState]) -> SiloV1.BulkActionState {
        [.running, .failed, .stopped].first(where: states.contains) ?? .done
    }

    private mutating func add(_ refusal: StorageV1.BulkRefusal, _ tenancy: Tenancy) {
        var index = refusals.firstIndex { $0.reason == refusal.reason } ?? refusals.count
        if index == refusals.count {
            var new = SiloV1.BulkRefusal()
            new.reason = refusal.reason
            refusals.append(new)
            index = refusals.count - 1
        }
        refusals[index].jobs += refusal.count
        let left = max(0, Self.sampleMax - refusals[index].sample.count)
        refusals[index].sample += refusal.sample.prefix(left).map { SiloV1.BulkJob($0.tenant, $0.id, tenancy) }
    }

    static let sampleMax = 10
}

extension SiloV1.BulkJob {
    init(_ tenant: String, _ id: String, _ tenancy: Tenancy) {
        self.init()
        self.tenant = tenancy.shown(Tenant(tenant))
        self.id = id
    }
}

extension SiloV1.BulkShardAction {
    fileprivate init(_ shard: ShardID, _ action: StorageV1.BulkAction) {
        self.init()
        self.shard = shard.description
        state =
            switch action.end {
            case .done: .done
            case .stopped: .stopped
            case .broken: .failed
            default: .running
            }
        error = action.error
        done = action.done
        refused = action.refused
        lookedAt = action.lookedAt
        expected = action.expected
        endedAtMs = action.endedAtMs
    }
}
