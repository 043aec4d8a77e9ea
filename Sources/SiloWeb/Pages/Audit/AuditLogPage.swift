import SiloAPI
import SiloCore

/// What administrators did, and who was refused, newest first.
enum AuditLogPage {
    static let path = "/audit"

    static let page = Page(path, menu: "Audit log", needs: SiloV1.Silo.listAuditEntries) { visit in
        let filter = try AuditFilter(visit.query)
        var request = filter.request(at: visit.now)
        request.limit = 50
        request.cursor = visit.query["cursor"] ?? ""
        let found = try await entries(request, filter, visit)
        switch found.place {
        case .file: break
        case .stream: return elsewhere(found.path)
        default: return off
        }
        let parts = AuditParts(visit, filter, found)
        return Content(
            "Audit log", about: "What administrators did and who was refused, from \(Name(found.path).html).",
            "\(filter.bar(visit))\(parts.time)<section class=\"card audit\">\(parts.table)\(parts.pager)\(parts.notes)</section>")
    }

    private static func entries(
        _ request: SiloV1.ListAuditEntriesRequest, _ filter: AuditFilter, _ visit: Visit
    ) async throws -> SiloV1.ListAuditEntriesResponse {
        do {
            return try await visit.call(SiloV1.Silo.listAuditEntries, request)
        } catch {
            guard error.kind == .invalid, !request.cursor.isEmpty else { throw error }
            throw PageFailure(
                410, "This place is gone", "The file that it was in was rotated away or cut meanwhile.",
                way: ("Begin with the newest", filter.link()))
        }
    }

    private static let wayOn: HTML = """
        <p>To have it shown here, give the server a file: <code>--audit-log /var/log/silo/audit.jsonl</code>, or in its \
        configuration file</p><pre class="tree">[access]
        audit_log = "/var/log/silo/audit.jsonl"</pre><p>and start it anew. The file is made for its owner alone. See \
        docs/security.md.</p>
        """

    private static var off: Content {
        Content(
            "Audit log",
            """
            <section class="card narrow"><h2>Nothing is written down</h2><p>This server keeps no audit log: who did what cannot \
            be told.</p>\(wayOn)</section>
            """)
    }

    private static func elsewhere(_ stream: String) -> Content {
        Content(
            "Audit log",
            """
            <section class="card narrow"><h2>The audit log goes to \(stream)</h2><p>What was written there cannot be read back \
            by the server. Look where that goes, such as in the journal: its lines begin with \
            <code>{"log":"audit"</code>.</p>\(wayOn)</section>
            """)
    }
}

struct AuditParts {
    private let visit: Visit
    private let filter: AuditFilter
    private let found: SiloV1.ListAuditEntriesResponse

    init(_ visit: Visit, _ filter: AuditFilter, _ found: SiloV1.ListAuditEntriesResponse) {
        self.visit = visit
        self.filter = filter
        self.found = found
    }

    /// That a moment was chosen.
    var time: HTML {
        guard let before = filter.before else { return .empty }
        let newest = filter.with { $0.before = nil }.link()
        return .hint("Before \(When(Timestamp(before), now: visit.now).html). \(HTML.link(newest, "From the newest on"))")
    }

    var table: HTML {
        let rows = found.entries.map { entry -> [HTML] in
            [when(entry), who(entry), call(entry), things(entry), outcome(entry), peer(entry)]
        }
        let columns: [Table.Column] = [
            .init("When"), .init("Who"), .init("What"), .init("On what"), .init("Outcome"), .init("From"),
        ]
        return Table(caption: "Entries, the newest first", columns: columns, rows: rows, empty: empty).html
    }

    private func when(_ entry: SiloV1.AuditEntry) -> HTML {
        // With it, and all before it.
        .link(filter.with { $0.before = entry.timeMs + 1 }.link(), When(Timestamp(entry.timeMs), now: visit.now).html)
    }

    private func who(_ entry: SiloV1.AuditEntry) -> HTML {
        guard !entry.who.isEmpty else {
            return "<span class=\"hint\">\(entry.by == "nothing" ? "anybody" : "nobody known")</span>"
        }
        // What goes without saying, or says nothing, is left out.
        let isPlain = ["", "token", "nothing"].contains(entry.by)
        let by: HTML = .when(!isPlain, " <span class=\"hint\">\(Name(entry.by).html)</span>")
        return "<span>\(HTML.link(filter.with { $0.who = entry.who }.link(), Name(entry.who).html))\(by)</span>"
    }

