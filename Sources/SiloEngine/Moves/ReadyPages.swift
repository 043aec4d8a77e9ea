import Protobuf
import SiloCore
import SiloStore

/// Ready rows of small tenants are neighbours in the store: one page of them fills many windows.
extension ReadyMoves {
    /// Fills an empty window together with those of its neighbours whose turns would read the store too. They come forward, to
    /// have their turns while memory holds the rows. Does nothing where the queue is better read alone.
    func readAhead(from queue: Queue) async throws(StoreError) {
        guard !queue.hasUnwrittenRows, let frontier = queue.ready.frontier else { return }
        let run = ReadyRun(from: queue, in: memory)
        guard run.queues.count > 1 else { return }
        reached(.neighboursLoaded)
        let range = run.range(from: frontier)
        let (found, next) = try await rows.scan(from: range.start, to: range.end, limit: run.limit, merging: false)
        // A page may be short.
        let shown = run.queues.prefix { queue in next.map { queue.readyRows.start.precedes($0) } ?? true }
        // Of those that were filled, the last is let go first.
        for queue in shown.reversed() { fill(queue, from: found, hasEnded: next == nil) }
        for queue in shown { memory.comeForward(queue) }
        memory.windows.shrink(keeping: queue)
        if let last = shown.last { beginPage(behind: last) }
    }

    /// Begins to read what the turns after those of a page that was just read will want: the rest of its last queue, and what
    /// lies behind, or who comes next.
    private func beginPage(behind last: Queue) {
        let isCut = last.runsDry(after: settings.quantum)
        guard let next = isCut ? last : memory.firstBehind(in: last.id.group), let frontier = next.ready.frontier else { return }
        let run = ReadyRun(from: next, in: memory)
        begin(run.range(from: frontier), limit: run.limit)
    }

    /// Begins to read the next page of a queue when most of what memory holds of it is taken.
    func beginPage(of queue: Queue) {
        guard queue.ready.count == settings.pageRows / 2, let frontier = queue.ready.frontier else { return }
        let pending = PendingRows.ready(queue)
        begin(pending.range(from: frontier), limit: pageRows(of: pending))
    }

    private func begin(_ range: (start: Bytes, end: Bytes), limit: Int) {
        guard transaction.rest == nil, memory.windows.capacity > 0 else { return }
        rows.beginScan(from: range.start, to: range.end, limit: limit, budget: memory.windows.budget)
    }

    /// Takes over what a page shows of one queue. A row that cannot be read is left to the queue's own turn, with all others.
    /// - Parameter hasEnded: the store holds no more rows up to the end of the queue's than the page shows.
    private func fill(_ queue: Queue, from page: [Row], hasEnded: Bool) {
        guard let frontier = queue.ready.frontier else { return }
        let (start, end) = queue.keys.ready(queue.id.group, from: frontier)
        let first = page.partition { $0.key.lexicographicallyPrecedes(start) }
        let rows = page[first...].prefix(page[first...].partition { $0.key.lexicographicallyPrecedes(end) } - first)
        var tasks: [PendingTask] = []
        tasks.reserveCapacity(rows.count)
        for row in rows {
            guard let position = queue.keys.parseOrdered(row.key), let record = try? StorageV1.Task(serializedBytes: row.value)
            else { return }
            tasks.append(PendingTask(position, record))
        }
        let isWhole = hasEnded || rows.endIndex < page.endIndex
        guard isWhole || !tasks.isEmpty else { return }
        memory.windows.change(.ready(queue)) { $0.load(tasks, next: isWhole ? nil : tasks.last?.position.next) }
    }
}
