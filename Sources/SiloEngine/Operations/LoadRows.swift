import Protobuf
import SiloCore
import SiloStore

extension Transaction {
    /// Fills the empty ready window of a queue from the store.
    func loadReady(_ queue: Queue) async throws(StoreError) {
        guard let frontier = queue.ready.frontier else { return }
        Probe.readyPageLoaded.reached()
        let range = queue.keys.ready(queue.id.group, from: frontier)
        let page = try await loadPage(range, stored: queue.counts.ready, merging: queue.hasUnwrittenRows, queue.keys.parseOrdered)
        memory.changeWindow(queue) { queue.ready.load(page.tasks, next: page.next) }
        if page.setAside > 0 {
            memory.healed.countDown(&queue.counts.ready, by: page.setAside)
            queue.hasUnwrittenRows = true
            memory.markDirty(queue)
        }
        memory.shrinkWindows(keeping: queue)
    }

    /// Fills an empty timer window of a queue from the store.
    func loadTimers(_ queue: Queue, _ axis: Axis) async throws(StoreError) {
        guard let frontier = queue.timers[axis].window.frontier else { return }
        Probe.timerPageLoaded.reached()
        let range = queue.keys.timers(axis, queue.id.group, from: frontier)
        let page = try await loadPage(range, stored: queue.counts[axis], merging: queue.hasUnwrittenRows, queue.keys.parseOrdered)
        memory.changeWindow(queue) { queue.timers[axis].window.load(page.tasks, next: page.next) }
        if page.setAside > 0 {
            memory.healed.countDown(&queue.counts[axis], by: page.setAside)
            queue.hasUnwrittenRows = true
            memory.markDirty(queue)
        }
        memory.shrinkWindows(keeping: queue)
    }

    /// Fills the empty window of a line from the store.
    func loadWaiting(_ line: Line) async throws(StoreError) {
        guard let frontier = line.window.frontier else { return }
        Probe.waitingPageLoaded.reached()
        let range = line.keys.waiting(line.id.line, from: frontier)
        let page = try await loadPage(range, stored: line.waiting, merging: line.hasUnwrittenRows) { key in
            line.keys.parseWaiting(key)?.position
        }
        memory.changeWindow(line) { line.window.load(page.tasks, next: page.next) }
        if page.setAside > 0 {
            line.countedOut(page.setAside, memory.healed)
            line.hasUnwrittenRows = true
            memory.limits.markDirty(line)
        }
        memory.shrinkWindows(keeping: line)
    }

    private struct Page {
        var tasks: [PendingTask] = []
        var next: Position?
        var setAside: UInt64 = 0
    }

    /// Reads the first pending tasks of a range, a page at a time until there are some or the range ends. A row that cannot
    /// be read is set aside, so that it does not block the rest.
    /// - Parameters:
    ///   - stored: how many rows there should be: a short page costs far less to read.
    ///   - merging: this batch's own changes count.
    private func loadPage(
        _ range: (start: Bytes, end: Bytes), stored: UInt64, merging: Bool, _ parse: (Bytes) -> Position?
    ) async throws(StoreError) -> Page {
        var page = Page()
        // One more than there should be shows that the range has ended.
        let limit = min(settings.pageRows, Int(clamping: stored) &+ 1)
        var merging = merging
        var start: Bytes? = range.start
        while let from = start, page.tasks.isEmpty {
            let (rows, next) = try await scan(from: from, to: range.end, limit: max(2, limit), merging: merging)
            page.tasks.reserveCapacity(rows.count)
            for row in rows {
                if let position = parse(row.key), let record = try? StorageV1.Task(serializedBytes: row.value) {
                    page.tasks.append(PendingTask(position, record))
                } else {
                    setAside(row)
                    page.setAside += 1
                    merging = true
                }
            }
            start = next
        }
        if start != nil { page.next = page.tasks.last?.position.next }
        return page
    }

    /// Moves a row out of everybody's way.
    func setAside(_ row: Row) {
        put(ShardKeys.setAside(row.key), row.value)
        delete(row.key)
    }
}
