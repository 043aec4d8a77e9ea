import GRPC
import Protobuf
import SiloAPI
import SiloCore
import SiloEngine

/// What workers call: leases, heartbeats and outcomes.
struct WorkerMethods: Sendable {
    let shards: ShardSet
    let tenancy: Tenancy
    let random: any RandomSource
    let leaseMilliseconds: Int64
    /// Whether `LeaseTask`, which passes limits, may be called.
    let isDevelopment: Bool

    func register(on server: inout MethodTable, for callers: Callers) {
        server.serve(SiloV1.Silo.leaseTask, for: callers) { request, call in
            guard isDevelopment else { throw Status(.permissionDenied, "LeaseTask is only available in dev mode") }
            let (host, shard) = try shards.resolve(request.shard)
            let tenant = try tenancy.tenant(request.tenant, of: host)
            guard !request.workerId.isEmpty else { throw Status(.invalidArgument, "worker_id is required") }
            try Bounds.checkWorker(request.workerId)
            let command = LeaseJob(tenant: tenant, id: try JobID(checking: request.id), worker: request.workerId)
            shard.submit(command) { result in
                call.answer(result.map { task in
                    var response = SiloV1.LeaseTaskResponse()
                    response.task = message(task, shard: request.shard)
                    return response
                }, onUndelivered: { if case .success(let task) = result { shard.submit(Release([task.id])) { _ in } } })
            }
        }
        server.serve(SiloV1.Silo.leaseTasks, for: callers) { request, call in try lease(request, call) }
        server.serve(SiloV1.Silo.heartbeat, for: callers) { request, call in
            let (host, shard) = try shards.resolve(request.shard)
            let tenant = try tenancy.workerTenant(request.tenantId, of: host)
            try Bounds.checkWorker(request.workerId)
            let command = Heartbeat(tenant: tenant, task: try taskID(request.taskId), worker: request.workerId)
            shard.submit(command) { result in
                call.answer(result.map { cancelledAt in
                    var response = SiloV1.HeartbeatResponse()
                    response.cancelled = cancelledAt != nil
                    response.cancelledAtMs = cancelledAt?.milliseconds
                    return response
                })
            }
        }
        server.serve(SiloV1.Silo.reportOutcome, for: callers) { request, call in
            let (host, shard) = try shards.resolve(request.shard)
            shard.submit(try report(request, host)) { result in
                call.answer(result.map { SiloV1.ReportOutcomeResponse() })
            }
        }
        server.serve(SiloV1.Silo.reportRefreshOutcome, for: callers) { request, call in
            let (host, shard) = try shards.resolve(request.shard)
            let tenant = try tenancy.workerTenant(request.tenantId, of: host)
            let outcome: ReportRefresh.Outcome
            switch request.outcome {
            case .success(let success): outcome = .success(newMax: success.newMaxConcurrency)
            case .failure(let failure):
                try Bounds.checkText(failure.code, Bounds.errorCodeBytesMax, "failure.code")
                try Bounds.checkText(failure.message, Bounds.refreshMessageBytesMax, "failure.message")
                outcome = .failure
            case nil: throw Status(.invalidArgument, "missing outcome")
            }
            shard.submit(ReportRefresh(tenant: tenant, task: try taskID(request.taskId), outcome: outcome)) { result in
                call.answer(result.map { SiloV1.ReportRefreshOutcomeResponse() })
            }
        }
        server.serve(SiloV1.Silo.reportOutcomes, for: callers) { request, call in try reportAll(request, call) }
    }

