/// Where a statement went wrong, as far as what the server says tells it: a byte that it names, or a name that there is not.
package struct FaultPlace: Sendable {
    /// A name that the server does not know.
    package struct UnknownName: Sendable {
        /// `table`, `column` or `function`.
        package let kind: String
        /// Without the table before it.
        package let name: String
    }

    /// Of the statement, from 0 to its length.
    package let byte: Int?
    package let unknown: UnknownName?

    package init(_ failure: String, in sql: String) {
        unknown = Self.unknownName(failure)
        byte = Self.namedByte(failure).map { min($0, sql.utf8.count) } ?? unknown.flatMap { Self.place(of: $0.name, in: sql) }
    }

    private static func namedByte(_ failure: String) -> Int? {
        failure.firstMatch(of: /at byte ([0-9]{1,9})/).flatMap { Int($0.1) }
    }

    private static func unknownName(_ failure: String) -> UnknownName? {
        // Behind the name may stand what it was meant to be.
        let words = /there is no (table|column|function) (.+?)(?:; did you mean .*| to join by.*)?$/
        guard let match = failure.firstMatch(of: words) else { return nil }
        let name = match.2.split(separator: ".").last.map(String.init) ?? String(match.2)
        return UnknownName(kind: String(match.1), name: name)
    }

    private static func place(of name: String, in sql: String) -> Int? {
        let pieces = SQLPieces(sql)
        return pieces.meaning.first { piece in
            piece.kind == .word && pieces.text(piece).lowercased() == name.lowercased()
                || piece.kind == .name && pieces.text(piece) == "\"\(name)\""
        }?.range.lowerBound
    }
}
