import Protobuf
import SiloCore

@testable import SiloEngine
@testable import SiloStore

/// What one row says, in words.
struct RowWords {
    /// What times count from, on both clocks.
    let start: Timestamp

    func time(_ milliseconds: Int64) -> ScenarioTime { ScenarioTime(milliseconds: milliseconds - start.milliseconds) }

    // MARK: Jobs

    /// - Parameters:
    ///   - drops: how often the tenant's holders have been dropped; older holds are void.
    ///   - keyDrops: the same of single keys; older holds of the key are void.
    func text(_ lease: StorageV1.Lease, drops: UInt32, keyDrops: (String) -> UInt64) -> String {
        var text = "running for \(lease.workerId) until \(time(lease.expiresAtMs))\(attempt(lease.attempt))"
        text += holds(lease.slots, lease.slotHold, drops, keyDrops)
        return text + (lease.cancelledAtMs == nil ? "" : ", cancelled")
    }

    /// - Parameter order: of the row: when a timer is due.
    func text(
        _ family: Family, _ order: UInt64, _ task: StorageV1.Task, _ job: StorageV1.Job, drops: UInt32,
        keyDrops: (String) -> UInt64
    ) -> String {
        let isTimer = family == .date || family == .delay
        var text = isTimer ? "timer until \(time(Int64(clamping: order)))" : "\(family)"
        text += attempt(task.attempt) + holds(job.limits.slotKeys.map(\.text), task.slotHold, drops, keyDrops)
        if task.reserved { text += ", hits promised" }
        return text + (task.rateChecks == 0 ? "" : ", refused \(times(task.rateChecks))")
    }

    func text(_ status: StorageV1.Status) -> String {
        let code = status.lastAttempt.map { $0.errorCode.isEmpty ? "" : " \($0.errorCode)" } ?? ""
        return status.state.name.rawValue.lowercased() + code + attempt(max(1, status.attempt))
    }

    private func attempt(_ number: UInt32) -> String { number == 1 ? "" : ", attempt \(number)" }

    private func times(_ count: UInt32) -> String { count == 1 ? "once" : "\(count) times" }

    private func holds(_ keys: [String], _ hold: Hold?, _ drops: UInt32, _ keyDrops: (String) -> UInt64) -> String {
        guard let hold, !keys.isEmpty else { return "" }
        guard hold.drops == drops else { return ", its slots were dropped" }
        let good = keys.filter { hold.keyDrops >= keyDrops($0) }
        let void = keys.filter { hold.keyDrops < keyDrops($0) }
        return (good.isEmpty ? "" : ", holds \(good.joined(separator: " "))")
            + (void.isEmpty ? "" : ", its slot of \(void.joined(separator: " ")) was dropped")
    }

    // MARK: Limits

    func text(_ slots: StorageV1.Slots, drops: UInt32) -> String {
        let held = slots.drops == drops ? slots.held : 0
        guard let floating = slots.floating else {
            return "\(held) held" + (slots.voidHolds == 0 ? "" : ", \(slots.voidHolds) void")
        }
        let interval = ScenarioTime(milliseconds: floating.refreshIntervalMs)
        var text = "\(held) held of \(floating.currentMax), at first \(floating.defaultMax), each \(interval), "
        text += floating.lastRefreshedAtMs == 0 ? "never refreshed" : "refreshed \(time(floating.lastRefreshedAtMs))"
        if floating.retryCount > 0 { text += ", failed \(times(floating.retryCount))" }
        if let next = floating.nextRetryAtMs { text += ", again \(time(next))" }
        return text + Self.text(floating.metadata)
    }

    func text(_ bucket: StorageV1.Bucket) -> String {
        var text = "\(Self.number(bucket.used)) used, \(bucket.reserved) promised"
        if bucket.windowEndsMs != 0 { text += ", until \(time(bucket.windowEndsMs))" }
        return text
    }

    func text(_ refresh: StorageV1.Refresh) -> String {
        let group = "of group \(refresh.taskGroup)"
        guard refresh.expiresAtMs != 0 else { return "due \(time(refresh.dueAtMs)) \(group)" }
        return "with \(refresh.workerId) until \(time(refresh.expiresAtMs)) \(group)"
    }

    func text(_ target: PauseTarget) -> String {
        let tenant = target.tenant?.name ?? "all"
        return switch target {
        case .tenant: "tenant \(tenant)"
        case .group(let group, _): "group \(StoredView.name(group.text, of: tenant))"
        case .limit(let key, _): "limit \(StoredView.name(key.text, of: tenant))"
        }
    }

    static func text(_ metadata: TextMap<String>) -> String { metadata.map { ", \($0)=\($1)" }.sorted().joined() }

    /// To a thousandth.
    private static func number(_ value: Double) -> String {
        let rounded = (value * 1000).rounded() / 1000
        return rounded == rounded.rounded() ? "\(Int64(rounded))" : "\(rounded)"
    }
}
