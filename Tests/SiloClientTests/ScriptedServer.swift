import GRPC
import Protobuf
import SiloAPI
@testable import SiloClient
import SiloCore
import SiloTesting
import Synchronization

/// A server in the hand of a test, on simulated time: it gives what the test says, and answers, hangs or fails when it says so.
final class ScriptedServer: Sendable {
    enum Behaviour: Sendable {
        case answer
        /// So many milliseconds later.
        case late(Int64)
        /// Never: the caller's time-out ends the call.
        case hang
        case fail(Status)
        /// It does what is asked, so many milliseconds later, and the answer is lost.
        case lose(Status, after: Int64 = 0)
    }
    struct Call: Sendable {
        let path: String
        let address: String
        let metadata: Metadata
        let at: Timestamp
        let timeout: Duration?
        let request: [UInt8]
    }
    struct Owner: Sendable {
        let id: String
        var address: String
        var start = ""
        var end = ""
    }
    private struct State {
        var tasks: [SiloV1.Task] = []
        var refreshes: [SiloV1.RefreshFloatingLimitTask] = []
        var calls: [Call] = []
        var connections: [String] = []
        var owners = [Owner(id: ScriptedServer.shard, address: "a:1")]
        /// Ids of the jobs that are stored.
        var jobs: [String] = []
        var behaviour: @Sendable (Call, _ number: Int) -> Behaviour = { _, _ in .answer }
    }
    static let shard = "00000000-0000-0000-0000-000000000001"
    private let state = Mutex(State())
    let clock: SimulatedClock
    let environment: Environment

    init(_ clock: SimulatedClock, _ environment: Environment) {
        self.clock = clock
        self.environment = environment
    }

    /// Runs a test on simulated time, which jumps whenever everybody waits.
    static func simulate<Value: Sendable>(
        seed: UInt64 = 1, _ body: @escaping @Sendable (ScriptedServer) async throws -> Value
    ) throws -> Value {
        let clock = SimulatedClock(seed: seed)
        let executor = SeededExecutor(seed: seed, clock: clock)
        let environment = Environment(clock: clock, random: SeededRandom(seed: seed), executor: executor)
        return try executor.run(timeMax: 3_600_000) { try await body(ScriptedServer(clock, environment)) }
    }

    func client(_ change: (inout ClientOptions) -> Void = { _ in }) -> Client {
        var options = ClientOptions(servers: ["a:1"])
        change(&options)
        return Client(options, in: environment) { address in self.connect(address) }
    }

    func connect(_ address: String) -> any Transport {
        state.withLock { $0.connections.append(address) }
        return ScriptedTransport(self, address)
    }

    // MARK: What the test says

    /// - Parameter behave: gets the call and how many of its method came before.
    func behave(_ behave: @escaping @Sendable (Call, _ number: Int) -> Behaviour) { state.withLock { $0.behaviour = behave } }

    /// Who serves which shards: one at "a:1", if nothing is said.
    func own(_ owners: [Owner]) { state.withLock { $0.owners = owners } }

    func give(_ id: String, lease: Int64 = 10_000) {
        var task = SiloV1.Task()
        task.id = id
        task.jobId = "job-\(id)"
        task.shard = Self.shard
        task.attemptNumber = 1
        task.relativeAttemptNumber = 1
        task.leaseMs = lease
        let given = task
        state.withLock { $0.tasks.append(given) }
    }

    func giveRefresh(_ id: String, lease: Int64 = 10_000) {
        var task = SiloV1.RefreshFloatingLimitTask()
        task.id = id
        task.queueKey = "limit"
        task.shard = Self.shard
        task.leaseMs = lease
        let given = task
        state.withLock { $0.refreshes.append(given) }
    }

    func changeTask(_ id: String, _ change: (inout SiloV1.Task) -> Void) {
        state.withLock { state in
            for index in state.tasks.indices where state.tasks[index].id == id { change(&state.tasks[index]) }
        }
    }

    // MARK: What it saw

    func calls(_ name: String) -> [Call] { state.withLock { $0.calls.filter { $0.path.hasSuffix("/\(name)") } } }
    var connections: [String] { state.withLock { $0.connections } }

    /// Ids of the jobs that it has stored, in their order.
    var jobs: [String] { state.withLock { $0.jobs } }

    /// Ids of the jobs that were sent, call by call.
    var enqueues: [[String]] {
        state.withLock { $0.calls }.compactMap { call in
            if call.path == SiloV1.Silo.enqueue.path {
                return (try? SiloV1.EnqueueRequest(serializedBytes: call.request)).map { [$0.id] }
            }
            guard call.path == SiloV1.Silo.enqueueBatch.path else { return nil }
            return (try? SiloV1.EnqueueBatchRequest(serializedBytes: call.request))?.jobs.map(\.id)
        }
    }

    /// Ids of the tasks whose outcomes were sent, call by call.
    var reports: [[String]] {
        state.withLock { $0.calls }.compactMap { call in
            if call.path == SiloV1.Silo.reportOutcome.path {
                return (try? SiloV1.ReportOutcomeRequest(serializedBytes: call.request)).map { [$0.taskId] }
            }
            guard call.path == SiloV1.Silo.reportOutcomes.path else { return nil }
            return (try? SiloV1.ReportOutcomesRequest(serializedBytes: call.request))?.outcomes.map(\.taskId)
        }
    }

