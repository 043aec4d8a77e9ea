/// How often something took how long: counts between bounds, of which quantiles are estimated.
package struct Latencies: Sendable {
    package private(set) var counts: [UInt64] = []

    package init() {}

    /// What was counted between two looks.
    package init(from before: [UInt64], to now: [UInt64]) {
        counts = now.enumerated().map { index, count in count &- (index < before.count ? before[index] : 0) }
    }

    package var total: UInt64 { counts.reduce(0, +) }

    package mutating func add(_ other: Latencies) {
        if counts.count < other.counts.count { counts += Array(repeating: 0, count: other.counts.count - counts.count) }
        for (index, count) in other.counts.enumerated() { counts[index] += count }
    }

    /// In milliseconds, between the bounds of the count in which it lies; nil: nothing was counted.
    /// - Parameters:
    ///   - share: 0.5 is the median.
    ///   - bounds: the upper ones; what is longer counts as the last of them.
    package func quantile(_ share: Double, _ bounds: [Int64]) -> Double? {
        let total = total
        guard total > 0, let last = bounds.last else { return nil }
        let wanted = share * Double(total)
        var below = 0.0
        for (index, count) in counts.enumerated() where count > 0 {
            let upTo = below + Double(count)
            if upTo >= wanted {
                guard index < bounds.count else { return Double(last) }
                let lower = index == 0 ? 0 : Double(bounds[index - 1])
                return lower + (Double(bounds[index]) - lower) * (wanted - below) / Double(count)
            }
            below = upTo
        }
        return Double(last)
    }
}
