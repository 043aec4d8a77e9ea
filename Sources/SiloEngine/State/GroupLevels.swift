public import SiloCore
import SiloStore

/// How many jobs stand in each place.
public struct JobCounts: Sendable, Equatable {
    /// They wait for their time.
    public var scheduled: Int64 = 0
    /// They wait for a limit.
    public var waiting: Int64 = 0
    public var ready: Int64 = 0
    /// They are leased.
    public var running: Int64 = 0
    public var succeeded: Int64 = 0
    public var failed: Int64 = 0
    public var cancelled: Int64 = 0
}

/// The jobs of one task group, over all tenants.
public struct GroupLevel: Sendable, Equatable {
    public var jobs = JobCounts()
    /// Of those that are ready, those that do not start because their tenant or their group is paused.
    public var paused: Int64 = 0
    /// The earliest start among the jobs that are next in the queues of their tenants, in wall time. Those that are paused wait
    /// for nobody.
    public var oldestReady: Timestamp?
}

/// The levels of the groups of a shard. Kept by what each batch changes of its queues; so many groups have their own, those that
/// come later share one.
struct GroupLevels {
    /// What is next in a queue.
    fileprivate struct Head: Comparable {
        let start: Int64
        let queue: Queue
        /// No other head of the group has it.
        let number: Int
        var isCurrent: Bool { queue.notedHead == number }
        static func < (left: Head, right: Head) -> Bool { left.start < right.start }
        static func == (left: Head, right: Head) -> Bool { left.number == right.number }
    }
    fileprivate struct Group {
        var jobs = JobCounts()
        var paused: Int64 = 0
        /// Entries whose queue has another head by now are passed over.
        var heads = Heap<Head>()
        var headsMax = 64
        var lastHead = 0
    }
    private var groups: [TaskGroup: Group] = [:]
    private var changed: Set<TaskGroup> = []
    private let groupsMax: Int

    /// For all groups past the bound, and the one of this name.
    static let other = TaskGroup("other")

    init(groupsMax: Int) {
        self.groupsMax = groupsMax
    }

    /// A queue counts other jobs than when it was noted last, or another is next.
    mutating func note(_ queue: Queue) {
        let group = groups[queue.id.group] != nil || groups.count < groupsMax ? queue.id.group : Self.other
        groups[group, default: Group()].note(queue)
        changed.insert(group)
    }

    /// A queue that memory does not hold has no jobs any more.
    mutating func forget(_ queue: Queue) {
        queue.counts = StorageV1.QueueCounts()
        note(queue)
    }

    mutating func takeChanged() -> [(group: TaskGroup, level: GroupLevel)] {
        defer { changed.removeAll(keepingCapacity: true) }
        return changed.compactMap { group in (groups[group]?.level()).map { (group, $0) } }
    }
}

extension GroupLevels.Group {
    fileprivate mutating func note(_ queue: Queue) {
        jobs.add(queue.counts, 1)
        jobs.add(queue.notedCounts, -1)
        queue.notedCounts = queue.counts
        let paused = queue.isPaused ? Int64(clamping: queue.counts.ready) : 0
        self.paused += paused - queue.notedPaused
        queue.notedPaused = paused
        let start = queue.isPaused ? nil : queue.nextStart
        guard start != queue.notedStart else { return }
        queue.notedStart = start
        lastHead += 1
        queue.notedHead = lastHead
        guard let start else { return }
        heads.insert(GroupLevels.Head(start: start, queue: queue, number: lastHead))
        guard heads.count > headsMax else { return }
        heads.filter(\.isCurrent)
        headsMax = max(64, 2 * heads.count)
    }

    fileprivate mutating func level() -> GroupLevel {
        while let head = heads.first, !head.isCurrent { heads.popFirst() }
        return GroupLevel(jobs: jobs, paused: paused, oldestReady: heads.first.map { Timestamp($0.start) })
    }
}

extension JobCounts {
    mutating func add(_ counts: StorageV1.QueueCounts, _ sign: Int64) {
        func signed(_ count: UInt64) -> Int64 { sign * Int64(clamping: count) }
        scheduled += signed(counts.dates) + signed(counts.delays)
        waiting += signed(counts.waiting)
        ready += signed(counts.ready)
        running += signed(counts.leased)
        succeeded += signed(counts.succeeded)
        failed += signed(counts.failed)
        cancelled += signed(counts.cancelled)
    }
}
