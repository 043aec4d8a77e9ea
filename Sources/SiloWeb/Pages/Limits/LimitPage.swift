import SiloAPI
import SiloCore

/// One limit: who holds it, who waits for it and in which order, and how large it was.
enum LimitPage {
    private static let rowsMax = 50

    static let page = Page("/limit", needs: SiloV1.Silo.listLimits) { visit in
        let key = try visit.query.subject("key", "limit", in: "/limits")
        let tenant = visit.query["tenant"]?.asTenant
        var request = SiloV1.ListLimitsRequest()
        request.key = key
        request.tenant = tenant
        request.limit = 1
        request.lineMax = UInt32(rowsMax) + 1
        let limit = try await visit.call(SiloV1.Silo.listLimits, request).limits.first
        let shard = if let limit { limit.shard } else { try await Homes(visit).shard(of: tenant) }
        let pause = try await Pauses(visit, shard: shard).limit(key, of: tenant)
        let whose: HTML = tenant.map { "Of tenant <a href=\"\(Link.tenant($0))\">\(Name($0).html)</a> " } ?? .empty
        let isRate = limit?.kind == .rate
        var people: HTML = .empty
        if !isRate {
            people =
                visit.mayQuery(tenant)
                ? try await holders(key, tenant, shard, visit)
                : "<div class=\"card\"><p class=\"hint\">Your token may not see who holds it.</p></div>"
        }
        people += line(limit, tenant, visit)
        return Content(
            "Limit \(Name.visible(String(key.prefix(100))))", about: "\(whose)\(pause.map { $0.badge(visit) })",
            actions: actions(key, tenant, isPaused: pause != nil, isRate: isRate, visit),
            """
            \(limit.map { tiles($0, visit) } ?? unknown)\
            \(limit.map { history($0, visit) })<section class="split">\(people)</section>
            """)
    }

    private static let unknown: HTML = """
        <p class="finding warn"><span class="dot" aria-hidden="true"></span><b>Not used lately.</b> No job has asked for this \
        limit for a while; what is stored of it is below.</p>
        """

    private static func actions(_ key: String, _ tenant: String?, isPaused: Bool, isRate: Bool, _ visit: Visit) -> HTML {
        let fields: [(String, String?)] = [("limit", key), ("tenant", tenant)]
        // Rate limits cannot be paused: the keys of pauses are those of slots.
        let pause: HTML = isRate
            ? .empty
            : (isPaused ? PauseActions.resume : PauseActions.pause).button(isPaused ? "Resume…" : "Pause…", fields, from: visit)
        let drop: HTML = isRate
            ? .empty
            : TenantActions.dropHolders.button("Drop holders…", [("limit", key), ("tenant", tenant ?? "-")], from: visit)
        return "\(pause)\(drop)"
    }

    private static func tiles(_ limit: SiloV1.LimitInfo, _ visit: Visit) -> HTML {
        func tile(_ title: HTML, _ value: HTML, _ hint: HTML) -> HTML {
            "<div class=\"tile\"><h2>\(title)</h2><p class=\"value\">\(value)</p><p class=\"hint\">\(hint)</p></div>"
        }
        let maximum: HTML = limit.maximum.map { "of \(Quantity.count($0))" } ?? "no job says of how many"
        let gauge = Gauge(Double(limit.held), of: Double(limit.maximum ?? 0)).html
        let isRate = limit.kind == .rate
        var tiles: [HTML] = [
            tile(isRate ? "Used and promised" : "Held", "\(Quantity.count(limit.held))", "\(maximum)\(gauge)"),
            tile("Waiting", "\(Quantity.count(limit.waiting))", waitingHint(limit, visit)),
            tile("Refusals", "\(Quantity.count(limit.refusals))", "times a job found no room"),
            tile("Kind", "<span class=\"small\">\(limit.kindName)</span>", kindHint(limit)),
        ]
        if isRate {
            let room = limit.nextRoomMs.map { When(Timestamp($0), now: visit.now).html }
            tiles.append(tile("Room", "<span class=\"small\">\(room ?? "now")</span>", "for the next job"))
        }
        return "<section class=\"tiles\" aria-label=\"Now\">\(tiles)</section>"
    }

    private static func waitingHint(_ limit: SiloV1.LimitInfo, _ visit: Visit) -> HTML {
        let since = limit.line.first.map { When(Timestamp($0.sinceMs), now: visit.now).html }
        return "jobs that it keeps from starting\(since.map { ", the first since \($0)" as HTML })"
    }

