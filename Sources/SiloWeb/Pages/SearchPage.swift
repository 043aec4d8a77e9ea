import SiloAPI
import SiloCore

/// Finds what a text names: the id of a job, a tenant, the key of a limit, a task group, a shard. Where it names one thing, it
/// leads there.
enum SearchPage {
    /// Something that was found, and where it is shown.
    struct Found: Sendable {
        let kind: String
        let name: String
        /// What tells it from others of its name.
        var more = ""
        let link: Link
    }
    private static let foundMax = 50

    /// So many jobs are looked through without asking: a tenth of a second.
    private static let jobsAtOnceMax: Int64 = 20_000

    /// What a visitor may not ask is not looked for.
    static let show: @Sendable (Visit) async throws -> Content = { visit in
        let text = (visit.query["q"] ?? "").trimmingSpaces
        guard !text.isEmpty else {
            throw PageFailure(400, "Nothing to search for", "Type the id of a job, a tenant, a key or a task group.")
        }
        var missing = MissingShards()
        let (jobs, advice) = try await jobs(text, &missing, visit)
        let found = try await names(text, &missing, visit) + jobs
        if found.count == 1, missing.ids.isEmpty, let only = found.first { throw Passage(to: only.link) }
        let rows = found.prefix(foundMax).map { found -> [HTML] in
            ["\(found.kind)", "<a href=\"\(found.link)\">\(Name(found.name).html)</a>", Name(found.more).html]
        }
        let next: HTML = "Names are compared letter by letter, whole. Jobs are found by their id."
        let table = Table(
            caption: "What was found", columns: [.init("Kind"), .init("Name"), .init("Tenant")], rows: rows,
            empty: Empty("Nothing is called \(Name.visible(String(text.prefix(200))))", next: next))
        return Content(
            "Search", about: "For \(Name(text).html)", "\(missing.html)<section class=\"card\">\(table.html)</section>\(advice)")
    }

    // MARK: Jobs

    /// By their id, or by tenant and id with a slash between. An id alone may be of any tenant: with tenancy every job is looked
    /// at.
    /// - Returns: also what to do about jobs that were not looked at.
    private static func jobs(
        _ text: String, _ missing: inout MissingShards, _ visit: Visit
    ) async throws -> (found: [Found], advice: HTML) {
        guard visit.may(JobPage.page.needs) else { return ([], .empty) }
        if let slash = text.unicodeScalars.firstIndex(of: "/"), case .found(let job) = try await job(
            String(text.unicodeScalars[slash...].dropFirst()), of: String(text[..<slash]), visit)
        {
            return ([job], .empty)
        }
        if let own = visit.caller.tenants {
            var found: [Found] = []
            for tenant in own.sorted(by: { $0.name < $1.name }).prefix(foundMax) {
                if case .found(let job) = try await job(text, of: tenant.name, visit) { found.append(job) }
            }
            return (found, .empty)
        }
        switch try await job(text, of: nil, visit) {
        case .found(let job): return ([job], .empty)
        case .none: return ([], .empty)
        case .unanswered:
            missing.add(visit.site.history.now.shards.filter { $0.trouble != nil }.map(\.id))
            return ([], .empty)
        case .notAsked: break
        }
        guard visit.mayQuery(nil) else {
            return ([], note("An id alone may be of any tenant, which your token may not ask.", nil))
        }
        let count = visit.site.history.now.shards.reduce(0) { $0 + $1.jobs }
        guard count <= jobsAtOnceMax || visit.query["jobs"] == "all" else { return ([], offer(text, count)) }
        return try await everywhere(text, &missing, visit)
    }

    private static func everywhere(
        _ id: String, _ missing: inout MissingShards, _ visit: Visit
    ) async throws(CallFailure) -> (found: [Found], advice: HTML) {
        do throws(CallFailure) {
            let sql = "SELECT tenant, id FROM jobs WHERE id = $1 LIMIT 51"
            let rows = try await visit.rows(sql, [.stringValue(id)], missing: &missing)
            return (rows.map { found($0.text("id"), of: $0.tenant) }, .empty)
        } catch {
            guard error.kind == .unavailable || error.kind == .busy else { throw error }
            return ([], note("They could not all be looked through: \(error.text).", nil))
        }
    }

    private enum Looked {
        case found(Found)
        case none
        /// It is on no shard that answers, and some do not.
        case unanswered
        /// It cannot be asked so: a tenant is to be named, or it is no id.
        case notAsked
    }

