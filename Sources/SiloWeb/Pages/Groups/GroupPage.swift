import SiloAPI
import SiloCore

/// One task group: its numbers, how long its jobs run, and who works on it.
enum GroupPage {
    static let page = Page("/group", needs: SiloV1.Silo.getNodeInfo) { visit in
        let name = try visit.query.subject("name", "task group", in: "/groups")
        let state = visit.site.history.snapshot
        let known = state.now.groups.first { $0.name.hasSameBytes(as: name) && !$0.isRest }
        let figures = GroupFigures(known ?? Figures.Group(name), state)
        let pauses = try await Pauses(visit, try await Homes(visit))
        let pause = pauses.group(name)
        let workers = try await workers(name, visit)
        return Content(
            "Task group \(Name.visible(String(name.prefix(100))))", about: pause?.badge(visit) ?? .empty,
            actions: actions(name, isPaused: pause != nil, visit), live: GroupsPage.topic,
            """
            \(pauses.missing.html)\(known.map { _ in tiles(figures) } ?? unknown(state.now, name))\
            <section class="split"><div class="card"><h2>Run time</h2>\(runTimes(figures.group, state.now.groupBounds))</div>\
            <div class="card"><h2>Workers</h2>\(workers)</div></section>
            """)
    }

    private static func unknown(_ now: Figures, _ name: String) -> HTML {
        guard now.groups.contains(where: \.isRest) else {
            return """
                <p class="finding warn"><span class="dot" aria-hidden="true"></span><b>Nothing is known of it.</b> No job of \
                this task group waits or runs on this server, and none has since it was started.</p>
                """
        }
        return """
            <p class="finding warn"><span class="dot" aria-hidden="true"></span><b>It is not counted by itself.</b> There are \
            more task groups than are, and it is among <a href="\(Link("/groups"))">all others</a>, if it has jobs at all: \
            <a href="\(Link.jobs(group: name))">look for its jobs</a>.</p>
            """
    }

    private static func actions(_ name: String, isPaused: Bool, _ visit: Visit) -> HTML {
        let jobs = Link.jobs(group: name)
        let pause =
            isPaused
            ? PauseActions.resume.button("Resume…", [("group", name)], from: visit)
            : PauseActions.pause.button("Pause…", [("group", name)], from: visit)
        return "<a class=\"button\" href=\"\(jobs)\">Its jobs</a>\(pause)"
    }

    private static func tiles(_ figures: GroupFigures) -> HTML {
        func tile(_ title: HTML, _ part: GroupFigures.Part, _ hint: HTML) -> HTML {
            """
            <div class="tile"><h2>\(title)</h2><p class="value">\(figures.html(part))</p><p class="hint">\(hint)</p></div>
            """
        }
        return """
            <section class="tiles" aria-label="Now">\(tile("Ready", .ready, "waits for a worker"))\
            \(tile("At limits", .limits, "waits for a slot or a rate"))\(tile("Running", .running, "a worker has them"))\
            \(tile("Scheduled", .scheduled, "later, or before a retry"))\(tile("Oldest wait", .oldest, "of a job that is ready"))\
            \(tile("Started", .started, "over a minute"))\(tile("Ended", .ended, "over a minute"))\
            \(tile("Empty", .empty, "at the rate of this minute"))</section>
            """
    }

    /// How many attempts ran for how long, since the server was started.
    private static func runTimes(_ group: Figures.Group, _ bounds: [Int64]) -> HTML {
        let counts = group.runTime
        guard let first = counts.firstIndex(where: { $0 > 0 }), let last = counts.lastIndex(where: { $0 > 0 }) else {
            return Empty("No attempt has ended", next: "They are counted from the start of the server.").html
        }
        let most = Double(counts.max() ?? 1)
        let total = counts.reduce(0, +)
        func label(_ index: Int) -> String {
            index < bounds.count
                ? "≤ " + Quantity.duration(milliseconds: Double(bounds[index]))
                : "> " + Quantity.duration(milliseconds: Double(bounds.last ?? 0))
        }
        let bars = (first...last).map { index -> HTML in
            let share = Quantity.short(Double(counts[index]) * 100 / Double(total)) + " %"
            return """
                <li><span>\(label(index))</span>\(Gauge(Double(counts[index]), of: most).html)\
                <span>\(Quantity.count(counts[index]))</span><span class="hint">\(share)</span></li>
                """
        }
        let latencies = Latencies(from: [], to: counts)
        let quantiles = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)].map { name, share -> HTML in
            let value = latencies.quantile(share, bounds).map { Quantity.duration(milliseconds: $0) } ?? "–"
            return "<div><dt>\(name)</dt><dd>\(value)</dd></div>"
        }
        return """
            <dl class="quantiles">\(quantiles)</dl><ul class="histogram" aria-label="Attempts by run time">\(bars)</ul>\
            <p class="hint">\(Quantity.of(total, "attempt")) since the server was started.</p>
            """
    }

    private static func workers(_ group: String, _ visit: Visit) async throws -> HTML {
        guard visit.may(SiloV1.Silo.listWorkers) else { return "<p class=\"hint\">Your token may not see workers.</p>" }
        var request = SiloV1.ListWorkersRequest()
        request.taskGroup = group
        request.limit = 20
        let found = try await visit.call(SiloV1.Silo.listWorkers, request)
        let table = WorkersPage.table(found.workers, visit, of: group)
        let rest: HTML = .when(
            !found.isLast,
            "<p class=\"hint\"><a href=\"\(Link("/workers", [("group", group)]))\">All \(Quantity.count(found.matching))</a></p>")
        return table.html + rest
    }
}