    private func lease(_ request: SiloV1.LeaseTasksRequest, _ call: Call<SiloV1.LeaseTasksResponse>) throws {
        try Bounds.checkTaskGroup(request.taskGroup)
        try Bounds.checkWorker(request.workerId)
        let lease = Lease(
            worker: request.workerId, group: request.taskGroup,
            taskCountMax: Int(min(request.maxTasks, Bounds.leaseMax)), answerBytesMax: Bounds.leaseAnswerBytes(request.answerBytesMax)
        )
        let wait = Int64(min(request.waitMs ?? 0, Bounds.waitMillisecondsMax))
        var open: [(ShardHost, Shard)] = []
        if let id = request.shard {
            open = [try shards.resolve(id)]
        } else {
            var random = RandomGenerator(random)
            open = shards.hosts.compactMap { host in host.shard.map { (host, $0) } }.shuffled(using: &random)
        }
        guard lease.taskCountMax > 0, !open.isEmpty else { return call.answer(SiloV1.LeaseTasksResponse()) }
        let sweep = LeaseSweep(open, lease, waitMilliseconds: wait) { result in
            call.answer(result.map { found in
                var response = SiloV1.LeaseTasksResponse()
                response.tasks = found.tasks.map { message($0.task, shard: $0.shard.description) }
                response.refreshTasks = found.refreshes.map { shard, _, refresh in
                    SiloV1.RefreshFloatingLimitTask(
                        refresh, shard: shard.description, tenant: tenancy.shown(refresh.tenant),
                        leaseMilliseconds: leaseMilliseconds
                    )
                }
                return response
            }, onUndelivered: { if case .success(let found) = result { found.giveBack() } })
        }
        call.onCancel { sweep.abandon() }
        sweep.begin()
    }

    private func reportAll(_ request: SiloV1.ReportOutcomesRequest, _ call: Call<SiloV1.ReportOutcomesResponse>) throws {
        let (host, shard) = try shards.resolve(request.shard)
        guard request.outcomes.count <= Bounds.batchMax else {
            throw Status(.invalidArgument, "outcomes has too many entries (max \(Bounds.batchMax))")
        }
        var reports: [ReportOutcome] = []
        reports.reserveCapacity(request.outcomes.count)
        /// For each outcome what refused it before it reached the shard.
        var refusals: [Status?] = []
        for outcome in request.outcomes {
            do throws(Status) {
                guard outcome.shard.isEmpty || outcome.shard == request.shard else {
                    throw Status(.invalidArgument, "shard must be empty or the shard of the batch")
                }
                reports.append(try report(outcome, host))
                refusals.append(nil)
            } catch {
                refusals.append(error)
            }
        }
        let refused = refusals
        shard.submit(Each(reports)) { result in
            call.answer(result.map { results in
                var rest = results[...]
                var response = SiloV1.ReportOutcomesResponse()
                response.results = zip(request.outcomes, refused).map { outcome, refusal in
                    var entry = SiloV1.OutcomeResult()
                    entry.taskId = outcome.taskId
                    if let status = refusal ?? rest.popFirst().flatMap({ $0.refusal }).map(Status.init) {
                        entry.code = status.code.rawValue
                        entry.error = status.shortened.message
                    }
                    return entry
                }
                return response
            })
        }
    }

    private func report(_ request: SiloV1.ReportOutcomeRequest, _ host: ShardHost) throws(Status) -> ReportOutcome {
        let tenant = try tenancy.workerTenant(request.tenantId, of: host)
        let outcome: ReportOutcome.Outcome
        switch request.outcome {
        case .success(let result):
            let bytes = SiloV1.SerializedBytes?(result).bytes
            try Bounds.checkPayload(bytes, "success")
            outcome = .success(result: bytes)
        case .failure(let failure):
            try Bounds.checkText(failure.code, Bounds.errorCodeBytesMax, "failure.code")
            try Bounds.checkPayload(failure.data.bytes, "failure.data")
            outcome = .failure(code: failure.code, data: failure.data.bytes)
        case .cancelled: outcome = .cancelled
        case nil: throw Status(.invalidArgument, "missing outcome")
        }
        return ReportOutcome(tenant: tenant, task: try taskID(request.taskId), outcome: outcome)
    }

    /// A task id that is no UUID names no lease.
    private func taskID(_ text: String) throws(Status) -> TaskID {
        guard let uuid = UUID(text) else { throw Status(SiloError.leaseNotFound) }
        return TaskID(uuid)
    }

    private func message(_ task: LeasedTask, shard: String) -> SiloV1.Task {
        SiloV1.Task(task, shard: shard, tenant: tenancy.shown(task.tenant), leaseMilliseconds: leaseMilliseconds)
    }
}

/// The node's chance, for shuffling.
private struct RandomGenerator: RandomNumberGenerator {
    let source: any RandomSource
    init(_ source: any RandomSource) { self.source = source }
    mutating func next() -> UInt64 { source.next() }
}
