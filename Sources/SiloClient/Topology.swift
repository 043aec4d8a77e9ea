import GRPC
import SiloAPI
import SiloCore

/// Which shard serves which tenants, and where.
struct Topology: Sendable {
    struct Shard: Sendable {
        let id: String
        let address: String
        let range: ShardRange
    }
    /// In order of their ranges. Shards that nobody owns are left out.
    let shards: [Shard]
    /// Every shard has an owner.
    let isWhole: Bool

    init(_ response: SiloV1.GetClusterInfoResponse) {
        shards = response.shardOwners.compactMap { owner in
            guard !owner.grpcAddr.isEmpty else { return nil }
            let range = ShardRange(start: TenantHash(text: owner.rangeStart), end: TenantHash(text: owner.rangeEnd))
            return Shard(id: owner.shardId, address: owner.grpcAddr, range: range)
        }.sorted { ($0.range.start?.value ?? 0) < ($1.range.start?.value ?? 0) }
        isWhole = shards.count == response.shardOwners.count
    }

    /// The shard of a tenant; nil when nobody serves it.
    func shard(of tenant: String?) -> Shard? {
        let hash = Tenant(tenant ?? Tenant.none.name).hash
        var low = 0
        var high = shards.count
        while low < high {
            let middle = (low + high) / 2
            if shards[middle].range.start.map({ $0 <= hash }) ?? true { low = middle + 1 } else { high = middle }
        }
        guard low > 0, shards[low - 1].range.contains(hash) else { return nil }
        return shards[low - 1]
    }

    func address(of shard: String) -> String? { shards.first { $0.id == shard }?.address }

    /// Every server that owns a shard, once.
    var addresses: [String] {
        var seen: Set<String> = []
        return shards.map(\.address).filter { seen.insert($0).inserted }
    }
}
