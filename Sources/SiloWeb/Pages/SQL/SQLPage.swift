import SQLText
import SiloAPI
import SiloCore

/// Questions in SQL: an editor, the answer as a table or a chart, and what there is to ask about.
enum SQLPage {
    static let page = Page(
        SQLForm.path, menu: "SQL", needs: SiloV1.Silo.query, formBytesMax: SQLForm.bytesMax, isFor: { $0.groups == nil }
    ) { visit in
        let form = try SQLForm(visit.asked)
        try visit.checkMayAsk()
        let editor = await SQLEditor(visit, form)
        let outcome = await SQLOutcome.of(form, visit)
        let tables = await visit.site.schema.tables(visit)
        return Content(
            "SQL", about: "One statement over all jobs, which reads and changes nothing", status: outcome.status,
            """
            <div class="sql"><div class="sql-main">\(editor.html)\(outcome.html(form, visit))</div>\
            \(SQLSide(tables, visit).html)</div>
            """)
    }
    /// That are shown of an answer.
    static let rowsMax = 1000
}

extension Visit {
    /// - Throws: for those who may ask for nothing, for statements are not of task groups.
    func checkMayAsk() throws(PageFailure) {
        guard caller.groups != nil else { return }
        throw PageFailure(
            403, "You may not ask in SQL",
            "\(caller.title) is bound to task groups, and limits, leases and counts are not of groups.")
    }
}

/// What became of the statement that a page was asked for.
enum SQLOutcome: Sendable {
    /// None was asked for.
    case nothing
    /// It needs a value, such as `$1`.
    case incomplete(String)
    case answer(SQLAnswer, milliseconds: Int64)
    case fault(CallFailure)

    static func of(_ form: SQLForm, _ visit: Visit) async -> SQLOutcome {
        guard !form.isBlank, form.view != .edit else { return .nothing }
        if let missing = form.missingValue { return .incomplete(missing) }
        let clock = visit.site.backend.clock
        let begun = clock.steady
        do throws(CallFailure) {
            let response = try await visit.call(SiloV1.Silo.query, form.request(rowsMax: SQLPage.rowsMax))
            let milliseconds = clock.steady - begun
            return .answer(SQLAnswer(response), milliseconds: milliseconds)
        } catch {
            return .fault(error)
        }
    }

    var status: Int {
        switch self {
        case .nothing, .answer: 200
        case .incomplete: 400
        case .fault(let failure): PageFailure(failure).status
        }
    }

    func html(_ form: SQLForm, _ visit: Visit) -> HTML {
        switch self {
        case .nothing: Self.card(Self.invitation.html)
        case .incomplete(let name): Self.card(Empty("The statement needs a value", next: Self.wanted(name)).html)
        case .answer(let answer, let milliseconds): SQLResult(answer, milliseconds, form, visit).html
        case .fault(let failure): SQLFault(failure, form).html
        }
    }

    private static func card(_ content: HTML) -> HTML { "<section class=\"card after\" id=\"result\">\(content)</section>" }

    private static func wanted(_ name: String) -> HTML { "Type the value of <code>\(name)</code> above, and run it again." }

    private static let invitation = Empty(
        "Nothing was asked yet",
        next: """
            Write a statement and run it, or begin with one of the questions on this page. The address of the answer shows the \
            same to a colleague.
            """)
}