    private static func job(_ id: String, of tenant: String?, _ visit: Visit) async throws -> Looked {
        do {
            _ = try await visit.job(id, tenant: tenant, bytesMax: 1)
            return .found(found(id, of: tenant))
        } catch let failure as PageFailure where failure.status == 404 {
            return .none
        } catch let failure as CallFailure where failure.kind == .unavailable {
            return .unanswered
        } catch let failure as CallFailure where failure.kind == .invalid || failure.kind == .denied {
            return .notAsked
        }
    }

    private static func found(_ id: String, of tenant: String?) -> Found {
        Found(kind: "Job", name: id, more: tenant ?? "", link: .job(id, tenant: tenant))
    }

    private static func offer(_ text: String, _ count: Int64) -> HTML {
        note(
            "There are \(Quantity.of(count, "job")), of many tenants, and to look for an id among all of them takes seconds.",
            Link("/search", [("q", text), ("jobs", "all")]))
    }

    private static func note(_ why: HTML, _ link: Link?) -> HTML {
        let button: HTML = link.map { "<p><a class=\"button primary\" href=\"\($0)\">Look through all jobs</a></p>" } ?? .empty
        return """
            <section class="card"><h2>Jobs</h2><p>\(why) With its tenant a job is found at once: search for \
            <code>tenant/id</code>.</p>\(button)</section>
            """
    }

    // MARK: Other names

    private static func names(
        _ text: String, _ missing: inout MissingShards, _ visit: Visit
    ) async throws -> [Found] {
        try await groups(text, &missing, visit) + shards(text, visit) + tenants(text, &missing, visit)
            + limits(text, &missing, visit)
    }

    private static func groups(_ name: String, _ missing: inout MissingShards, _ visit: Visit) async throws -> [Found] {
        guard visit.may(GroupPage.page.needs) else { return [] }
        let all = visit.site.history.now.groups
        var isThere = all.contains { $0.name.hasSameBytes(as: name) && !$0.isRest }
        // It may be one of those that are not counted by themselves.
        if !isThere, all.contains(where: \.isRest), visit.mayQuery(nil) {
            let sql = "SELECT COUNT(*) AS n FROM jobs WHERE task_group = $1"
            let rows = try await visit.rows(sql, [.stringValue(name)], missing: &missing)
            isThere = rows.contains { $0.int("n") ?? 0 > 0 }
        }
        return isThere ? [Found(kind: "Task group", name: name, link: .group(name))] : []
    }

    private static func shards(_ text: String, _ visit: Visit) -> [Found] {
        guard text.count >= 8, visit.may(ShardPage.page.needs) else { return [] }
        return visit.site.history.now.shards.filter { $0.id.hasPrefix(text.lowercased()) }.map {
            Found(kind: "Shard", name: $0.id, link: .shard($0.id))
        }
    }

    private static func tenants(_ name: String, _ missing: inout MissingShards, _ visit: Visit) async throws -> [Found] {
        guard visit.may(TenantPage.page.needs), visit.may(SiloV1.Silo.query), visit.caller.groups == nil else { return [] }
        let sql = "SELECT tenant FROM tenant_counts WHERE tenant = $1 LIMIT 1"
        let rows = try await visit.rows(sql, [.stringValue(name)], missing: &missing)
        return rows.filter { $0.tenant != nil }.map {
            Found(kind: "Tenant", name: $0.text("tenant"), link: .tenant($0.text("tenant")))
        }
    }

    /// Those that memory knows.
    private static func limits(_ key: String, _ missing: inout MissingShards, _ visit: Visit) async throws -> [Found] {
        guard visit.may(SiloV1.Silo.listLimits), visit.caller.groups == nil else { return [] }
        var request = SiloV1.ListLimitsRequest()
        request.key = key
        request.limit = UInt32(foundMax) + 1
        let found = try await visit.call(SiloV1.Silo.listLimits, request)
        missing.add(found.missingShards)
        return found.limits.map { limit in
            Found(
                kind: "Limit", name: limit.key, more: limit.tenant.asTenant ?? "",
                link: .limit(limit.key, tenant: limit.tenant.asTenant))
        }
    }
}

/// Thrown by a page that leads elsewhere.
struct Passage: Error {
    let to: Link
}

extension Row {
    /// Nil without tenancy.
    var tenant: String? {
        let tenant = text("tenant")
        return tenant == "-" ? nil : tenant
    }
}

extension String {
    fileprivate var trimmingSpaces: String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}
