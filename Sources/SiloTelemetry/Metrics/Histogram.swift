import Synchronization

/// The upper bounds of a histogram's buckets, in whole units of what is measured; shown in the unit of its name.
package struct HistogramBuckets: Sendable {
    package let bounds: [Int64]
    /// As they are shown, with the infinite one.
    let texts: [[UInt8]]
    /// Of what is measured in one of what is shown.
    let scale: Double

    /// - Parameter scale: measured units in a shown one, such as 1,000,000 for microseconds that are shown as seconds.
    package init(_ bounds: [Double], scale: Double = 1) {
        self.bounds = bounds.map { Int64(($0 * scale).rounded()) }
        self.scale = scale
        texts = bounds.map { bound in
            var text: [UInt8] = []
            text.append(number: bound)
            return text
        } + [Array("+Inf".utf8)]
    }

    /// Seconds, measured in microseconds.
    package static func seconds(_ bounds: [Double]) -> HistogramBuckets { HistogramBuckets(bounds, scale: 1_000_000) }
}

/// Counts how often something was how large. A look at it may miss what is being recorded at that moment.
///
/// `@unchecked Sendable`: the pointer is constant, and to atomics.
package final class Histogram: @unchecked Sendable {
    let buckets: HistogramBuckets
    /// Of each bucket alone, then of what is larger than all.
    private let counts: UnsafeMutablePointer<Atomic<UInt64>>
    private let total = Atomic<Int64>(0)

    package init(_ buckets: HistogramBuckets) {
        self.buckets = buckets
        counts = .allocate(capacity: buckets.bounds.count + 1)
        for index in 0...buckets.bounds.count { (counts + index).initialize(to: Atomic(0)) }
    }

    deinit {
        counts.deinitialize(count: buckets.bounds.count + 1)
        counts.deallocate()
    }

    /// Two relaxed additions.
    package func record(_ value: Int64) {
        var index = 0
        while index < buckets.bounds.count, value > buckets.bounds[index] { index += 1 }
        counts[index].wrappingAdd(1, ordering: .relaxed)
        total.wrappingAdd(value, ordering: .relaxed)
    }

    /// Adds what another one recorded, in the same buckets.
    package func add(_ other: Histogram) {
        for (index, count) in other.each.enumerated() { counts[index].wrappingAdd(count, ordering: .relaxed) }
        total.wrappingAdd(other.total.load(ordering: .relaxed), ordering: .relaxed)
    }

    /// What was recorded, in shown units.
    package var sum: Double { Double(total.load(ordering: .relaxed)) / buckets.scale }
    package var count: UInt64 { each.reduce(0, +) }

    /// Of each bucket alone, then of what is larger than all.
    package var each: [UInt64] { (0...buckets.bounds.count).map { counts[$0].load(ordering: .relaxed) } }
}
