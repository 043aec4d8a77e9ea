import GRPC
import SiloAPI
import SiloCore

/// Where the shards of a cluster are served, as its seed node tells it.
struct Route: Sendable {
    struct Shard: Sendable {
        let id: String
        let address: String
        let range: ShardRange
    }
    let shards: [Shard]

    static func find(from seed: Connection) async throws(Failure) -> Route {
        let info = try await seed.call(SiloV1.Silo.getClusterInfo, SiloV1.GetClusterInfoRequest())
        let shards = info.shardOwners.compactMap { owner -> Shard? in
            guard !owner.grpcAddr.isEmpty else { return nil }
            let range = ShardRange(start: TenantHash(text: owner.rangeStart), end: TenantHash(text: owner.rangeEnd))
            return Shard(id: owner.shardId, address: owner.grpcAddr, range: range)
        }
        guard !shards.isEmpty else { throw Failure("no shard of the cluster has an owner") }
        return Route(shards: shards)
    }

    /// The shard of a tenant; nil in a range that nobody serves.
    func shard(of tenant: String?) -> Shard? {
        if shards.count == 1 { return shards[0] }
        let hash = Tenant(tenant ?? Tenant.none.name).hash
        return shards.first { $0.range.contains(hash) }
    }

    var addresses: [String] { Set(shards.map(\.address)).sorted() }
}