    /// The code with which a task's attempt was said to have failed, in a call of its own.
    func lastFailureCode(_ task: String) -> String? {
        calls("ReportOutcome").compactMap { try? SiloV1.ReportOutcomeRequest(serializedBytes: $0.request) }
            .last { $0.taskId == task }.flatMap { if case .failure(let failure) = $0.outcome { failure.code } else { nil } }
    }

    // MARK: Calls

    fileprivate func call(
        _ path: String, _ request: [UInt8], _ timeout: Duration?, at address: String, _ metadata: Metadata
    ) async throws(Status) -> [UInt8] {
        let call = Call(path: path, address: address, metadata: metadata, at: clock.steady, timeout: timeout, request: request)
        let (behaviour, number) = state.withLock { state in
            defer { state.calls.append(call) }
            return (state.behaviour, state.calls.count { $0.path == path })
        }
        switch behaviour(call, number) {
        case .answer: break
        case .late(let milliseconds): try await pass(milliseconds, timeout)
        case .hang: try await pass(.max, timeout)
        case .fail(let status): throw status
        case .lose(let status, let milliseconds):
            try await pass(milliseconds, timeout)
            _ = try? await answer(path, request, timeout)
            throw status
        }
        do { return try await answer(path, request, timeout) } catch let status as Status { throw status } catch {
            throw Status(.internalError, "\(error)")
        }
    }

    private func pass(_ milliseconds: Int64, _ timeout: Duration?) async throws(Status) {
        let patience = timeout?.milliseconds ?? .max
        do { try await clock.sleep(milliseconds: min(milliseconds, patience)) } catch { throw Status(.cancelled) }
        if patience <= milliseconds { throw Status(.deadlineExceeded, "Deadline Exceeded") }
    }

    private func answer(_ path: String, _ request: [UInt8], _ timeout: Duration?) async throws -> [UInt8] {
        switch path {
        case SiloV1.Silo.getClusterInfo.path:
            return SiloV1.GetClusterInfoResponse(state.withLock { $0.owners }).serializedBytes()
        case SiloV1.Silo.enqueue.path:
            let job = try SiloV1.EnqueueRequest(serializedBytes: request)
            if let refusal = store(job.id) { throw refusal }
            return []
        case SiloV1.Silo.enqueueBatch.path:
            let jobs = try SiloV1.EnqueueBatchRequest(serializedBytes: request).jobs
            var response = SiloV1.EnqueueBatchResponse()
            response.results = jobs.map { job in
                var result = SiloV1.EnqueueResult()
                result.id = job.id
                if let refusal = store(job.id) { (result.code, result.error) = (refusal.code.rawValue, refusal.message) }
                return result
            }
            return response.serializedBytes()
        case SiloV1.Silo.leaseTasks.path:
            let wait = Int64(try SiloV1.LeaseTasksRequest(serializedBytes: request).waitMs ?? 0)
            let response = takeTasks()
            guard response.tasks.isEmpty, response.refreshTasks.isEmpty else { return response.serializedBytes() }
            // Work that came while the call waited goes with it at the end of the wait.
            try await pass(wait, timeout)
            return takeTasks().serializedBytes()
        case SiloV1.Silo.reportOutcomes.path:
            let outcomes = try SiloV1.ReportOutcomesRequest(serializedBytes: request).outcomes
            var response = SiloV1.ReportOutcomesResponse()
            response.results = outcomes.map { _ in SiloV1.OutcomeResult() }
            return response.serializedBytes()
        default: return []
        }
    }

    /// - Returns: why not.
    private func store(_ job: String) -> Status? {
        state.withLock { state in
            guard !state.jobs.contains(job) else { return Status(.alreadyExists, "job already exists") }
            state.jobs.append(job)
            return nil
        }
    }

    private func takeTasks() -> SiloV1.LeaseTasksResponse {
        state.withLock { state in
            var response = SiloV1.LeaseTasksResponse()
            response.tasks = state.tasks
            response.refreshTasks = state.refreshes
            state.tasks = []
            state.refreshes = []
            return response
        }
    }
}

/// One connection to it.
private final class ScriptedTransport: Transport {
    private let server: ScriptedServer
    private let address: String

    init(_ server: ScriptedServer, _ address: String) {
        self.server = server
        self.address = address
    }

    func unary(_ path: String, _ request: [UInt8], metadata: Metadata, timeout: Duration?) async throws(Status) -> [UInt8] {
        try await server.call(path, request, timeout, at: address, metadata)
    }

    func close() {}
}

extension SiloV1.GetClusterInfoResponse {
    init(_ owners: [ScriptedServer.Owner]) {
        self.init()
        shardOwners = owners.map { owner in
            var message = SiloV1.ShardOwner()
            message.shardId = owner.id
            message.grpcAddr = owner.address
            message.rangeStart = owner.start
            message.rangeEnd = owner.end
            return message
        }
    }
}

extension ScriptedServer {
    /// Four shards of equal ranges, "s0" at "h0:1" and so on.
    static let fourShards = (0..<4).map { index in
        Owner(
            id: "s\(index)", address: "h\(index):1",
            start: index == 0 ? "" : "\("48c".dropFirst(index - 1).prefix(1))000000000000000",
            end: index == 3 ? "" : "\("48c".dropFirst(index).prefix(1))000000000000000"
        )
    }

    /// Waits until it has got so many calls of a method.
    func got(_ count: Int, _ name: String) async throws {
        while calls(name).count < count { try await clock.sleep(milliseconds: 1) }
    }
}