    private func call(_ entry: SiloV1.AuditEntry) -> HTML {
        entry.call.isEmpty ? "–" : .link(filter.with { $0.call = entry.call }.link(), Name(entry.call).html)
    }

    private func outcome(_ entry: SiloV1.AuditEntry) -> HTML {
        guard !entry.outcome.isEmpty else { return "–" }
        let kind: HTML = entry.outcome == "OK" ? "good" : "bad"
        let why = Name.visible(String(entry.error.prefix(500)))
        let error: HTML = .when(!why.isEmpty, "<div class=\"below\">\(why)</div>")
        let link = filter.with { $0.outcome = entry.outcome }.link()
        return """
            <span><a class="badge \(kind)" href="\(link)">\(Name.visible(String(entry.outcome.prefix(100))))</a>\(error)</span>
            """
    }

    private func peer(_ entry: SiloV1.AuditEntry) -> HTML {
        entry.peer.isEmpty ? "–" : "<span class=\"hint\">\(Name(entry.peer).html)</span>"
    }

    /// What it was done to, with ways there.
    private func things(_ entry: SiloV1.AuditEntry) -> HTML {
        let tenant = entry.fields.first { $0.name == "tenant" }?.value
        let things = entry.fields.map { field -> HTML in
            let value = Name(field.value).html
            let shown: HTML =
                switch field.name {
                case "tenant": .link(filter.with { $0.tenant = field.value }.link(), value)
                case "job": .link(.job(field.value, tenant: tenant), value)
                case "worker": .link(.worker(field.value), value)
                case "shard": ShardLink.html(field.value, visit)
                case "action": .link(Link("/action", [("id", field.value)]), value)
                default: value
                }
            return "<span><span class=\"hint\">\(Name.visible(String(field.name.prefix(64))))</span> \(shown)</span>"
        }
        return things.isEmpty ? "–" : "<span class=\"about-things\">\(things)</span>"
    }

    private var empty: Empty {
        if !found.nextCursor.isEmpty {
            return Empty("None among those that were looked at", next: "There are older ones: go on to the next page.")
        }
        guard filter.isEmpty else {
            return Empty("No entry is like that", next: .link(Link(AuditLogPage.path), "Show all entries"))
        }
        return Empty("Nothing is written down yet", next: "Calls of the roles operate and admin come here, and refusals.")
    }

    var pager: HTML {
        let cursor = visit.query["cursor"]
        let next = found.nextCursor.isEmpty ? nil : filter.link(cursor: found.nextCursor)
        let count = Quantity.of(found.entries.count, "entry", "entries")
        let reached = found.reachedMs.map { ", looked back until " + When(Timestamp($0), now: visit.now).relative } ?? ""
        guard cursor != nil || next != nil || !found.entries.isEmpty else { return .empty }
        return Pager(first: cursor == nil ? nil : filter.link(), next: next, shown: count + (next == nil ? "" : reached)).html
    }

    /// What is not shown.
    var notes: HTML {
        let lines = Quantity.of(found.unreadableLines, "line that cannot be read was", "lines that cannot be read were")
        let broken: HTML = .when(found.unreadableLines > 0, .hint("\(lines) left out."))
        let packed: HTML = .when(
            found.nextCursor.isEmpty && found.packedFiles > 0,
            .hint("\(Quantity.of(found.packedFiles, "older file is", "older files are")) compressed and not looked at."))
        let closed: HTML = .when(
            found.closedFiles > 0, .hint("\(Quantity.of(found.closedFiles, "older file")) cannot be opened by the server."))
        let left = found.entries.flatMap(\.fields).filter { $0.name == "left_out" }.reduce(0) { $0 &+ (UInt64($1.value) ?? 0) }
        let refusals = Quantity.of(left, "refusal more was", "refusals more were")
        let kept: HTML = .when(left > 0, .hint("\(refusals) not written: at most ten a second are."))
        return "\(kept)\(broken)\(packed)\(closed)"
    }
}
