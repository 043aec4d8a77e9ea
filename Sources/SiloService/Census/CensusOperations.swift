package import SiloAPI
package import SiloCore
import SiloEngine
import SiloStore

/// Who has most of what: tenants, limits and workers, as the memory of this node knows them.
package struct CensusOperations: Sendable {
    let shards: ShardResolver
    let registry: WorkerRegistry

    // MARK: Tenants

    package func listTenants(
        _ request: SiloV1.ListTenantsRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.ListTenantsResponse {
        try Bounds.checkText(request.nameContains, Bounds.searchTextBytesMax, "name_contains")
        let order: TenantCensus.Order =
            switch request.order {
            case .rate: .rate
            case .failures: .failures
            default: .backlog
            }
        let census = TenantCensus(
            order, nameContains: request.nameContains,
            after: request.after.map { CensusPlace(value: $0.value, name: $0.tenant) }, countMax: Bounds.page(request.limit),
            tenants: context.caller.tenants.map { Set($0) }, groups: context.caller.groups.map { Set($0) })
        let (pages, missing) = try await all(request.shard, context, census)
        let (entries, isLast) = merged(pages.map(\.page), Bounds.page(request.limit)) { entry in
            (entry.value(order), ExactText(entry.tenant.name))
        }
        var response = SiloV1.ListTenantsResponse()
        response.tenants = entries.map { SiloV1.TenantInfo($0, order) }
        response.matching = UInt64(pages.reduce(0) { $0 + $1.page.matching })
        response.isLast = isLast
        response.missingShards = missing
        return response
    }

    // MARK: Limits

    package func listLimits(
        _ request: SiloV1.ListLimitsRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.ListLimitsResponse {
        // Jobs of any group may name a limit.
        try context.caller.checkAllGroups()
        try Bounds.checkText(request.keyContains, Bounds.searchTextBytesMax, "key_contains")
        var tenants = context.caller.tenants.map { Set($0) }
        if let name = request.tenant, !name.isEmpty {
            try context.caller.check(Tenant(name))
            tenants = [Tenant(name)]
        }
        let order: LimitCensus.Order =
            switch request.order {
            case .waiting: .waiting
            case .refusals: .refusals
            default: .held
            }
        let census = LimitCensus(
            order, keyContains: request.keyContains, key: request.key.isEmpty ? nil : request.key,
            findsFirst: request.oldestWaits,
            after: request.after.map { CensusPlace(value: $0.value, name: $0.tenant + "\0" + $0.key) },
            countMax: Bounds.page(request.limit), tenants: tenants)
        let (pages, missing) = try await all(request.shard, context, census)
        let placed = pages.map { part in
            CensusPage(
                entries: part.page.entries.map { (shard: part.shard, entry: $0) }, matching: part.page.matching,
                isLast: part.page.isLast)
        }
        let (entries, isLast) = merged(placed, Bounds.page(request.limit)) { ($0.entry.value(order), $0.entry.name) }
        var response = SiloV1.ListLimitsResponse()
        response.limits = entries.map { SiloV1.LimitInfo($0.entry, order, shard: $0.shard) }
        if request.lineMax > 0, entries.count == 1, let (shard, entry) = entries.first, let lines = entry.lines {
            let waiting = try await first(Bounds.page(request.lineMax), of: [lines], on: shard)
            response.limits[0].line = waiting[0].map { SiloV1.LimitWaiter($0) }
        }
        if request.oldestWaits {
            for (shard, own) in Dictionary(grouping: entries.indices, by: { entries[$0].shard }) {
                let waiting = own.filter { entries[$0].entry.lines != nil }
                let found = try await first(1, of: waiting.compactMap { entries[$0].entry.lines }, on: shard)
                for (index, jobs) in zip(waiting, found) { response.limits[index].firstSinceMs = jobs.first?.since.milliseconds }
            }
        }
        response.matching = UInt64(placed.reduce(0) { $0 + $1.matching })
        response.isLast = isLast
        response.missingShards = missing
        return response
    }

    /// The jobs that are looked at first at each of some limits.
    private func first(
        _ countMax: Int, of lines: [LinesAtLimit], on shard: String
    ) async throws(SiloError) -> [[LinesAtLimit.Job]] {
        let (reader, _) = try await shards.readable(shard).shard.reader()
        var found: [[LinesAtLimit.Job]] = []
        do throws(StoreError) {
            for lines in lines { found.append(try await lines.first(countMax, reader)) }
        } catch {
            throw SiloError(reading: error)
        }
        return found
    }

    // MARK: Workers

    package func listWorkers(
        _ request: SiloV1.ListWorkersRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.ListWorkersResponse {
        try Bounds.checkText(request.idContains, Bounds.searchTextBytesMax, "id_contains")
        try Bounds.checkWorker(request.workerId)
        let wanted = request.workerId.isEmpty ? nil : ExactText(request.workerId)
        let known = Dictionary(registry.all.map { (ExactText($0.id), $0) }) { _, last in last }
        var held: [ExactText: LeaseCensus.Sum] = [:]
        var leases: [SiloV1.WorkerLease] = []
        let (answers, missing) = try await ask("", context, LeaseCensus(worker: wanted?.text))
        for (shard, sums) in answers {
            held.merge(sums) { $0.adding($1) }
            if let wanted { leases += (sums[wanted]?.held ?? []).map { SiloV1.WorkerLease($0, shard: shard) } }
        }
        let ids = Set(known.keys).union(held.keys).filter { id in
            (wanted.map { $0 == id } ?? true) && (request.idContains.isEmpty || TextSearch(request.idContains).isIn(id.text))
                && (request.taskGroup.isEmpty || known[id]?.groups[TaskGroup(request.taskGroup)] != nil)
        }
        let following = ids.filter { $0 > ExactText(request.after) }.sorted()
        let shown = following.prefix(Bounds.page(request.limit))
        var response = SiloV1.ListWorkersResponse()
        response.workers = shown.map { SiloV1.WorkerInfo($0.text, known[$0], held[$0]) }
        if wanted != nil, !response.workers.isEmpty {
            let oldest = leases.sorted { $0.startedAtMs < $1.startedAtMs }
            response.workers[0].held = Array(oldest.prefix(LeaseCensus.heldMax))
        }
        response.matching = UInt64(ids.count)
        response.isLast = shown.count == following.count
        response.missingShards = missing.map(\.shard.description)
        return response
    }

    package func quietWorker(
        _ request: SiloV1.QuietWorkerRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.QuietWorkerResponse {
        guard !request.workerId.isEmpty else { throw .outOfBounds(field: "worker_id", bound: "is required") }
        try Bounds.checkWorker(request.workerId)
        let isHeardOf = registry.hasAsked(request.workerId)
        guard let wasQuiet = registry.setQuiet(request.workerId, !request.resume) else {
            throw .exhausted("\(WorkerRegistry.workersMax) workers are quiet; resume some before adding more")
        }
        var response = SiloV1.QuietWorkerResponse()
        response.wasQuiet = wasQuiet
        for (_, sums) in try await ask("", context, LeaseCensus(worker: request.workerId)).answers {
            response.leases += UInt64(clamping: sums[ExactText(request.workerId)]?.count ?? 0)
        }
        response.isKnown = isHeardOf || response.leases > 0
        return response
    }

    // MARK: Shards

    private typealias Asked<W: Walk> = (answers: [(shard: String, page: W.Answer)], missing: [(shard: ShardID, why: SiloError)])

    /// Asks the shard that is named, or all of this node.
    private func ask<W: Walk>(_ named: String, _ context: RequestContext, _ walk: W) async throws(SiloError) -> Asked<W> {
        await shards.answers(of: named.isEmpty ? shards.all : [try shards.host(named)], for: context) { [shards]
            host async throws(SiloError) in
            let name = host.id.description
            return (shard: name, page: try await shards.serving(name).shard.run(walk, for: context))
        }
    }

    /// The same, of what shards alone know: one must answer.
    private func all<W: Walk>(
        _ named: String, _ context: RequestContext, _ walk: W
    ) async throws(SiloError) -> (answers: [(shard: String, page: W.Answer)], missing: [String]) {
        let (answers, missing) = try await ask(named, context, walk)
        if answers.isEmpty, let (_, why) = missing.first { throw why }
        return (answers, missing.map(\.shard.description))
    }

    /// The first of the pages of several shards, whose entries are different.
    private func merged<Entry: Sendable>(
        _ pages: [CensusPage<Entry>], _ countMax: Int, _ place: (Entry) -> (Int64, ExactText)
    ) -> (entries: [Entry], isLast: Bool) {
        let all = pages.flatMap(\.entries).map { (place($0), $0) }.sorted { left, right in
            left.0.0 != right.0.0 ? left.0.0 > right.0.0 : left.0.1 < right.0.1
        }
        return (all.prefix(countMax).map(\.1), all.count <= countMax && pages.allSatisfy(\.isLast))
    }
}
