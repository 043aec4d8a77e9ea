import SiloCore

/// Workers that wait for work, first come first served within their task group.
struct Waiters {
    private var groups: [TaskGroup: FIFO<PendingLease>] = [:]
    private var deadlines = Heap<Deadline>()
    private(set) var count = 0

    private struct Deadline: Comparable {
        let at: Timestamp
        let group: TaskGroup
        static func < (left: Deadline, right: Deadline) -> Bool { left.at < right.at }
    }

    mutating func append(_ waiter: PendingLease, until deadline: Timestamp) {
        groups[waiter.lease.group, default: FIFO()].append(waiter)
        deadlines.insert(Deadline(at: deadline, group: waiter.lease.group))
        count += 1
    }

    /// The worker that has waited longest for the group.
    func first(of group: TaskGroup) -> PendingLease? {
        groups[group]?.first
    }

    /// Workers of the group that still wait.
    func count(of group: TaskGroup) -> Int { groups[group]?.count(where: { !$0.isAbandoned }) ?? 0 }

    mutating func removeFirst(of group: TaskGroup) {
        guard groups[group]?.popFirst() != nil else { return }
        count -= 1
        if groups[group]?.isEmpty ?? false { groups[group] = nil }
    }

    var nextDeadline: Timestamp? { deadlines.first?.at }

    /// Those who have waited long enough, and those who are gone.
    mutating func popOverdue(at now: Timestamp) -> [PendingLease] {
        var overdue: [PendingLease] = []
        var looked: Set<TaskGroup> = []
        while let deadline = deadlines.first, deadline.at <= now {
            deadlines.popFirst()
            guard looked.insert(deadline.group).inserted else { continue }
            groups[deadline.group]?.removeAll { waiter in
                guard waiter.isAbandoned || (waiter.deadline.map { $0 <= now } ?? true) else { return false }
                overdue.append(waiter)
                return true
            }
            if groups[deadline.group]?.isEmpty ?? false { groups[deadline.group] = nil }
        }
        count -= overdue.count
        return overdue
    }

    /// Everybody, when the shard stops.
    mutating func popAll() -> [PendingLease] {
        var all: [PendingLease] = []
        for group in groups.keys {
            while let waiter = groups[group]?.popFirst() { all.append(waiter) }
        }
        self = Waiters()
        return all
    }
}
