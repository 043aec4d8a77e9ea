import SiloCore

/// What all windows of a shard hold together. Past a bound, which the shards of a server share, windows are let go.
final class WindowPool {
    /// Rows held, and their bytes.
    private(set) var rows = 0
    private var bytes = 0
    private let budget: MemoryBudget
    private let rowsMax: Int
    private let branches: Branches

    /// Owners of windows in the order in which they were filled: the first is let go first. May name some that are empty by now.
    private var loadOrder = FIFO<any WindowOwner>()
    private var ownersWithRows = 0
    var ownersInLoadOrder: Int { loadOrder.count }

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
        if rowsBefore == 0, rowsAfter > 0 { ownersWithRows += 1 }
        if rowsBefore > 0, rowsAfter == 0 { ownersWithRows -= 1 }
        if rowsAfter > 0, !owner.isInLoadOrder {
            owner.isInLoadOrder = true
            loadOrder.append(owner)
        }
    }

    /// Lets windows go, longest held first, until what is held fits or only `kept` holds some.
    func shrink(keeping kept: any WindowOwner) {
        var left = loadOrder.count
        while left > 0, holdsTooMuch, let owner = loadOrder.popFirst() {
            left -= 1
            guard owner !== kept else {
                loadOrder.append(owner)
                continue
            }
            owner.isInLoadOrder = false
            branches.reached(.windowLetGo)
            change(owner) { owner.letRowsGo() }
        }
        forgetEmptyOwners()
    }

    /// Owners that hold nothing are taken out of the load order when they are more than the others.
    func forgetEmptyOwners() {
        guard loadOrder.count > 2 * ownersWithRows + 64 else { return }
        loadOrder.removeAll { owner in
            guard owner.heldRows == 0 else { return false }
            owner.isInLoadOrder = false
            return true
        }
    }
}
