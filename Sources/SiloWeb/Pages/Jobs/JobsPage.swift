import SiloAPI
import SiloCore

/// Jobs by any filter, a page at a time, with what can be done to those that are selected.
enum JobsPage {
    static let page = Page("/jobs", menu: "Jobs", needs: SiloV1.Silo.listJobs) { visit in
        let filter = try JobFilterForm(visit.query)
        var request = filter.request(at: visit.now)
        request.cursor = visit.query["cursor"] ?? ""
        request.jobsMax = UInt32(jobsMax)
        let list = try await visit.call(SiloV1.Silo.listJobs, request)
        let count = try await JobCount(filter, list, isFirst: request.cursor.isEmpty, visit)
        let parts = JobsParts(visit, filter, list)
        return Content(
            "Jobs", about: count.html, actions: BulkPages.way(visit),
            """
            \(parts.statuses)\(parts.controls)\(MissingShards(list.missingShards).html)\
            \(UnreadableJobs(jobs: list.unreadable).html)\
            <section class="card">\(parts.table)\(parts.pager)</section>
            """)
    }
    static let jobsMax = 50
}

/// How many jobs the filter has, as far as it was counted.
struct JobCount {
    let html: HTML
    private static let countMax: UInt32 = 1000

    init(_ filter: JobFilterForm, _ list: SiloV1.ListJobsResponse, isFirst: Bool, _ visit: Visit) async throws {
        let order: HTML = list.isNewestFirst ? "newest first" : "in the order of storage"
        let words: HTML = filter.words.isEmpty ? .empty : " \(filter.words)"
        let kind = filter.status.map { $0.lowercased() + " " } ?? ""
        if isFirst, list.nextCursor.isEmpty {
            html = "\(Quantity.of(list.jobs.count, kind + "job"))\(words), counted just now, \(order)"
            return
        }
        if let all = Self.known(filter, visit) {
            html = "\(Quantity.count(all)) \(kind)jobs\(words), as the server counts them, \(order)"
            return
        }
        var request = filter.request(at: visit.now)
        request.jobsMax = Self.countMax
        request.omitDetails = true
        let found = try await visit.call(SiloV1.Silo.listJobs, request)
        if found.nextCursor.isEmpty {
            html = "\(Quantity.count(found.jobs.count)) \(kind)jobs\(words), counted just now, \(order)"
        } else {
            html = """
                At least \(Quantity.count(found.jobs.count)) \(kind)jobs\(words): so many among the first \
                \(Quantity.count(found.lookedAt)) that were looked at, \(order)
                """
        }
    }

    /// Of what the server counts all the time.
    private static func known(_ filter: JobFilterForm, _ visit: Visit) -> Int64? {
        guard visit.may(SiloV1.Silo.getNodeInfo) else { return nil }
        let now = visit.site.history.now
        var rest = filter
        (rest.status, rest.group) = (nil, nil)
        guard rest.isEmpty else { return nil }
        if filter.status == nil, filter.group == nil { return now.shards.reduce(0) { $0 + $1.jobs } }
        let jobs: Figures.Jobs
        if let group = filter.group {
            guard let found = now.groups.first(where: { $0.name.hasSameBytes(as: group) && !$0.isRest }) else { return nil }
            jobs = found.jobs
        } else {
            jobs = now.jobs
        }
        switch filter.status {
        case "Running": return jobs.running
        case "Waiting": return jobs.ready + jobs.waiting
        case "Scheduled": return jobs.scheduled
        case "Succeeded": return jobs.succeeded
        case "Failed": return jobs.failed
        case "Cancelled": return jobs.cancelled
        default: return nil
        }
    }
}
