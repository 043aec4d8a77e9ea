import SiloAPI

/// The task groups: how much waits in each, how fast it goes, and when it will be empty.
enum GroupsPage {
    static let page = Page("/groups", menu: "Task groups", needs: SiloV1.Silo.getNodeInfo) { visit in
        let state = visit.site.history.snapshot
        let pauses = try await Pauses(visit, try await Homes(visit))
        let sort = Sort(rawValue: visit.query["sort"] ?? "") ?? .backlog
        let wanted = visit.query["name"] ?? ""
        let meant = state.now.groups.filter { wanted.isEmpty || $0.name.contains(wanted) }
        let groups = meant.map { GroupFigures($0, state) }.sorted { sort.comes($0.group, before: $1.group, state) }
        let filter = FilterBar.byName("/groups", wanted, "Name contains", keeping: [("sort", visit.query["sort"])])
        return Content(
            "Task groups", about: about(state, pauses, visit), live: topic,
            """
            \(filter.html)\(pauses.missing.html)\
            <section class="card" id="groups" data-follows="\(countID)" data-at="\(count(state))">\
            \(list(groups, sort, pauses, visit))\(others(groups))</section>
            """)
    }

    /// Each number by itself, so that choosing rows is not disturbed. The list is loaded anew when there are more groups, or
    /// fewer.
    static let topic = LiveTopic("groups", needs: SiloV1.Silo.getNodeInfo) { site in
        let state = site.history.snapshot
        return [.init(countID, count(state))] + state.now.groups.flatMap { GroupFigures($0, state).regions }
    }

    private static let countID = "groups-count"
    private static func count(_ state: History.State) -> HTML { "\(Quantity.of(state.now.groups.count, "task group"))" }

    enum Sort: String, CaseIterable {
        case backlog, rate, running, oldest, name

        func comes(_ left: Figures.Group, before right: Figures.Group, _ state: History.State) -> Bool {
            let (first, second) = (value(left, state), value(right, state))
            return first != second ? first > second : left.name < right.name
        }

        private func value(_ group: Figures.Group, _ state: History.State) -> Double {
            switch self {
            case .backlog: Double(group.backlog)
            case .rate: state.groups.pace(of: group)?.startedPerSecond ?? 0
            case .running: Double(group.jobs.running)
            case .oldest: Double(group.oldestReadyMilliseconds ?? -1)
            case .name: 0
            }
        }
    }

    private static func about(_ state: History.State, _ pauses: Pauses, _ visit: Visit) -> HTML {
        let paused = state.now.groups.count { pauses.group($0.name) != nil }
        let text: HTML = .when(paused > 0, ", \(Quantity.of(paused, "is", "are")) paused")
        return "<span id=\"\(countID)\">\(count(state))</span>\(text). Rates are over the last minute."
    }

    private static func others(_ groups: [GroupFigures]) -> HTML {
        .when(
            groups.contains { $0.group.isRest },
            .hint("There are more task groups than are counted by themselves: the search finds any that has jobs."))
    }

    private static func list(_ groups: [GroupFigures], _ sort: Sort, _ pauses: Pauses, _ visit: Visit) -> HTML {
        let maySelect = visit.may(PauseActions.pause.needs) && !groups.isEmpty
        let rows = groups.map { figures -> [HTML] in
            let name = figures.group.name
            let numbers = GroupFigures.Part.allCases.map(figures.html)
            guard !figures.group.isRest else { return ["<i>all others</i>"] + numbers }
            let label = Name.visible(name)
            let pick: HTML = .when(
                maySelect, "<input type=\"checkbox\" name=\"group\" value=\"\(name)\" aria-label=\"Choose \(label)\"> ")
            let badge: HTML = pauses.group(name) == nil ? .empty : " <span class=\"badge warn\">paused</span>"
            return ["\(pick)<a href=\"\(Link.group(name))\">\(Name(name).html)</a>\(badge)"] + numbers
        }
        func column(_ title: String, _ by: Sort?) -> Table.Column {
            let link = by.map { Link("/groups", [("sort", $0 == .backlog ? nil : $0.rawValue), ("name", visit.query["name"])]) }
            return Table.Column(title, number: by != .name, sort: link, isSorted: by == sort && by != .name)
        }
        let next: HTML = "Enqueue one: <code>siloctl enqueue emails '{&quot;to&quot;: &quot;you&quot;}'</code>"
        let table = Table(
            caption: "Task groups",
            columns: [
                column("Group", .name), column("Ready", .backlog), column("At limits", nil), column("Running", .running),
                column("Scheduled", nil), column("Oldest wait", .oldest), column("Started", .rate), column("Ended", nil),
                column("Empty", nil),
            ], rows: rows,
            empty: visit.query["name"] == nil ? Empty("No task group has jobs", next: next) : Empty("No task group is called so"))
        guard maySelect else { return table.html }
        return """
            <form action="\(Link(PauseActions.pause.path))"><input type="hidden" name="back" value="\(visit.here)">\(table.html)\
            <div class="buttons picked"><span class="hint">Those chosen:</span><button class="button">Pause…</button>\
            <button class="button" formaction="\(Link(PauseActions.resume.path))">Resume…</button></div></form>
            """
    }
}
