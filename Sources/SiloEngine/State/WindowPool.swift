import SiloCore

/// What all windows of a shard hold together. Past a bound, which the shards of a server share, windows are let go: first the
/// one whose next turn is farthest.
///
/// That is the one of the queue whose turn ended last, for all others of its group come before it. Only rows that have lain
/// unused for longer than that queue takes to come round are farther yet: timers that are far off, or what a group without
/// workers has.
final class WindowPool {
    /// Rows held, and their bytes.
    private(set) var rows = 0
    private var bytes = 0
    let budget: MemoryBudget
    private let rowsMax: Int
    private let branches: Branches

    /// Owners of windows, each in one of the two: queues in the order in which their turns ended, and all others in the order in
    /// which they got rows. May name some that are empty by now, or stand elsewhere.
    private var served = FIFO<Held>()
    private var filled = FIFO<Held>()
    /// Counts what moves an owner, so that what is smaller was earlier.
    private var time = 0
    private var ownersWithRows = 0
    /// Ready rows taken.
    private(set) var taken = 0
    var ownersInOrder: Int { served.count + filled.count }

    /// - Parameter rowsMax: of one window.
    init(budget: MemoryBudget, rowsMax: Int, branches: Branches) {
        self.budget = budget
        self.rowsMax = rowsMax
        self.branches = branches
    }

    /// Rows that were held are held no more.
    deinit { budget.give(bytes) }

    /// Rows that one window may hold while its head is known.
    var capacity: Int { budget.isOver ? 0 : rowsMax }

    /// The shard holds more than its part of what is too much. Each may hold a little, also when others hold all there is.
    private var holdsTooMuch: Bool { budget.isOver && bytes > budget.bytesMax / 64 }

    /// Changes a window and keeps count.
    func change(_ pending: PendingRows, _ body: (inout Window) -> Void) {
        switch pending {
        case .ready(let queue): change(queue) { body(&queue.ready) }
        case .timers(let queue, let axis): change(queue) { body(&queue.timers[axis].window) }
        case .waiting(let line): change(line) { body(&line.window) }
        }
    }

    private func change(_ owner: some WindowOwner, _ body: () -> Void) {
        let (rowsBefore, bytesBefore) = (owner.heldRows, owner.heldBytes)
        body()
        let (rowsAfter, bytesAfter) = (owner.heldRows, owner.heldBytes)
        rows += rowsAfter - rowsBefore
        bytes += bytesAfter - bytesBefore
        budget.change(by: bytesAfter - bytesBefore)
        if rowsBefore > 0, rowsAfter == 0 { ownersWithRows -= 1 }
        guard rowsBefore == 0, rowsAfter > 0 else { return }
        ownersWithRows += 1
        // One that fills and empties by itself stays where it is.
        guard let last = filled.last, last.owner === owner, !last.isOver else { return filled.append(hold(owner)) }
    }

    /// All others in its group have their turns before it.
    func turnEnded(of queue: Queue) {
        let turnBefore = queue.lastTurn
        if queue.heldRows > 0 { served.append(hold(queue, turnBefore: turnBefore)) } else { time += 1 }
        queue.lastTurn = time
    }

    func noteTaken(from queue: Queue) {
        queue.taken.add(after: taken)
        taken += 1
    }

    /// Lets windows go until what is held fits or only `kept` holds some.
    func shrink(keeping kept: any WindowOwner) {
        var left = ownersInOrder
        while left > 0, holdsTooMuch, let owner = popFarthest() {
            left -= 1
            guard owner !== kept else {
                filled.append(hold(owner))
                continue
            }
            owner.heldSince = 0
            branches.reached(.windowLetGo)
            change(owner) { owner.letRowsGo() }
        }
        forgetEmptyOwners()
    }

    private func popFarthest() -> (any WindowOwner)? {
        while let held = filled.first, held.isOver { _ = filled.popFirst() }
        while let held = served.first, held.isOver { _ = served.popFirst() }
        while let held = served.last, held.isOver { _ = served.popLast() }
        guard let last = served.last else { return filled.popFirst()?.owner }
        let firstServed = served.first?.since ?? .max
        let firstFilled = filled.first?.since ?? .max
        guard min(firstServed, firstFilled) < last.turnBefore else { return served.popLast()?.owner }
        return firstServed < firstFilled ? served.popFirst()?.owner : filled.popFirst()?.owner
    }

    /// Owners that hold nothing are taken out of the order when they are more than the others.
    func forgetEmptyOwners() {
        guard ownersInOrder > 2 * ownersWithRows + 64 else { return }
        served.removeAll { $0.lapses() }
        filled.removeAll { $0.lapses() }
    }

    private func hold(_ owner: any WindowOwner, turnBefore: Int = 0) -> Held {
        time += 1
        owner.heldSince = time
        return Held(owner: owner, since: time, turnBefore: turnBefore)
    }
}

/// Since when an owner stands where it does.
private struct Held {
    let owner: any WindowOwner
    let since: Int
    /// When the turn before ended; 0 when there was none.
    let turnBefore: Int

    /// The owner stands elsewhere.
    var isOver: Bool { owner.heldSince != since }

    /// Whether the owner stands here no more. One without rows leaves.
    func lapses() -> Bool {
        if !isOver, owner.heldRows == 0 { owner.heldSince = 0 }
        return isOver
    }
}
