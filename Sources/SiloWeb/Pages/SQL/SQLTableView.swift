/// The rows of an answer, as far as a page has room for them.
struct SQLTableView {
    private let answer: SQLAnswer
    private let form: SQLForm
    private let titles: [Table.Column]
    private let rows: [[HTML]]

    private static let columnsMax = 60
    private static let rowsMax = 200
    /// Of the table, more or less: a page has two thirds as much again besides.
    private static let bytesMax = 112 << 10

    init(_ answer: SQLAnswer, _ form: SQLForm, _ visit: Visit) {
        self.answer = answer
        self.form = form
        let columns = answer.columns.prefix(Self.columnsMax)
        titles = columns.map { column in
            .init(Name.visible(String(column.name.unicodeScalars.prefix(80))), number: column.isNumber)
        }
        var cell = SQLCell(answer, form, visit)
        var (rows, left): ([[HTML]], Int) = ([], Self.bytesMax)
        for row in answer.rows.prefix(Self.rowsMax) where left > 0 {
            let cells = columns.indices.map { cell.html(row, $0) }
            rows.append(cells)
            left -= zip(titles, cells).reduce(0) { $0 + $1.0.title.utf8.count + $1.1.bytes.count + Self.cellBytes }
        }
        self.rows = rows
    }

    /// Of what is around a value.
    private static let cellBytes = 36

    var html: HTML {
        guard !titles.isEmpty else { return Empty("The statement has no columns to show").html }
        let empty = Empty("No rows", next: "Nothing meets the statement\(HTML.when(form.tenant != nil, ", of this tenant")).")
        return Table(caption: "Rows", columns: titles, rows: rows, empty: empty).html
    }

    /// What is not shown; empty: nothing.
    var cut: HTML {
        let isWide = answer.columns.count > titles.count
        guard isWide || answer.rows.count > rows.count else { return .empty }
        let wide: HTML = .when(isWide, " and \(titles.count) of \(answer.columns.count) columns")
        return "The page shows \(Quantity.of(rows.count, "row"))\(wide). Export has all of them."
    }
}
