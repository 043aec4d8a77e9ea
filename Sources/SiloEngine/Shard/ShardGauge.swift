import SiloCore
import Synchronization

/// What a shard shows of itself to whoever asks, without disturbing its loop.
public struct ShardCounts: Sendable, Equatable {
    /// Jobs stored.
    public var total: Int64 = 0
    /// Of those, finished.
    public var completed: Int64 = 0
    public var leases = 0
    public var waitingWorkers = 0
    /// The same with those that went away and are not taken out yet.
    public var waiterEntries = 0
    /// Pending tasks held in memory, and queues.
    public var windowedTasks = 0
    public var queues = 0
    /// Limits in memory, and lines of jobs that wait at them.
    public var limits = 0
    public var lines = 0
    /// Broken invariants that were mended in passing, since the shard was opened. Anything but none is a bug.
    public var healed: [HealedFault: Int] = [:]
}

final class ShardGauge: Sendable {
    private let counts = Mutex(ShardCounts())
    /// Task groups that have work for a worker.
    private let groups = Mutex<Set<TaskGroup>>([])
    private let audits = Mutex<(count: Int, last: HolderAudit.Report)>((0, HolderAudit.Report()))

    var current: ShardCounts { counts.withLock { $0 } }

    func update(from memory: ShardMemory) {
        let new = ShardCounts(
            total: memory.totalJobs, completed: memory.completedJobs, leases: memory.leases.count,
            waitingWorkers: memory.waiters.count, waiterEntries: memory.waiters.entries, windowedTasks: memory.windows.rows,
            queues: memory.queues.count,
            limits: memory.limits.count, lines: memory.limits.lines.count, healed: memory.healed.counts
        )
        counts.withLock { $0 = new }
        let changed = memory.takeChangedGroups()
        guard !changed.isEmpty else { return }
        groups.withLock { groups in
            for (group, hasWork) in changed {
                if hasWork { groups.insert(group) } else { groups.remove(group) }
            }
        }
    }

    func hasWork(for group: TaskGroup) -> Bool { groups.withLock { $0.contains(group) } }

    /// How many audits have ended, and what the last one found.
    var audit: (count: Int, last: HolderAudit.Report) { audits.withLock { $0 } }

    func audited(_ report: HolderAudit.Report) { audits.withLock { $0 = ($0.count + 1, report) } }
}
