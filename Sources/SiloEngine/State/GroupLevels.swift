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

/// The levels of the groups of a shard. Kept by what each batch changes of its queues. Which groups have their own says
/// `MeasuredGroups`; the others share one.
struct GroupLevels {
    /// What is next in a queue.
    fileprivate struct Head: Comparable {
        let start: Int64
        let queue: Queue
        /// No other head has it.
        let number: Int
        var isCurrent: Bool { queue.notedHead == number }
        static func < (left: Head, right: Head) -> Bool { left.start < right.start }
        static func == (left: Head, right: Head) -> Bool { left.number == right.number }
    }
    /// Jobs of a group, or what changes of them.
    fileprivate struct Counts: Equatable {
        var jobs = JobCounts()
        var paused: Int64 = 0
    }
    fileprivate struct Group {
        var counts = Counts()
        /// Entries whose queue has another head by now are passed over.
        var heads = Heap<Head>()
        var headsMax = 64
    }
    let measured: MeasuredGroups
    /// Those that are measured by themselves and have had jobs, and `other`.
    private var groups: [TaskGroup: Group] = [:]
    /// What `other` has of each group that has jobs, so that it can be taken out again.
    private var shares: [TaskGroup: Counts] = [:]
    /// Jobs that `other` has of groups without a share, because there were too many. Until there are none any more, no group
    /// without a share leaves `other`: some of these may be of it.
    private var unsharedJobs: Int64 = 0
    private var lastHead = 0
    private var changed: Set<TaskGroup> = []
    private var left: [TaskGroup] = []
    private var now: Timestamp
    private var looked: Timestamp?

    static let sharesMax = 4096
    private static let lookMilliseconds: Int64 = 1000

    init(_ measured: MeasuredGroups, at now: Timestamp) {
        self.measured = measured
        self.now = now
        measured.shardOpens()
    }

    /// A queue counts other jobs than when it was noted last, or another is next.
    mutating func note(_ queue: Queue) {
        let group = queue.id.group
        let place = place(of: group)
        let change = queue.noteCounts()
        groups[place, default: Group()].counts.add(change)
        if place == MeasuredGroups.other { share(change, with: group) }
        changed.insert(place)
        noteHead(of: queue, in: place)
    }

    /// A queue that memory does not hold has no jobs any more.
    mutating func forget(_ queue: Queue) {
        queue.counts = StorageV1.QueueCounts()
        note(queue)
    }

    /// What has changed since the last call; nil: the group has no level of its own any more.
    mutating func takeChanged(at now: Timestamp) -> [(group: TaskGroup, level: GroupLevel?)] {
        self.now = now
        measured.note(changed.map { ($0, groups[$0]?.counts.haveWork ?? false) }, at: now)
        exchangePlaces()
        defer { changed.removeAll(keepingCapacity: true) }
        return changed.map { ($0, groups[$0]?.level()) }
    }

    /// Groups that are measured with the others since the last call.
    mutating func takeLeft() -> [TaskGroup] {
        defer { left.removeAll() }
        return left
    }

    // MARK: Places

    private mutating func place(of group: TaskGroup) -> TaskGroup {
        if groups[group] != nil { return group }
        guard shares[group] != nil || unsharedJobs == 0, measured.takePlace(group, at: now) else { return MeasuredGroups.other }
        moveOut([group])
        return group
    }

    /// Once a second, for it looks at all groups.
    private mutating func exchangePlaces() {
        if let looked, now - looked < Self.lookMilliseconds { return }
        looked = now
        let (left, came) = measured.exchange(for: { shares.filter(\.value.haveWork).keys.sorted { $0.text < $1.text } }, at: now)
        moveOut(Set(came.filter { shares[$0] != nil }))
        self.left += left
        for group in left {
            changed.insert(group)
            // Whoever has no work has no heads.
            guard let counts = groups.removeValue(forKey: group)?.counts, counts != Counts() else { continue }
            groups[MeasuredGroups.other, default: Group()].counts.add(counts)
            share(counts, with: group)
            changed.insert(MeasuredGroups.other)
        }
    }

