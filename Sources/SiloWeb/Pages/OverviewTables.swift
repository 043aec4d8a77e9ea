/// The task groups with most to do, and the shards.
struct OverviewTables {
    private static let rowsMax = 10
    private let now: Figures

    init(_ now: Figures) { self.now = now }

    var groups: HTML {
        let sorted = now.groups.sorted { ($0.backlog, $0.jobs.running, $1.name) > ($1.backlog, $1.jobs.running, $0.name) }
        let rows = sorted.prefix(Self.rowsMax).map { group -> [HTML] in
            [
                Self.name(group), "\(Quantity.count(group.jobs.ready))", "\(Quantity.count(group.jobs.waiting))",
                "\(Quantity.count(group.jobs.running))", "\(Quantity.count(group.jobs.scheduled))",
                "\(group.oldestReadyMilliseconds.map { Quantity.duration(milliseconds: Double($0)) } ?? "–")",
            ]
        }
        let columns: [Table.Column] = [
            .init("Group"), .init("Ready", number: true), .init("At limits", number: true), .init("Running", number: true),
            .init("Scheduled", number: true), .init("Oldest wait", number: true),
        ]
        let next: HTML = "Enqueue one: <code>siloctl enqueue emails '{&quot;to&quot;: &quot;you&quot;}'</code>"
        let table = Table(
            caption: "Task groups by backlog", columns: columns, rows: rows, empty: Empty("No jobs wait or run", next: next))
        return "\(table.html)\(Self.rest(sorted.count, "task group"))"
    }

    var shards: HTML {
        let rows = now.shards.prefix(Self.rowsMax).map { shard -> [HTML] in
            let (kind, state): (HTML, HTML) = shard.trouble == nil ? ("good", "serves") : ("bad", "does not serve")
            return [
                .link(.shard(shard.id), "<code>\(String(shard.id.prefix(8)))</code>"),
                "<span class=\"badge \(kind)\">\(state)</span>",
                "\(Quantity.count(shard.jobs))", "\(Quantity.count(shard.finished))",
                "\(Quantity.count(shard.leases))",
            ]
        }
        let columns: [Table.Column] = [
            .init("Shard"), .init("State"), .init("Jobs", number: true), .init("Of them finished", number: true),
            .init("Leases", number: true),
        ]
        let table = Table(
            caption: "Shards of this server", columns: columns, rows: rows, empty: Empty("The shards are being opened"))
        return "\(table.html)\(Self.rest(now.shards.count, "shard"))"
    }

    private static func name(_ group: Figures.Group) -> HTML {
        let isWhole = group.paused == group.jobs.ready
        let badge: HTML = .when(
            group.paused > 0,
            " <span class=\"badge warn\">\(HTML.when(!isWhole, "\(Quantity.count(group.paused)) "))paused</span>")
        return group.isRest ? "<i>all others</i>\(badge)" : "\(HTML.link(.group(group.name), Name(group.name).html))\(badge)"
    }

    private static func rest(_ count: Int, _ what: String) -> HTML {
        count > rowsMax ? "<p class=\"hint\">\(Quantity.count(rowsMax)) of \(Quantity.of(count, what))</p>" : .empty
    }
}

extension Figures.Group {
    var backlog: Int64 { jobs.ready + jobs.waiting }
}
