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
    private static let pageMax = 2048

    /// The first `limit` rows of `[start, end)`.
    package func rows(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        try await page(from: start, to: end, limit: limit, bytesMax: .max).rows
    }

    /// The same of about `bytesMax` bytes, and one row at least.
    package func page(from start: Bytes, to end: Bytes, limit: Int, bytesMax: Int) async throws(StoreError) -> RowPage {
        var from = start.precedes(LogPosition.firstKey) ? LogPosition.firstKey : start
        guard limit > 0, from.precedes(end) else { return RowPage([], hasMore: false) }
        // What the overlays alone have need not be looked for any further below.
        let end = view.key(ofThe: limit, from: from, before: end, at: now).map { $0 + [0] } ?? end
        var merge = Merge(cursor: LoggedRowsView.Cursor(view, from: from), limit: limit, bytesMax: bytesMax, now: now)
        var page = min(max(limit, Self.pageMin), Self.pageMax)
        while true {
            let below = try await below.page(from: from, to: end, limit: page, bytesMax: bytesMax)
            // What is below is known up to here.
            let bound = below.hasMore ? (below.rows.last?.key ?? end) + [0] : end
            merge.add(below.rows, upTo: bound)
            if merge.isFull || !below.hasMore { return RowPage(merge.found, hasMore: merge.isFull) }
            from = bound
            page = min(2 * page, Self.pageMax)
        }
    }

    private struct Merge {
        var cursor: LoggedRowsView.Cursor
        let limit: Int
        let bytesMax: Int
        let now: Timestamp
        private(set) var found: [Row] = []
        private var bytes = 0

        init(cursor: LoggedRowsView.Cursor, limit: Int, bytesMax: Int, now: Timestamp) {
            self.cursor = cursor
            self.limit = limit
            self.bytesMax = bytesMax
            self.now = now
        }

        /// One row has room in any case.
        var isFull: Bool { found.count >= limit || bytes >= bytesMax && !found.isEmpty }

        private mutating func append(_ row: Row) {
            found.append(row)
            bytes += row.key.count + row.value.count
        }

        /// Rows among which nothing changes.
        private mutating func append(_ rows: [Row]) {
            var count = 0
            while count < rows.count, found.count + count < limit, bytes < bytesMax || found.isEmpty && count == 0 {
                bytes += rows[count].key.count + rows[count].value.count
                count += 1
            }
            if found.isEmpty, count == rows.count { found = rows } else { found += rows[..<count] }
        }

        /// - Parameter rows: those of the store below, up to `end`.
        mutating func add(_ rows: [Row], upTo end: Bytes) {
            guard cursor.precedes(end) else { return append(rows) }
            for row in rows where !isFull {
                addChanges(before: row.key)
                guard !isFull else { return }
                if cursor.current?.key == row.key { addChange() } else { append(row) }
            }
            addChanges(before: end)
        }

        private mutating func addChanges(before end: Bytes) {
            while !isFull, cursor.precedes(end) { addChange() }
        }

        private mutating func addChange() {
            if let entry = cursor.current, let value = entry.value.value, entry.value.expiresAt > now {
                append(Row(key: entry.key, value: value))
            }
            cursor.step()
        }
    }
}
