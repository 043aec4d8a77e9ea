/// The tenants that jobs belong to.
enum Tenants: Sendable {
    /// The server runs without tenancy.
    case none
    /// Names, and for each the share of jobs up to and with it, rising to 1.
    case some(names: [String], cumulativeShares: [Double])

    /// - Parameter imbalance: the first tenant's weight relative to the last one's, linear between.
    init(prefix: String, count: Int, imbalance: Double) {
        guard count > 1 else {
            self = .none
            return
        }
        let weights = (0..<count).map { imbalance + (1 - imbalance) * Double($0) / Double(count - 1) }
        let sum = weights.reduce(0, +)
        var passed = 0.0
        let shares = weights.map { weight -> Double in
            passed += weight
            return passed / sum
        }
        self = .some(names: (0..<count).map { "\(prefix)-\($0)" }, cumulativeShares: shares)
    }

    /// The tenants of one enqueue call: one tenant, since a call goes to one shard.
    func pick(_ count: Int, _ random: inout UInt64) -> [String?] {
        guard case .some(let names, let shares) = self else { return [String?](repeating: nil, count: count) }
        // xorshift64
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        let point = Double(random >> 11) / Double(1 << 53)
        var low = 0
        var high = shares.count - 1
        while low < high {
            let middle = (low + high) / 2
            if shares[middle] <= point { low = middle + 1 } else { high = middle }
        }
        return [String?](repeating: names[low], count: count)
    }
}
