import GRPC
import Protobuf
import SiloAPI
import SiloClient
import SiloCore
import Synchronization

/// The queue of a running server or cluster, over gRPC: bare calls that are made once, so that the load is what it is meant to
/// be.
final class ServedQueue: JobQueue {
    private let payload: Payload
    private let limits: (@Sendable (_ job: Int) -> [SiloV1.Limit])?
    private let enqueued = Atomic(0)
    private let topology: Topology
    private let nodes: [String: Connection]
    /// Where workers ask: one shard by name when there is only one, otherwise whole nodes.
    private let places: [(node: Connection, request: SiloV1.LeaseTasksRequest)]

    /// Finds the shards of the cluster that `address` belongs to.
    /// - Parameters:
    ///   - channels: connections to each node.
    ///   - limits: of each job, by how many were enqueued before it.
    init(
        _ address: String, channels: Int = 1, authToken: String? = nil, payload: Payload,
        limits: (@Sendable (_ job: Int) -> [SiloV1.Limit])? = nil
    ) async throws(Failure) {
        self.payload = payload
        self.limits = limits
        topology = try await Topology.of(address, authToken: authToken)
        let pairs = topology.addresses.map { ($0, Connection($0, channels: channels, authToken: authToken)) }
        nodes = Dictionary(uniqueKeysWithValues: pairs)
        places = pairs.map { [topology] _, node in
            var request = SiloV1.LeaseTasksRequest()
            request.workerId = "silo-bench"
            request.taskGroup = OpenShard.group
            if topology.shards.count == 1 { request.shard = topology.shards[0].id }
            return (node, request)
        }
    }

    func close() { for node in nodes.values { node.close() } }

    func enqueue(_ tenants: [String?], sent: Instant, completion: @escaping @Sendable (Result<Void, Failure>) -> Void) {
        guard let shard = shard(of: tenants.first ?? nil), let node = nodes[shard.address] else {
            return completion(.failure(Failure("nobody serves tenant \(tenants)")))
        }
        if tenants.count == 1 {
            var request = job(of: tenants[0], sent: sent)
            request.shard = shard.id
            return node.call(SiloV1.Silo.enqueue, request) { completion($0.map { _ in }) }
        }
        var request = SiloV1.EnqueueBatchRequest()
        request.shard = shard.id
        request.allOrNothing = true
        request.jobs = tenants.map { job(of: $0, sent: sent) }
        node.call(SiloV1.Silo.enqueueBatch, request) { result in
            completion(result.flatMap { response in
                response.results.first { $0.code != 0 }.map { .failure(Failure("EnqueueBatch: \($0.error)")) } ?? .success(())
            })
        }
    }

    private func shard(of tenant: String?) -> Topology.Shard? {
        topology.shards.count == 1 ? topology.shards[0] : topology.shard(of: tenant.map { Tenant($0) } ?? .none)
    }

    private func job(of tenant: String?, sent: Instant) -> SiloV1.EnqueueRequest {
        var request = SiloV1.EnqueueRequest()
        request.tenant = tenant
        request.taskGroup = OpenShard.group
        request.priority = 50
        if let limits { request.limits = limits(enqueued.wrappingAdd(1, ordering: .relaxed).oldValue) }
        request.payload = SiloV1.SerializedBytes(msgpack: payload.bytes(sent: sent))
        return request
    }

    func lease(
        _ countMax: Int, waitMilliseconds: Int, completion: @escaping @Sendable (Result<[LeasedJob], Failure>) -> Void
    ) {
        var (node, request) = places.count == 1 ? places[0] : places[Int.random(in: places.indices)]
        request.maxTasks = UInt32(countMax)
        request.waitMs = UInt32(waitMilliseconds)
        node.call(SiloV1.Silo.leaseTasks, request) { result in
            completion(result.flatMap { response in
                var jobs: [LeasedJob] = []
                jobs.reserveCapacity(response.tasks.count)
                for task in response.tasks {
                    guard let job = LeasedJob(task) else { return .failure(Failure("a leased task has the id \(task.id)")) }
                    jobs.append(job)
                }
                return .success(jobs)
            })
        }
    }

    func report(_ jobs: [LeasedJob], completion: @escaping @Sendable (Result<Void, Failure>) -> Void) {
        guard let shard = jobs.first?.shard, let node = node(of: shard) else {
            return completion(.failure(Failure("a leased task names an unknown shard")))
        }
        if jobs.count == 1 {
            return node.call(SiloV1.Silo.reportOutcome, outcome(of: jobs[0])) { completion($0.map { _ in }) }
        }
        var request = SiloV1.ReportOutcomesRequest()
        request.shard = shard
        request.outcomes = jobs.map { outcome(of: $0) }
        node.call(SiloV1.Silo.reportOutcomes, request) { result in
            completion(result.flatMap { response in
                response.results.first { $0.code != 0 }.map { .failure(Failure("ReportOutcomes: \($0.error)")) } ?? .success(())
            })
        }
    }

    private func outcome(of job: LeasedJob) -> SiloV1.ReportOutcomeRequest {
        var request = SiloV1.ReportOutcomeRequest()
        request.shard = job.shard
        request.taskId = job.taskID.description
        request.tenantId = job.tenant
        request.outcome = .success(SiloV1.SerializedBytes(msgpack: emptyObject))
        return request
    }

    private func node(of shard: String) -> Connection? {
        if nodes.count == 1 { return nodes.first?.value }
        return topology.shards.first { $0.id == shard }.flatMap { nodes[$0.address] }
    }
}

extension LeasedJob {
    init?(_ task: SiloV1.Task) {
        guard let id = UUID(task.id) else { return nil }
        taskID = TaskID(id)
        tenant = task.tenantId
        shard = task.shard
        if case .msgpack(let bytes) = task.payload?.encoding { sent = Payload.sent(in: bytes) }
    }
}

extension SiloV1.SerializedBytes {
    init(msgpack bytes: [UInt8]) {
        self.init()
        encoding = .msgpack(bytes)
    }
}
