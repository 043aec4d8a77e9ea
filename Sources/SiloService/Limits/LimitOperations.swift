package import SiloAPI
package import SiloCore
import SiloEngine
import SiloStore

/// What operators and the curious ask about limits: why a job waits, and holders to be dropped.
package struct LimitOperations: Sendable {
    let shards: ShardResolver
    let tenancy: Tenancy

    package func explainJob(
        _ request: SiloV1.ExplainJobRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.ExplainJobResponse {
        let (host, shard) = try await shards.readable(request.shard)
        let tenant = try tenancy.tenant(request.tenant, of: host, for: context)
        let explain = Explain(tenant: tenant, id: try JobID(checking: request.id))
        let explanation = try await shard.explanation(explain, for: context)
        guard context.caller.sees(explanation.taskGroup.text) else { throw .jobNotFound }
        return SiloV1.ExplainJobResponse(explanation, of: request.id)
    }

    package func dropTenantHolders(
        _ request: SiloV1.DropTenantHoldersRequest, _ context: RequestContext,
        _ reply: any Reply<SiloV1.DropTenantHoldersResponse>
    ) throws(SiloError) {
        let (host, shard) = try shards.serving(request.shard)
        try context.caller.checkAllGroups()
        let tenant = try tenancy.tenant(request.tenant, of: host, for: context)
        shard.submit(DropHolders(tenant: tenant), for: context) { result in
            reply.send(result.map { count in
                var response = SiloV1.DropTenantHoldersResponse()
                response.holdersDropped = count
                return response
            })
        }
    }

    package func dropLimitHolders(
        _ request: SiloV1.DropLimitHoldersRequest, _ context: RequestContext,
        _ reply: any Reply<SiloV1.DropLimitHoldersResponse>
    ) throws(SiloError) {
        let (host, shard) = try shards.serving(request.shard)
        try context.caller.checkAllGroups()
        try BoundCheck("limit_key").key(request.limitKey)
        let tenant = try tenancy.tenant(request.tenant, of: host, for: context)
        shard.submit(DropHolders(tenant: tenant, key: LimitKey(request.limitKey)), for: context) { result in
            reply.send(result.map { count in
                var response = SiloV1.DropLimitHoldersResponse()
                response.holdersDropped = count
                return response
            })
        }
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
