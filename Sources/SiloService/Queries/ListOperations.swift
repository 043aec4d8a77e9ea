import Protobuf
package import SiloAPI
package import SiloCore
import SiloEngine
import SiloQuery
import SiloStore

/// Lists of jobs.
package struct ListOperations: Sendable {
    let shards: ShardResolver
    let tenancy: Tenancy
    let environment: Environment

    /// Jobs that a page has when nobody says, and at most.
    private static let jobsUsual = 50
    private static let jobsMax = 1000

    /// Of one view of each shard, in which everything is durable. A caller that is bound to tenants or task groups sees those.
    package func listJobs(
        _ request: SiloV1.ListJobsRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.ListJobsResponse {
        let filter = try filter(request, context.caller)
        try checkJobsMax(request.jobsMax)
        var cursor: ListCursor?
        if !request.cursor.isEmpty {
            cursor = ListCursor(request.cursor)
            if cursor == nil { throw Self.wrongCursor }
        }
        var views = try await views(request.shard, of: filter.tenants, context)
        let (known, jobsMax) = (views.all, jobsMax(request.jobsMax))
        let page = try await read(&views, context) { [environment, cursor] (shown: [ListedShard]) async throws(SiloError) in
            if let cursor, known.contains(cursor.shard), !shown.contains(where: { $0.id == cursor.shard }) {
                throw .shardNotReady("the page before ended in a shard that cannot be read now")
            }
            let listing = JobListing(
                filter, of: shown, jobsMax: jobsMax, hasDetails: !request.omitDetails, clock: environment.clock)
            do throws(StoreError) { return try await listing.page(after: cursor) } catch { throw SiloError(reading: error) }
        }
        guard let page else { throw Self.wrongCursor }
        var response = SiloV1.ListJobsResponse()
        response.jobs = page.jobs.map { SiloV1.ListedJob($0, tenancy) }
        response.unreadable = page.unreadable.map { SiloV1.ListedJob($0, tenancy) }
        response.nextCursor = page.next?.text ?? ""
        response.lookedAt = UInt64(page.lookedAt)
        response.isNewestFirst = page.isNewestFirst
        response.missingShards = views.missing.map(\.description)
        return response
    }

    /// Views of shards, and which shards cannot be read now.
    struct Views {
        fileprivate(set) var shown: [ListedShard]
        fileprivate(set) var missing: [ShardID]
        fileprivate let failures: WatchedReader.Failures

        var all: [ShardID] { shown.map(\.id) + missing }
    }

    /// A view of a shard, or of each of this node that may have jobs of the tenants.
    /// - Parameter tenants: nil: everybody's.
    /// - Throws: where none can be read.
    func views(_ shard: String, of tenants: [Tenant]?, _ context: RequestContext) async throws(SiloError) -> Views {
        let failures = WatchedReader.Failures()
        let (answers, missing) = await shards.answers(of: try shards.queried(shard, for: tenants), for: context) {
            [shards] host async throws(SiloError) in
            let shard = try await shards.readable(host.id.description).shard
            let (reader, moment) = try await shard.reader()
            let watched = WatchedReader(reader: reader, shard: host.id, reads: shards.reads, failures: failures)
            return ListedShard(
                id: host.id, range: host.range, reader: watched, moment: moment, failureBounds: shard.failureBounds)
        }
        if answers.isEmpty, let (_, why) = missing.first { throw why }
        return Views(shown: answers, missing: missing.map(\.shard), failures: failures)
    }

    /// Reads views. A shard of several whose reads fail or do not end becomes a missing one, and the others are read anew.
    func read<Answer: Sendable>(
        _ views: inout Views, _ context: RequestContext,
        _ body: @escaping @Sendable ([ListedShard]) async throws(SiloError) -> Answer
    ) async throws(SiloError) -> Answer {
        guard views.all.count > 1 else { return try await body(views.shown) }
        while true {
            let shown = views.shown
            let ids = shown.map(\.id)
            let patience = shards.reads.patience(context)
            let outcome = await shards.reads.outcome(of: ids, patience: patience) { () async -> Result<Answer, SiloError> in
                do throws(SiloError) { return .success(try await body(shown)) } catch { return .failure(error) }
            }
            if case .success(let answer)? = outcome { return answer }
            let lost = views.failures.all.union(shards.reads.overdue(among: ids, patience: patience)).intersection(ids)
            let why = if case .failure(let error)? = outcome { error } else { ShardReads.unanswered }
            guard !lost.isEmpty, lost.count < shown.count else { throw why }
            views.shown.removeAll { lost.contains($0.id) }
            views.missing += lost.sorted { $0.description < $1.description }
        }
    }

    func jobsMax(_ wanted: UInt32) -> Int { wanted == 0 ? Self.jobsUsual : Int(wanted) }

    func checkJobsMax(_ wanted: UInt32) throws(SiloError) {
        guard wanted <= Self.jobsMax else {
            throw .outOfBounds(field: "jobs_max", bound: "must be at most \(Self.jobsMax), not \(wanted)")
        }
    }

    private static let wrongCursor = SiloError.outOfBounds(
        field: "cursor", bound: "must be the next_cursor of a page of the same list")

    private func filter(_ request: SiloV1.ListJobsRequest, _ caller: Caller) throws(SiloError) -> JobFilter {
        var filter = JobFilter()
        filter.tenants = try tenants(request.tenant, caller)
        if !request.statusKind.isEmpty, !filter.setStatus(request.statusKind) {
            throw .outOfBounds(
                field: "status_kind", bound: "must be Waiting, Scheduled, Running, Succeeded, Failed or Cancelled")
        }
        filter.groups = try groups(request.taskGroup, caller)
        // One may be of a task group that the caller must not see.
        filter.tellsUnreadable = caller.groups == nil
        try Bounds.checkMetadata(request.metadata, "metadata")
        filter.metadata = request.metadata.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        if !request.limitKey.isEmpty { filter.limitKey = request.limitKey }
        filter.errorCode = request.errorCode
        let (from, before) = (request.changedFromMs ?? .min, request.changedBeforeMs ?? .max)
        guard from <= before else { throw .outOfBounds(field: "changed_before_ms", bound: "must not be before changed_from_ms") }
        filter.changed = from..<before
        return filter
    }

    /// Nil: of all.
    func groups(_ name: String, _ caller: Caller) throws(SiloError) -> Set<TaskGroup>? {
        guard !name.isEmpty else { return caller.groups }
        try Bounds.checkTaskGroup(name, "task_group")
        try caller.checkGroup(name)
        return [TaskGroup(name)]
    }

    /// Nil: everybody's.
    func tenants(_ name: String?, _ caller: Caller) throws(SiloError) -> [Tenant]? {
        guard tenancy.isEnabled else {
            guard (name ?? "").isEmpty else { throw .tenantNotTaken }
            return nil
        }
        guard let name, !name.isEmpty else { return caller.tenants.map { $0.sorted { $0.name < $1.name } } }
        guard Bounds.hasScalars(name, atMost: Tenant.nameScalarsMax) else { throw .invalidTenant }
        let tenant = Tenant(name)
        try caller.check(tenant)
        return [tenant]
    }
}

extension SiloV1.ListedJob {
    init(_ job: ListedJob, _ tenancy: Tenancy) {
        self.init()
        shard = job.shard.description
        tenant = tenancy.shown(job.tenant)
        id = job.id.text
        statusKind = job.status
        statusChangedAtMs = job.changedAt
        taskGroup = job.group
        priority = job.priority
        enqueuedAtMs = job.enqueuedAt
        attempt = job.attempt
        nextAttemptStartsAfterMs = job.nextStart
        errorCode = job.errorCode
    }
}
