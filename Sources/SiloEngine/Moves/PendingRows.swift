import Protobuf
import SiloCore
import SiloStore

/// An ordered family of pending rows, whose head a window holds.
enum PendingRows {
    case ready(Queue)
    case timers(Queue, Axis)
    case waiting(Line)

    /// How many rows there should be.
    var count: UInt64 {
        switch self {
        case .ready(let queue): queue.counts.ready
        case .timers(let queue, let axis): queue.counts[axis]
        case .waiting(let line): line.waiting
        }
    }

    var window: Window {
        switch self {
        case .ready(let queue): queue.ready
        case .timers(let queue, let axis): queue.timers[axis].window
        case .waiting(let line): line.window
        }
    }

    var owner: any WindowOwner {
        switch self {
        case .ready(let queue), .timers(let queue, _): queue
        case .waiting(let line): line
        }
    }

    func range(from position: Position) -> (start: Bytes, end: Bytes) {
        switch self {
        case .ready(let queue): queue.keys.ready(queue.id.group, from: position)
        case .timers(let queue, let axis): queue.keys.timers(axis, queue.id.group, from: position)
        case .waiting(let line): line.keys.waiting(line.id.line, from: position)
        }
    }

    fileprivate func parse(_ key: Bytes) -> Position? {
        switch self {
        case .ready(let queue), .timers(let queue, _): queue.keys.parseOrdered(key)
        case .waiting(let line): line.keys.parseWaiting(key)?.position
        }
    }

    fileprivate var loaded: Branch {
        switch self {
        case .ready: .readyPageLoaded
        case .timers: .timerPageLoaded
        case .waiting: .waitingPageLoaded
        }
    }

    fileprivate var missing: HealedFault {
        switch self {
        case .ready: .readyMissing
        case .timers: .timerMissing
        case .waiting: .waitingMissing
        }
    }
}

extension Part {
    /// The first of the rows, which stays; read from the store when the window has run empty. Nil when their count promised one
    /// that is not stored: then it counts none.
    func first(of pending: PendingRows) async throws(StoreError) -> PendingTask? {
        if pending.window.isEmpty { try await load(pending) }
        if let first = pending.window.first { return first }
        memory.healed.note(pending.missing)
        memory.countOut(pending.count, of: pending)
        return nil
    }

    func load(_ pending: PendingRows) async throws(StoreError) {
        guard let frontier = pending.window.frontier else { return }
        reached(pending.loaded)
        let page = try await readPage(of: pending, from: frontier)
        memory.windows.change(pending) { $0.load(page.tasks, next: page.next) }
        if page.setAside > 0 {
            memory.countOut(page.setAside, of: pending)
            pending.owner.hasUnwrittenRows = true
        }
        memory.windows.shrink(keeping: pending.owner)
    }

    /// One more than there should be shows that the range has ended: a short page costs far less to read.
    func pageRows(of pending: PendingRows) -> Int { max(2, min(settings.pageRows, Int(clamping: pending.count) &+ 1)) }

    /// Reads the first rows from a position on, a page at a time until there are some or the range ends. A row that cannot be
    /// read is set aside, so that it does not block the rest.
    private func readPage(of pending: PendingRows, from frontier: Position) async throws(StoreError) -> Page {
        var page = Page()
        let limit = pageRows(of: pending)
        var merging = pending.owner.hasUnwrittenRows
        let range = pending.range(from: frontier)
        var start: Bytes? = range.start
        while let from = start, page.tasks.isEmpty {
            let (found, next) = try await rows.scan(from: from, to: range.end, limit: limit, merging: merging)
            page.tasks.reserveCapacity(found.count)
            for row in found {
                if let position = pending.parse(row.key), let record = try? StorageV1.Task(serializedBytes: row.value) {
                    page.tasks.append(PendingTask(position, record))
                } else {
                    transaction.setAside(row)
                    page.setAside += 1
                    merging = true
                }
            }
            start = next
        }
        if start != nil { page.next = page.tasks.last?.position.next }
        return page
    }
}

private struct Page {
    var tasks: [PendingTask] = []
    var next: Position?
    var setAside: UInt64 = 0
}
