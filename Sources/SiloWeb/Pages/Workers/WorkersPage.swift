import SiloAPI
import SiloCore

/// The workers that were heard of lately: what they ask for, what they hold, and whether they are to get more.
enum WorkersPage {
    private static let rowsMax: UInt32 = 50

    static let page = Page("/workers", menu: "Workers", needs: SiloV1.Silo.listWorkers) { visit in
        let wanted = visit.query["name"] ?? ""
        let group = visit.query["group"]
        var request = SiloV1.ListWorkersRequest()
        request.idContains = wanted
        request.taskGroup = group ?? ""
        request.after = visit.query["after"] ?? ""
        request.limit = rowsMax
        let found = try await visit.call(SiloV1.Silo.listWorkers, request)
        func link(after: String? = nil) -> Link { Link("/workers", [("name", wanted), ("group", group), ("after", after)]) }
        let pager = Pager(
            first: request.after.isEmpty ? nil : link(),
            next: found.isLast ? nil : found.workers.last.map { link(after: $0.workerId) },
            shown: Quantity.of(found.workers.count, "worker") + " of " + Quantity.count(found.matching))
        let filter = FilterBar.byName("/workers", wanted, "Id contains", keeping: [("group", group)])
        let whose: HTML =
            group.map { "Those that ask for task group \(Name($0).html)." } ?? "Those that this server heard of in the last hour."
        return Content(
            "Workers", about: whose,
            """
            \(filter.html)\(MissingShards(found.missingShards).html)<section class="card">\(table(found.workers, visit).html)\
            \(HTML.when(!found.workers.isEmpty, pager.html))</section>
            """)
    }

    /// - Parameter group: a page of this group shows what they do for it; nil: all that they ask for.
    static func table(_ workers: [SiloV1.WorkerInfo], _ visit: Visit, of group: String? = nil) -> Table {
        let rows = workers.map { worker -> [HTML] in
            let quiet: HTML = .when(worker.isQuiet, " <span class=\"badge warn\">quiet</span>")
            let age = worker.oldestLeaseMs.map { Double(max(0, visit.now - Timestamp($0))) }
            let oldest: HTML = "\(age.map { Quantity.duration(milliseconds: $0) } ?? "–")"
            var cells: [HTML] = ["<a href=\"\(Link.worker(worker.workerId))\">\(Name(worker.workerId).html)</a>\(quiet)"]
            if group == nil { cells += [groups(worker), place(worker)] }
            cells += [
                "\(Quantity.count(worker.leases))", oldest,
                worker.lastHeardMs > 0 ? When(Timestamp(worker.lastHeardMs), now: visit.now).html : "–",
            ]
            return cells
        }
        var columns: [Table.Column] = [.init("Worker")]
        if group == nil { columns += [.init("Task groups"), .init("Where")] }
        columns += [.init("Holds", number: true), .init("Oldest", number: true), .init("Heard")]
        return Table(
            caption: "Workers", columns: columns, rows: rows,
            empty: Empty(
                "No worker has asked for work lately",
                next: "A worker asks this server for the jobs of a task group; see docs/workers.md."))
    }

    private static let groupsShown = 3

    private static func groups(_ worker: SiloV1.WorkerInfo) -> HTML {
        let shown = worker.groups.prefix(groupsShown).enumerated().map { index, group -> HTML in
            "\(HTML.when(index > 0, ", "))<a href=\"\(Link.group(group.taskGroup))\">\(Name(group.taskGroup).html)</a>"
        }
        let rest: HTML = .when(worker.groups.count > groupsShown, " and \(worker.groups.count - groupsShown) more")
        return "\(shown)\(rest)"
    }

    private static func place(_ worker: SiloV1.WorkerInfo) -> HTML {
        let version: HTML = .when(!worker.version.isEmpty, " <span class=\"hint\">\(Name(worker.version).html)</span>")
        let host = worker.host.isEmpty ? worker.peer : worker.host
        return host.isEmpty ? "–\(version)" : "\(Name(host).html)\(version)"
    }
}
