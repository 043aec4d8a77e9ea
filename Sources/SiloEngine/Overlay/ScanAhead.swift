import SiloCore
import SiloStore

/// A range of rows that is read before somebody asks for it, while batches go on.
///
/// It does not matter when the store looked: all that is written goes by here, so what it found and what was written since the
/// read began make together what is stored now.
final class ScanAhead {
    private let start: Bytes
    private let end: Bytes
    private let limit: Int
    private let reading: Task<FoundRows?, Never>
    private var written = SortedEntries<Bytes?>()

    /// - Parameter budget: of which the rows are a part until they are taken.
    init(
        of store: any StoreReader, from start: Bytes, to end: Bytes, limit: Int, budget: MemoryBudget,
        on executor: (any TaskExecutor)?
    ) {
        self.start = start
        self.end = end
        self.limit = limit
        // One read; it ends by itself, also when nobody wants it any more.
        reading = Task(on: executor) {
            (try? await store.scan(from: start, to: end, limit: limit)).map { FoundRows($0, budget) }
        }
    }

    func begins(at key: Bytes) -> Bool { start == key }
    func covers(_ key: Bytes) -> Bool { !key.precedes(start) && key.precedes(end) }

    /// So much has changed that reading anew is less work.
    var isOutdated: Bool { written.count > limit }

    func note(_ batch: [Write]) {
        for write in batch where covers(write.key) { written.put(write.key, write.value) }
    }

    /// The first rows of a range that begins in this one, and the key to go on from, as of a scan. Nil: the store did not answer,
    /// or what was read ends before.
    func rows(from key: Bytes, to end: Bytes, limit: Int) async -> (rows: [Row], next: Bytes?)? {
        guard let found = await reading.value?.rows else { return nil }
        // Behind its last row nothing is known where there were more.
        let known = found.count == self.limit ? found.last.map { $0.key + [0] } ?? self.end : self.end
        guard key.precedes(known) else { return nil }
        let isWhole = !known.precedes(end)
        var rows = current(found, from: key, to: isWhole ? end : known)
        guard rows.count >= limit, limit > 0 else { return (rows, isWhole ? nil : known) }
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
        func addChanges(upTo end: Bytes, orAt row: Row? = nil) -> Bool {
            while let change = changes.current, change.key.precedes(end) || change.key == row?.key {
                if let value = change.value { rows.append(Row(key: change.key, value: value)) }
                changes.advance()
                if change.key == row?.key { return true }
            }
            return false
        }
        for row in found where !addChanges(upTo: row.key, orAt: row) { rows.append(row) }
        _ = addChanges(upTo: end)
        return rows
    }
}

/// Rows that count for a budget as long as they are held.
private final class FoundRows: Sendable {
    let rows: [Row]
    private let bytes: Int
    private let budget: MemoryBudget

    /// A row and its two arrays, without their content.
    private static let rowBytes = 80

    init(_ rows: [Row], _ budget: MemoryBudget) {
        self.rows = rows
        self.budget = budget
        bytes = rows.reduce(0) { $0 + Self.rowBytes + $1.key.count + $1.value.count }
        budget.change(by: bytes)
    }

    deinit { budget.give(bytes) }
}
