import SiloCore
import Synchronization

/// One batch of the loop, from its first change until it is durable. The leases that it grants or renews have begun when their
/// workers can be told: a flush that hangs takes nothing away from them.
final class WrittenBatch: Sendable {
    private let milliseconds = Atomic(Int64.max)

    /// In steady time; nil: not yet.
    var durableAt: Timestamp? {
        let value = milliseconds.load(ordering: .acquiring)
        return value == .max ? nil : Timestamp(value)
    }

    /// Nobody was answered yet.
    func becameDurable(at steady: Timestamp) { milliseconds.store(steady.milliseconds, ordering: .releasing) }

    /// When a lease of this batch ends.
    /// - Parameters:
    ///   - stored: what its row says.
    ///   - length: of a lease, in milliseconds.
    /// - Returns: nil when that is not known before the batch is durable.
    func endOfLease(storedAs stored: Timestamp, length: Int64) -> Timestamp? { durableAt.map { max(stored, $0 + length) } }
}
