import SiloAPI

/// The answer of a statement: how much it is, what is missing of it, and its rows, as a table, a chart or a plan.
struct SQLResult {
    private let answer: SQLAnswer
    private let milliseconds: Int64
    private let form: SQLForm
    private let visit: Visit

    init(_ answer: SQLAnswer, _ milliseconds: Int64, _ form: SQLForm, _ visit: Visit) {
        self.answer = answer
        self.milliseconds = milliseconds
        self.form = form
        self.visit = visit
    }

    var html: HTML {
        if let plan = SQLPlan(answer) { return section("Plan", plan.html, ways: .empty) }
        let table = SQLTableView(answer, form, visit)
        let shown = form.view == .chart ? SQLChart(answer, SQLCell(answer, form, visit)).html : table.html
        let cut: HTML = form.view == .chart || table.cut.isEmpty ? .empty : .hint(table.cut)
        let count = Quantity.of(answer.rows.count, "row") + (answer.isCut ? ", and there are more" : "")
        return section(count, shown + cut, ways: ways)
    }

    private func section(_ title: String, _ content: HTML, ways: HTML) -> HTML {
        """
        <section class="card after" id="result"><div class="section-head"><h2>\(title) \
        <small>in \(Quantity.duration(milliseconds: Double(milliseconds)))</small></h2>\(ways)</div>\
        \(missing)\(notices)\(more)\(content)</section>
        """
    }

    private var missing: [HTML] {
        answer.missing.map { shard, reason in
            """
            <p class="finding warn"><span class="dot" aria-hidden="true"></span><b>Without shard</b> \(Name(shard).html): \
            \(Name.visible(reason))</p>
            """
        }
    }

    private var notices: [HTML] {
        answer.notices.map { "<p class=\"finding warn\"><span class=\"dot\" aria-hidden=\"true\"></span>\(Name.visible($0))</p>" }
    }

    private var more: HTML {
        guard answer.isCut else { return .empty }
        return """
            <p class="hint">The statement was ended after \(Quantity.of(answer.rows.count, "row")). Export has all of them \
            up to 64 MiB, and so has <code>siloctl query --csv</code>; <code>--arrow</code> has no such bound. \
            <code>LIMIT</code>, <code>WHERE</code> and <code>GROUP BY</code> make fewer.</p>
            """
    }

    // MARK: The same in another form

    private var ways: HTML {
        let tabs: [HTML] = [tab(.table, "Table"), tab(.chart, "Chart")]
        return """
            <div class="buttons"><nav class="tabs" aria-label="Form of the answer">\(tabs)</nav>\(export)</div>
            """
    }

    private func tab(_ view: SQLForm.View, _ title: String) -> HTML {
        let mark: HTML = .when(view == form.view, " aria-current=\"true\"")
        if let link = form.with(view).address() { return "<a href=\"\(link)#result\"\(mark)>\(title)</a>" }
        return posted(Link(SQLForm.path, [("view", view.rawValue)]), title, " class=\"tab\"\(mark)")
    }

    private var export: HTML {
        if let link = form.with(.table).address(SQLExport.path) {
            return "<a class=\"button\" href=\"\(link)\" download title=\"\(Self.exportHint)\">Export CSV</a>"
        }
        return posted(Link(SQLExport.path), "Export CSV", " class=\"button\" title=\"\(Self.exportHint)\"")
    }

    private static let exportHint =
        "All rows, while they come to 64 MiB at most. Texts that a spreadsheet would take for a formula have ' in front of them."

    /// Of a statement that is too long for an address: what stands in the editor is sent.
    private func posted(_ action: Link, _ title: String, _ attributes: HTML) -> HTML {
        """
        <button form="sql" formmethod="post" formaction="\(action)" name="\(Form.tokenField)" \
        value="\(visit.questionToken)"\(attributes)>\(title)</button>
        """
    }
}
