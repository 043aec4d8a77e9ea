import SiloStore

/// Whose turn it is in one task group: deficit round robin between the tenants that have ready jobs.
///
/// A queue that just became ready goes before those that already had a turn, once: a tenant's first job does not wait for
/// another tenant's backlog. An emptied queue passes through the line of the others before it counts as new again, so that
/// nobody wins by trickling. Where only one tenant has work it gets every turn.
struct ReadyGroup {
    private var fresh = FIFO<Queue>()
    private var settled = FIFO<Queue>()
    let quantum: Int

    init(quantum: Int) {
        self.quantum = quantum
    }

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
            if queue.counts.ready > 0, queue.deficit > 0, !queue.isPaused { return queue }
            _ = fresh.popFirst()
            settle(queue)
        }
        while let queue = settled.first {
            if queue.counts.ready == 0 || queue.isPaused {
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

    private mutating func settle(_ queue: Queue) {
        queue.turn = .settled
        queue.deficit += quantum
        settled.append(queue)
    }
}
