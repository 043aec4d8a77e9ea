import GRPC
import Protobuf
import SiloAPI
import SiloCore
import SiloEngine
import SiloStore
import Synchronization

/// ImportJobs: jobs that ran elsewhere, of any shards and tenants. Each has its own result (spec/api.md 6.15).
struct ImportMethod: Sendable {
    let shards: ShardSet
    let tenancy: Tenancy

    /// Where an entry goes, or why it goes nowhere.
    private enum Entry: Sendable {
        case command(Import, Shard)
        case refused(Status)
    }

    func run(_ request: SiloV1.ImportJobsRequest, _ call: Call<SiloV1.ImportJobsResponse>) throws {
        guard request.jobs.count <= Bounds.batchMax else {
            throw Status(.invalidArgument, "jobs has too many entries (max \(Bounds.batchMax))")
        }
        let entries = request.jobs.map(entry)
        var places: [ObjectIdentifier: (shard: Shard, indices: [Int])] = [:]
        for (index, entry) in entries.enumerated() {
            guard case .command(_, let shard) = entry else { continue }
            places[ObjectIdentifier(shard), default: (shard, [])].indices.append(index)
        }
        let refusals: [Status?] = entries.map { if case .refused(let status) = $0 { status } else { nil } }
        let gathering = Gathering(request.jobs.map(\.id), refusals, groups: places.count) { call.answer($0) }
        guard !places.isEmpty else { return gathering.finish() }
        for (shard, indices) in places.values {
            let commands = indices.compactMap { index in if case .command(let command, _) = entries[index] { command } else { nil } }
            shard.submit(Each(commands)) { result in gathering.take(result, for: indices) }
        }
    }

    private func entry(_ job: SiloV1.ImportJobRequest) -> Entry {
        do throws(Status) {
            let host = try shards.host(job.shard)
            let command = try job.command(tenancy.tenant(job.tenant, of: host))
            return .command(command, try shards.resolve(job.shard).shard)
        } catch {
            return .refused(error)
        }
    }

    /// Puts the shards' results in the request's order and answers when all are there.
    private final class Gathering: Sendable {
        private struct State {
            var results: [SiloV1.ImportJobResult]
            var refusals: [Status?]
            var groupsLeft: Int
        }
        private let state: Mutex<State>
        private let completion: @Sendable (Result<SiloV1.ImportJobsResponse, Status>) -> Void

        init(
            _ ids: [String], _ refusals: [Status?], groups: Int,
            _ completion: @escaping @Sendable (Result<SiloV1.ImportJobsResponse, Status>) -> Void
        ) {
            let results = ids.map { id in
                var result = SiloV1.ImportJobResult()
                result.id = id
                result.status = .failed
                return result
            }
            state = Mutex(State(results: results, refusals: refusals, groupsLeft: groups))
            self.completion = completion
        }

        func take(_ result: Result<[Result<JobStatusName, SiloError>], SiloError>, for indices: [Int]) {
            let isLast = state.withLock { state in
                for (position, index) in indices.enumerated() {
                    switch result.flatMap({ $0[position] }) {
                    case .success(let status):
                        state.results[index].success = true
                        state.results[index].status = SiloV1.JobStatus(status)
                    case .failure(let error):
                        state.refusals[index] = Status(error)
                    }
                }
                state.groupsLeft -= 1
                return state.groupsLeft == 0
            }
            if isLast { finish() }
        }

        func finish() {
            let (results, refusals) = state.withLock { ($0.results, $0.refusals) }
            // As other servers of the protocol answer the import of a running job; here it stops nobody else's.
            if let first = refusals.first ?? nil, refusals.allSatisfy({ $0?.isOfRunningJob ?? false }) { return completion(.failure(first)) }
            var response = SiloV1.ImportJobsResponse()
            response.results = zip(results, refusals).map { result, refusal in
                var result = result
                result.error = refusal.map { "\($0.codeName): \($0.message)" }
                return result
            }
            completion(.success(response))
        }
    }
}

extension Status {
    /// As other languages write it: `INVALID_ARGUMENT`.
    fileprivate var codeName: String {
        "\(code)".reduce("") { $0 + ($1.isUppercase ? "_" : "") + $1.uppercased() }
    }

    /// Names an import over a running job, whose refusal is the whole call's when nothing else was asked.
    fileprivate var isOfRunningJob: Bool {
        code == .failedPrecondition && message.hasPrefix("cannot reimport job") && message.hasSuffix("(status: Running)")
    }
}

extension SiloV1.ImportJobRequest {
    /// The command that this entry asks for, in the order of checks of spec/api.md 2.6.
    func command(_ tenant: Tenant) throws(Status) -> Import {
        guard !id.isEmpty else { throw Status(.invalidArgument, "job id is required for import") }
        let id = try JobID(checking: id)
        guard !taskGroup.isEmpty else { throw Status(.invalidArgument, "task_group is required") }
        guard taskGroup.unicodeScalars.count <= Bounds.taskGroupScalarsMax else {
            throw Status(.invalidArgument, "task_group too long (must be <= 64 chars)")
        }
        guard priority <= Bounds.priorityMax else { throw Status(.invalidArgument, "priority must be between 0 and 99") }
        try Bounds.checkMetadata(metadata)
        let limits = try limits.records()
        let policy = try retryPolicy?.record()
        guard attempts.count <= Bounds.importAttemptsMax else {
            throw Status(.invalidArgument, "attempts has too many entries (max \(Bounds.importAttemptsMax))")
        }
        var records: [StorageV1.Attempt] = []
        for attempt in attempts { records.append(try attempt.record()) }
        let bytes = records.reduce(payload.bytes.count) { $0 + $1.result.count + $1.errorData.count }
        guard bytes <= Bounds.payloadBytesMax else {
            throw Status(.invalidArgument, "payload and results too large (must be <= \(Bounds.payloadBytesMax) bytes together)")
        }
        return Import(
            tenant: tenant, id: id, priority: priority, enqueueTimeMs: enqueueTimeMs, startAtMs: startAtMs, retryPolicy: policy,
            payload: payload.bytes, limits: limits, metadata: metadata, taskGroup: taskGroup, attempts: records
        )
    }
}

extension SiloV1.ImportAttempt {
    fileprivate func record() throws(Status) -> StorageV1.Attempt {
        var record = StorageV1.Attempt()
        switch status {
        case .succeeded:
            record.outcome = .succeeded
            record.result = result.bytes
        case .failed:
            record.outcome = .failed
            record.errorCode = errorCode ?? ""
            record.errorData = errorData.bytes
        case .cancelled:
            record.outcome = .cancelled
        case .running:
            throw Status(.invalidArgument, "import attempts must be terminal (not Running)")
        default:
            throw Status(.invalidArgument, "invalid attempt status")
        }
        record.startedAtMs = startedAtMs
        record.finishedAtMs = finishedAtMs
        return record
    }
}
