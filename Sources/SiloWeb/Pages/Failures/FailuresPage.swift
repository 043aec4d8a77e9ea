import SiloAPI
import SiloCore

/// Jobs that failed for good: which codes in which groups, and the newest of them.
enum FailuresPage {
    static let page = Page("/failures", menu: "Failures", needs: SiloV1.Silo.listJobs) { visit in
        let filter = try JobFilterForm(visit.query).with { $0.status = "Failed" }
        var request = filter.request(at: visit.now)
        request.cursor = visit.query["cursor"] ?? ""
        request.jobsMax = failuresMax
        let list = try await visit.call(SiloV1.Silo.listJobs, request)
        let parts = FailuresParts(visit, filter, list)
        return Content(
            "Failures", about: parts.about, actions: parts.actions,
            """
            \(parts.controls)\(MissingShards(list.missingShards).html)\(UnreadableJobs(jobs: list.unreadable).html)\
            <section class="card"><h2>By code and task group</h2>\(parts.groups)</section>\
            <section class="card after"><h2>The newest</h2>\(parts.newest)</section>\(parts.pager)
            """)
    }
    /// That are looked at for one page.
    static let failuresMax: UInt32 = 1000
}

struct FailuresParts {
    private struct Kind: Hashable {
        let code: ExactText
        let group: ExactText
    }
    private let visit: Visit
    private let filter: JobFilterForm
    private let list: SiloV1.ListJobsResponse
    private static let kindsMax = 100
    private static let newestMax = 25

    init(_ visit: Visit, _ filter: JobFilterForm, _ list: SiloV1.ListJobsResponse) {
        self.visit = visit
        self.filter = filter
        self.list = list
    }

    /// What is shown: how many, and of which time.
    var about: HTML {
        let words: HTML = filter.words.isEmpty ? .empty : " \(filter.words)"
        let count = Quantity.of(list.jobs.count, "job")
        guard let last = list.jobs.last else { return "Jobs that have used all their retries\(words)" }
        let since = When(Timestamp(last.statusChangedAtMs), now: visit.now).html
        if visit.query["cursor"] == nil {
            return list.nextCursor.isEmpty
                ? "\(count)\(words), all there are; the oldest failed \(since)"
                : "The newest \(count)\(words); the oldest of these failed \(since), and there are more"
        }
        return "\(count)\(words), older ones; the last of these failed \(since)"
    }

    var actions: HTML {
        guard !list.jobs.isEmpty else { return .empty }
        return retry("Retry all that match…", filter)
    }

    private func retry(_ label: String, _ filter: JobFilterForm) -> HTML {
        guard JobVerb.restart.isOffered(to: visit), BulkActions.isOffered(to: visit) else { return .empty }
        return BulkActions.start.button(label, [("verb", "restart")] + filter.fields, from: visit)
    }

    var controls: HTML {
        let controls = [FilterBar.field("group", "Task group", filter.group)] + FilterBar.code(filter)
            + [FilterBar.field("tenant", "Tenant", filter.tenant), FilterBar.since("Failed in", filter.since)]
            + FilterBar.times(filter)
        return FilterBar(path: "/failures", controls: controls, clear: own.isEmpty ? nil : Link("/failures")).html
    }

    /// Without what is the page's.
    private var own: JobFilterForm { filter.with { $0.status = nil } }

    var groups: HTML {
        var kinds: [Kind: (count: Int, newest: Int64, tenants: Set<ExactText>)] = [:]
        for job in list.jobs {
            let kind = Kind(code: ExactText(job.errorCode), group: ExactText(job.taskGroup))
            var sum = kinds[kind] ?? (0, job.statusChangedAtMs, [])
            sum.count += 1
            sum.newest = max(sum.newest, job.statusChangedAtMs)
            if let tenant = job.tenant { sum.tenants.insert(ExactText(tenant)) }
            kinds[kind] = sum
        }
        let hasTenants = list.jobs.contains { $0.tenant != nil }
        let sorted = kinds.sorted { ($1.value.count, $0.key.code, $0.key.group) < ($0.value.count, $1.key.code, $1.key.group) }
        let rows = sorted.prefix(Self.kindsMax).map { kind, sum -> [HTML] in
            let same = filter.with { ($0.code, $0.group) = (kind.code.text, kind.group.text) }
            let code: HTML = kind.code.text.isEmpty ? "<i>no code</i>" : Name(kind.code.text).html
            return [
                "<a href=\"\(same.link("/failures"))\">\(code)</a>", Name(kind.group.text).html,
                "<span>\(share(sum.count))\(Quantity.count(sum.count))</span>",
            ] + (hasTenants ? ["\(Quantity.count(sum.tenants.count))"] : []) + [
                When(Timestamp(sum.newest), now: visit.now).html, retry("Retry…", same),
            ]
        }
        var columns: [Table.Column] = [.init("Error code"), .init("Task group"), .init("Jobs", number: true)]
        if hasTenants { columns.append(.init("Tenants", number: true)) }
        columns += [.init("Newest", number: true), .init("")]
        let table = Table(caption: "Failed jobs by code and task group", columns: columns, rows: rows, empty: empty)
        let rest = sorted.count - Self.kindsMax
        let more: HTML = .when(rest > 0, .hint("\(Quantity.of(rest, "kind of failure", "kinds of failures")) more"))
        return "\(table.html)\(more)"
    }

    private func share(_ count: Int) -> HTML {
        let share = Int64(Double(count) * 100 / Double(max(1, list.jobs.count)))
        return """
            <svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect class="used" \
            width="\(max(1, share))" height="8"/></svg>
            """
    }

    private var empty: Empty {
        if !list.nextCursor.isEmpty {
            return Empty(
                "None among the \(Quantity.of(list.lookedAt, "failure")) that were looked at",
                next: "There are more to look at: go on to the next page.")
        }
        guard own.isEmpty else {
            return Empty("No failure meets the filter", next: "<a href=\"\(Link("/failures"))\">Show all failures</a>")
        }
        return Empty("Nothing has failed", next: "Jobs come here when their last retry has failed.")
    }

    var newest: HTML {
        let hasTenants = list.jobs.contains { $0.tenant != nil }
        let rows = list.jobs.prefix(Self.newestMax).map { job -> [HTML] in
            let name: HTML = "<a href=\"\(Link.job(job.id, tenant: job.tenant))\">\(Name(job.id).html)</a>"
            return [name] + (hasTenants ? [job.tenant.map { Name($0).html } ?? "–"] : []) + [
                Name(job.taskGroup).html, Name(job.errorCode).html, "\(job.attempt)",
                When(Timestamp(job.statusChangedAtMs), now: visit.now).html,
            ]
        }
        var columns: [Table.Column] = [.init("Job")]
        if hasTenants { columns.append(.init("Tenant")) }
        columns += [.init("Group"), .init("Error code"), .init("Attempts", number: true), .init("Failed", number: true)]
        let table = Table(caption: "The newest failures", columns: columns, rows: rows, empty: Empty("None to show"))
        let all: HTML = .when(
            list.jobs.count > Self.newestMax, .hint(.link(filter.link(), "All of them, with more to do")))
        return "\(table.html)\(all)"
    }

    var pager: HTML {
        let cursor = visit.query["cursor"]
        let next = list.nextCursor.isEmpty ? nil : own.link("/failures", [("cursor", list.nextCursor)])
        guard cursor != nil || next != nil else { return .empty }
        let first = cursor == nil ? nil : own.link("/failures")
        return Pager(first: first, next: next, shown: Quantity.of(list.jobs.count, "failure")).html
    }
}
