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
        guard run.queues.count > 1, let last = run.queues.last else { return }
        reached(.neighboursLoaded)
        let start = queue.keys.ready(queue.id.group, from: frontier).start
        let (found, next) = try await rows.scan(from: start, to: last.readyRows.end, limit: run.limit, merging: false)
        // Of those that were filled, the last is let go first.
        for queue in run.queues.reversed() { fill(queue, from: found, hasEnded: next == nil) }
        for queue in run.queues { memory.comeForward(queue) }
        memory.windows.shrink(keeping: queue)
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
