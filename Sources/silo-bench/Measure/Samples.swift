/// Every measured value of one kind, and what they come to. Nothing is sampled or put into buckets.
struct Samples: Sendable {
    private(set) var values: [Double] = []

    var count: Int { values.count }

    mutating func add(_ value: Double) { values.append(value) }

    static func += (left: inout Samples, right: Samples) { left.values += right.values }

    /// The values at some shares of the whole, nearest rank; zeros without any value.
    func percentiles(_ shares: [Double]) -> [Double] {
        guard !values.isEmpty else { return shares.map { _ in 0 } }
        let sorted = values.sorted()
        return shares.map { share in
            let rank = Int((share * Double(sorted.count)).rounded(.up)) - 1
            return sorted[min(max(rank, 0), sorted.count - 1)]
        }
    }

    func percentile(_ share: Double) -> Double { percentiles([share])[0] }

    var summary: Summary {
        let values = percentiles([0.5, 0.95, 0.99, 1])
        return Summary(count: count, p50: values[0], p95: values[1], p99: values[2], max: values[3])
    }

    struct Summary: Codable, Sendable {
        var count: Int
        var p50: Double
        var p95: Double
        var p99: Double
        var max: Double
    }
}

extension Collection where Element == Double {
    /// The middle value; the mean of the two middle ones of an even number; 0 of none.
    var median: Double {
        let sorted = sorted()
        guard !sorted.isEmpty else { return 0 }
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }
}
