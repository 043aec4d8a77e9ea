import Protobuf
import SiloCore
import SiloStore

/// What limits need of time: buckets that have room again, floating limits to be refreshed, refreshes that are due or were
/// not done, and, after the shard was opened, the rest of the stored lines.
struct TendLimits: Duty {
    /// Things done in one go.
    static let countMax = 512

    /// In steady time; see `ExpireLeases`.
    let judging: Timestamp

    func run(in transaction: Transaction) async throws(StoreError) {
        let limits = transaction.memory.limits
        var left = Self.countMax
        // Those for which the store does not say who waits.
        var (unread, waiting): ([SlotLimit], [LiveRefresh]) = ([], [])
        defer {
            for limit in unread { limits.setAlarm(limit, .steady, at: transaction.steady) }
            for refresh in waiting { limits.refreshes.changed(refresh) }
        }
        for axis in Axis.allCases {
            while left > 0, let limit = limits.popAlarm(axis, by: transaction.moment[axis]) {
                left -= 1
                switch limit {
                case .slots(let limit):
                    transaction.reached(.refreshByAlarm)
                    if try await !transaction.refreshes.planIfWaitedFor(limit) { unread.append(limit) }
                case .bucket(let limit):
                    limits.markFreed(limit)
                }
            }
        }
        while left > 0, let refresh = limits.refreshes.popAlarm(by: judging, lease: transaction.settings.leaseMilliseconds) {
            left -= 1
            if try await !transaction.refreshes.tend(refresh) { waiting.append(refresh) }
        }
        guard limits.unreadLines != nil else { return }
        _ = try await transaction.ifAnswered { () async throws(StoreError) in try await transaction.storedLines.readSome() }
    }
}
