/// What a client knows of its cluster: where the shards are, as far as anybody told it.
struct RouteMap: Sendable {
    /// Named by the application.
    let seeds: [String]
    private(set) var topology: Topology?
    /// Learnt from redirects, until the next topology.
    private var moved: [String: String] = [:]
    private var turn = 0

    init(seeds: [String]) {
        self.seeds = seeds
    }

    mutating func learn(_ topology: Topology) {
        self.topology = topology
        moved = [:]
    }

    mutating func move(_ shard: String, to address: String) { moved[shard] = address }

    /// Where a shard is thought to be; any server when that is not known.
    mutating func address(of shard: String) -> String {
        if let address = moved[shard] ?? topology?.address(of: shard) { return address }
        let addresses = topology?.addresses ?? seeds
        guard !addresses.isEmpty else { return seeds.first ?? "" }
        turn += 1
        return addresses[turn % addresses.count]
    }

    /// Every shard has an owner, and this one is not among them: nobody will ever know it again.
    func isGone(_ shard: String) -> Bool { topology.map { $0.isWhole && $0.address(of: shard) == nil } ?? false }

    /// Who can tell where the shards are: the servers that hold some, then the seeds.
    var sources: [String] {
        let known = topology?.addresses ?? []
        return known + seeds.filter { !known.contains($0) }
    }
}
