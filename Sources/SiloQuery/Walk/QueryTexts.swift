import CSQLite

/// The rows of a statement as texts, for whoever asks from within the server. NULL is an empty text.
package struct QueryTexts: Sendable {
    package let rows: [[String]]
    /// Rows of the store that were read.
    package let rowsRead: Int
    /// What the statement hardly meant, for people.
    package let notices: [String]
}

extension Query {
    package func texts(_ limits: QueryLimits = QueryLimits(), _ control: StatementControl) async throws(QueryError) -> QueryTexts
    {
        try await onThread(limits) { () throws(QueryError) in
            let before = scanned + lookedUp
            let run = StatementRun(self, limits, control)
            let rows = TextRows()
            try run.run(into: rows)
            return QueryTexts(rows: rows.rows, rowsRead: scanned + lookedUp - before, notices: run.notices)
        }
    }
}

private final class TextRows: RowSink {
    private(set) var rows: [[String]] = []

    func begin(_ columns: [Column]) {}

    func add(_ statement: PreparedStatement) {
        let handle = statement.handle
        rows.append(
            (0..<sqlite3_column_count(handle)).map { column in
                let bytes = UnsafeBufferPointer(
                    start: sqlite3_column_text(handle, column), count: Int(sqlite3_column_bytes(handle, column)))
                return String(decoding: bytes, as: UTF8.self)
            })
    }

    func add(_ texts: [String]) { rows.append(texts) }
    func end() {}
}
