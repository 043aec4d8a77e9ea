import SiloAPI

/// The tenants with most to do, found by name among as many as there are.
enum TenantsPage {
    private static let rowsMax: UInt32 = 50

    static let page = Page("/tenants", menu: "Tenants", needs: SiloV1.Silo.listTenants) { visit in
        let order = Sort(rawValue: visit.query["sort"] ?? "") ?? .backlog
        let wanted = visit.query["name"] ?? ""
        var request = SiloV1.ListTenantsRequest()
        request.order = order.message
        request.nameContains = wanted
        request.limit = rowsMax
        if let after = visit.query["after"], let value = visit.query["value"].flatMap({ Int64($0) }) {
            var place = SiloV1.TenantPlace()
            place.tenant = after
            place.value = value
            request.after = place
        }
        let found = try await visit.call(SiloV1.Silo.listTenants, request)
        let filter = FilterBar.byName("/tenants", wanted, "Name contains", keeping: [("sort", visit.query["sort"])])
        let shown = Quantity.of(found.tenants.count, "tenant") + " of " + Quantity.count(found.matching)
        let pager = Pager(
            first: request.after == nil ? nil : link(order, wanted), next: next(found, order, wanted), shown: shown)
        return Content(
            "Tenants", about: "Those with jobs to do, and those that had some lately. Rates are over the last minute.",
            """
            \(filter.html)\(MissingShards(found.missingShards).html)\
            <section class="card">\(table(found.tenants, order, wanted, visit))\
            \(HTML.when(!found.tenants.isEmpty, pager.html))</section>
            """)
    }

    enum Sort: String {
        case backlog, rate, failures
        var message: SiloV1.ListTenantsRequest.Order {
            switch self {
            case .backlog: .backlog
            case .rate: .rate
            case .failures: .failures
            }
        }
    }

    private static func link(_ sort: Sort, _ wanted: String, after: SiloV1.TenantInfo? = nil) -> Link {
        Link("/tenants", [
            ("sort", sort == .backlog ? nil : sort.rawValue), ("name", wanted), ("value", after.map { String($0.orderValue) }),
            ("after", after?.tenant),
        ])
    }

    private static func next(_ found: SiloV1.ListTenantsResponse, _ sort: Sort, _ wanted: String) -> Link? {
        found.isLast ? nil : found.tenants.last.map { link(sort, wanted, after: $0) }
    }

    private static func table(_ tenants: [SiloV1.TenantInfo], _ sort: Sort, _ wanted: String, _ visit: Visit) -> HTML {
        let rows = tenants.map { tenant -> [HTML] in
            let counts = [
                tenant.ready, tenant.waiting, tenant.running, tenant.scheduled, tenant.endedInMinute, tenant.failedInMinute,
                tenant.failed,
            ]
            let name: HTML = "<a href=\"\(Link.tenant(tenant.tenant))\">\(Name(tenant.tenant).html)</a>"
            return counts.reduce(into: [name]) { cells, count in cells.append("\(Quantity.count(count))") }
        }
        func column(_ title: String, _ by: Sort? = nil) -> Table.Column {
            Table.Column(title, number: true, sort: by.map { link($0, wanted) }, isSorted: by == sort)
        }
        let table = Table(
            caption: "Tenants",
            columns: [
                .init("Tenant"), column("Ready", .backlog), column("At limits"), column("Running"), column("Scheduled"),
                column("Ended in a minute", .rate), column("Failed in a minute"), column("Failed, kept", .failures),
            ], rows: rows, empty: empty(wanted, isFirst: visit.query["after"] == nil))
        return table.html
    }

    private static func empty(_ wanted: String, isFirst: Bool) -> Empty {
        guard isFirst else { return Empty("No more tenants") }
        guard !wanted.isEmpty else {
            let next: HTML = "Tenants come with their first job; see <code>siloctl enqueue --help</code>."
            return Empty("No tenant has jobs", next: next)
        }
        let next: HTML = """
            Names are compared letter by letter, and only those with jobs to do, or that had some lately, are looked through. \
            <a href="\(Link.tenant(wanted))">Go to the tenant that is called just so</a>.
            """
        return Empty("No tenant that is busy is called so", next: next)
    }
}
