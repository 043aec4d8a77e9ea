import SiloAPI
import SiloCore

/// One worker: what it asks for since when, and what it holds for how long.
enum WorkerPage {
    static let page = Page("/worker", needs: SiloV1.Silo.listWorkers) { visit in
        let id = try visit.query.subject("id", "worker", in: "/workers")
        var request = SiloV1.ListWorkersRequest()
        request.workerId = id
        let found = try await visit.call(SiloV1.Silo.listWorkers, request)
        guard let worker = found.workers.first else {
            throw PageFailure(
                404, "Nothing is known of this worker",
                "It has not asked this server for work in the last hour, and holds nothing.",
                way: ("Go to the workers", Link("/workers")))
        }
        let quiet: HTML = worker.quietSinceMs.map {
            "<span class=\"badge warn\">quiet</span> <span class=\"hint\">\(When(Timestamp($0), now: visit.now).html)</span>"
        } ?? .empty
        return Content(
            "Worker \(Name.visible(String(id.prefix(100))))", about: quiet, actions: actions(worker, visit),
            """
            \(MissingShards(found.missingShards).html)\(tiles(worker, visit))\
            <section class="split"><div class="card"><h2>Asks for</h2>\(groups(worker, visit))</div>\
            <div class="card"><h2>Holds</h2>\(held(worker, visit))</div></section>
            """)
    }

    private static func actions(_ worker: SiloV1.WorkerInfo, _ visit: Visit) -> HTML {
        worker.isQuiet
            ? WorkerActions.resume.button("Give it work again…", [("worker", worker.workerId)], from: visit)
            : WorkerActions.quiet.button("Quiet…", [("worker", worker.workerId)], from: visit)
    }

    private static func tiles(_ worker: SiloV1.WorkerInfo, _ visit: Visit) -> HTML {
        func tile(_ title: HTML, _ value: HTML, _ hint: HTML) -> HTML {
            """
            <div class="tile"><h2>\(title)</h2><p class="value"><span class="small">\(value)</span></p>\
            <p class="hint">\(hint)</p></div>
            """
        }
        func when(_ time: Int64) -> HTML { time > 0 ? When(Timestamp(time), now: visit.now).html : "–" }
        let host: HTML = worker.host.isEmpty ? "–" : Name(worker.host).html
        let peer: HTML = worker.peer.isEmpty ? .empty : "from \(Name(worker.peer).html)"
        let version: HTML = worker.version.isEmpty ? "–" : Name(worker.version).html
        return """
            <section class="tiles" aria-label="Now">\(tile("Holds", "\(Quantity.count(worker.leases))", "jobs"))\
            \(tile("Heard", when(worker.lastHeardMs), "asked for work, or kept a lease"))\
            \(tile("Known", when(worker.firstHeardMs), "to this server"))\
            \(tile("Host", host, peer))\(tile("Version", version, "as it says"))\
            </section>
            """
    }

    private static func groups(_ worker: SiloV1.WorkerInfo, _ visit: Visit) -> HTML {
        let rows = worker.groups.map { group -> [HTML] in
            [
                "<a href=\"\(Link.group(group.taskGroup))\">\(Name(group.taskGroup).html)</a>",
                When(Timestamp(group.firstPollMs), now: visit.now).html, When(Timestamp(group.lastPollMs), now: visit.now).html,
                "\(Quantity.count(group.polls))", "\(Quantity.count(group.tasks))",
            ]
        }
        let columns: [Table.Column] = [
            .init("Group"), .init("Since"), .init("Last"), .init("Times", number: true), .init("Was given", number: true),
        ]
        return Table(
            caption: "Task groups that it asks for", columns: columns, rows: rows, empty: Empty("It asks for nothing now")
        ).html
    }

    private static func held(_ worker: SiloV1.WorkerInfo, _ visit: Visit) -> HTML {
        let rows = worker.held.map { lease -> [HTML] in
            let cancelled: HTML = .when(lease.isCancelled, " <span class=\"badge warn\">asked to stop</span>")
            return [
                """
                <a href="\(Link.job(lease.jobId, tenant: lease.tenant.asTenant))">\(Name(lease.jobId).html)</a>\(cancelled)
                """,
                lease.tenant.asTenant.map { "<a href=\"\(Link.tenant($0))\">\(Name($0).html)</a>" } ?? "–",
                Name(lease.taskGroup).html, "\(lease.attempt)", When(Timestamp(lease.startedAtMs), now: visit.now).html,
            ]
        }
        let columns: [Table.Column] = [
            .init("Job"), .init("Tenant"), .init("Group"), .init("Attempt", number: true), .init("Since"),
        ]
        let table = Table(caption: "Jobs that it holds", columns: columns, rows: rows, empty: Empty("It holds nothing"))
        let rest: HTML = .when(
            worker.leases > UInt64(rows.count),
            "<p class=\"hint\">The oldest \(rows.count) of \(Quantity.count(worker.leases)).</p>")
        return table.html + rest
    }
}
