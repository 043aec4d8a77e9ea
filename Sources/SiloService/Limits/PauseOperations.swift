package import SiloAPI
package import SiloCore
import SiloEngine
import SiloStore

/// What operators stop for a while, and let go on.
package struct PauseOperations: Sendable {
    let shards: ShardResolver
    let tenancy: Tenancy

    package func pause(
        _ request: SiloV1.PauseRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.PauseResponse>
    ) throws(SiloError) {
        let (host, shard) = try shards.serving(request.shard)
        let target = try target(request.target, request.tenant, of: host, for: context)
        try Bounds.checkText(request.reason, Bounds.reasonBytesMax, "reason")
        shard.submit(Pause(target, reason: request.reason), for: context) { result in
            reply.send(result.map { wasPaused in
                var response = SiloV1.PauseResponse()
                response.wasPaused = wasPaused
                return response
            })
        }
    }

    package func resume(
        _ request: SiloV1.ResumeRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.ResumeResponse>
    ) throws(SiloError) {
        let (host, shard) = try shards.serving(request.shard)
        shard.submit(Resume(try target(request.target, request.tenant, of: host, for: context)), for: context) { result in
            reply.send(result.map { wasPaused in
                var response = SiloV1.ResumeResponse()
                response.wasPaused = wasPaused
                return response
            })
        }
    }

    package func listPauses(
        _ request: SiloV1.ListPausesRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.ListPausesResponse {
        let (_, shard) = try await shards.readable(request.shard)
        let pauses = try await shard.pauses(for: context)
        var response = SiloV1.ListPausesResponse()
        let seen = pauses.filter { $0.key.isSeen(by: context.caller) }
        response.pauses = seen.sorted { ($0.1.sinceMs, $0.0) < ($1.1.sinceMs, $1.0) }.map { SiloV1.PauseInfo($0, $1, tenancy) }
        return response
    }

    /// What a request wants paused or resumed.
    private func target(
        _ target: SiloV1.PauseTarget?, _ tenant: String?, of host: any HostedShard, for context: RequestContext
    ) throws(SiloError) -> PauseTarget {
        switch target?.target {
        case .wholeTenant(let isWhole):
            guard isWhole else {
                throw .outOfBounds(field: "target.whole_tenant", bound: "must be true, or name a task_group or limit_key")
            }
            try context.caller.checkAllGroups()
            return .tenant(try tenancy.tenant(tenant, of: host, for: context))
        case .taskGroup(let group):
            try Bounds.checkTaskGroup(group, "target.task_group")
            try context.caller.checkGroup(group)
            guard let tenant, !tenant.isEmpty else {
                try context.caller.checkAllTenants()
                return .group(TaskGroup(group), of: nil)
            }
            return .group(TaskGroup(group), of: try tenancy.tenant(tenant, of: host, for: context))
        case .limitKey(let key):
            try BoundCheck("target").key(key, "limit_key")
            try context.caller.checkAllGroups()
            return .limit(LimitKey(key), of: try tenancy.tenant(tenant, of: host, for: context))
        case nil:
            throw .outOfBounds(field: "target", bound: "is required: whole_tenant, task_group or limit_key")
        }
    }
}

extension PauseTarget {
    /// It holds back jobs that the caller may see.
    fileprivate func isSeen(by caller: Caller) -> Bool {
        if let tenant, !caller.sees(tenant) { return false }
        if case .group(let group, _) = self { return caller.sees(group.text) }
        return true
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
