import SiloAPI
import SiloCore

/// Actions that go on in the background, and the last that ended.
enum BulkPages {
    /// A way there.
    static func way(_ visit: Visit) -> HTML {
        guard visit.may(list.needs) else { return .empty }
        return "<a class=\"button quiet\" href=\"\(Link(list.path))\">Actions in the background</a>"
    }

    static let list = Page("/actions", needs: SiloV1.Silo.listBulkActions) { visit in
        let response = try await visit.call(SiloV1.Silo.listBulkActions, .init())
        let rows = response.actions.map { action -> [HTML] in
            [
                "<a href=\"\(Link("/action", [("id", action.id)]))\">\(BulkParts.verb(action.kind)) jobs</a>",
                BulkParts.badge(action.state), "<code>\(Name.visible(String(action.condition.prefix(200))))</code>",
                "\(Quantity.count(action.done))", "\(Quantity.count(action.refused))",
                When(Timestamp(action.startedAtMs), now: visit.now).html, Name(action.startedBy).html,
            ]
        }
        let columns: [Table.Column] = [
            .init("Action"), .init("State"), .init("Condition"), .init("Done", number: true), .init("Refused", number: true),
            .init("Started", number: true), .init("By"),
        ]
        let empty = Empty(
            "Nothing is done in the background",
            next: "Choose all jobs that match a filter, <a href=\"\(Link("/jobs"))\">among the jobs</a>.")
        let table = Table(caption: "Actions, the newest first", columns: columns, rows: rows, empty: empty)
        return Content(
            "Actions", about: "What is done to many jobs in the background",
            "<section class=\"card\">\(MissingShards(response.missingShards).html)\(table.html)</section>")
    }

    static let one = Page("/action", needs: SiloV1.Silo.getBulkAction) { visit in
        var request = SiloV1.GetBulkActionRequest()
        request.id = try visit.query.subject("id", "action", in: "/actions")
        let action = try await visit.call(SiloV1.Silo.getBulkAction, request).action ?? SiloV1.BulkAction()
        let stop = action.state == .running ? BulkActions.stop.button("Stop", [("id", action.id)], from: visit) : .empty
        let seconds: HTML = .when(action.state == .running, " data-refresh=\"1\"")
        let again: HTML = .when(
            action.state == .running, "<p class=\"hint without-scripts\"><a href=\"\(visit.here)\">Look again</a></p>")
        let condition: HTML = "<code>\(Name.visible(String(action.condition.prefix(1000))))</code>"
        return Content(
            "\(BulkParts.verb(action.kind)) jobs", about: condition, actions: "\(stop)\(way(visit))",
            "<section class=\"card\" id=\"progress\"\(seconds)>\(BulkParts.progress(action, visit))\(again)</section>")
    }
}

enum BulkParts {
    static func verb(_ kind: SiloV1.BulkActionKind) -> String {
        switch kind {
        case .cancel: "Cancel"
        case .restart: "Restart"
        case .expedite: "Expedite"
        case .delete: "Delete"
        default: "Change"
        }
    }

    static func badge(_ state: SiloV1.BulkActionState) -> HTML {
        switch state {
        case .running: "<span class=\"badge accent\">goes on</span>"
        case .done: "<span class=\"badge good\">done</span>"
        case .stopped: "<span class=\"badge warn\">stopped</span>"
        default: "<span class=\"badge bad\">failed</span>"
        }
    }

    /// What a dry run found.
    static func plan(_ plan: SiloV1.BulkPlan) -> HTML {
        let cost = Quantity.duration(milliseconds: Double(plan.elapsedMs))
        guard !plan.isUncounted else {
            guard plan.uncountedBecause.isEmpty else {
                return .hint("How many there are is not known: \(Name.visible(plan.uncountedBecause)).")
            }
            return .hint("To count them takes longer than a statement may: how many there are is not known.")
        }
        let rows = plan.statuses.map { status -> HTML in
            let refusal: HTML = status.refusal.isEmpty ? .empty : ": would be refused, \(Name.visible(status.refusal))"
            return "<li>\(Quantity.count(status.jobs)) \(Name.badge(status: status.statusKind))\(refusal)</li>"
        }
        let sample = plan.sample.prefix(5).map { job -> HTML in "<li>\(Name(job.id).html)</li>" }
        let names: HTML = sample.isEmpty ? .empty : "<p>Among them</p><ul class=\"names\">\(sample)</ul>"
        let price: HTML = .hint("Counted just now, in \(cost), by reading \(Quantity.of(plan.rowsRead, "row")).")
        return "<ul class=\"names\">\(rows)</ul>\(names)\(price)"
    }

    static func condition(_ filter: JobFilterForm, _ condition: String) -> HTML {
        let tenant: HTML = filter.tenant.map { " of tenant \(Name($0).html)" } ?? .empty
        let text = Name.visible(String(condition.prefix(2000)))
        return .hint("Jobs\(tenant) where <code>\(text)</code>. Those that come later are not meant.")
    }

    static func progress(_ action: SiloV1.BulkAction, _ visit: Visit) -> HTML {
        // Jobs that came after they were counted are looked at as well.
        let expected = max(action.expected, action.lookedAt)
        let share = expected == 0 ? 1 : Double(action.lookedAt) / Double(expected)
        let isRunning = action.state == .running
        let end = isRunning ? visit.now.milliseconds : action.endedAtMs
        let seconds = max(0.001, Double(end - action.startedAtMs) / 1000)
        let rate = Double(action.lookedAt) / seconds
        let ahead = expected - action.lookedAt
        let left = rate > 0 ? Double(ahead) / rate * 1000 : 0
        let rest: HTML = .when(isRunning && rate > 0, ", about \(Quantity.duration(milliseconds: left)) left")
        let refusals = action.refusals.map { refusal -> [HTML] in
            let sample = refusal.sample.prefix(5).map { job -> HTML in
                "\(HTML.link(Link.job(job.id, tenant: job.tenant), Name(job.id).html)) "
            }
            return ["\(Name.visible(refusal.reason))", "\(Quantity.count(refusal.jobs))", "\(sample)"]
        }
        let table = Table(
            caption: "Refused jobs by reason", columns: [.init("Refused because"), .init("Jobs", number: true), .init("Such as")],
            rows: refusals, empty: Empty("Nothing was refused"))
        let gauge = Gauge(share, of: 1)
        let looked: HTML = """
            \(Quantity.count(action.lookedAt)) of \(Quantity.count(expected)) looked at, \(Quantity.rate(rate))\(rest)
            """
        let started = When(Timestamp(action.startedAtMs), now: visit.now).html
        let reason = Name.visible(String(action.error.prefix(1000)))
        let error: HTML = .when(!action.error.isEmpty, "<p class=\"final\">\(reason)</p>")
        return """
            \(MissingShards(action.missingShards).html)\
            <p class="why">\(badge(action.state)) <b>\(Quantity.count(action.done))</b> done, \
            <b>\(Quantity.count(action.refused))</b> refused</p>\
            \(gauge.html(looked, isWide: true))\
            \(HTML.hint("Started \(started) by \(Name(action.startedBy).html)."))\(error)\(table.html)
            """
    }
}
