import SiloAPI
import SiloCore

/// The limits in use: what is held of each, what waits, and how often it said no.
enum LimitsPage {
    private static let rowsMax: UInt32 = 50

    static let page = Page("/limits", menu: "Limits", needs: SiloV1.Silo.listLimits) { visit in
        let sort = Sort(rawValue: visit.query["sort"] ?? "") ?? .waiting
        let filter = Filter(visit, sort)
        var request = SiloV1.ListLimitsRequest()
        request.order = sort.message
        request.tenant = filter.tenant
        request.keyContains = filter.wanted
        request.limit = rowsMax
        request.oldestWaits = true
        if let key = visit.query["after"], let value = visit.query["value"].flatMap({ Int64($0) }) {
            var place = SiloV1.LimitPlace()
            place.key = key
            place.tenant = visit.query["of"] ?? ""
            place.value = value
            request.after = place
        }
        let found = try await visit.call(SiloV1.Silo.listLimits, request)
        let next = found.isLast ? nil : found.limits.last.map { filter.link(sort, after: $0) }
        let pager = Pager(
            first: request.after == nil ? nil : filter.link(sort), next: next,
            shown: Quantity.of(found.limits.count, "limit") + " of " + Quantity.count(found.matching))
        return Content(
            "Limits",
            about: "Those that jobs have used lately on this server, or wait for. Refusals: how often a job found no room.",
            """
            \(filter.form)\(MissingShards(found.missingShards).html)\
            <section class="card">\(table(found.limits, visit, sort: sort, filter).html)\
            \(HTML.when(!found.limits.isEmpty, pager.html))</section>
            """)
    }

    enum Sort: String {
        case held, waiting, refusals
        var message: SiloV1.ListLimitsRequest.Order {
            switch self {
            case .held: .held
            case .waiting: .waiting
            case .refusals: .refusals
            }
        }
    }

    /// What of the list is shown.
    struct Filter {
        let tenant: String?
        let wanted: String
        private let sort: Sort

        init(_ visit: Visit, _ sort: Sort) {
            tenant = visit.query["tenant"]
            wanted = visit.query["name"] ?? ""
            self.sort = sort
        }

        func link(_ sort: Sort, after: SiloV1.LimitInfo? = nil) -> Link {
            Link("/limits", fields(sort) + [
                ("name", wanted), ("value", after.map { String($0.orderValue) }), ("of", after?.tenant), ("after", after?.key),
            ])
        }

        private func fields(_ sort: Sort) -> [(String, String?)] {
            [("sort", sort == .waiting ? nil : sort.rawValue), ("tenant", tenant)]
        }

        var form: HTML {
            let whose: HTML = tenant.map { tenant in
                """
                <p class="hint">Of tenant \(Name(tenant).html). \
                <a href="\(Link("/limits", [("name", wanted)]))">Of all tenants</a></p>
                """
            } ?? .empty
            return FilterBar.byName("/limits", wanted, "Key contains", keeping: fields(sort)).html + whose
        }
    }

    static func table(
        _ limits: [SiloV1.LimitInfo], _ visit: Visit, ofOneTenant: Bool = false, sort: Sort? = nil, _ filter: Filter? = nil
    ) -> Table {
        func column(_ title: String, _ by: Sort) -> Table.Column {
            .init(title, number: true, sort: filter?.link(by), isSorted: by == sort)
        }
        let hasTenants = !ofOneTenant && limits.contains { $0.tenant.asTenant != nil }
        let rows = limits.map { limit -> [HTML] in
            let link = Link.limit(limit.key, tenant: limit.tenant.asTenant)
            let paused: HTML = .when(limit.isPaused, " <span class=\"badge warn\">paused</span>")
            let kind: HTML = "<div class=\"below\">\(limit.kindName)</div>"
            var cells: [HTML] = ["<a href=\"\(link)\">\(Name(limit.key).html)</a>\(paused)\(kind)"]
            if hasTenants { cells.append("<a href=\"\(Link.tenant(limit.tenant))\">\(Name(limit.tenant).html)</a>") }
            let room = limit.nextRoomMs.map { When(Timestamp($0), now: visit.now).html }
            let first = limit.firstSinceMs.map { When(Timestamp($0), now: visit.now).html }
            let since: HTML = first.map { "<div class=\"below\">since \($0)</div>" } ?? .empty
            cells += [use(limit), "\(Quantity.count(limit.waiting))\(since)", "\(Quantity.count(limit.refusals))", room ?? "–"]
            return cells
        }
        let isFiltered = !(filter?.wanted.isEmpty ?? true)
        let next: HTML = """
            Jobs bring them: <code>siloctl enqueue … --limit emails=5</code>. Those that were not used since the server started \
            are in <a href="\(Link("/sql"))">SQL</a>: <code>SELECT * FROM limits</code>.
            """
        var columns: [Table.Column] = [.init("Key")]
        if hasTenants { columns.append(.init("Tenant")) }
        columns += [
            column("Held", .held), column("Waiting", .waiting), column("Refusals", .refusals), .init("Room"),
        ]
        return Table(
            caption: "Limits", columns: columns, rows: rows,
            empty: isFiltered ? Empty("No limit in use is called so") : Empty("No limit was used lately", next: next))
    }

    private static func use(_ limit: SiloV1.LimitInfo) -> HTML {
        guard let maximum = limit.maximum else { return "\(Quantity.count(limit.held))" }
        let gauge = Gauge(Double(limit.held), of: Double(maximum)).html
        return "\(gauge) \(Quantity.count(limit.held)) of \(Quantity.count(maximum))"
    }
}

extension SiloV1.LimitInfo {
    var kindName: HTML {
        switch kind {
        case .floating: "floating"
        case .rate: "rate\(HTML.when(isLeaky, ", even")), \(Quantity.duration(milliseconds: Double(windowMs)))"
        default: "concurrency"
        }
    }
}
