import SiloCore
import SiloStore
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
    /// The limits, by kind.
    public var slotLimits = 0
    public var rateLimits = 0
    public var pauses = 0
    public var refreshes = 0
    /// Broken invariants that were mended in passing, since the shard was opened. Anything but none is a bug.
    public var healed: [HealedFault: Int] = [:]
}

final class ShardGauge: Sendable {
    private let counts = Mutex(ShardCounts())
    private let levels = Mutex<[TaskGroup: GroupLevel]>([:])
    /// Task groups that have work for a worker.
    private let groups = Mutex<Set<TaskGroup>>([])
    /// When the turn under way began, in milliseconds of steady time; the least: there is none.
    private let turn = Atomic<Int64>(.min)
    private let dropped = Mutex<[Tenant: StorageV1.TenantDrop]>([:])
    private let changeable = Mutex(EngineSettings().changeable)
    private let erased = Atomic<Int>(0)
    private let bulkActions = Mutex<[BulkID: StorageV1.BulkAction]>([:])
    /// Rings whenever one of them has changed.
    let bulkChanges: AsyncStream<Void>
    private let bulkBell: AsyncStream<Void>.Continuation
    private let alarm = Mutex<(date: Timestamp, delay: Timestamp)>((.distantFuture, .distantFuture))
    private let audits = Mutex<(count: Int, last: HolderAudit.Report)>((0, HolderAudit.Report()))

    init() {
        (bulkChanges, bulkBell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    var current: ShardCounts { counts.withLock { $0 } }

    func update(from memory: ShardMemory, at steady: Timestamp) {
        let new = ShardCounts(
            total: memory.totalJobs, completed: memory.completedJobs, leases: memory.leases.count,
            waitingWorkers: memory.waiters.count, waiterEntries: memory.waiters.entries, windowedTasks: memory.windows.rows,
            queues: memory.queues.count,
            limits: memory.limits.count, lines: memory.limits.lines.count,
            slotLimits: memory.limits.slotCount, rateLimits: memory.limits.bucketCount,
            pauses: memory.limits.pauses.all.count, refreshes: memory.limits.refreshes.count, healed: memory.healed.counts
        )
        counts.withLock { $0 = new }
        if let actions = memory.bulks.takeChanged() {
            bulkActions.withLock { $0 = actions }
            bulkBell.yield()
        }
        if let drops = memory.takeChangedDrops() { dropped.withLock { $0 = drops } }
        let newLevels = memory.levels.takeChanged(at: steady)
        if !newLevels.isEmpty { levels.withLock { levels in for (group, level) in newLevels { levels[group] = level } } }
        let changed = memory.takeChangedGroups()
        guard !changed.isEmpty else { return }
        groups.withLock { groups in
            for (group, hasWork) in changed {
                if hasWork { groups.insert(group) } else { groups.remove(group) }
            }
        }
    }

    /// The jobs of each task group.
    var groupLevels: [TaskGroup: GroupLevel] { levels.withLock { $0 } }

    func turnBegan(at steady: Timestamp) { turn.store(steady.milliseconds, ordering: .relaxed) }
    func turnEnded() { turn.store(.min, ordering: .relaxed) }

    /// When the turn under way began, in steady time; nil: the loop waits for work.
    var turnBegan: Timestamp? {
        let began = turn.load(ordering: .relaxed)
        return began == .min ? nil : Timestamp(began)
    }

    /// Tenants whose rows are being deleted.
    var drops: [Tenant: StorageV1.TenantDrop] { dropped.withLock { $0 } }

    /// Bulk actions that go on, and those that are remembered.
    var bulks: [BulkID: StorageV1.BulkAction] { bulkActions.withLock { $0 } }

    var settings: EngineSettings.Changeable {
        get { changeable.withLock { $0 } }
        set { changeable.withLock { $0 = newValue } }
    }

    /// Jobs that were erased because their time was over, since the shard was opened.
    var sweptCount: Int { erased.load(ordering: .relaxed) }
    func swept(_ count: Int) { erased.add(count, ordering: .relaxed) }

    /// When the loop looks at its clocks again, though nothing comes: by the wall clock and in steady time.
    var nextAlarm: (date: Timestamp, delay: Timestamp) { alarm.withLock { $0 } }

    func alarmSet(date: Timestamp, delay: Timestamp) { alarm.withLock { $0 = (date, delay) } }

    func hasWork(for group: TaskGroup) -> Bool { groups.withLock { $0.contains(group) } }

    /// How many audits have ended, and what the last one found.
    var audit: (count: Int, last: HolderAudit.Report) { audits.withLock { $0 } }

    func audited(_ report: HolderAudit.Report) { audits.withLock { $0 = ($0.count + 1, report) } }
}