    private static func kindHint(_ limit: SiloV1.LimitInfo) -> HTML {
        switch limit.kind {
        case .floating: "workers say how many"
        case .rate: limit.isLeaky ? "it empties evenly" : "hits in each window"
        default: "jobs at once"
        }
    }

    /// What the maximum of a floating limit was.
    private static func history(_ limit: SiloV1.LimitInfo, _ visit: Visit) -> HTML {
        guard limit.kind == .floating else { return .empty }
        let most = Double(limit.history.map(\.maximum).max() ?? 0)
        let rows = limit.history.reversed().map { past -> HTML in
            let at: HTML = past.atMs > 0 ? When(Timestamp(past.atMs), now: visit.now).html : "at first"
            let gauge = Gauge(Double(past.maximum), of: most).html
            return "<li><span>\(at)</span>\(gauge)<span>\(Quantity.count(past.maximum))</span></li>"
        }
        let next: HTML = limit.nextRefreshMs.map {
            "<p class=\"hint\">Workers are asked again, while jobs wait, from \(When(Timestamp($0), now: visit.now).html).</p>"
        } ?? .empty
        return """
            <section class="card"><h2>Maximum</h2>\
            <ul class="histogram" aria-label="What the maximum was, newest first">\(rows)</ul>\(next)</section>
            """
    }

    /// Leases are read once, as a select of their own: SQLite keeps what that has, with an index.
    static let holdersStatement = """
        SELECT q.task_id, q.timestamp_ms, l.job_id, l.worker_id FROM (SELECT task_id, timestamp_ms FROM queues \
        WHERE tenant = $1 AND queue_name = $2 AND entry_type = 'holder' LIMIT 51) q \
        LEFT JOIN (SELECT task_id, job_id, worker_id FROM leases WHERE tenant = $1) l ON l.task_id = q.task_id
        """

    private static func holders(_ key: String, _ tenant: String?, _ shard: String, _ visit: Visit) async throws -> HTML {
        let holders = try await visit.rows(
            holdersStatement, [.stringValue(tenant ?? Tenant.none.name), .stringValue(key)], shard: shard, tenant: tenant)
        let rows = holders.prefix(rowsMax).map { holder -> [HTML] in
            // Of a ready one the task is its job and attempt.
            let running = holder.text("job_id")
            let task = holder.text("task_id")
            let id = running.isEmpty ? String(task[..<(task.lastIndex(of: ":") ?? task.endIndex)]) : running
            let job: HTML = "<a href=\"\(Link.job(id, tenant: tenant))\">\(Name(id).html)</a>"
            let name = holder.text("worker_id")
            let worker: HTML =
                name.isEmpty
                ? "<span class=\"hint\">ready, no worker has it yet</span>"
                : "<a href=\"\(Link.worker(name))\">\(Name(name).html)</a>"
            return [job, worker, holder.int("timestamp_ms").map { When(Timestamp($0), now: visit.now).html } ?? "–"]
        }
        let table = Table(
            caption: "Who holds it", columns: [.init("Job"), .init("Worker"), .init("Since")], rows: rows,
            empty: Empty("Nobody holds it"))
        let rest: HTML = .when(holders.count > rowsMax, "<p class=\"hint\">The first \(rowsMax).</p>")
        return "<div class=\"card\"><h2>Who holds it</h2>\(table.html)\(rest)</div>"
    }

    private static func line(_ limit: SiloV1.LimitInfo?, _ tenant: String?, _ visit: Visit) -> HTML {
        let waiting = limit?.line ?? []
        let all = limit?.waiting ?? 0
        let table = Table(
            caption: "Who waits, in order",
            columns: [
                .init("Place", number: true), .init("Job"), .init("Group"), .init("Priority", number: true), .init("Since"),
            ],
            rows: waiting.prefix(rowsMax).enumerated().map { index, job -> [HTML] in
                [
                    "\(index + 1)", .link(.job(job.jobId, tenant: tenant), Name(job.jobId).html), Name(job.taskGroup).html,
                    "\(job.priority)", When(Timestamp(job.sinceMs), now: visit.now).html,
                ]
            }, empty: Empty(all > 0 ? "Who is first is not known now" : "Nobody waits for it"))
        let shown = min(waiting.count, rowsMax)
        let rest: HTML = .when(all > UInt64(shown), .hint("The first \(shown) of \(Quantity.count(all))."))
        return "<div class=\"card\"><h2>Who waits, in order</h2>\(table.html)\(rest)</div>"
    }
}
