import SiloAPI
import SiloCore

/// One tenant: its jobs by task group, its limits, what failed last, and what can be done about it.
enum TenantPage {
    static let page = Page("/tenant", needs: SiloV1.Silo.listTenants) { visit in
        let name = try visit.query.subject("name", "tenant", in: "/tenants")
        let tenant = name.asTenant
        let shard = try await Homes(visit).shard(of: tenant)
        let pauses = try await Pauses(visit, shard: shard)
        let groups = try await groups(name, shard, visit)
        let limits = try await limits(name, visit)
        let failures = try await failures(name, shard, visit)
        let pause = pauses.tenant(tenant)
        let place: HTML = "On shard <a href=\"\(Link.shard(shard))\"><code>\(String(shard.prefix(8)))</code></a>"
        return Content(
            "Tenant \(Name.visible(String(name.prefix(100))))", about: "\(place) \(pause.map { $0.badge(visit) })",
            actions: actions(tenant, isPaused: pause != nil, visit),
            """
            \(tiles(groups))\
            <section class="card"><h2>Task groups</h2>\(table(groups, tenant, pauses, visit))</section>\
            <section class="split"><div class="card"><h2>Limits</h2>\(limits)</div>\
            <div class="card"><h2>Failed last</h2>\(failures)</div></section>
            """)
    }

    /// The tenant's jobs in one task group, by status.
    private struct GroupCounts {
        let group: String
        var waiting: Int64 = 0
        var scheduled: Int64 = 0
        var running: Int64 = 0
        var succeeded: Int64 = 0
        var failed: Int64 = 0
        var cancelled: Int64 = 0

        mutating func count(_ status: String, _ count: Int64) {
            switch status {
            case "Waiting": waiting += count
            case "Scheduled": scheduled += count
            case "Running": running += count
            case "Succeeded": succeeded += count
            case "Failed": failed += count
            default: cancelled += count
            }
        }

        var all: [Int64] { [waiting, running, scheduled, succeeded, failed, cancelled] }
    }

    /// From the shard's own counts. Who may not ask in SQL sees them summed, as far as memory has them.
    private static func groups(_ name: String, _ shard: String, _ visit: Visit) async throws -> [GroupCounts] {
        guard visit.mayQuery(name.asTenant) else { return [] }
        let rows = try await visit.rows(
            "SELECT task_group, status_kind, COUNT(*) AS n FROM jobs WHERE tenant = $1 GROUP BY task_group, status_kind",
            [.stringValue(name)], shard: shard, tenant: name.asTenant)
        var groups: [ExactText: GroupCounts] = [:]
        for row in rows {
            let group = row.text("task_group")
            groups[ExactText(group), default: GroupCounts(group: group)].count(row.text("status_kind"), row.int("n") ?? 0)
        }
        return groups.values.sorted { ($0.waiting, $1.group) > ($1.waiting, $0.group) }
    }

    private static let titles = ["Waiting", "Running", "Scheduled", "Succeeded", "Failed", "Cancelled"]

    private static func tiles(_ groups: [GroupCounts]) -> HTML {
        let hints: [HTML] = [
            "ready, or at a limit", "a worker has them", "later, or before a retry", "kept", "kept", "kept",
        ]
        let sums = titles.indices.map { index in groups.reduce(0) { $0 + $1.all[index] } }
        let tiles = zip(titles, zip(sums, hints)).map { title, value -> HTML in
            let bad: HTML = .when(title == "Failed" && value.0 > 0, " bad")
            return """
                <div class="tile\(bad)"><h2>\(title)</h2><p class="value">\(Quantity.count(value.0))</p>\
                <p class="hint">\(value.1)</p></div>
                """
        }
        return "<section class=\"tiles\" aria-label=\"Jobs\">\(tiles)</section>"
    }

    private static let groupsMax = 100

