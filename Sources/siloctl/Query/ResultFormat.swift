import CommandLineTool

/// How rows are shown.
enum ResultFormat: String, CaseIterable, Sendable {
    case table, csv, json, jsonl

    static let names = allCases.map(\.rawValue).joined(separator: "|")

    /// - Throws: when the command line asks for several.
    init(_ arguments: Arguments) throws(Arguments.Mistake) {
        let asked = Self.allCases.filter { arguments.has($0.rawValue) }
        guard asked.count <= 1 else {
            throw Arguments.Mistake("\(asked.map { "--\($0)" }.joined(separator: " and ")) exclude each other: give one of them")
        }
        self = asked.first ?? .table
    }
}

/// How rows are shown to people, and where.
struct ResultShape: Sendable {
    enum Expansion: String, Sendable {
        case on, off
        /// Where a row is too wide for the terminal.
        case auto
    }
    var format = ResultFormat.table
    var expansion = Expansion.auto
    /// Of a terminal, in columns; nil: as wide as the values are.
    var width: Int?
    var isColored = false

    /// The whole text of an answer, with the end of its last line.
    func text(of answer: QueryAnswer) throws -> String {
        switch format {
        case .table: ResultTable(self, answer).lines.map { $0.text(isColored: isColored) + "\n" }.joined()
        // A terminal gets nothing that it would act on, programs get the bytes.
        case .csv where width != nil: CSVText.text(of: answer).replacing("\r\n", with: "\n").printableLines
        case .csv: CSVText.text(of: answer)
        case .jsonl: try answer.rows.map { try JSONText(isPretty: false).text(of: $0).printableJSON + "\n" }.joined()
        case .json: try JSONText(isPretty: true).text(of: Self.object(of: answer)).printableJSON + "\n"
        }
    }

    private static func object(of answer: QueryAnswer) -> [String: Any] {
        var object: [String: Any] = [
            "columns": answer.columns.map { ["name": $0.name, "data_type": $0.type] },
            "row_count": answer.rows.count, "rows": answer.rows,
        ]
        // Only a partial answer has them.
        if !answer.missing.isEmpty {
            object["missing_shards"] = answer.missing.map { ["shard_id": $0.shard, "reason": $0.reason] }
        }
        return object
    }
}
