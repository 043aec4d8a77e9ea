import SQLText

/// What stands beside the editor: questions that are asked often, the tables, and what ran before. The scripts that complete
/// words read them here.
struct SQLSide {
    private let tables: [SQLSchema.Table]
    private let visit: Visit

    init(_ tables: [SQLSchema.Table], _ visit: Visit) {
        self.tables = tables
        self.visit = visit
    }

    var html: HTML {
        """
        <aside class="sql-side" aria-label="Questions and tables">\
        <details class="card" open><summary><h2>Questions</h2></summary><ul class="questions">\(questions)</ul></details>\
        <details class="card" open><summary><h2>Tables</h2></summary><div class="schema">\(tables.map(table))</div></details>\
        <details class="card past" id="sql-history"><summary><h2>Ran before</h2></summary>\
        <p class="hint">In this browser alone.</p><ol></ol>\
        <button type="button" class="button quiet" id="sql-forget">Forget them</button></details>\
        \(words)</aside>
        """
    }

    private var questions: [HTML] {
        CommonQuestion.all.map { question in
            var form = SQLForm()
            form.sql = question.sql
            form.view = .edit
            let link = form.address() ?? Link(SQLForm.path)
            return "<li><a href=\"\(link)\" data-fill>\(question.name)</a> <span class=\"hint\">\(question.about)</span></li>"
        }
    }

    private func table(_ table: SQLSchema.Table) -> HTML {
        let columns = (table.columns ?? []).map { column -> HTML in
            // Without what it is made of.
            let type = String(column.type.prefix { $0 != "(" })
            return "<li data-column=\"\(column.name)\"><code>\(column.name)</code> <span class=\"hint\">\(type)</span></li>"
        }
        let list: HTML = table.columns == nil ? .hint("The server does not tell its columns now.") : "<ul>\(columns)</ul>"
        return """
            <details data-table="\(table.name)"><summary><code>\(table.name)</code> \
            <span class="hint">\(table.about)</span></summary>\(list)</details>
            """
    }

    private var words: HTML {
        """
        <div id="sql-words" hidden data-keywords="\(SQLWords.keywords.joined(separator: " "))" \
        data-beginnings="\(SQLWords.beginnings.joined(separator: " "))" \
        data-clauses="\(SQLWords.clauses.sorted().joined(separator: " "))" \
        data-functions="\(SQLWords.functions.joined(separator: " "))"></div>
        """
    }
}
