import Protobuf
import SiloAPI
import SiloCore

/// One job: what it carries, what became of it, and what is in its way.
enum JobPage {
    static let page = Page("/job", needs: SiloV1.Silo.getJob) { visit in
        let id = try visit.query.subject("id", "job", in: "/jobs")
        let before = visit.query["before"].flatMap { UInt32($0) } ?? 0
        let found = try await visit.job(
            id, tenant: visit.query["tenant"], attemptsLast: JobParts.attemptsMax, attemptsBefore: before, bytesMax: bytesMax)
        let parts = JobParts(visit, found, attemptsBefore: before)
        let wait = await visit.wait(found)
        return Content(
            "Job", about: "\(Name(id).html)", actions: parts.actions,
            """
            \(parts.facts)\(wait?.html)\(parts.attempts)\(parts.documents)\
            <section class="split">\(parts.limits)\(parts.metadata)</section>
            """)
    }
    /// Of what is read to show a job.
    private static let bytesMax: UInt64 = 4 << 20
}

struct JobParts {
    private let visit: Visit
    private let found: LocatedJob
    private let attemptsBefore: UInt32
    private var job: SiloV1.GetJobResponse { found.job }
    static let attemptsMax: UInt32 = 50

    /// - Parameter attemptsBefore: it has earlier ones than this; 0: the last.
    init(_ visit: Visit, _ found: LocatedJob, attemptsBefore: UInt32) {
        self.visit = visit
        self.found = found
        self.attemptsBefore = attemptsBefore
    }

    /// As the table `jobs` has it.
    private var status: String {
        switch job.status {
        case .scheduled: (job.nextAttemptStartsAfterMs ?? 0) > visit.now.milliseconds ? "Scheduled" : "Waiting"
        case .running: "Running"
        case .succeeded: "Succeeded"
        case .failed: "Failed"
        default: "Cancelled"
        }
    }

    private func when(_ milliseconds: Int64) -> HTML { When(Timestamp(milliseconds), now: visit.now).html }

    // MARK: What can be done

    var actions: HTML {
        let key = JobKey(shard: found.shard, tenant: found.tenant, id: job.id)
        let verbs = JobVerb.allCases.filter { $0.isOffered(to: visit) && $0.fits(status: status) }.map { verb in
            JobActions.some.button(verb.title, [("verb", verb.rawValue), ("of", "selected"), ("job", key.text)], from: visit)
        }
        let again = JobActions.enqueueAgain.button("Enqueue again", [("id", job.id), ("tenant", found.tenant)], from: visit)
        return "\(verbs)\(again)"
    }

    // MARK: What it is

    var facts: HTML {
        var facts: [(HTML, HTML)] = [("Status", "\(Name.badge(status: status)) \(when(job.statusChangedAtMs))")]
        facts.append(("Task group", named(Name(job.taskGroup).html, .group(job.taskGroup), GroupPage.page)))
        if let tenant = found.tenant { facts.append(("Tenant", named(Name(tenant).html, .tenant(tenant), TenantPage.page))) }
        if let enqueued = job.enqueuedAtMs { facts.append(("Enqueued", when(enqueued))) }
        if let start = job.nextAttemptStartsAfterMs, !isOver {
            facts.append((status == "Scheduled" ? "Starts" : "Might have started", when(start)))
        }
        facts.append(("Priority", "\(job.priority)"))
        facts.append(("Retries", retries))
        if job.retainMs > 0 { facts.append(("Kept for", "\(Quantity.duration(milliseconds: Double(job.retainMs)))")) }
        facts.append(("Shard", ShardLink.html(found.shard, visit)))
        let timeline = JobTimeline(job, isLast: attemptsBefore == 0, now: visit.now)
        return "<section class=\"card\">\(Facts(facts).html)\(timeline.html)</section>"
    }

