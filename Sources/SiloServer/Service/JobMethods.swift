import GRPC
import Protobuf
import SiloAPI
import SiloCore
import SiloEngine
import SiloStore

/// What applications call: jobs in, their state and results out.
struct JobMethods: Sendable {
    let shards: ShardSet
    let tenancy: Tenancy

    func register(on server: inout MethodTable, for callers: Callers) {
        server.serve(SiloV1.Silo.enqueue, for: callers) { request, call in
            let (host, shard) = try shards.resolve(request.shard)
            let command = try request.command(tenancy.tenant(request.tenant, of: host))
            shard.submit(command) { result in
                call.answer(result.map { id in
                    var response = SiloV1.EnqueueResponse()
                    response.id = id.text
                    return response
                })
            }
        }
        server.serve(SiloV1.Silo.enqueueBatch, for: callers) { request, call in try enqueueBatch(request, call) }
        server.serve(SiloV1.Silo.importJobs, for: callers) { request, call in
            try ImportMethod(shards: shards, tenancy: tenancy).run(request, call)
        }
        server.serve(SiloV1.Silo.getJob, for: callers) { request in try await job(request) }
        server.serve(SiloV1.Silo.getJobResult, for: callers) { request in
            let (stored, _, _, _) = try await read(request.shard, request.id, request.tenant)
            return try SiloV1.GetJobResultResponse(stored)
        }
        server.serve(SiloV1.Silo.deleteJob, for: callers) { request, call in
            try run(request.shard, request.id, request.tenant, call, answer: SiloV1.DeleteJobResponse(), Delete.init)
        }
        server.serve(SiloV1.Silo.cancelJob, for: callers) { request, call in
            try run(request.shard, request.id, request.tenant, call, answer: SiloV1.CancelJobResponse(), Cancel.init)
        }
        server.serve(SiloV1.Silo.restartJob, for: callers) { request, call in
            try run(request.shard, request.id, request.tenant, call, answer: SiloV1.RestartJobResponse(), Restart.init)
        }
        server.serve(SiloV1.Silo.expediteJob, for: callers) { request, call in
            try run(request.shard, request.id, request.tenant, call, answer: SiloV1.ExpediteJobResponse(), Expedite.init)
        }
    }

    /// Runs a command that names one job and answers nothing.
    private func run<C: Command, Response: Message>(
        _ shardID: String, _ id: String, _ tenantName: String?, _ call: Call<Response>, answer: Response,
        _ command: (Tenant, JobID) -> C
    ) throws where C.Answer == Void {
        let (host, shard) = try shards.resolve(shardID)
        let tenant = try tenancy.tenant(tenantName, of: host)
        shard.submit(command(tenant, try JobID(checking: id))) { result in call.answer(result.map { answer }) }
    }

    private func enqueueBatch(_ request: SiloV1.EnqueueBatchRequest, _ call: Call<SiloV1.EnqueueBatchResponse>) throws {
        let (host, shard) = try shards.resolve(request.shard)
        guard request.jobs.count <= Bounds.batchMax else {
            throw Status(.invalidArgument, "jobs has too many entries (max \(Bounds.batchMax))")
        }
        var commands: [Enqueue] = []
        commands.reserveCapacity(request.jobs.count)
        /// For each job what refused it before it reached the shard.
        var refusals: [Status?] = []
        for (index, job) in request.jobs.enumerated() {
            do throws(Status) {
                guard job.shard.isEmpty || job.shard == request.shard else {
                    throw Status(.invalidArgument, "shard must be empty or the shard of the batch")
                }
                commands.append(try job.command(tenancy.tenant(job.tenant, of: host)))
                refusals.append(nil)
            } catch {
                guard !request.allOrNothing else { throw Status(error.code, "jobs[\(index)]: \(error.message)") }
                refusals.append(error)
            }
        }
        let refused = refusals
        if request.allOrNothing {
            shard.submit(EnqueueAll(commands)) { result in
                call.answer(result.map { ids in
                    SiloV1.EnqueueBatchResponse(ids.map { .success($0) }, refusals: refused)
                })
            }
        } else {
            shard.submit(Each(commands)) { result in
                call.answer(result.map { SiloV1.EnqueueBatchResponse($0, refusals: refused) })
            }
        }
    }

    private func job(_ request: SiloV1.GetJobRequest) async throws -> SiloV1.GetJobResponse {
        let (stored, keys, reader, now) = try await read(request.shard, request.id, request.tenant)
        var attempts: [SiloV1.JobAttempt] = []
        if request.includeAttempts {
            let range = keys.attempts(of: JobID(stored.job.id))
            do {
                try await reader.scanAll(from: range.start, to: range.end) { row throws(StoreError) in
                    guard let attempt = try? StorageV1.Attempt(serializedBytes: row.value) else {
                        throw .corrupt("an attempt of job \(stored.job.id) cannot be read")
                    }
                    attempts.append(SiloV1.JobAttempt(attempt, of: stored.job.id))
                }
            } catch {
                throw SiloError(reading: error)
            }
            if let last = stored.status?.lastAttempt { attempts.append(SiloV1.JobAttempt(last, of: stored.job.id)) }
            if let lease = stored.lease { attempts.append(SiloV1.JobAttempt(lease, of: stored.job.id)) }
        }
        return SiloV1.GetJobResponse(stored, attempts: attempts, at: now)
    }

    /// A job's rows on one consistent, durable view, and the time of its shard.
    private func read(
        _ shardID: String, _ id: String, _ tenantName: String?
    ) async throws -> (StoredJob, TenantKeys, any StoreReader, Moment) {
        let (host, shard) = try shards.resolve(shardID)
        let keys = TenantKeys(try tenancy.tenant(tenantName, of: host))
        let reader = try await shard.snapshot()
        do {
            guard let stored = try await StoredJob.read(try JobID(checking: id), keys, from: reader) else {
                throw SiloError.jobNotFound
            }
            return (stored, keys, reader, shard.moment)
        } catch let error as StoreError {
            throw SiloError(reading: error)
        }
    }
}

extension SiloError {
    /// A read beside the shard's loop failed.
    init(reading error: StoreError) {
        if case .corrupt(let text) = error { self = .corrupt(text) } else { self = .unavailable(error.message) }
    }
}

extension SiloV1.EnqueueBatchResponse {
    /// Puts the shard's results in between those that never reached it, in the request's order.
    init(_ results: [Result<JobID, SiloError>], refusals: [Status?]) {
        self.init()
        var rest = results[...]
        self.results = refusals.map { refusal in
            var entry = SiloV1.EnqueueResult()
            switch refusal.map({ .failure($0) }) ?? rest.popFirst()?.mapError(Status.init) {
            case .success(let id): entry.id = id.text
            case .failure(let status):
                entry.code = status.code.rawValue
                entry.error = status.message
            case nil: break
            }
            return entry
        }
    }
}
