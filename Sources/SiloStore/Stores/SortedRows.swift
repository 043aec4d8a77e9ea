package import SiloCore

/// Rows in key order, in memory, that vanish when they expire. A copy is cheap.
package struct SortedRows: Sendable {
    private struct Stored: Sendable {
        let value: Bytes
        let expiresAt: Timestamp
    }
    private var entries = SortedEntries<Stored>()

    package init() {}

    package func get(_ key: Bytes, at now: Timestamp) -> Bytes? {
        guard let stored = entries[key], stored.expiresAt > now else { return nil }
        return stored.value
    }

    /// The first `limit` rows of `[start, end)` that have not expired.
    package func scan(from start: Bytes, to end: Bytes, limit: Int, at now: Timestamp) -> [Row] {
        var found: [Row] = []
        var cursor = entries.cursor(from: start)
        while found.count < limit, let entry = cursor.next(), entry.key.precedes(end) {
            if entry.value.expiresAt > now { found.append(Row(key: entry.key, value: entry.value.value)) }
        }
        return found
    }

    /// Every row that has not expired.
    package func all(at now: Timestamp) -> [Row] {
        entries.filter { $0.value.expiresAt > now }.map { Row(key: $0.key, value: $0.value.value) }
    }

    /// A write of `batch` that is said to be of a new row, though the row is there; nil: none.
    package func wronglyNew(in batch: [Write], at now: Timestamp) -> Write? {
        batch.first { $0.isNew && get($0.key, at: now) != nil }
    }

    package mutating func apply(_ batch: [Write]) {
        for write in batch {
            if let value = write.value {
                entries.put(write.key, Stored(value: value, expiresAt: write.expiresAt ?? .distantFuture))
            } else {
                entries.remove(write.key)
            }
        }
    }
}
