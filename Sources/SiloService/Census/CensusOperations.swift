package import SiloAPI
package import SiloCore
import SiloEngine

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
        let pages = try await ask(request.shard, context, census)
        let (entries, isLast) = merged(pages.map(\.page), Bounds.page(request.limit)) { ($0.value(order), $0.tenant.name) }
        var response = SiloV1.ListTenantsResponse()
        response.tenants = entries.map { SiloV1.TenantInfo($0, order) }
        response.matching = UInt64(pages.reduce(0) { $0 + $1.page.matching })
        response.isLast = isLast
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
            after: request.after.map { CensusPlace(value: $0.value, name: $0.tenant + "\0" + $0.key) },
            countMax: Bounds.page(request.limit), tenants: tenants)
        let pages = try await ask(request.shard, context, census)
        let placed = pages.map { part in
            CensusPage(
                entries: part.page.entries.map { (shard: part.shard, entry: $0) }, matching: part.page.matching,
                isLast: part.page.isLast)
        }
        let (entries, isLast) = merged(placed, Bounds.page(request.limit)) { ($0.entry.value(order), $0.entry.name) }
        var response = SiloV1.ListLimitsResponse()
        response.limits = entries.map { SiloV1.LimitInfo($0.entry, order, shard: $0.shard) }
        response.matching = UInt64(placed.reduce(0) { $0 + $1.matching })
        response.isLast = isLast
        return response
    }

    // MARK: Workers

    package func listWorkers(
        _ request: SiloV1.ListWorkersRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.ListWorkersResponse {
        try Bounds.checkText(request.idContains, Bounds.searchTextBytesMax, "id_contains")
        try Bounds.checkWorker(request.workerId)
        let wanted = request.workerId.isEmpty ? nil : request.workerId
        let known = Dictionary(registry.all.map { ($0.id, $0) }) { _, last in last }
        var held: [String: LeaseCensus.Sum] = [:]
        var leases: [SiloV1.WorkerLease] = []
        for (shard, sums) in try await ask("", context, LeaseCensus(worker: wanted)) {
            held.merge(sums) { $0.adding($1) }
            if let wanted { leases += (sums[wanted]?.held ?? []).map { SiloV1.WorkerLease($0, shard: shard) } }
        }
        let ids = Set(known.keys).union(held.keys).filter { id in
            (wanted.map { $0 == id } ?? true) && (request.idContains.isEmpty || id.contains(request.idContains))
                && (request.taskGroup.isEmpty || known[id]?.groups[request.taskGroup] != nil)
        }
        let following = ids.filter { $0 > request.after }.sorted()
        let shown = following.prefix(Bounds.page(request.limit))
        var response = SiloV1.ListWorkersResponse()
        response.workers = shown.map { SiloV1.WorkerInfo($0, known[$0], held[$0]) }
        if wanted != nil, !response.workers.isEmpty {
            let oldest = leases.sorted { $0.startedAtMs < $1.startedAtMs }
            response.workers[0].held = Array(oldest.prefix(LeaseCensus.heldMax))
        }
        response.matching = UInt64(ids.count)
        response.isLast = shown.count == following.count
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
        for (_, sums) in try await ask("", context, LeaseCensus(worker: request.workerId)) {
            response.leases += UInt64(clamping: sums[request.workerId]?.count ?? 0)
        }
        response.isKnown = isHeardOf || response.leases > 0
        return response
    }

    // MARK: Shards

    /// Asks the shard that is named, or all of this node that serve, one after another.
    private func ask<W: Walk>(
        _ named: String, _ context: RequestContext, _ walk: W
    ) async throws(SiloError) -> [(shard: String, page: W.Answer)] {
        var answers: [(shard: String, page: W.Answer)] = []
        for (name, shard) in try asked(named) { answers.append((name, try await shard.run(walk, for: context))) }
        return answers
    }

    private func asked(_ named: String) throws(SiloError) -> [(String, Shard)] {
        guard named.isEmpty else { return [(named, try shards.serving(named).shard)] }
        return shards.all.compactMap { host in host.shard.map { (host.id.description, $0) } }
    }

    /// The first of the pages of several shards, whose entries are different.
    private func merged<Entry: Sendable>(
        _ pages: [CensusPage<Entry>], _ countMax: Int, _ place: (Entry) -> (Int64, String)
    ) -> (entries: [Entry], isLast: Bool) {
        let all = pages.flatMap(\.entries).map { (place($0), $0) }.sorted { left, right in
            left.0.0 != right.0.0 ? left.0.0 > right.0.0 : left.0.1 < right.0.1
        }
        return (all.prefix(countMax).map(\.1), all.count <= countMax && pages.allSatisfy(\.isLast))
    }
}
