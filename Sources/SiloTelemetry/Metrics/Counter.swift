import Synchronization

/// Counts what happens. Counting is one relaxed addition.
package final class Counter: Sendable {
    private let count = Atomic<UInt64>(0)

    package init() {}

    package var value: UInt64 { count.load(ordering: .relaxed) }

    package func add(_ amount: Int = 1) { count.wrappingAdd(UInt64(clamping: amount), ordering: .relaxed) }
}
