import SQLText

/// Rows as CSV, below a header.
enum CSVText {
    static func text(of answer: QueryAnswer) -> String {
        guard !answer.columns.isEmpty else { return "" }
        var text = CSVLine.text(answer.columns.map(\.name))
        for row in answer.values { text += CSVLine.text(row.map(\.cellText)) }
        return text
    }
}
