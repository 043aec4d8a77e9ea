import GRPC
import Protobuf
import SiloAPI
import SiloCore
import SiloEngine
import SiloStore

/// ImportJobs: jobs that ran elsewhere, of any shards and tenants, as many as fit into a message. Each has its own result
/// (spec/api.md 6.15).
struct ImportMethod: Sendable {
    let shards: ShardSet
    let tenancy: Tenancy
    private let inHand = ImportsInHand()

    init(shards: ShardSet, tenancy: Tenancy) {
        self.shards = shards
        self.tenancy = tenancy
    }

    func run(_ request: SiloV1.ImportJobsRequest, _ call: Call<SiloV1.ImportJobsResponse>) throws {
        var queues: [ImportRun.Queue] = []
        var places: [ObjectIdentifier: Int] = [:]
        var refusals: [Status?] = []
        var bytes = 0
        for (index, job) in request.jobs.enumerated() {
            do throws(Status) {
                let host = try shards.host(job.shard)
                let command = try job.command(tenancy.tenant(job.tenant, of: host))
                let shard = try shards.resolve(job.shard).shard
                let place = places[ObjectIdentifier(shard), default: queues.count]
                if place == queues.count {
                    places[ObjectIdentifier(shard)] = place
                    queues.append((shard, []))
                }
                queues[place].entries.append((index, command))
                bytes += command.memoryBytes
                refusals.append(nil)
            } catch {
                refusals.append(error)
            }
        }
        let size = bytes
        try inHand.enter(size)
        let run = ImportRun(request.jobs.map(\.id), refusals, queues: queues.count) { [inHand] result in
            inHand.leave(size)
            call.answer(result)
        }
        call.onCancel { run.abandon() }
        run.begin(queues)
    }
}

extension Import {
    /// What it takes in memory, about.
    fileprivate var memoryBytes: Int { contentBytes + 512 + 128 * attempts.count }
}

extension SiloV1.ImportJobRequest {
    /// The command that this entry asks for, in the order of checks of spec/api.md 2.6.
    func command(_ tenant: Tenant) throws(Status) -> Import {
        guard !id.isEmpty else { throw Status(.invalidArgument, "job id is required for import") }
        let id = try JobID(checking: id)
        try Bounds.checkTaskGroup(taskGroup)
        try Bounds.checkPriority(priority)
        try Bounds.checkMetadata(metadata)
        let limits = try limits.records()
        let policy = try retryPolicy?.record()
        try Bounds.checkPayload(payload.bytes, "payload")
        var records: [StorageV1.Attempt] = []
        records.reserveCapacity(attempts.count)
        for (index, attempt) in attempts.enumerated() { records.append(try attempt.record(index)) }
        return Import(
            tenant: tenant, id: id, priority: priority, enqueueTimeMs: enqueueTimeMs, startAtMs: startAtMs, retryPolicy: policy,
            payload: payload.bytes, limits: limits, metadata: metadata, taskGroup: taskGroup, attempts: records
        )
    }
}

extension SiloV1.ImportAttempt {
    fileprivate func record(_ index: Int) throws(Status) -> StorageV1.Attempt {
        var record = StorageV1.Attempt()
        switch status {
        case .succeeded:
            record.outcome = .succeeded
            try Bounds.checkPayload(result.bytes, "attempts[\(index)].result")
            record.result = result.bytes
        case .failed:
            record.outcome = .failed
            try Bounds.checkText(errorCode ?? "", Bounds.errorCodeBytesMax, "attempts[\(index)].error_code")
            try Bounds.checkPayload(errorData.bytes, "attempts[\(index)].error_data")
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