    /// A name that leads to its page, where the visitor may see that.
    private func named(_ name: HTML, _ link: Link, _ page: Page) -> HTML { visit.may(page.needs) ? .link(link, name) : name }

    private var isOver: Bool { ["Succeeded", "Failed", "Cancelled"].contains(status) }

    private var retries: HTML {
        guard let policy = job.retryPolicy, policy.retryCount > 0 else { return "none" }
        guard policy.initialIntervalMs > 0, policy.maxIntervalMs > 0 else {
            return "\(Quantity.count(policy.retryCount)), at once"
        }
        let first = Quantity.duration(milliseconds: Double(policy.initialIntervalMs))
        let most = Quantity.duration(milliseconds: Double(policy.maxIntervalMs))
        return "\(Quantity.count(policy.retryCount)), after \(first) and up to \(most)"
    }

    // MARK: What became of it

    var attempts: HTML {
        var room = Self.errorsBytesMax
        let rows = job.attempts.reversed().map { attempt -> [HTML] in
            let status = Self.name(attempt.status)
            let end = attempt.finishedAtMs.map { Timestamp($0) } ?? visit.now
            let ran = Quantity.duration(milliseconds: Double(max(0, end - Timestamp(attempt.startedAtMs))))
            let length: HTML = "\(ran)\(HTML.when(attempt.finishedAtMs == nil, " so far"))"
            return [
                "\(attempt.attemptNumber)", Name.badge(status: status), Self.error(attempt, &room), when(attempt.startedAtMs),
                length, "<code>\(String(attempt.taskId.prefix(8)))</code>",
            ]
        }
        let columns: [Table.Column] = [
            .init("Attempt"), .init("Outcome"), .init("Error"), .init("Started", number: true), .init("Ran", number: true),
            .init("Task"),
        ]
        let table = Table(
            caption: "Attempts, the last one first", columns: columns, rows: rows,
            empty: Empty("No attempt counts yet", next: "One whose worker was never heard of is given back, and does not count."))
        return "<section class=\"card\"><h2>Attempts</h2>\(table.html)\(more)</section>"
    }

    /// Of the errors of all rows, and of each.
    private static let errorsBytesMax = 64 << 10
    private static let errorBytesMax = 4 << 10

    /// What an attempt failed with: its code, which opens what it said.
    private static func error(_ attempt: SiloV1.JobAttempt, _ room: inout Int) -> HTML {
        guard let code = attempt.errorCode else { return "–" }
        let name: HTML = code.isEmpty ? "<i>no code</i>" : Name(code).html
        guard case .msgpack(let bytes)? = attempt.errorData?.encoding, !bytes.isEmpty else { return name }
        let text = (try? MessagePack(bytes)).flatMap(\.csvText) ?? Hex.dump(bytes.prefix(errorBytesMax / 4))
        let shown = min(text.utf8.count, errorBytesMax)
        guard room >= shown else { return name }
        room -= shown
        let cut: HTML = .when(
            text.utf8.count > shown, .hint("The first \(Quantity.bytes(shown)): <code>siloctl job get</code> has all of it."))
        return """
            <details class="long-text"><summary>\(name)</summary>\
            <pre class="tree" tabindex="0" aria-label="Error of attempt \(attempt.attemptNumber)">\
            \(Name.visibleLines(String(decoding: text.utf8.prefix(shown), as: UTF8.self)))</pre>\(cut)</details>
            """
    }

    private var more: HTML {
        func link(before number: UInt32?) -> Link {
            Link("/job", [("id", job.id), ("tenant", found.tenant), ("before", number.map { String($0) })])
        }
        let first = job.attempts.first?.attemptNumber ?? 1
        guard first > 1 || attemptsBefore > 0 else { return .empty }
        let earlier: HTML = .when(first > 1, "<a class=\"button\" rel=\"next\" href=\"\(link(before: first))\">Earlier ones</a>")
        let last: HTML = .when(
            attemptsBefore > 0, "<a class=\"button\" rel=\"first\" href=\"\(link(before: nil))\">The last ones</a>")
        let shown = Quantity.of(job.attempts.count, "attempt")
        return "<nav class=\"pager\" aria-label=\"Attempts\"><span>\(shown)</span>\(last)\(earlier)</nav>"
    }

