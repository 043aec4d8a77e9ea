package import SiloCore
import Synchronization

/// When the newest failed job of each slice of a shard failed, or a moment after that: so that who lists the newest failures of
/// all tenants reads the slices that have them, and not each.
package final class FailureBounds: Sendable {
    private struct Entry {
        /// Of what was there when somebody looked first, in milliseconds of dates; nil: nobody has.
        var stored: Int64?
        /// Of what came since the shard was opened.
        var since = Int64.min
    }
    private let entries = Mutex(Array(repeating: Entry(), count: Slice.count))

    package init() {}

    /// A job failed. The shard says so before anybody can see it.
    package func came(_ slice: Slice, at changed: Timestamp) {
        // As the key has it.
        let changed = Int64(clamping: changed.sortable)
        entries.withLock { $0[Int(slice.number)].since = max($0[Int(slice.number)].since, changed) }
    }

    /// Somebody read the first failure of a slice, in a view of whatever moment since the shard was opened; nil: there was none.
    package func saw(_ slice: Slice, _ changed: Int64?) {
        // Whatever came since is counted beside it, so a look of any moment does.
        entries.withLock { $0[Int(slice.number)].stored = changed ?? .min }
    }

    /// None in the slice is newer; nil: that is not known. Ask it after the view was taken.
    package func bound(of slice: Slice) -> Int64? {
        entries.withLock { entries in entries[Int(slice.number)].stored.map { max($0, entries[Int(slice.number)].since) } }
    }
}