    private static func table(_ groups: [GroupCounts], _ tenant: String?, _ pauses: Pauses, _ visit: Visit) -> HTML {
        let rows = groups.prefix(groupsMax).map { counts -> [HTML] in
            let isPaused = pauses.group(counts.group, of: tenant) != nil
            let badge: HTML = .when(isPaused, " <span class=\"badge warn\">paused</span>")
            let fields: [(String, String?)] = [("group", counts.group), ("tenant", tenant)]
            let action = (isPaused ? PauseActions.resume : PauseActions.pause).button(
                isPaused ? "Resume…" : "Pause…", fields, from: visit)
            var cells: [HTML] = ["<a href=\"\(Link.group(counts.group))\">\(Name(counts.group).html)</a>\(badge)"]
            for count in counts.all { cells.append("\(Quantity.count(count))") }
            let jobs: HTML = "<a href=\"\(Link.jobs(group: counts.group, tenant: tenant))\">Jobs</a>"
            cells.append("\(jobs) \(HTML.when(tenant != nil, action))")
            return cells
        }
        let next: HTML = "It was never enqueued for, or all of it was deleted since."
        var columns: [Table.Column] = [.init("Group")]
        for title in titles { columns.append(.init(title, number: true)) }
        columns.append(.init("Do"))
        let table = Table(
            caption: "Jobs by task group", columns: columns, rows: rows,
            empty: Empty("This tenant has no jobs", next: next))
        let rest: HTML = .when(
            groups.count > groupsMax,
            "<p class=\"hint\">\(groupsMax) of \(Quantity.count(groups.count)) task groups, those with most waiting.</p>")
        return table.html + rest
    }

    private static func limits(_ name: String, _ visit: Visit) async throws -> HTML {
        guard visit.may(SiloV1.Silo.listLimits), visit.caller.groups == nil else {
            return "<p class=\"hint\">Your token may not see limits.</p>"
        }
        var request = SiloV1.ListLimitsRequest()
        request.tenant = name
        request.limit = 10
        request.order = .waiting
        request.oldestWaits = true
        let found = try await visit.call(SiloV1.Silo.listLimits, request)
        let table = LimitsPage.table(found.limits, visit, ofOneTenant: true)
        let rest: HTML = .when(
            !found.isLast,
            "<p class=\"hint\"><a href=\"\(Link("/limits", [("tenant", name)]))\">All \(Quantity.count(found.matching))</a></p>")
        return table.html + rest
    }

    private static func failures(_ name: String, _ shard: String, _ visit: Visit) async throws -> HTML {
        guard visit.mayQuery(name.asTenant) else { return "<p class=\"hint\">Your token may not ask in SQL.</p>" }
        let rows = try await visit.rows(
            """
            SELECT id, task_group, status_changed_at_ms FROM jobs WHERE tenant = $1 AND status_kind = 'Failed' \
            ORDER BY status_changed_at_ms DESC LIMIT 10
            """, [.stringValue(name)], shard: shard, tenant: name.asTenant)
        let table = Table(
            caption: "Jobs that failed last", columns: [.init("Job"), .init("Group"), .init("When")],
            rows: rows.map { row -> [HTML] in
                let link = Link.job(row.text("id"), tenant: name.asTenant)
                return [
                    "<a href=\"\(link)\">\(Name(row.text("id")).html)</a>", Name(row.text("task_group")).html,
                    row.int("status_changed_at_ms").map { When(Timestamp($0), now: visit.now).html } ?? .empty,
                ]
            }, empty: Empty("No failed job is kept"))
        return table.html
    }

    private static func actions(_ tenant: String?, isPaused: Bool, _ visit: Visit) -> HTML {
        let fields: [(String, String?)] = [("tenant", tenant), ("whole", "yes")]
        let pause = (isPaused ? PauseActions.resume : PauseActions.pause).button(
            isPaused ? "Resume…" : "Pause…", fields, from: visit)
        let drop = TenantActions.dropHolders.button("Drop holders…", [("tenant", tenant ?? "-")], from: visit)
        let delete: HTML = tenant == nil
            ? .empty : TenantActions.dropTenant.button("Delete the tenant…", [("tenant", tenant)], from: visit)
        return "<a class=\"button\" href=\"\(Link.jobs(tenant: tenant))\">Its jobs</a>\(pause)\(drop)\(delete)"
    }
}
