import CommandLineTool
import SQLText

/// A statement that a server refused, with the place at which it went wrong, where that can be told.
struct StatementFault {
    private let failure: String
    private let sql: [UInt8]
    private let place: FaultPlace

    /// Columns of the line that are shown before and behind the place.
    private static let around = 60

    init(_ failure: Failure, _ sql: String) {
        self.failure = failure.description
        self.sql = Array(sql.utf8)
        place = FaultPlace(failure.description, in: sql)
    }

    /// What the server says, and the line with `^` below the place.
    var text: String { place.byte.map { "\(failure)\n\(marked($0))" } ?? failure }

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