    private mutating func share(_ counts: Counts, with group: TaskGroup) {
        guard group != MeasuredGroups.other else { return }
        guard shares[group] != nil || unsharedJobs == 0 && shares.count < Self.sharesMax else {
            return unsharedJobs += counts.jobs.total
        }
        var share = shares[group] ?? Counts()
        share.add(counts)
        shares[group] = share == Counts() ? nil : share
    }

    /// Gives groups levels of their own, with what `other` has of them.
    private mutating func moveOut(_ moved: Set<TaskGroup>) {
        guard !moved.isEmpty else { return }
        var other = groups[MeasuredGroups.other]
        var heads: [TaskGroup: Heap<Head>] = [:]
        var haveHeads = false
        for group in moved {
            let share = shares.removeValue(forKey: group) ?? Counts()
            other?.counts.subtract(share)
            groups[group] = Group(counts: share)
            haveHeads = haveHeads || share.jobs.ready > 0
            changed.insert(group)
        }
        if haveHeads {
            other?.heads.filter { head in
                guard head.isCurrent else { return false }
                guard moved.contains(head.queue.id.group) else { return true }
                heads[head.queue.id.group, default: Heap()].insert(head)
                return false
            }
        }
        for (group, heads) in heads { groups[group]?.heads = heads }
        guard let other else { return }
        groups[MeasuredGroups.other] = other
        changed.insert(MeasuredGroups.other)
    }

    private mutating func noteHead(of queue: Queue, in place: TaskGroup) {
        let start = queue.isPaused ? nil : queue.nextStart
        guard start != queue.notedStart else { return }
        queue.notedStart = start
        lastHead += 1
        queue.notedHead = lastHead
        guard let start else { return }
        groups[place]?.add(Head(start: start, queue: queue, number: lastHead))
    }
}

extension Queue {
    /// What has changed since the last call.
    fileprivate func noteCounts() -> GroupLevels.Counts {
        var change = GroupLevels.Counts()
        change.jobs.add(counts, 1)
        change.jobs.add(notedCounts, -1)
        notedCounts = counts
        let paused = isPaused ? Int64(clamping: counts.ready) : 0
        change.paused = paused - notedPaused
        notedPaused = paused
        return change
    }
}

extension GroupLevels.Group {
    fileprivate mutating func add(_ head: GroupLevels.Head) {
        heads.insert(head)
        guard heads.count > headsMax else { return }
        heads.filter(\.isCurrent)
        headsMax = max(64, 2 * heads.count)
    }

    fileprivate mutating func level() -> GroupLevel {
        while let head = heads.first, !head.isCurrent { heads.popFirst() }
        return GroupLevel(jobs: counts.jobs, paused: counts.paused, oldestReady: heads.first.map { Timestamp($0.start) })
    }
}

extension GroupLevels.Counts {
    /// Some of the jobs have not finished.
    var haveWork: Bool { jobs.scheduled > 0 || jobs.waiting > 0 || jobs.ready > 0 || jobs.running > 0 }

    mutating func add(_ other: Self) { add(other, 1) }
    mutating func subtract(_ other: Self) { add(other, -1) }

    private mutating func add(_ other: Self, _ sign: Int64) {
        jobs.scheduled += sign * other.jobs.scheduled
        jobs.waiting += sign * other.jobs.waiting
        jobs.ready += sign * other.jobs.ready
        jobs.running += sign * other.jobs.running
        jobs.succeeded += sign * other.jobs.succeeded
        jobs.failed += sign * other.jobs.failed
        jobs.cancelled += sign * other.jobs.cancelled
        paused += sign * other.paused
    }
}

extension JobCounts {
    var total: Int64 { scheduled + waiting + ready + running + succeeded + failed + cancelled }

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
