import GRPC
import Protobuf
import SiloAPI
import SiloCore
import SiloEngine
import SiloStore

/// What operators and the curious call about limits: why a job waits, pauses, and holders to be dropped.
struct LimitMethods: Sendable {
    let shards: ShardSet
    let tenancy: Tenancy

    func register(on server: inout MethodTable, for callers: Callers) {
        server.serve(SiloV1.Silo.explainJob, for: callers) { (request: SiloV1.ExplainJobRequest) in
            let (host, shard) = try shards.resolve(request.shard)
            let tenant = try tenancy.tenant(request.tenant, of: host)
            let findings = try await shard.run(Explain(tenant: tenant, id: try JobID(checking: request.id)))
            do {
                return SiloV1.ExplainJobResponse(try await findings.explanation(try await shard.snapshot()), of: request.id)
            } catch let error as StoreError {
                throw SiloError(reading: error)
            }
        }
        server.serve(SiloV1.Silo.dropTenantHolders, for: callers) { request, call in
            let (host, shard) = try shards.resolve(request.shard)
            shard.submit(DropHolders(tenant: try tenancy.tenant(request.tenant, of: host))) { result in
                call.answer(result.map { count in
                    var response = SiloV1.DropTenantHoldersResponse()
                    response.holdersDropped = count
                    return response
                })
            }
        }
        server.serve(SiloV1.Silo.pause, for: callers) { request, call in
            let (host, shard) = try shards.resolve(request.shard)
            let target = try target(request.target, request.tenant, of: host)
            try Bounds.checkText(request.reason, Bounds.reasonBytesMax, "reason")
            shard.submit(Pause(target, reason: request.reason)) { result in
                call.answer(result.map { wasPaused in
                    var response = SiloV1.PauseResponse()
                    response.wasPaused = wasPaused
                    return response
                })
            }
        }
        server.serve(SiloV1.Silo.resume, for: callers) { request, call in
            let (host, shard) = try shards.resolve(request.shard)
            shard.submit(Resume(try target(request.target, request.tenant, of: host))) { result in
                call.answer(result.map { wasPaused in
                    var response = SiloV1.ResumeResponse()
                    response.wasPaused = wasPaused
                    return response
                })
            }
        }
        server.serve(SiloV1.Silo.listPauses, for: callers) { request, call in
            let (_, shard) = try shards.resolve(request.shard)
            shard.submit(ListPauses()) { result in
                call.answer(result.map { pauses in
                    var response = SiloV1.ListPausesResponse()
                    response.pauses = pauses.sorted { ($0.1.sinceMs, $0.0) < ($1.1.sinceMs, $1.0) }
                        .map { SiloV1.PauseInfo($0, $1, tenancy) }
                    return response
                })
            }
        }
    }

    /// What a request wants paused or resumed.
    private func target(_ target: SiloV1.PauseTarget?, _ tenant: String?, of host: ShardHost) throws(Status) -> PauseTarget {
        switch target?.target {
        case .wholeTenant(let isWhole):
            guard isWhole else {
                throw Status(.invalidArgument, "target.whole_tenant must be true, or name a task_group or limit_key")
            }
            return .tenant(try tenancy.tenant(tenant, of: host))
        case .taskGroup(let group):
            try Bounds.checkTaskGroup(group, "target.task_group")
            guard let tenant, !tenant.isEmpty else { return .group(TaskGroup(group), of: nil) }
            return .group(TaskGroup(group), of: try tenancy.tenant(tenant, of: host))
        case .limitKey(let key):
            try BoundCheck("target").key(key, "limit_key")
            return .limit(LimitKey(key), of: try tenancy.tenant(tenant, of: host))
        case nil:
            throw Status(.invalidArgument, "target is required: whole_tenant, task_group or limit_key")
        }
    }
}

extension SiloV1.PauseInfo {
    init(_ target: PauseTarget, _ pause: StorageV1.Pause, _ tenancy: Tenancy) {
        self.init()
        tenant = target.tenant.flatMap { tenancy.shown($0) }
        var message = SiloV1.PauseTarget()
        switch target {
        case .tenant: message.target = .wholeTenant(true)
        case .group(let group, _): message.target = .taskGroup(group.text)
        case .limit(let key, _): message.target = .limitKey(key.text)
        }
        self.target = message
        reason = pause.reason
        sinceMs = pause.sinceMs
    }
}

extension SiloV1.ExplainJobResponse {
    init(_ explanation: Explanation, of id: String) {
        self.init()
        self.id = id
        status = SiloV1.JobStatus(explanation.status)
        summary = explanation.summary
        obstacles = explanation.obstacles.map(SiloV1.Obstacle.init)
        earliestStartAtMs = explanation.earliestStart?.milliseconds
        estimatedStartAtMs = explanation.estimatedStart?.milliseconds
        taskGroup = explanation.taskGroup.text
        attempt = explanation.attempt
        workersWaiting = UInt32(clamping: explanation.workersWaiting)
        lastPollAtMs = explanation.lastPoll?.milliseconds
    }
}

extension SiloV1.Obstacle {
    init(_ obstacle: Explanation.Obstacle) {
        self.init()
        switch obstacle.kind {
        case .timer: kind = .timer
        case .concurrency: kind = .concurrency
        case .floating: kind = .floating
        case .rate: kind = .rate
        case .readyQueue: kind = .readyQueue
        case .noWorker: kind = .noWorker
        case .paused: kind = .paused
        case .externalRate: kind = .externalRate
        }
        text = obstacle.text
        key = obstacle.key
        max = obstacle.max
        inUse = obstacle.inUse
        holders = obstacle.holders.map { holder in
            var message = SiloV1.LimitHolder()
            message.jobId = holder.job.text
            message.taskGroup = holder.group.text
            if let running = holder.running {
                message.taskId = running.task?.description ?? ""
                message.workerId = running.worker
                message.sinceMs = running.since.milliseconds
            }
            return message
        }
        ahead = obstacle.ahead
        aheadIsLeast = obstacle.aheadIsLeast
        untilMs = obstacle.until?.milliseconds
        estimateMs = obstacle.estimate
        blocksNow = obstacle.blocksNow
    }
}
