package import SiloAPI
package import SiloCore

/// Which shard serves which tenants, and where.
package struct Topology: Sendable {
    package struct Shard: Sendable, Equatable {
        package let id: String
        package let address: String
        let range: ShardRange
    }
    /// In order of their ranges. Shards that nobody owns are left out.
    package let shards: [Shard]
    /// Every shard has an owner.
    let isWhole: Bool
    /// All that the server said.
    package let info: SiloV1.GetClusterInfoResponse

    /// - Parameter answerer: where the server that answered is reached; nil: where it says that it is.
    init(_ info: SiloV1.GetClusterInfoResponse, answerer: String? = nil) {
        self.info = info
        shards = info.shardOwners.compactMap { owner in
            guard !owner.grpcAddr.isEmpty else { return nil }
            let isAnswerer = owner.grpcAddr == info.thisGrpcAddr
            let range = ShardRange(start: TenantHash(text: owner.rangeStart), end: TenantHash(text: owner.rangeEnd))
            return Shard(id: owner.shardId, address: isAnswerer ? answerer ?? owner.grpcAddr : owner.grpcAddr, range: range)
        }.sorted { ($0.range.start?.value ?? 0) < ($1.range.start?.value ?? 0) }
        isWhole = shards.count == info.shardOwners.count
    }

    /// The shard of a tenant; nil when nobody serves it.
    package func shard(of tenant: Tenant) -> Shard? {
        let hash = tenant.hash
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
    package var addresses: [String] {
        var seen: Set<String> = []
        return shards.map(\.address).filter { seen.insert($0).inserted }
    }
}
