import SiloCore

/// Workers that wait for work, first come first served within what they wait for. One that may take the tasks of some tenants
/// alone waits for work of each of them.
struct Waiters {
    private var kinds: [WorkKind: FIFO<Place>] = [:]
    private var deadlines = Heap<Deadline>()
    private(set) var entries = 0
    /// Of those, workers that may take the tasks of some tenants alone.
    private var boundEntries = 0
    /// Workers that are gone. Below 0 when they were taken out before it was heard.
    private var gone = 0
    /// Places of all workers, and of those that were served at another of theirs.
    private var places = 0
    private var emptyPlaces = 0

    /// Workers that wait.
    var count: Int { max(0, entries - gone) }
    var isEmpty: Bool { entries == 0 }
    /// Some wait for work of certain tenants.
    var hasBound: Bool { boundEntries > 0 }

    /// A worker, wherever it waits.
    private final class Place {
        /// Nil: it waits no more.
        var waiter: PendingLease?
        let kinds: [WorkKind]

        init(_ waiter: PendingLease, _ kinds: [WorkKind]) {
            self.waiter = waiter
            self.kinds = kinds
        }
    }

    private struct Deadline: Comparable {
        let at: Timestamp
        let kind: WorkKind
        static func < (left: Deadline, right: Deadline) -> Bool { left.at < right.at }
    }

    mutating func append(_ waiter: PendingLease, until deadline: Timestamp) {
        let place = Place(waiter, waiter.lease.kinds)
        for kind in place.kinds { kinds[kind, default: FIFO()].append(place) }
        if let first = place.kinds.first { deadlines.insert(Deadline(at: deadline, kind: first)) }
        places += place.kinds.count
        entries += 1
        if waiter.lease.tenants != nil { boundEntries += 1 }
    }

    /// Some of the workers are gone. When they are more than those that wait, they are taken out.
    mutating func left(_ count: Int) {
        gone += count
        guard gone > 64, gone * 2 > entries else { return }
        for kind in kinds.keys.sorted() { removeAll(of: kind) { $0.isAbandoned } }
        rebuildDeadlines()
    }

    /// The worker that has waited longest for it.
    mutating func first(of kind: WorkKind) -> PendingLease? {
        while let place = kinds[kind]?.first {
            if let waiter = place.waiter, !waiter.isAbandoned { return waiter }
            removeFirst(of: kind)
        }
        return nil
    }

    /// Workers that would take a task of the tenant.
    func count(of group: TaskGroup, for tenant: Tenant) -> Int {
        [WorkKind(group), WorkKind(group, of: tenant)].reduce(0) { sum, kind in
            sum + (kinds[kind]?.count(where: { $0.waiter?.isAbandoned == false }) ?? 0)
        }
    }

    mutating func removeFirst(of kind: WorkKind) {
        guard let place = kinds[kind]?.popFirst() else { return }
        removed(place)
        if kinds[kind]?.isEmpty ?? false { kinds[kind] = nil }
        if emptyPlaces > 64, emptyPlaces * 2 > places { for kind in kinds.keys.sorted() { removeAll(of: kind) { _ in false } } }
        // Those who were served left theirs behind.
        if deadlines.count > 2 * entries + 64 { rebuildDeadlines() }
    }

    private mutating func rebuildDeadlines() {
        deadlines = Heap()
        for (kind, places) in kinds {
            places.forEach { place in
                guard let waiter = place.waiter, place.kinds.first == kind else { return }
                deadlines.insert(Deadline(at: waiter.deadline ?? Timestamp(0), kind: kind))
            }
        }
    }

    var nextDeadline: Timestamp? { deadlines.first?.at }

    /// Those who have waited long enough.
    mutating func popOverdue(at steady: Timestamp) -> [PendingLease] {
        var overdue: [PendingLease] = []
        var looked: Set<WorkKind> = []
        while let deadline = deadlines.first, deadline.at <= steady {
            deadlines.popFirst()
            guard looked.insert(deadline.kind).inserted else { continue }
            removeAll(of: deadline.kind) { waiter in
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
        for kind in kinds.keys.sorted() {
            while let place = kinds[kind]?.popFirst() {
                if let waiter = place.waiter { all.append(waiter) }
                removed(place)
            }
        }
        kinds = [:]
        deadlines = Heap()
        return all
    }

    /// Takes out those that match, and places whose workers were served at another.
    private mutating func removeAll(of kind: WorkKind, where matches: (PendingLease) -> Bool) {
        var out: [Place] = []
        kinds[kind]?.removeAll { place in
            guard place.waiter.map(matches) ?? true else { return false }
            out.append(place)
            return true
        }
        for place in out { removed(place) }
        if kinds[kind]?.isEmpty ?? false { kinds[kind] = nil }
    }

    /// A place was taken out; the worker's others are empty from now on.
    private mutating func removed(_ place: Place) {
        places -= 1
        guard let waiter = place.waiter else { return emptyPlaces -= 1 }
        place.waiter = nil
        emptyPlaces += place.kinds.count - 1
        entries -= 1
        if waiter.lease.tenants != nil { boundEntries -= 1 }
        if waiter.endWaiting() { gone -= 1 }
    }
}
