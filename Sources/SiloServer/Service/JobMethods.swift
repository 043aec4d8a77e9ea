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
        let importing = ImportMethod(shards: shards, tenancy: tenancy)
        server.serve(SiloV1.Silo.importJobs, for: callers) { request, call in try importing.run(request, call) }
        server.serve(SiloV1.Silo.getJob, for: callers) { request in try await job(request) }
        server.serve(SiloV1.Silo.getJobResult, for: callers) { request in
            let (stored, _, _) = try await read(request.shard, request.id, request.tenant)
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
        let (stored, keys, reader) = try await read(request.shard, request.id, request.tenant)
        var answer = try JobAnswer(stored, request)
        guard request.includeAttempts else { return answer.response }
        // One by one, until the answer is full: all of them may be too much for memory.
        for number in stored.earlierAttempts where number >= request.attemptsFrom {
            guard let attempt = try await attempt(number, of: stored, keys, reader) else { continue }
            guard try answer.add(attempt) else { return answer.response }
        }
        let rest = [
            stored.status?.lastAttempt.map { SiloV1.JobAttempt($0, of: stored.job.id) },
            stored.lease.map { SiloV1.JobAttempt($0, of: stored.job.id) },
        ]
        for case let attempt? in rest where attempt.attemptNumber >= request.attemptsFrom {
            guard try answer.add(attempt) else { break }
        }
        return answer.response
    }

    /// An attempt with a row of its own.
    private func attempt(
        _ number: UInt32, of stored: StoredJob, _ keys: TenantKeys, _ reader: any StoreReader
    ) async throws(SiloError) -> SiloV1.JobAttempt? {
        let bytes: Bytes?
        do {
            bytes = try await reader.get(keys.attempt(JobID(stored.job.id), number))
        } catch {
            throw SiloError(reading: error)
        }
        guard let bytes else { return nil }
        guard let attempt = try? StorageV1.Attempt(serializedBytes: bytes) else {
            throw .corrupt("attempt \(number) of job \(stored.job.id) cannot be read")
        }
        return SiloV1.JobAttempt(attempt, of: stored.job.id)
    }

    /// A job's rows on one consistent, durable view.
    private func read(
        _ shardID: String, _ id: String, _ tenantName: String?
    ) async throws -> (StoredJob, TenantKeys, any StoreReader) {
        let (host, reader) = try await shards.reader(shardID)
        let keys = TenantKeys(try tenancy.tenant(tenantName, of: host))
        do {
            guard let stored = try await StoredJob.read(try JobID(checking: id), keys, from: reader) else {
                throw SiloError.jobNotFound
            }
            return (stored, keys, reader)
        } catch let error as StoreError {
            throw SiloError(reading: error)
        }
    }
}

extension SiloError {
    /// A read beside the shard's loop failed.
    init(reading error: StoreError) {
        if case .corrupt(let text, _) = error { self = .corrupt(text) } else { self = .unavailable(error.message) }
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
                entry.error = status.shortened.message
            case nil: break
            }
            return entry
        }
    }
}
