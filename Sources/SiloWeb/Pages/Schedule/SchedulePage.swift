import SiloAPI
import SiloCore

/// What starts when.
enum SchedulePage {
    static let page = Page("/schedule", menu: "Schedule", needs: SiloV1.Silo.getSchedule) { visit in
        let span = Span(rawValue: visit.query["span"] ?? "") ?? .hour
        var request = SiloV1.GetScheduleRequest()
        request.tenant = visit.query["tenant"]
        request.taskGroup = visit.query["group"] ?? ""
        request.slotMs = span.slotMilliseconds
        request.slots = span.slots
        request.jobsMax = jobsMax
        let schedule = try await visit.call(SiloV1.Silo.getSchedule, request)
        let parts = ScheduleParts(visit, span, schedule)
        return Content(
            "Schedule", about: parts.about,
            """
            \(parts.controls)\(MissingShards(schedule.missingShards).html)\(UnreadableJobs(jobs: schedule.unreadable).html)\
            <section class="card">\(parts.bars)</section>\
            <section class="card"><h2>Next to start</h2>\(parts.table)</section>
            """)
    }
    private static let jobsMax: UInt32 = 50

    enum Span: String, CaseIterable {
        case hour, day, week

        var title: String { "Next \(rawValue)" }
        var slots: UInt32 { self == .week ? 84 : self == .day ? 96 : 60 }
        var slotMilliseconds: Int64 { self == .week ? 7_200_000 : self == .day ? 900_000 : 60_000 }
    }
}

struct ScheduleParts {
    private let visit: Visit
    private let span: SchedulePage.Span
    private let schedule: SiloV1.GetScheduleResponse

    init(_ visit: Visit, _ span: SchedulePage.Span, _ schedule: SiloV1.GetScheduleResponse) {
        self.visit = visit
        self.span = span
        self.schedule = schedule
    }

    private var counted: UInt64 { schedule.slots.reduce(0, +) }
    private var end: Int64 { schedule.fromMs + Int64(span.slots) * span.slotMilliseconds }
    private var isWhole: Bool { schedule.countedUntilMs >= end }

    var about: HTML {
        let all = Quantity.of(schedule.scheduled, "job waits for its time", "jobs wait for their time")
        let border = When(Timestamp(schedule.countedUntilMs), now: visit.now).html
        let until: HTML = isWhole
            ? "\(Quantity.of(counted, "starts", "start")) in the \(span.title.lowercased())"
            : "\(Quantity.count(counted)) were counted, among them all that start \(border) or earlier"
        return "\(all), a retry's too. \(until)."
    }

    var controls: HTML {
        let (group, tenant) = (visit.query["group"], visit.query["tenant"])
        let tabs = SchedulePage.Span.allCases.map { other -> HTML in
            let mark: HTML = .when(other == span, " aria-current=\"true\"")
            let link = Link("/schedule", [("span", other == .hour ? nil : other.rawValue), ("group", group), ("tenant", tenant)])
            return "<a href=\"\(link)\"\(mark)>\(other.title)</a>"
        }
        let controls = [
            FilterBar.field("group", "Task group", group), FilterBar.field("tenant", "Tenant", tenant),
            FilterBar.hidden("span", span.rawValue),
        ]
        let clear = group == nil && tenant == nil ? nil : Link("/schedule", [("span", span.rawValue)])
        let bar = FilterBar(path: "/schedule", controls: controls, clear: clear).html
        return "<nav class=\"tabs wide\" aria-label=\"Span\">\(tabs)</nav>\(bar)"
    }

    var bars: HTML {
        let whole = isWhole ? nil : Int(clamping: max(0, schedule.countedUntilMs - schedule.fromMs) / span.slotMilliseconds)
        let hint: HTML = """
            Very many jobs wait: what lies under the veil is not counted whole. A tenant or a task group shows more.
            """
        let bars = Bars(
            title: "Jobs that start in the \(span.title.lowercased())", counts: schedule.slots, from: Timestamp(schedule.fromMs),
            slotMilliseconds: span.slotMilliseconds, wholeSlots: whole, what: "job", now: visit.now
        )
        return bars.html + HTML.when(!isWhole, .hint(hint))
    }

    var table: HTML {
        let hasTenants = schedule.jobs.contains { $0.tenant != nil }
        let rows = schedule.jobs.map { job -> [HTML] in
            let name: HTML = "<a href=\"\(Link.job(job.id, tenant: job.tenant))\">\(Name(job.id).html)</a>"
            let why: HTML = job.attempt > 1 ? "retry, attempt \(job.attempt)" : "first attempt"
            return [name] + (hasTenants ? [job.tenant.map { Name($0).html } ?? "–"] : []) + [
                Name(job.taskGroup).html, why, When(Timestamp(job.nextAttemptStartsAfterMs ?? 0), now: visit.now).html,
            ]
        }
        var columns: [Table.Column] = [.init("Job")]
        if hasTenants { columns.append(.init("Tenant")) }
        columns += [.init("Group"), .init("What"), .init("Starts", number: true)]
        let next: HTML = "Enqueue one for later: <code>siloctl enqueue emails '{}' --start-in 3600</code>"
        let empty = Empty("No job waits for its time", next: next)
        return Table(caption: "Jobs that start next", columns: columns, rows: rows, empty: empty).html
    }
}
