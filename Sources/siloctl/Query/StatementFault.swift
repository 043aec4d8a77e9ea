import CommandLineTool
import SQLText
import SiloConfiguration

/// A statement that a server refused, with the place at which it went wrong, where that can be told.
struct StatementFault {
    private let failure: String
    private let sql: [UInt8]
    private let place: FaultPlace
    private let schema: QuerySchema

    /// Columns of the line that are shown before and behind the place.
    private static let around = 60

    init(_ failure: Failure, _ sql: String, _ schema: QuerySchema) {
        self.failure = failure.description
        self.sql = Array(sql.utf8)
        place = FaultPlace(failure.description, in: sql)
        self.schema = schema
    }

    /// What the server says, the name that was meant, and the line with `^` below the place.
    var text: String {
        guard let byte = place.byte else { return message }
        return "\(message)\n\(marked(byte))"
    }

    /// The same without the line.
    var message: String {
        let near = place.unknown.flatMap { Nearest.name(to: $0.name, among: names(of: $0.kind)) }
        return failure + (near.map { "; did you mean \($0)?" } ?? "")
    }

    private func names(of kind: String) -> [String] {
        switch kind {
        case "table": SQLTable.all.map(\.name)
        case "column": schema.columnNames()
        default: SQLWords.functions
        }
    }

    private func marked(_ place: Int) -> String {
        let isEnd: (UInt8) -> Bool = { $0 == UInt8(ascii: "\n") }
        let start = sql[..<place].lastIndex(where: isEnd).map { $0 + 1 } ?? 0
        let end = sql[place...].firstIndex(where: isEnd) ?? sql.count
        let number = sql[..<start].count(where: isEnd) + 1
        var before = String(decoding: sql[start..<place], as: UTF8.self).printable
        if before.columns > Self.around { before = "…" + before.suffix(Self.around) }
        let behind = String(decoding: sql[place..<end], as: UTF8.self).printable.cut(toColumns: Self.around)
        let head = "line \(number): "
        return "\(head)\(before)\(behind)\n\(String(repeating: " ", count: head.columns + before.columns))^"
    }
}
