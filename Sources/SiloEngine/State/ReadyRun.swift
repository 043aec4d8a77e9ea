import SiloCore
import SiloStore

/// Queues whose ready rows lie side by side and are read as one page, because the turn of each would read the store.
struct ReadyRun {
    /// In the order of their keys.
    private(set) var queues: [Queue]
    /// Rows that lie in the range, one more than there should be: a page that is shorter shows that the range has ended.
    private(set) var limit: Int

    private let rowsEnd: Bytes

    /// - Parameter frontier: of the first queue.
    func range(from frontier: Position) -> (start: Bytes, end: Bytes) {
        (queues[0].keys.ready(queues[0].id.group, from: frontier).start, rowsEnd)
    }

    /// Rows, deleted ones among them, that may be passed over to reach the next queue: walking over so many takes about as
    /// long as a read of its own.
    private static let gapMax = 128

    /// - Parameter first: the next turn of it reads the store.
    init(from first: Queue, in memory: ShardMemory) {
        let rowsMax = memory.settings.pageRows
        var queues = [first]
        var rows = min(rowsMax, Int(clamping: first.counts.ready))
        var gap = (rows: 0, walked: 0)
        var looks = 0
        memory.queuesByKey.forEach(after: QueueByKey(first)) { next in
            let queue = next.queue
            let ready = min(rowsMax, Int(clamping: queue.counts.ready))
            gap.walked += queue.taken.count(after: memory.windows.taken) + 1
            looks += 1
            let isNear = looks <= rowsMax && gap.walked <= Self.gapMax && queue.keys.slice == first.keys.slice
            guard isNear, rows + gap.rows < rowsMax else { return false }
            if memory.mayComeForward(queue) {
                queues.append(queue)
                rows += gap.rows + ready
                gap = (0, 0)
            } else {
                gap.rows += ready
                gap.walked += ready
            }
            return true
        }
        self.queues = queues
        rowsEnd = (queues.last ?? first).readyRows.end
        limit = max(2, min(rowsMax, rows + 1))
    }
}
