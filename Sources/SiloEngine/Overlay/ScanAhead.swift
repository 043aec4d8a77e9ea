import SiloCore
import SiloStore
import Synchronization

/// A range of rows that is read before somebody asks for it, while batches go on.
///
/// It does not matter when the store looked: all that is written goes by here, so what it found and what was written since the
/// read began make together what is stored now.
final class ScanAhead {
    private let start: Bytes
    /// Behind its last row nothing is known where there were more.
    private var end: Bytes
    private let limit: Int
    private let budget: MemoryBudget
    private let reading: Reading
    private let task: Task<Void, Never>
    private var written = SortedEntries<Bytes?>()
    private var writtenBytes = 0
    private var isEndKnown = false

    /// - Parameter budget: what it holds is a part of it.
    init(
        of store: any StoreReader, from start: Bytes, to end: Bytes, limit: Int, budget: MemoryBudget,
        on executor: (any TaskExecutor)?
    ) {
        self.start = start
        self.end = end
        self.limit = limit
        self.budget = budget
        let reading = Reading(budget)
        self.reading = reading
        // One read; it ends by itself, also when nobody wants it any more.
        task = Task(on: executor) {
            do throws(StoreError) {
                reading.ended(.success(try await store.scan(from: start, to: end, limit: limit)))
            } catch {
                reading.ended(.failure(error))
            }
        }
    }

    deinit { budget.give(writtenBytes) }

    func begins(at key: Bytes) -> Bool { start == key }
    func covers(_ key: Bytes) -> Bool { !key.precedes(start) && key.precedes(end) }

    /// So much has changed that reading anew is less work.
    var isOutdated: Bool { written.count > limit }

    func note(_ batch: [Write]) {
        findEnd()
        for write in batch where covers(write.key) {
            written.put(write.key, write.value)
            count(Reading.rowBytes + write.key.count + (write.value?.count ?? 0))
        }
    }

    private func count(_ bytes: Int) {
        writtenBytes += bytes
        budget.change(by: bytes)
    }

    private func findEnd() {
        guard !isEndKnown, case .success(let rows)? = reading.outcome else { return }
        isEndKnown = true
        guard rows.count == limit, let last = rows.last else { return }
        end = last.key + [0]
        let all = written
        written = SortedEntries()
        for entry in all where entry.key.precedes(end) { written.put(entry.key, entry.value) }
    }

    func ended() async { await task.value }

    /// The first rows of a range that begins in this one, and the key to go on from, as of a scan; fewer where this one ends.
    /// Nil: ask the store.
    func rows(
        from key: Bytes, to end: Bytes, limit: Int
    ) async throws(StoreError) -> (rows: [Row], next: Bytes?)? {
        let wasOver = reading.outcome != nil
        await ended()
        // What failed long ago may be answered now.
        if case .failure(let error)? = reading.outcome, !wasOver { throw error }
        guard case .success(let found)? = reading.outcome else { return nil }
        findEnd()
        guard covers(key) else { return nil }
        let isWhole = !self.end.precedes(end)
        var rows = current(found, from: key, to: isWhole ? end : self.end)
        guard rows.count >= limit, limit > 0 else { return (rows, isWhole ? nil : self.end) }
        rows.removeSubrange(limit...)
        return (rows, rows[limit - 1].key + [0])
    }

    /// What is stored now between two keys.
    private func current(_ found: [Row], from start: Bytes, to end: Bytes) -> [Row] {
        let first = found.partition { $0.key.precedes(start) }
        let found = found[first...].prefix { $0.key.precedes(end) }
        guard written.count > 0 else { return Array(found) }
        var rows: [Row] = []
        rows.reserveCapacity(found.count)
        var changes = written.cursor(from: start)
        /// - Returns: whether `row` has changed itself.
        func addChanges(upTo end: Bytes, orOf row: Row? = nil) -> Bool {
            while let change = changes.current, change.key.precedes(end) || change.key == row?.key {
                if let value = change.value { rows.append(Row(key: change.key, value: value)) }
                changes.advance()
                if change.key == row?.key { return true }
            }
            return false
        }
        for row in found where !addChanges(upTo: row.key, orOf: row) { rows.append(row) }
        _ = addChanges(upTo: end)
        return rows
    }
}

/// What a read found, which counts for a budget as long as it is held.
private final class Reading: Sendable {
    private let found = Mutex<(outcome: Result<[Row], StoreError>, bytes: Int)?>(nil)
    private let budget: MemoryBudget

    /// A row and its two arrays, without their content.
    static let rowBytes = 80

    init(_ budget: MemoryBudget) { self.budget = budget }

    /// Nil: it goes on.
    var outcome: Result<[Row], StoreError>? { found.withLock { $0?.outcome } }

    func ended(_ outcome: Result<[Row], StoreError>) {
        var bytes = 0
        if case .success(let rows) = outcome {
            bytes = rows.reduce(0) { $0 + Self.rowBytes + $1.key.count + $1.value.count }
        }
        budget.change(by: bytes)
        found.withLock { $0 = (outcome, bytes) }
    }

    deinit { budget.give(found.withLock { $0?.bytes ?? 0 }) }
}
