/// What a statement would read: the answer of EXPLAIN.
struct SQLPlan {
    private let statement: String
    private let steps: [String]

    /// Nil: the answer is no plan.
    init?(_ answer: SQLAnswer) {
        guard answer.columns.map(\.name) == ["plan_type", "plan"], answer.rows.count == 2 else { return nil }
        let texts = answer.rows.map { ($0[0].text ?? "", $0[1].text ?? "") }
        guard texts[0].0 == "logical_plan", texts[1].0 == "physical_plan" else { return nil }
        statement = texts[0].1
        steps = texts[1].1.split(separator: "\n").map(String.init)
    }

    var html: HTML {
        let items = Self.items(steps).map { "<li>\($0)</li>" as HTML }
        let list: HTML = steps.isEmpty
            ? Empty("It reads no table").html
            : "<ol class=\"plan\" aria-label=\"What would be read\">\(items)</ol>"
        return """
            <p>Nothing was read. This would be, in this order:</p>\(list)\
            <details class="after"><summary>As the server says it</summary>\
            <pre class="tree" tabindex="0" aria-label="Steps">\(Name.visibleLines(steps.joined(separator: "\n")))</pre>\
            <pre class="tree" tabindex="0" aria-label="The statement for SQLite">\(Name.visibleLines(statement))</pre></details>
            """
    }

    /// A table that is read, with what is said of it in the lines before; a line that is not known stays as it is.
    static func items(_ steps: [String]) -> [HTML] {
        var items: [HTML] = []
        var notes: HTML = .empty
        for step in steps {
            if let note = note(step) {
                notes += "; \(note)"
            } else {
                items.append(scan(step) + notes)
                notes = .empty
            }
        }
        return items
    }

    private static func scan(_ line: String) -> HTML {
        let scan = /SiloExecutionPlan: (\w+)\[(.*)\], limit=(?:Some\(([0-9]+)\)|None)/
        guard let match = line.wholeMatch(of: scan) else { return "<code>\(Name.visible(line))</code>" }
        let rows: HTML = match.3.map { "the first \(Quantity.of(Int($0) ?? 0, "row"))" } ?? "rows"
        return "<b>\(match.1)</b>: \(rows) by <code>\(Name.visible(String(match.2)))</code>"
    }

    /// Of the table in a line behind it.
    private static func note(_ line: String) -> HTML? {
        if let match = line.wholeMatch(of: /FilterExec: ([0-9]+) of ([0-9]+) conditions/) {
            return "\(match.1) of \(match.2) conditions are looked at row by row"
        }
        if let match = line.wholeMatch(of: /ClusterExecutionPlan: partitions=([0-9]+), table=\w+/) {
            return "in \(Quantity.of(Int(match.1) ?? 0, "shard"))\(HTML.when(match.1 != "1", ", side by side"))"
        }
        return nil
    }
}
