import SiloAPI
import SiloCore

/// The pieces of the page of jobs.
struct JobsParts {
    private let visit: Visit
    private let filter: JobFilterForm
    private let list: SiloV1.ListJobsResponse

    init(_ visit: Visit, _ filter: JobFilterForm, _ list: SiloV1.ListJobsResponse) {
        self.visit = visit
        self.filter = filter
        self.list = list
    }

    var statuses: HTML {
        let all = [nil] + JobFilterForm.statuses.map { Optional($0) }
        let tabs = all.map { status -> HTML in
            let mark: HTML = .when(status == filter.status, " aria-current=\"true\"")
            let link = filter.with {
                $0.status = status
                if status != "Failed" { $0.code = nil }
            }.link()
            return "<a href=\"\(link)\"\(mark)>\(status ?? "All")</a>"
        }
        return "<nav class=\"tabs wide\" aria-label=\"Status\">\(tabs)</nav>"
    }

    var controls: HTML {
        var controls = [
            FilterBar.field("group", "Task group", filter.group), FilterBar.field("tenant", "Tenant", filter.tenant),
        ]
        controls += (filter.labels + [""]).map { FilterBar.field("label", "Label", $0, example: "key=value") }
        controls.append(FilterBar.field("limit", "Limit key", filter.limit))
        if filter.status == "Failed" { controls += FilterBar.code(filter) }
        controls.append(FilterBar.since("Changed in", filter.since))
        controls += FilterBar.times(filter)
        if let status = filter.status { controls.append(FilterBar.hidden("status", status)) }
        return FilterBar(path: "/jobs", controls: controls, clear: filter.isEmpty ? nil : Link("/jobs")).html
    }

    var table: HTML {
        let hasTenants = list.jobs.contains { $0.tenant != nil }
        let maySelect = JobVerb.allCases.contains { $0.isOffered(to: visit) }
        let rows = list.jobs.map { row($0, hasTenants: hasTenants, maySelect: maySelect) }
        var columns: [Table.Column] = [.init("Job")]
        if hasTenants { columns.append(.init("Tenant")) }
        columns += [.init("Group"), .init("Status"), .init("Changed", number: true), .init("Starts", number: true)]
        columns += [.init("Attempt", number: true), .init("Priority", number: true)]
        let table = Table(caption: "Jobs", columns: columns, rows: rows, empty: empty)
        guard maySelect, !rows.isEmpty else { return table.html }
        // Many long ids are too much for an address.
        return """
            <form method="post" class="selection" action="\(Link(JobActions.some.path))">\(table.html)\
            \(FilterBar.hidden(Form.tokenField, visit.questionToken))\(actions)</form>
            """
    }

    private func row(_ job: SiloV1.ListedJob, hasTenants: Bool, maySelect: Bool) -> [HTML] {
        let key = JobKey(shard: job.shard, tenant: job.tenant, id: job.id)
        let label = "Select job " + Name.visible(job.id)
        let box: HTML = .when(
            maySelect, "<input type=\"checkbox\" name=\"job\" value=\"\(key.text)\" aria-label=\"\(label)\"> ")
        let name: HTML = .link(Link.job(job.id, tenant: job.tenant), Name(job.id).html)
        let code: HTML = job.errorCode.isEmpty ? .empty : " \(Name(job.errorCode).html)"
        let start: HTML = job.nextAttemptStartsAfterMs.map { start in
            job.statusKind == "Scheduled" ? When(Timestamp(start), now: visit.now).html : "–"
        } ?? "–"
        let own = filter.with { $0.group = job.taskGroup }.link()
        let group: HTML = "<a class=\"plain\" href=\"\(own)\">\(Name(job.taskGroup).html)</a>"
        return ["<span>\(box)\(name)</span>"] + (hasTenants ? [job.tenant.map { Name($0).html } ?? "–"] : []) + [
            group, "<span>\(Name.badge(status: job.statusKind))\(code)</span>",
            When(Timestamp(job.statusChangedAtMs), now: visit.now).html, start, "\(job.attempt)", "\(job.priority)",
        ]
    }

    private var empty: Empty {
        if !list.nextCursor.isEmpty {
            return Empty(
                "\(Quantity.of(list.lookedAt, "job")) looked at, and none meets the filter",
                next: "There are more to look at: go on to the next page, or name a tenant or a status, which have indexes.")
        }
        if filter.isEmpty {
            return Empty("No jobs yet", next: "Enqueue one: <code>siloctl enqueue emails '{\"to\":\"you\"}'</code>")
        }
        return Empty(
            "No job meets the filter", next: "<a href=\"\(Link("/jobs"))\">Show all jobs</a>, or take one condition away.")
    }

    /// What can be done to those that are selected.
    private var actions: HTML {
        let hidden = filter.given.map { name, value -> HTML in "<input type=\"hidden\" name=\"\(name)\" value=\"\(value)\">" }
        let verbs = JobVerb.allCases.filter { $0.isOffered(to: visit) && $0.fits(status: filter.status) }.map { verb -> HTML in
            "<button class=\"button\" name=\"verb\" value=\"\(verb.rawValue)\" title=\"\(verb.hint)\">\(verb.title)</button>"
        }
        let all: HTML = .when(
            BulkActions.isOffered(to: visit), "<option value=\"all\">all jobs that match, on every page</option>")
        return """
            \(hidden)<input type="hidden" name="back" value="\(visit.here)"><div class="selection-bar">\
            <label class="all"><input type="checkbox" data-select-all> <span>Select all on this page</span></label>\
            <label><span>Do to</span> <select name="of"><option value="selected">the selected jobs</option>\(all)</select>\
            </label>\
            <div class="buttons">\(verbs)</div></div>
            """
    }

    var pager: HTML {
        let cursor = visit.query["cursor"]
        let next = list.nextCursor.isEmpty ? nil : filter.link("/jobs", [("cursor", list.nextCursor)])
        guard cursor != nil || next != nil else { return .empty }
        let shown = Quantity.of(list.jobs.count, "job") + "; looked at " + Quantity.of(list.lookedAt, "job") + " for this page"
        return Pager(first: cursor == nil ? nil : filter.link(), next: next, shown: shown).html
    }
}
