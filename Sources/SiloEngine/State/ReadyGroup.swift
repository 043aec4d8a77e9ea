import SiloStore

/// Whose turn it is in one task group: deficit round robin between the tenants that have ready jobs.
///
/// A queue that just became ready goes before those that already had a turn, once: a tenant's first job does not wait for
/// another tenant's backlog. An emptied queue passes through the line of the others before it counts as new again, so that
/// nobody wins by trickling. Where only one tenant has work it gets every turn.
///
/// Queues whose rows were read together come forward, so that their turns come while memory holds the rows: each in its own
/// line, and only who did not have its turn in this round. So each has one turn a round, wherever its rows lie.
struct ReadyGroup {
    private var fresh = TurnLine()
    private var settled = TurnLine()
    private var lastPlace = 0
    /// Of the settled, and of the fresh, those with places up to here have their turn in this round.
    private var roundEnd = 0
    private var freshEnd = 0
    /// Places that their queues have left, which are passed over.
    private var left = 0
    let quantum: Int

    init(quantum: Int) {
        self.quantum = quantum
    }

    var isEmpty: Bool { fresh.isEmpty && settled.isEmpty }
    /// With those that their queues have left.
    var placesHeld: Int { fresh.count + settled.count }

    /// The queue has a ready job.
    mutating func activate(_ queue: Queue) {
        guard queue.turn == .none else { return }
        queue.deficit = quantum
        fresh.last.append(newPlace(for: queue, .fresh))
    }

    /// The same of a queue that is not new: it has work since before the shard was opened.
    mutating func resume(_ queue: Queue) {
        guard queue.turn == .none else { return }
        queue.deficit = 0
        settle(queue)
    }

    /// The queue whose turn it is, or nil when nobody has a ready job. The caller takes one job and pays with `deficit`.
    mutating func next() -> Queue? {
        while let place = fresh.first(&left) {
            let queue = place.queue
            if queue.turn == .fresh, place.number > freshEnd { freshEnd = lastPlace }
            if queue.isServable, queue.deficit > 0 { return queue }
            fresh.popFirst()
            settle(queue)
        }
        while let place = settled.first(&left) {
            let queue = place.queue
            if queue.turn == .settled, place.number > roundEnd { roundEnd = lastPlace }
            if queue.isServable, queue.deficit > 0 { return queue }
            settled.popFirst()
            if queue.isServable { settle(queue) } else { queue.turn = .none }
        }
        return nil
    }

    /// The queue whose turn comes when all those who came forward have had theirs.
    mutating func firstBehind() -> Queue? {
        (fresh.isEmpty ? settled.firstBehind(&left) : fresh.firstBehind(&left))?.queue
    }

    /// The queue has yet to have its turn in this round, and no place nearer than the one where it came to stand.
    func mayComeForward(_ queue: Queue) -> Bool {
        switch queue.turn {
        case .fresh: queue.place <= freshEnd
        case .settled: queue.place <= roundEnd
        case .none, .forward: false
        }
    }

    /// Its turn comes before those of all in its line who did not come forward.
    mutating func comeForward(_ queue: Queue) {
        guard mayComeForward(queue) else { return }
        left += 1
        if queue.turn == .fresh {
            fresh.forward.append(newPlace(for: queue, .forward))
        } else {
            settled.forward.append(newPlace(for: queue, .forward))
        }
    }

    /// The queue whose turn has ended goes behind all others from wherever it stands.
    mutating func endTurn(of queue: Queue) {
        guard queue.turn != .none else { return }
        left += 1
        settle(queue)
        removeLeft()
    }

    /// The queue is gone from memory; another of its name may come.
    mutating func forget(_ queue: Queue) {
        guard queue.turn != .none else { return }
        queue.turn = .none
        queue.place = 0
        left += 1
        removeLeft()
    }

    /// Those who come forward leave fewer than stand in line.
    private mutating func removeLeft() {
        guard left > 64, left * 3 > 2 * placesHeld else { return }
        fresh.removeLeft()
        settled.removeLeft()
        left = 0
    }

    private mutating func settle(_ queue: Queue) {
        queue.deficit += quantum
        settled.last.append(newPlace(for: queue, .settled))
    }

    private mutating func newPlace(for queue: Queue, _ turn: Queue.Turn) -> Place {
        lastPlace += 1
        queue.turn = turn
        queue.place = lastPlace
        return Place(queue: queue, number: lastPlace)
    }
}

/// Where a queue came to stand. It stands there no more when it has another number.
private struct Place {
    let queue: Queue
    let number: Int
    var isLeft: Bool { queue.place != number || queue.turn == .none }
}

/// Queues in the order of their turns: those that came forward, then the others.
private struct TurnLine {
    var forward = FIFO<Place>()
    var last = FIFO<Place>()

    var count: Int { forward.count + last.count }
    var isEmpty: Bool { count == 0 }

    /// The first place that is not left. Those before it go, and are counted off.
    mutating func first(_ left: inout Int) -> Place? {
        while let place = forward.first ?? last.first {
            guard place.isLeft else { return place }
            popFirst()
            left -= 1
        }
        return nil
    }

    /// The same of those that did not come forward.
    mutating func firstBehind(_ left: inout Int) -> Place? {
        while let place = last.first {
            guard place.isLeft else { return place }
            _ = last.popFirst()
            left -= 1
        }
        return nil
    }

    mutating func popFirst() {
        if forward.isEmpty { _ = last.popFirst() } else { _ = forward.popFirst() }
    }

    mutating func removeLeft() {
        forward.removeAll(where: \.isLeft)
        last.removeAll(where: \.isLeft)
    }
}