    private static func name(_ status: SiloV1.AttemptStatus) -> String {
        switch status {
        case .running: "Running"
        case .succeeded: "Succeeded"
        case .failed: "Failed"
        default: "Cancelled"
        }
    }

    var documents: HTML {
        let form = DocumentView.Form(rawValue: visit.query["as"] ?? "") ?? .json
        func link(_ form: DocumentView.Form) -> Link {
            Link("/job", [("id", job.id), ("tenant", found.tenant), ("as", form == .json ? nil : form.rawValue)])
        }
        var documents: [HTML] = []
        if let last = job.attempts.last(where: { $0.status == .failed }), job.status != .succeeded {
            let code = Name.visible(String((last.errorCode ?? "").prefix(200)))
            let title = "Error of attempt \(last.attemptNumber), \(code)"
            documents.append(DocumentView("error", title, last.errorData, form).html(link))
        }
        if job.status == .succeeded { documents.append(document("result", "Result", job.result, job.resultOmitted, form, link)) }
        documents.append(document("payload", "Payload", job.payload, job.payloadOmitted, form, link))
        return "\(documents)"
    }

    private func document(
        _ id: String, _ title: String, _ message: SiloV1.SerializedBytes?, _ isOmitted: Bool, _ form: DocumentView.Form,
        _ link: (DocumentView.Form) -> Link
    ) -> HTML {
        guard isOmitted else { return DocumentView(id, title, message, form).html(link) }
        let hint: HTML = .hint("It is too large for this page: <code>siloctl job get</code> has it.")
        return "<section class=\"card\" id=\"\(id)\"><h2>\(title)</h2>\(hint)</section>"
    }

    // MARK: What it was asked for with

    var limits: HTML {
        let rows = job.limits.compactMap { limit -> [HTML]? in
            switch limit.limit {
            case .concurrency(let limit): ["concurrency", key(limit.key), "\(Quantity.count(limit.maxConcurrency)) at once"]
            case .floatingConcurrency(let limit):
                ["floating", key(limit.key), "\(Quantity.count(limit.defaultMaxConcurrency)) at once at first"]
            case .rateLimit(let limit):
                [
                    "rate", key("\(limit.name)/\(limit.uniqueKey)"),
                    "\(Quantity.count(limit.limit)) in \(Quantity.duration(milliseconds: Double(limit.durationMs)))",
                ]
            case nil: nil
            }
        }
        let table = Table(
            caption: "Limits", columns: [.init("Kind"), .init("Key"), .init("Allows", number: true)], rows: rows,
            empty: Empty("No limits", next: "Nothing but its time and a worker decide when it starts."))
        return "<div class=\"card\"><h2>Limits</h2>\(table.html)</div>"
    }

    private func key(_ key: String) -> HTML { named(Name(key).html, .limit(key, tenant: found.tenant), LimitPage.page) }

    var metadata: HTML {
        let rows = job.metadata.sorted { $0.key < $1.key }.map { name, value -> [HTML] in
            let link = JobFilterForm().with { ($0.labels, $0.tenant) = ([JobFilterForm.label(name, value)], found.tenant) }.link()
            return [Name(name).html, value.utf8.count > 500 ? Name(value).html : "<a href=\"\(link)\">\(Name(value).html)</a>"]
        }
        let table = Table(
            caption: "Labels", columns: [.init("Label"), .init("Value")], rows: rows,
            empty: Empty("No labels", next: "Jobs are found by labels: <code>siloctl enqueue … --label customer=4711</code>"))
        return "<div class=\"card\"><h2>Labels</h2>\(table.html)</div>"
    }
}
