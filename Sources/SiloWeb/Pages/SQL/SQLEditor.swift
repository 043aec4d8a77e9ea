import SQLText
import SiloAPI
import SiloCore

/// The form with the statement, and of what it is asked. It is sent by `GET`, so that the address can be sent on; what is too
/// long for one goes by `POST`, with the token of a button: scripts send it too, and without them people press it.
struct SQLEditor {
    private let visit: Visit
    private let form: SQLForm
    private let shards: [String]

    init(_ visit: Visit, _ form: SQLForm) async {
        self.visit = visit
        self.form = form
        // Whoever may not know them asks all of them.
        shards = visit.may(SiloV1.Silo.getClusterInfo) ? ((try? await Homes(visit).all) ?? []) : []
    }

    var html: HTML {
        """
        <form class="card sql-form" id="sql" action="\(Link(SQLForm.path))" aria-label="Statement"\(ran)>\
        <div class="editor"><label for="sql-text">Statement</label>\
        <textarea id="sql-text" name="q" rows="\(rows)" wrap="off" spellcheck="false" autocomplete="off" autocapitalize="off" \
        placeholder="SELECT status_kind, COUNT(*) AS jobs FROM jobs GROUP BY status_kind" aria-describedby="sql-keys">\
        \(text)</textarea><span class="unseen" role="status" id="sql-said"></span></div>\(unseen)\
        <div class="sql-values" id="sql-values">\(values)</div>\
        <div class="sql-of">\(tenant)\(shard)\(partial)</div>\
        <div class="buttons"><button class="button primary">Run</button>\
        <button class="button" name="view" value="plan">Explain</button>\
        <button class="button quiet long" id="sql-long" formmethod="post" name="\(Form.tokenField)" \
        value="\(visit.questionToken)">Run a statement too long for an address</button>\
        <span class="hint keys-hint" id="sql-keys"><kbd>Ctrl</kbd> <kbd>Enter</kbd> runs, <kbd>Ctrl</kbd> <kbd>Space</kbd> \
        completes, <kbd>Alt</kbd> <kbd>↑</kbd> brings back what ran before</span></div>\(view)</form>
        """
    }

    /// A chart stays one when something else is asked. Behind the buttons, of which one may say otherwise.
    private var view: HTML { .when(form.view == .chart, "<input type=\"hidden\" name=\"view\" value=\"chart\">") }

    /// A parser drops the first line when it is empty.
    private var text: HTML { form.sql.hasPrefix("\n") ? "\n\(form.sql)" : "\(form.sql)" }

    /// An editor cannot show what turns the direction of writing, and so may show another statement than is run.
    private var unseen: HTML {
        guard let mark = form.sql.unicodeScalars.first(where: { Self.isUnseen($0) }) else { return .empty }
        return """
            <p class="finding warn"><span class="dot" aria-hidden="true"></span>The statement has characters that \
            cannot be seen, such as \(Name.visible(String(mark))): it may be another than it looks.</p>
            """
    }

    private static func isUnseen(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .format || scalar.value < 0x20 && !"\n\t\r".unicodeScalars.contains(scalar)
    }

    /// For the history.
    private var ran: HTML { .when(!form.isBlank && form.view != .edit, " data-ran=\"yes\"") }

    private var rows: Int { min(24, max(8, form.sql.utf8.count { $0 == UInt8(ascii: "\n") } + 2)) }

    private var values: [HTML] {
        form.values.enumerated().map { index, value in
            """
            <label><span>Value of $\(index + 1)</span><input name="p\(index + 1)" value="\(value ?? "")" maxlength="1024" \
            autocomplete="off" spellcheck="false"></label>
            """
        }
    }

    private var tenant: HTML {
        guard let own = visit.caller.tenants else {
            return """
                <label><span>Tenant</span><input name="tenant" value="\(form.tenant ?? "")" maxlength="1024" placeholder="all" \
                autocomplete="off" spellcheck="false"></label>
                """
        }
        let names = own.map(\.name).sorted()
        return Self.select("tenant", "Tenant", form.tenant, [("", "all of yours")] + names.map { ($0, Name.visible($0)) })
    }

    private var shard: HTML {
        let known = shards + (form.shard.map { shards.contains($0) ? [] : [$0] } ?? [])
        return Self.select("shard", "Shard", form.shard, [("", "all shards")] + known.map { ($0, Name.visible($0)) })
    }

    private var partial: HTML {
        let mark: HTML = .when(form.isPartial, " checked")
        return """
            <label class="check"><input type="checkbox" name="partial" value="yes"\(mark)> \
            <span>Leave out shards that do not answer</span></label>
            """
    }

    private static func select(_ name: String, _ title: String, _ chosen: String?, _ all: [(String, String)]) -> HTML {
        let options = all.map { value, title -> HTML in
            let mark: HTML = .when(value == chosen ?? "", " selected")
            return "<option value=\"\(value)\"\(mark)>\(title)</option>"
        }
        return "<label><span>\(title)</span><select name=\"\(name)\">\(options)</select></label>"
    }
}
