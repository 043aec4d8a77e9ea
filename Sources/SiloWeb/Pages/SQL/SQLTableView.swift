/// The rows of an answer, as far as a page has room for them.
struct SQLTableView {
    private let answer: SQLAnswer
    private let form: SQLForm
    private let visit: Visit

    private static let columnsMax = 60
    private static let cellsMax = 20_000

    init(_ answer: SQLAnswer, _ form: SQLForm, _ visit: Visit) {
        self.answer = answer
        self.form = form
        self.visit = visit
    }

    private var columns: Range<Int> { 0..<min(answer.columns.count, Self.columnsMax) }
    private var rowsShown: Int { min(answer.rows.count, Self.cellsMax / max(1, columns.count)) }

    var html: HTML {
        guard !answer.columns.isEmpty else { return Empty("The statement has no columns to show").html }
        var cell = SQLCell(answer, form, visit)
        let rows = answer.rows.prefix(rowsShown).map { row in columns.map { cell.html(row, $0) } }
        let titles = columns.map { index -> Table.Column in
            let title = Name.visible(String(answer.columns[index].name.unicodeScalars.prefix(80)))
            return .init(title, number: answer.columns[index].isNumber)
        }
        let empty = Empty("No rows", next: "Nothing meets the statement\(HTML.when(form.tenant != nil, ", of this tenant")).")
        return Table(caption: "Rows", columns: titles, rows: rows, empty: empty).html
    }

    /// What is not shown; empty: nothing.
    var cut: HTML {
        let isWide = answer.columns.count > columns.count
        guard isWide || answer.rows.count > rowsShown else { return .empty }
        let wide: HTML = .when(isWide, " and \(columns.count) of \(answer.columns.count) columns")
        return "The page shows \(Quantity.of(rowsShown, "row"))\(wide). Export has all of them."
    }
}
