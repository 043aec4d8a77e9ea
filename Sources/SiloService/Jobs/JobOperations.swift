import Protobuf
package import SiloAPI
package import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry

/// What applications call: jobs in, and what becomes of them.
package struct JobOperations: Sendable {
    let shards: ShardResolver
    let tenancy: Tenancy
    let room: any DataRoom
    let tracer: RecordingTracer?

    package func enqueue(
        _ request: SiloV1.EnqueueRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.EnqueueResponse>
    ) throws(SiloError) {
        let (host, shard) = try shards.serving(request.shard)
        try context.caller.checkGroup(request.taskGroup)
        let tenant = try tenancy.tenant(request.tenant, of: host, for: context)
        try room.check()
        let command = try request.command(tenant, context)
        shard.submit(command, for: context) { result in
            reply.send(result.map { id in
                var response = SiloV1.EnqueueResponse()
                response.id = id.text
                return response
            })
        }
    }

    /// The ids in the order of the batch, or what refused a job. One that is all or nothing throws instead.
    package func enqueueBatch(
        _ request: SiloV1.EnqueueBatchRequest, _ context: RequestContext, _ reply: any Reply<[Result<JobID, SiloError>]>
    ) throws(SiloError) {
        let (host, shard) = try shards.serving(request.shard)
        try room.check()
        try Bounds.checkBatch(request.jobs.count, "jobs")
        let plan = BatchPlan(request.jobs) { job throws(SiloError) in
            try Bounds.checkShard(job.shard, ofBatch: request.shard)
            try context.caller.checkGroup(job.taskGroup)
            return try job.command(tenancy.tenant(job.tenant, of: host, for: context), context)
        }
        let spans = EntrySpans(
            "enqueue", request.jobs.map { TraceContext($0.traceparent, state: $0.tracestate) }, context, tracer)
        if request.allOrNothing {
            shard.submit(EnqueueAll(try plan.all(of: "jobs")), for: context) { result in
                let answer: Result<[Result<JobID, SiloError>], SiloError> = result.map { ids in ids.map { .success($0) } }
                spans.end(answer)
                reply.send(answer)
            }
        } else {
            let order = plan.order
            shard.submit(Each(plan.accepted), for: context) { result in
                let answer = result.map(order.merge)
                spans.end(answer)
                reply.send(answer)
            }
        }
    }

    package func getJob(
        _ request: SiloV1.GetJobRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.GetJobResponse {
        let found = try await read(request.shard, request.id, request.tenant, context)
        var answer = try JobAnswer(found.stored, request, at: found.now)
        guard request.includeAttempts else { return answer.response }
        let id = found.stored.job.id
        let rest = [
            found.stored.status?.lastAttempt.map { SiloV1.JobAttempt($0, of: id) },
            found.stored.lease.map { SiloV1.JobAttempt($0, of: id) },
        ].compactMap { $0 }
        let end = request.attemptsBefore == 0 ? UInt32.max : request.attemptsBefore
        let wanted = min(request.attemptsFrom, end)..<end
        guard request.attemptsLast == 0 else {
            // The last ones first, until there are enough or the answer is full.
            var left = request.attemptsLast
            for attempt in rest.reversed() where wanted.contains(attempt.attemptNumber) && left > 0 {
                guard try answer.add(attempt) else { return answer.lastFirst }
                left -= 1
            }
            for number in found.stored.earlierAttempts.clamped(to: wanted).reversed() where left > 0 {
                guard let attempt = try await found.attempt(number) else { continue }
                guard try answer.add(attempt) else { return answer.lastFirst }
                left -= 1
            }
            return answer.lastFirst
        }
        // One by one, until the answer is full: all of them may be too much for memory.
        for number in found.stored.earlierAttempts.clamped(to: wanted) {
            guard let attempt = try await found.attempt(number) else { continue }
            guard try answer.add(attempt) else { return answer.response }
        }
        for attempt in rest where wanted.contains(attempt.attemptNumber) {
            guard try answer.add(attempt) else { break }
        }
        return answer.response
    }

    package func getJobResult(
        _ request: SiloV1.GetJobResultRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.GetJobResultResponse {
        try SiloV1.GetJobResultResponse(try await read(request.shard, request.id, request.tenant, context).stored)
    }

    package func deleteJob(
        _ request: SiloV1.DeleteJobRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.DeleteJobResponse>
    ) throws(SiloError) {
        let (shard, tenant, id) = try find(request.shard, request.tenant, request.id, context)
        shard.submit(bounded: Delete(tenant: tenant, id: id), for: context) { result in reply.send(result.map { .init() }) }
    }

    package func cancelJob(
        _ request: SiloV1.CancelJobRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.CancelJobResponse>
    ) throws(SiloError) {
        let (shard, tenant, id) = try find(request.shard, request.tenant, request.id, context)
        shard.submit(bounded: Cancel(tenant: tenant, id: id), for: context) { result in reply.send(result.map { .init() }) }
    }

    package func restartJob(
        _ request: SiloV1.RestartJobRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.RestartJobResponse>
    ) throws(SiloError) {
        let (shard, tenant, id) = try find(request.shard, request.tenant, request.id, context)
        shard.submit(bounded: Restart(tenant: tenant, id: id), for: context) { result in reply.send(result.map { .init() }) }
    }

    package func expediteJob(
        _ request: SiloV1.ExpediteJobRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.ExpediteJobResponse>
    ) throws(SiloError) {
        let (shard, tenant, id) = try find(request.shard, request.tenant, request.id, context)
        shard.submit(bounded: Expedite(tenant: tenant, id: id), for: context) { result in reply.send(result.map { .init() }) }
    }

    /// The job that a request names, in a shard that serves.
    private func find(
        _ shardID: String, _ tenantName: String?, _ id: String, _ context: RequestContext
    ) throws(SiloError) -> (Shard, Tenant, JobID) {
        let (host, shard) = try shards.serving(shardID)
        let tenant = try tenancy.tenant(tenantName, of: host, for: context)
        return (shard, tenant, try JobID(checking: id))
    }

    /// A job's rows on one consistent, durable view.
    private func read(
        _ shardID: String, _ id: String, _ tenantName: String?, _ context: RequestContext
    ) async throws(SiloError) -> FoundJob {
        let (host, shard) = try await shards.readable(shardID)
        let (reader, now) = try await shard.reader()
        let tenant = try tenancy.tenant(tenantName, of: host, for: context)
        guard !shard.isDropping(tenant) else { throw .tenantBeingDropped(tenant) }
        let keys = TenantKeys(tenant)
        let id = try JobID(checking: id)
        let stored: StoredJob?
        do { stored = try await StoredJob.read(id, keys, from: reader) } catch { throw SiloError(reading: error) }
        guard let stored, context.caller.sees(stored.job.taskGroup) else { throw .jobNotFound }
        return FoundJob(stored: stored, keys: keys, reader: reader, now: now)
    }
}

/// A job as it was read, and the view to read more of it from.
private struct FoundJob {
    let stored: StoredJob
    let keys: TenantKeys
    let reader: any StoreReader
    /// The time of its shard.
    let now: Moment

    /// An attempt with a row of its own; nil: there is none.
    func attempt(_ number: UInt32) async throws(SiloError) -> SiloV1.JobAttempt? {
        let bytes: Bytes?
        do {
            bytes = try await reader.get(keys.attempt(JobID(stored.job.id), number))
        } catch {
            throw SiloError(reading: error)
        }
        guard let bytes else { return nil }
        do {
            return SiloV1.JobAttempt(try StorageV1.Attempt(serializedBytes: bytes), of: stored.job.id)
        } catch {
            throw .corrupt("attempt \(number) of job \(stored.job.id) cannot be read", cause: SiloError.Cause(error))
        }
    }
}
