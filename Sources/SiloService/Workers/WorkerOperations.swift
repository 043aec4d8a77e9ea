import Protobuf
package import SiloAPI
package import SiloCore
import SiloEngine
import SiloTelemetry

/// What workers call: leases, heartbeats and outcomes.
package struct WorkerOperations: Sendable {
    let shards: ShardResolver
    let tenancy: Tenancy
    let random: any RandomSource
    let leaseMilliseconds: Int64
    /// Whether `leaseTask`, which passes limits, may be called.
    let isDevelopment: Bool
    let tracer: RecordingTracer?
    let registry: WorkerRegistry

    package func leaseTask(
        _ request: SiloV1.LeaseTaskRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.LeaseTaskResponse>
    ) throws(SiloError) {
        guard isDevelopment else { throw .developmentOnly(operation: "LeaseTask") }
        let (host, shard) = try shards.serving(request.shard)
        let tenant = try tenancy.tenant(request.tenant, of: host, for: context)
        guard !request.workerId.isEmpty else { throw .outOfBounds(field: "worker_id", bound: "is required") }
        try Bounds.checkWorker(request.workerId)
        let command = LeaseJob(tenant: tenant, id: try JobID(checking: request.id), worker: request.workerId)
        shard.submit(bounded: command, for: context) { result in
            let answer = result.map { task in
                recordWait(of: task, by: request.workerId, context)
                var response = SiloV1.LeaseTaskResponse()
                response.task = message(task, shard: request.shard)
                return response
            }
            reply.send(answer, onUndelivered: {
                if case .success(let task) = result { shard.submit(Release([task.id])) { _ in } }
            })
        }
    }

    package func leaseTasks(
        _ request: SiloV1.LeaseTasksRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.LeaseTasksResponse>
    ) throws(SiloError) {
        try Bounds.checkTaskGroup(request.taskGroup)
        try context.caller.checkGroup(request.taskGroup)
        try Bounds.checkWorker(request.workerId)
        try Bounds.checkText(request.host, Bounds.workerTextBytesMax, "host")
        try Bounds.checkText(request.version, Bounds.workerTextBytesMax, "version")
        let (worker, group) = (request.workerId, request.taskGroup)
        let mayHaveWork = registry.polled(
            worker, group: group, host: request.host, version: request.version, peer: context.peer)
        let lease = Lease(
            // A quiet one waits as others do.
            worker: worker, group: mayHaveWork ? group : Lease.quiet.text, tenants: context.caller.tenants,
            taskCountMax: Int(min(request.maxTasks, Bounds.leaseMax)),
            answerBytesMax: Bounds.leaseAnswerBytes(request.answerBytesMax)
        )
        let wait = Int64(min(request.waitMs ?? 0, Bounds.waitMillisecondsMax))
        let open = try shardsToAsk(request.shard, context.caller)
        guard lease.taskCountMax > 0, !open.isEmpty else { return reply.send(SiloV1.LeaseTasksResponse()) }
        let run = LeaseRun(open, lease, waitMilliseconds: wait, context) { result in
            if case .success(let found) = result, found.count > 0 {
                guard registry.given(found.count, to: worker, group: group) else {
                    // It was made quiet while it waited.
                    found.giveBack()
                    return reply.send(SiloV1.LeaseTasksResponse())
                }
                recordWaits(of: found, by: worker, context)
            }
            reply.send(result.map(answer), onUndelivered: { if case .success(let found) = result { found.giveBack() } })
        }
        reply.onCancel { run.abandon() }
        run.begin()
    }

    package func heartbeat(
        _ request: SiloV1.HeartbeatRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.HeartbeatResponse>
    ) throws(SiloError) {
        let (host, shard) = try shards.serving(request.shard)
        let tenant = try tenancy.workerTenant(request.tenantId, of: host, for: context)
        try Bounds.checkWorker(request.workerId)
        if !request.workerId.isEmpty { registry.heard(request.workerId) }
        let command = Heartbeat(tenant: tenant, task: try TaskID(checking: request.taskId), worker: request.workerId)
        shard.submit(bounded: command, for: context) { result in
            reply.send(result.map { cancelledAt in
                var response = SiloV1.HeartbeatResponse()
                response.cancelled = cancelledAt != nil
                response.cancelledAtMs = cancelledAt?.milliseconds
                return response
            })
        }
    }

    package func reportOutcome(
        _ request: SiloV1.ReportOutcomeRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.ReportOutcomeResponse>
    ) throws(SiloError) {
        let (host, shard) = try shards.serving(request.shard)
        let tenant = try tenancy.workerTenant(request.tenantId, of: host, for: context)
        shard.submit(bounded: try request.command(tenant), for: context) { result in reply.send(result.map { .init() }) }
    }

    /// What came of each outcome, in the order of the batch.
    package func reportOutcomes(
        _ request: SiloV1.ReportOutcomesRequest, _ context: RequestContext, _ reply: any Reply<[ReportedOutcome]>
    ) throws(SiloError) {
        let (host, shard) = try shards.serving(request.shard)
        try Bounds.checkBatch(request.outcomes.count, "outcomes")
        let plan = BatchPlan(request.outcomes) { outcome throws(SiloError) in
            try Bounds.checkShard(outcome.shard, ofBatch: request.shard)
            return try outcome.command(tenancy.workerTenant(outcome.tenantId, of: host, for: context))
        }
        let order = plan.order
        let spans = EntrySpans(
            "report_outcome", request.outcomes.map { TraceContext($0.traceparent, state: $0.tracestate) }, context, tracer)
        shard.submit(bounded: plan.accepted, for: context) { result in
            let merged = result.map(order.merge)
            spans.end(merged)
            reply.send(merged.map { results in
                zip(request.outcomes, results).map { ReportedOutcome(task: $0.taskId, refusal: $1.refusal) }
            })
        }
    }

    package func reportRefreshOutcome(
        _ request: SiloV1.ReportRefreshOutcomeRequest, _ context: RequestContext,
        _ reply: any Reply<SiloV1.ReportRefreshOutcomeResponse>
    ) throws(SiloError) {
        let (host, shard) = try shards.serving(request.shard)
        let tenant = try tenancy.workerTenant(request.tenantId, of: host, for: context)
        shard.submit(bounded: try request.command(tenant), for: context) { result in reply.send(result.map { .init() }) }
    }

    /// The shard that a worker names, or all that serve tenants of its own, in an order of chance.
    private func shardsToAsk(_ named: String?, _ caller: Caller) throws(SiloError) -> [LeaseRun.Place] {
        if let named {
            let (host, shard) = try shards.serving(named)
            return [(host.id, shard)]
        }
        var random = RandomGenerator(random)
        let hashes = caller.tenants?.map(\.hash)
        let hosts = shards.all.filter { host in hashes?.contains { host.range.contains($0) } ?? true }
        return hosts.compactMap { host in host.shard.map { (host.id, $0) } }.shuffled(using: &random)
    }

    @Sendable private func answer(_ found: LeaseRun.Found) -> SiloV1.LeaseTasksResponse {
        var response = SiloV1.LeaseTasksResponse()
        for (place, leased) in found.leased {
            let shard = place.id.description
            response.tasks += leased.tasks.map { message($0, shard: shard) }
            response.refreshTasks += leased.refreshes.map { refresh in
                SiloV1.RefreshFloatingLimitTask(
                    refresh, shard: shard, tenant: tenancy.shown(refresh.tenant), leaseMilliseconds: leaseMilliseconds
                )
            }
        }
        return response
    }

    private func recordWaits(of found: LeaseRun.Found, by worker: String, _ context: RequestContext) {
        guard tracer != nil else { return }
        for (_, leased) in found.leased { for task in leased.tasks { recordWait(of: task, by: worker, context) } }
    }

    private func recordWait(of task: LeasedTask, by worker: String, _ context: RequestContext) {
        tracer?.recordWait(of: task, tenant: tenancy.shown(task.tenant), by: worker, context.span)
    }

    private func message(_ task: LeasedTask, shard: String) -> SiloV1.Task {
        SiloV1.Task(task, shard: shard, tenant: tenancy.shown(task.tenant), leaseMilliseconds: leaseMilliseconds)
    }
}

/// What came of one outcome of a batch.
package struct ReportedOutcome: Sendable {
    /// As the request named it.
    package let task: String
    /// Nil: it was taken.
    package let refusal: SiloError?
}

/// The node's chance, for shuffling.
private struct RandomGenerator: RandomNumberGenerator {
    let source: any RandomSource
    init(_ source: any RandomSource) { self.source = source }
    mutating func next() -> UInt64 { source.next() }
}
