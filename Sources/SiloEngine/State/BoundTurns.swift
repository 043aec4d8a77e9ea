import SiloCore

/// Whose turn it is among some tenants alone: those of a worker that may take no others' tasks.
///
/// They keep the order in which all tenants of the group stand, without those between them, and who has had its turn goes behind
/// all others, as anybody would. To find them costs a look for each of the tenants, however many others there are and whatever
/// waits.
struct BoundTurns {
    private var queues = FIFO<Queue>()

    init(of tenants: Set<Tenant>, in group: TaskGroup, _ memory: ShardMemory) {
        let found = tenants.compactMap { memory.queues[Queue.ID(tenant: $0, group: group)] }
        let ready = found.filter { $0.isServable && $0.turn != .none }
        for queue in ready.sorted(by: { $0.standsBefore($1) }) { queues.append(queue) }
    }

    mutating func next(in memory: ShardMemory) -> Queue? {
        while let queue = queues.first {
            if queue.isServable, queue.deficit > 0 { return queue }
            _ = queues.popFirst()
            guard queue.isServable else { continue }
            memory.groups[queue.id.group]?.endTurn(of: queue)
            queues.append(queue)
        }
        return nil
    }
}

extension Queue {
    fileprivate func standsBefore(_ other: Queue) -> Bool { (turn.rank, place) < (other.turn.rank, other.place) }
}

extension Queue.Turn {
    fileprivate var rank: Int {
        switch self {
        case .forward: 0
        case .fresh: 1
        case .settled: 2
        case .none: 3
        }
    }
}
