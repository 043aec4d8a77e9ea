package import SiloAPI
package import SiloCore
import SiloEngine
import SiloQuery
import SiloStore
import SiloTelemetry

/// Acting on many jobs at once: on all that meet a condition.
package struct BulkOperations: Sendable {
    private typealias Serving = (host: any HostedShard, shard: Shard)
    private typealias Part = (shard: ShardID, action: StorageV1.BulkAction)
    /// What is known of actions, and the shards that did not say what they know.
    private typealias Known = (actions: [BulkID: [Part]], missing: [Missing])
    private typealias Missing = (shard: String, why: SiloError)

    private let shards: ShardResolver
    private let tenancy: Tenancy
    private let environment: Environment
    /// Dry runs are statements among others.
    private let queries: QueryOperations
    private let logger: Logger

    init(shards: ShardResolver, tenancy: Tenancy, environment: Environment, queries: QueryOperations, logger: Logger) {
        self.shards = shards
        self.tenancy = tenancy
        self.environment = environment
        self.queries = queries
        self.logger = logger
    }

    package func startBulkAction(
        _ request: SiloV1.StartBulkActionRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.StartBulkActionResponse {
        try context.caller.checkAllGroups()
        let scope = try scope(request.tenant, context.caller)
        let asked = try BulkRequest(request, random: environment.random)
        let serving = try serving(request.shard).filter { part in
            scope.tenants?.contains { part.host.range.contains($0.hash) } ?? true
        }
        guard !serving.isEmpty else { throw elsewhere(scope, request.shard) }
        var response = SiloV1.StartBulkActionResponse()
        let plan = try await look(asked, scope, serving, isDryRun: request.dryRun, context)
        guard !request.dryRun else {
            response.plan = plan
            return response
        }
        response.action = SiloV1.BulkAction(try await start(asked, scope, serving, context), tenancy)
        return response
    }

    package func getBulkAction(
        _ request: SiloV1.GetBulkActionRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.GetBulkActionResponse {
        let id = try BulkID(checking: request.id)
        let known = try await actions(of: request.shard, context)
        var response = SiloV1.GetBulkActionResponse()
        response.action = action(try parts(of: id, known), known.missing)
        return response
    }

    package func listBulkActions(
        _ request: SiloV1.ListBulkActionsRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.ListBulkActionsResponse {
        let known = try await actions(of: request.shard, context)
        var response = SiloV1.ListBulkActionsResponse()
        response.actions = known.actions.values.map { action($0, known.missing) }
            .sorted { ($0.startedAtMs, $0.id) > ($1.startedAtMs, $1.id) }
        response.missingShards = known.missing.map(\.shard)
        return response
    }

    package func cancelBulkAction(
        _ request: SiloV1.CancelBulkActionRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.CancelBulkActionResponse {
        let id = try BulkID(checking: request.id)
        let known = try await actions(of: request.shard, context)
        var stopped: [Part] = []
        var missing = known.missing
        for (shard, _) in try parts(of: id, known) {
            do throws(SiloError) {
                stopped.append((shard, try await shards.serving(shard.description).shard.run(StopBulk(id), for: context)))
            } catch {
                missing.append((shard.description, error))
            }
        }
        if stopped.isEmpty, let why = missing.last?.why { throw why }
        logger.info("bulk action stopped", ["action": .init(id), "by": .init(context.caller.title)])
        var response = SiloV1.CancelBulkActionResponse()
        response.action = action(stopped, missing)
        return response
    }

    private func action(_ parts: [Part], _ missing: [Missing]) -> SiloV1.BulkAction {
        var action = SiloV1.BulkAction(parts, tenancy)
        action.missingShards = missing.map(\.shard)
        return action
    }

    /// Where some shard does not answer, an action may be there.
    private func parts(of id: BulkID, _ known: Known) throws(SiloError) -> [Part] {
        if let parts = known.actions[id] { return parts }
        throw known.missing.first?.why ?? .bulkActionNotFound
    }

    // MARK: Who, where and what

    /// Whose jobs a caller means.
    private func scope(_ name: String?, _ caller: Caller) throws(SiloError) -> BulkScope {
        let name = name ?? ""
        guard tenancy.isEnabled else {
            guard name.isEmpty else { throw .tenantNotTaken }
            return .everybody
        }
        guard name.isEmpty else {
            guard Bounds.hasScalars(name, atMost: Tenant.nameScalarsMax) else { throw .invalidTenant }
            try caller.check(Tenant(name))
            return .these([Tenant(name)])
        }
        guard let own = caller.tenants else { return .everybody }
        guard !own.isEmpty else { throw .tenantRequired }
        return .these(own.sorted())
    }

    /// The shard that is named, or all of this node. Each of them must serve.
    private func serving(_ name: String) throws(SiloError) -> [Serving] {
        let names = name.isEmpty ? shards.all.map(\.id.description) : [name]
        return try names.map { name throws(SiloError) in try shards.serving(name) }
    }

    private func elsewhere(_ scope: BulkScope, _ shard: String) -> SiloError {
        guard let tenant = scope.tenants?.first, let host = try? shards.host(shard) else { return .notOwner(hint: nil) }
        return .tenantElsewhere(tenant, host.id, host.range)
    }

    /// Whether the condition can be asked; with what a dry run tells.
    private func look(
        _ asked: BulkRequest, _ scope: BulkScope, _ serving: [Serving], isDryRun: Bool, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.BulkPlan {
        let dryRun = BulkDryRun(
            request: asked, scope: scope, shards: serving.map { queries.queried($0.host) }, limits: queries.settings.limits,
            clock: environment.clock, tenancy: tenancy)
        let timeout = queries.timeout(context)
        let statement = try queries.admit(dryRun.counting, timeoutMilliseconds: timeout)
        let result = await withTaskCancellationHandler {
            do throws(QueryError) {
                try await dryRun.check(statement.control)
                return Result<SiloV1.BulkPlan, QueryError>.success(
                    isDryRun ? try await dryRun.plan(statement.control) : SiloV1.BulkPlan())
            } catch {
                return .failure(error)
            }
        } onCancel: {
            statement.control.cancel()
        }
        switch result {
        case .success(let plan):
            let rows = plan.statuses.count + plan.sample.count
            let isLate = plan.isUncounted && plan.uncountedBecause.isEmpty
            queries.end(statement, rows: rows, failure: isLate ? .timeout(timeout) : nil, as: "slow dry run")
            return plan
        case .failure(let error):
            queries.end(statement, failure: error, as: "slow dry run")
            throw SiloError(ofCondition: error)
        }
    }

    /// Begins on every shard. Where one refuses, what this call has begun is told to stop; what an earlier one began goes on.
    private func start(
        _ asked: BulkRequest, _ scope: BulkScope, _ serving: [Serving], _ context: RequestContext
    ) async throws(SiloError) -> [Part] {
        var parts: [Part] = []
        var begun: [ShardID] = []
        for (host, shard) in serving {
            let own = BulkScope(scope.tenants?.filter { host.range.contains($0.hash) })
            let start = StartBulk(asked.id, asked.verb, where: asked.condition, of: own, by: context.caller.title)
            var isKnown = true
            do throws(SiloError) {
                isKnown = try await shard.run(ListBulks(), for: context).contains { $0.id == asked.id.uuid.bytes }
                let answer = try await shard.run(start, for: context)
                parts.append((host.id, answer.action))
                if answer.isNew { begun.append(host.id) }
            } catch {
                // It may have begun where that could not be answered.
                for id in isKnown ? begun : begun + [host.id] {
                    _ = try? await shards.serving(id.description).shard.run(StopBulk(asked.id))
                }
                throw error
            }
        }
        logger.info(
            "bulk action started",
            [
                "action": .init(asked.id), "kind": .init(asked.verb.word), "by": .init(context.caller.title),
                "condition": .init(String(asked.condition.prefix(512))), "shards": .init(parts.count),
            ])
        return parts
    }

    /// The actions that a caller may see, with their parts. A shard that is named must answer, or else one of all.
    private func actions(of shard: String, _ context: RequestContext) async throws(SiloError) -> Known {
        try context.caller.checkAllGroups()
        var actions: [BulkID: [Part]] = [:]
        let hosts = shard.isEmpty ? shards.all : [try shards.host(shard)]
        let (answers, missing) = await shards.answers(of: hosts, for: context) { [shards] host async throws(SiloError) in
            let shard = try shards.serving(host.id.description).shard
            return (host.id, try await shard.run(ListBulks(), for: context))
        }
        if answers.isEmpty, let why = missing.first?.why { throw why }
        for (shard, known) in answers {
            for action in known {
                guard let uuid = UUID(bytes: action.id) else { continue }
                actions[BulkID(uuid), default: []].append((shard, action))
            }
        }
        return (
            actions.filter { _, parts in sees(parts.map(\.action.scope), context.caller) },
            missing.map { ($0.shard.description, $0.why) }
        )
    }

    /// Whether a caller may know of an action whose parts are about these.
    private func sees(_ scopes: [BulkScope], _ caller: Caller) -> Bool {
        guard tenancy.isEnabled, caller.tenants != nil else { return true }
        return scopes.allSatisfy { $0.tenants?.allSatisfy(caller.sees) ?? false }
    }
}
