import CommandLineTool
import Protobuf
import SiloAPI
import SiloClient

/// What a statement came to.
struct QueryAnswer: Sendable {
    struct Column: Sendable {
        let name: String
        /// An Arrow type, such as `Utf8`.
        let type: String

        var isNumber: Bool { type.hasPrefix("Int") || type.hasPrefix("UInt") || type.hasPrefix("Float") }
        /// Whose values come as hexadecimal digits.
        var isBinary: Bool { type == "Binary" }
    }
    let columns: [Column]
    /// Each a map from column names to values.
    let rows: [MessagePack]
    private let cells: [[MessagePack]]
    /// Of a partial answer: the shards whose rows are not there, or not all of them, and why.
    let missing: [(shard: String, reason: String)]
    /// What the statement hardly meant.
    let notices: [String]

    /// - Throws: when a row is no map.
    init(_ response: SiloV1.QueryResponse) throws(Failure) {
        let columns = response.columns.map { Column(name: $0.name, type: $0.dataType) }
        var rows: [MessagePack] = []
        var cells: [[MessagePack]] = []
        for row in response.rows {
            guard let value = Document(row).value, case .map(let entries) = value else {
                throw Failure("a row of the answer cannot be read")
            }
            rows.append(value)
            cells.append(Self.cells(entries, columns))
        }
        (self.columns, self.rows, self.cells) = (columns, rows, cells)
        missing = response.missingShards.map { ($0.shardId, $0.reason) }
        notices = response.notices
    }

    /// For people; empty: the answer is whole.
    var missingLines: [String] { missing.map { "Without shard \($0.shard): \($0.reason)" } }

    /// Tells people on the error stream, whatever the rows are for.
    func complain() {
        for notice in notices { Program.complain("Note: \(notice.printable)") }
    }

    /// The values of each row, in the order of the columns.
    var values: [[MessagePack]] { cells }

    /// Two columns of a join may have one name: the order says which is which, where a row has them all.
    private static func cells(_ entries: [(key: MessagePack, value: MessagePack)], _ columns: [Column]) -> [MessagePack] {
        let isInOrder = entries.count == columns.count && zip(entries, columns).allSatisfy { $0.key == .text($1.name) }
        if isInOrder { return entries.map(\.value) }
        return columns.map { column in entries.first { $0.key == .text(column.name) }?.value ?? .null }
    }
}

extension MessagePack {
    /// A value as CSV and tables have it; nil for NULL.
    var cellText: String? {
        switch self {
        case .null: nil
        case .text(let text): text
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): "\(value)"
        case .unsigned(let value): "\(value)"
        case .float(let value): "\(value)"
        case .binary(let bytes), .extended(_, let bytes): Document.hex(bytes)
        case .array, .map: (try? JSONText(isPretty: false).text(of: self)) ?? ""
        }
    }
}
