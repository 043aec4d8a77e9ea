import SiloCore

/// Workers that wait for work, first come first served within their task group.
struct Waiters {
    private var groups: [TaskGroup: FIFO<PendingLease>] = [:]
    private var deadlines = Heap<Deadline>()
    private(set) var entries = 0
    /// Of those, workers that are gone. Below 0 when they were taken out before it was heard.
    private var gone = 0

    /// Workers that wait.
    var count: Int { max(0, entries - gone) }
    var isEmpty: Bool { entries == 0 }

    private struct Deadline: Comparable {
        let at: Timestamp
        let group: TaskGroup
        static func < (left: Deadline, right: Deadline) -> Bool { left.at < right.at }
    }

    mutating func append(_ waiter: PendingLease, until deadline: Timestamp) {
        groups[waiter.lease.group, default: FIFO()].append(waiter)
        deadlines.insert(Deadline(at: deadline, group: waiter.lease.group))
        entries += 1
    }

    /// Some of the workers are gone. When they are more than those that wait, they are taken out.
    mutating func left(_ count: Int) {
        gone += count
        guard gone > 64, gone * 2 > entries else { return }
        for group in groups.keys.sorted() { removeAll(of: group) { $0.isAbandoned } }
        rebuildDeadlines()
    }

    /// The worker that has waited longest for the group.
    mutating func first(of group: TaskGroup) -> PendingLease? {
        while let waiter = groups[group]?.first {
            if !waiter.isAbandoned { return waiter }
            removeFirst(of: group)
        }
        return nil
    }

    /// Workers of the group that still wait.
    func count(of group: TaskGroup) -> Int { groups[group]?.count(where: { !$0.isAbandoned }) ?? 0 }

    mutating func removeFirst(of group: TaskGroup) {
        guard let waiter = groups[group]?.popFirst() else { return }
        removed(waiter)
        if groups[group]?.isEmpty ?? false { groups[group] = nil }
        // Those who were served left theirs behind.
        if deadlines.count > 2 * entries + 64 { rebuildDeadlines() }
    }

    private mutating func rebuildDeadlines() {
        deadlines = Heap()
        for (group, waiters) in groups {
            waiters.forEach { deadlines.insert(Deadline(at: $0.deadline ?? Timestamp(0), group: group)) }
        }
    }

    var nextDeadline: Timestamp? { deadlines.first?.at }

    /// Those who have waited long enough.
    mutating func popOverdue(at steady: Timestamp) -> [PendingLease] {
        var overdue: [PendingLease] = []
        var looked: Set<TaskGroup> = []
        while let deadline = deadlines.first, deadline.at <= steady {
            deadlines.popFirst()
            guard looked.insert(deadline.group).inserted else { continue }
            removeAll(of: deadline.group) { waiter in
                guard waiter.isAbandoned || (waiter.deadline.map { $0 <= steady } ?? true) else { return false }
                overdue.append(waiter)
                return true
            }
        }
        return overdue
    }

    /// Everybody, when the shard stops.
    mutating func popAll() -> [PendingLease] {
        var all: [PendingLease] = []
        for group in groups.keys.sorted() {
            while let waiter = groups[group]?.popFirst() {
                removed(waiter)
                all.append(waiter)
            }
        }
        groups = [:]
        deadlines = Heap()
        return all
    }

    private mutating func removeAll(of group: TaskGroup, where matches: (PendingLease) -> Bool) {
        var out: [PendingLease] = []
        groups[group]?.removeAll { waiter in
            guard matches(waiter) else { return false }
            out.append(waiter)
            return true
        }
        for waiter in out { removed(waiter) }
        if groups[group]?.isEmpty ?? false { groups[group] = nil }
    }

    private mutating func removed(_ waiter: PendingLease) {
        entries -= 1
        if waiter.endWaiting() { gone -= 1 }
    }
}
