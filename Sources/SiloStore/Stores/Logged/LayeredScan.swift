package import SiloCore

/// A scan of a store below as the overlays above it change it.
package struct LayeredScan {
    private let view: LoggedRowsView
    private let below: any StoreReader
    private let now: Timestamp

    package init(_ view: LoggedRowsView, over below: any StoreReader, at now: Timestamp) {
        self.view = view
        self.below = below
        self.now = now
    }

    private static let pageMin = 32
    private static let pageMax = 1024

    /// The first `limit` rows of `[start, end)`.
    package func rows(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        var from = start.precedes(LogPosition.firstKey) ? LogPosition.firstKey : start
        guard limit > 0, from.precedes(end) else { return [] }
        // What the overlays alone have need not be looked for any further below.
        let end = sufficientEnd(from, end, limit)
        var merge = Merge(cursor: LoggedRowsView.Cursor(view, from: from), limit: limit, now: now)
        var page = min(max(limit, Self.pageMin), Self.pageMax)
        while true {
            let rows = try await below.scan(from: from, to: end, limit: page)
            // What is below is known up to here.
            let bound = rows.count < page ? end : (rows.last?.key ?? end) + [0]
            merge.add(rows, upTo: bound)
            if merge.isFull || rows.count < page { return merge.found }
            from = bound
            page = min(2 * page, Self.pageMax)
        }
    }

    /// The end of the range whose first `limit` rows are in the overlays already.
    private func sufficientEnd(_ start: Bytes, _ end: Bytes, _ limit: Int) -> Bytes {
        var cursor = LoggedRowsView.Cursor(view, from: start)
        var count = 0
        while let entry = cursor.current, entry.key.precedes(end) {
            if entry.value.value != nil, entry.value.expiresAt > now {
                count += 1
                if count == limit { return entry.key + [0] }
            }
            cursor.step()
        }
        return end
    }

    private struct Merge {
        var cursor: LoggedRowsView.Cursor
        let limit: Int
        let now: Timestamp
        var found: [Row] = []

        var isFull: Bool { found.count >= limit }

        /// - Parameter rows: those of the store below, up to `end`.
        mutating func add(_ rows: [Row], upTo end: Bytes) {
            for row in rows where !isFull {
                addChanges(before: row.key)
                guard !isFull else { return }
                if let entry = cursor.current, entry.key == row.key { addChange(entry) } else { found.append(row) }
            }
            addChanges(before: end)
        }

        private mutating func addChanges(before end: Bytes) {
            while !isFull, let entry = cursor.current, entry.key.precedes(end) { addChange(entry) }
        }

        private mutating func addChange(_ entry: SortedEntries<LoggedRows.Change>.Entry) {
            if let value = entry.value.value, entry.value.expiresAt > now { found.append(Row(key: entry.key, value: value)) }
            cursor.step()
        }
    }
}
