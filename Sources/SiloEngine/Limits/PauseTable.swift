import SiloCore
import SiloStore

/// What is paused on a shard. Few things are, so all of it is in memory.
final class PauseTable {
    private(set) var all: [PauseTarget: StorageV1.Pause] = [:]
    /// A limit's key is paused.
    private(set) var hasLimits = false

    subscript(target: PauseTarget) -> StorageV1.Pause? {
        get { all[target] }
        set {
            all[target] = newValue
            hasLimits = all.keys.contains { if case .limit = $0 { true } else { false } }
        }
    }

    func isPaused(_ queue: Queue.ID) -> Bool {
        guard !all.isEmpty else { return false }
        return Self.targets(of: queue).contains { all[$0] != nil }
    }

    func isPaused(_ key: LimitKey, of tenant: Tenant) -> Bool {
        !all.isEmpty && all[.limit(key, of: tenant)] != nil
    }

    /// The pauses that keep a queue's jobs from starting.
    static func targets(of queue: Queue.ID) -> [PauseTarget] {
        [.tenant(queue.tenant), .group(queue.group, of: queue.tenant), .group(queue.group, of: nil)]
    }
}
