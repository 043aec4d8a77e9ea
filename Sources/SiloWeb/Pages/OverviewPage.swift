import SiloAPI

/// Whether the server is well, what it does, and what waits: the page that stays open.
enum OverviewPage {
    static let page = Page("/", menu: "Overview", needs: SiloV1.Silo.getNodeInfo) { visit in
        let span = Span(rawValue: visit.query["span"] ?? "") ?? .minutes
        let regions = regions(visit.site.history.snapshot, span)
        func part(_ id: String) -> HTML { regions.first { $0.id == id }?.content ?? .empty }
        func chart(_ id: String) -> HTML { "<figure class=\"chart card\" id=\"\(id)\">\(part(id))</figure>" }
        let tabs = Span.allCases.map { other -> HTML in
            let mark: HTML = .when(other == span, " aria-current=\"true\"")
            return "<a href=\"\(Link("/", [("span", other == .minutes ? nil : other.rawValue)]))\"\(mark)>\(other.title)</a>"
        }
        return Content(
            "Overview", live: span.topic,
            """
            <section id="health" class="health" aria-label="Health">\(part("health"))</section>\
            <section id="rates" class="tiles" aria-label="Now">\(part("rates"))</section>\
            <section id="waits" class="tiles" aria-label="Waiting">\(part("waits"))</section>\
            <div class="section-head"><h2>History</h2><nav class="tabs" aria-label="Span">\(tabs)</nav></div>\
            <section class="charts" aria-label="History">\(chart("jobs-chart"))\(chart("backlog-chart"))\(chart("start-chart"))\
            \(chart("run-chart"))</section>\
            <section class="split"><div class="card"><h2>Task groups</h2><div id="groups">\(part("groups"))</div></div>\
            <div class="card"><h2>Shards</h2><div id="shards">\(part("shards"))</div></div></section>
            """)
    }

    static let topics = Span.allCases.map(\.topic)

    /// How far back the charts go.
    enum Span: String, CaseIterable {
        case minutes = "15m"
        case day = "24h"

        var title: String { self == .minutes ? "15 minutes" : "24 hours" }
        var begin: String { self == .minutes ? "15 min ago" : "24 h ago" }

        func timeline(_ state: History.State) -> Timeline { self == .minutes ? state.minutes : state.day }

        var topic: LiveTopic {
            LiveTopic("overview-\(rawValue)", needs: SiloV1.Silo.getNodeInfo) { regions($0.history.snapshot, self) }
        }
    }

    static func regions(_ state: History.State, _ span: Span) -> [LiveTopic.Region] {
        let tiles = OverviewTiles(state)
        let tables = OverviewTables(state.now)
        return [
            .init("health", OverviewHealth(state.now).html), .init("rates", tiles.rates), .init("waits", tiles.waits),
            .init("groups", tables.groups), .init("shards", tables.shards),
        ] + OverviewCharts(state, span).all.map(\.region)
    }
}
