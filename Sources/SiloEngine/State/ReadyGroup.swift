import SiloStore

/// Whose turn it is in one task group: deficit round robin between the tenants that have ready jobs.
///
/// A queue that just became ready goes before those that already had a turn, once: a tenant's first job does not wait for
/// another tenant's backlog. An emptied queue passes through the line of the others before it counts as new again, so that
/// nobody wins by trickling. Where only one tenant has work it gets every turn.
///
/// Each queue stands here once; `Queue.turn` says where. One that was forgotten has no turn, and its place is passed over.
struct ReadyGroup {
    private var fresh = FIFO<Queue>()
    private var settled = FIFO<Queue>()
    private var forgotten = 0
    let quantum: Int

    init(quantum: Int) {
        self.quantum = quantum
    }

    var isEmpty: Bool { fresh.isEmpty && settled.isEmpty }

    /// The queue has a ready job.
    mutating func activate(_ queue: Queue) {
        guard queue.turn == .none else { return }
        queue.turn = .fresh
        queue.deficit = quantum
        fresh.append(queue)
    }

    /// The queue whose turn it is, or nil when nobody has a ready job. The caller takes one job and pays with `deficit`.
    mutating func next() -> Queue? {
        while let queue = fresh.first {
            if queue.turn == .fresh, queue.isServable, queue.deficit > 0 { return queue }
            _ = fresh.popFirst()
            if queue.turn == .fresh { settle(queue) } else { forgotten -= 1 }
        }
        while let queue = settled.first {
            guard queue.turn == .settled else {
                _ = settled.popFirst()
                forgotten -= 1
                continue
            }
            if !queue.isServable {
                _ = settled.popFirst()
                queue.turn = .none
            } else if queue.deficit > 0 {
                return queue
            } else {
                _ = settled.popFirst()
                settle(queue)
            }
        }
        return nil
    }

    /// The queue is gone from memory; another of its name may come.
    mutating func forget(_ queue: Queue) {
        guard queue.turn != .none else { return }
        queue.turn = .none
        forgotten += 1
        guard forgotten > 64, forgotten * 2 > fresh.count + settled.count else { return }
        fresh.removeAll { $0.turn == .none }
        settled.removeAll { $0.turn == .none }
        forgotten = 0
    }

    private mutating func settle(_ queue: Queue) {
        queue.turn = .settled
        queue.deficit += quantum
        settled.append(queue)
    }
}
