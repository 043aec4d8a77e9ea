/// A table. On a narrow screen each row becomes a block, and cells carry the name of their column.
struct Table {
    struct Column {
        let title: String
        /// Set to the right, in figures of one width.
        var isNumber = false
        /// Where its heading leads, to sort by it; nil: it cannot be sorted by.
        var sort: Link?
        /// It is what the rows are sorted by.
        var isSorted = false

        init(_ title: String, number isNumber: Bool = false, sort: Link? = nil, isSorted: Bool = false) {
            self.title = title
            self.isNumber = isNumber
            self.sort = sort
            self.isSorted = isSorted
        }
    }

    /// What it lists, for those who do not see it.
    let caption: String
    let columns: [Column]
    let rows: [[HTML]]
    /// Stands in the place of a table without rows.
    var empty = Empty("Nothing here")

    var html: HTML {
        guard !rows.isEmpty else { return empty.html }
        return """
            <div class="scroll" tabindex="0" role="region" aria-label="\(caption)"><table><caption>\(caption)</caption>\
            <thead><tr>\(columns.map(heading))</tr></thead><tbody>\(rows.map(row))</tbody></table></div>
            """
    }

    private func heading(_ column: Column) -> HTML {
        let title: HTML = column.sort.map { "<a href=\"\($0)\">\(column.title)</a>" } ?? "\(column.title)"
        let sorted = HTML.when(column.isSorted, " aria-sort=\"descending\"")
        return "<th scope=\"col\"\(Self.kind(column))\(sorted)>\(title)</th>"
    }

    private func row(_ cells: [HTML]) -> HTML {
        let cells = zip(columns, cells).map { column, cell -> HTML in
            "<td data-label=\"\(column.title)\"\(Self.kind(column))>\(cell)</td>"
        }
        return "<tr>\(cells)</tr>"
    }

    private static func kind(_ column: Column) -> HTML { .when(column.isNumber, " class=\"number\"") }
}

/// What stands where nothing is, and says what to do next.
struct Empty {
    let title: String
    var next: HTML

    init(_ title: String, next: HTML = .empty) {
        self.title = title
        self.next = next
    }

    var html: HTML { "<div class=\"empty\"><p class=\"empty-title\">\(title)</p><p>\(next)</p></div>" }
}
