package import SiloAPI
package import SiloCore
import SiloEngine
import SiloTelemetry
import Synchronization

/// What can look into this process.
package protocol Profiler: Sendable {
    /// - Parameters:
    ///   - milliseconds: how long; ends early, without a result, when the task is cancelled.
    ///   - frequency: samples in a second of processor time.
    /// - Returns: a profile in the format of pprof, and how many distinct stacks it has.
    func profileProcessor(milliseconds: Int64, frequency: Int) async throws -> (profile: [UInt8], stacks: Int)
    /// - Returns: what was allocated meanwhile and is still in use, as jeprof and pprof read it.
    func profileHeap(milliseconds: Int64) async throws -> [UInt8]
}

/// What operators call to see why a node is slow (spec/operations.md 9).
package struct DiagnosticsOperations: Sendable {
    let shards: ShardResolver
    let environment: Environment
    /// Nil: this process has none.
    let profiler: (any Profiler)?
    let logger: Logger
    private let turn = ProfileTurn()

    init(shards: ShardResolver, environment: Environment, profiler: (any Profiler)?, logger: Logger) {
        self.shards = shards
        self.environment = environment
        self.profiler = profiler
        self.logger = logger
    }

    package func cpuProfile(
        _ request: SiloV1.CpuProfileRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.CpuProfileResponse>
    ) throws(SiloError) {
        let frequency = Self.clamped(request.frequency, default: 100, 1...1000)
        try take("processor", seconds: request.durationSeconds, context, reply) { profiler, seconds in
            let (profile, stacks) = try await profiler.profileProcessor(milliseconds: Int64(seconds) * 1000, frequency: frequency)
            var response = SiloV1.CpuProfileResponse()
            response.profileData = profile
            response.durationSeconds = UInt32(seconds)
            response.samples = UInt64(stacks)
            return response
        }
    }

    package func heapProfile(
        _ request: SiloV1.HeapProfileRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.HeapProfileResponse>
    ) throws(SiloError) {
        try take("heap", seconds: request.durationSeconds, context, reply) { profiler, seconds in
            var response = SiloV1.HeapProfileResponse()
            response.profileData = try await profiler.profileHeap(milliseconds: Int64(seconds) * 1000)
            response.durationSeconds = UInt32(seconds)
            return response
        }
    }

    /// Takes one profile, unless one is under way. A caller that leaves ends it.
    private func take<Response: Sendable>(
        _ kind: String, seconds: UInt32, _ context: RequestContext, _ reply: any Reply<Response>,
        _ body: @escaping @Sendable (any Profiler, Int) async throws -> Response
    ) throws(SiloError) {
        guard let profiler else { throw .unsupported("this server was built without a profiler") }
        let seconds = Self.clamped(seconds, default: 30, 1...300)
        let begun = environment.clock.steady
        if let end = turn.begin(until: begun + Int64(seconds) * 1000) {
            let left = max(1, (end - begun + 999) / 1000)
            throw .exhausted("a profile of this server is under way, for about \(left) s more; ask again then")
        }
        let logger = logger.of(context)
        logger.warn("profile started", ["kind": .init(kind), "seconds": .init(seconds)])
        let task = environment.start { [turn, environment] in
            let result: Result<Response, SiloError>
            do {
                result = .success(try await body(profiler, seconds))
            } catch is CancellationError {
                result = .failure(.unavailable("the caller has left"))
            } catch {
                result = .failure(.failed("the profile failed: \(error)", cause: .init(error)))
            }
            turn.end()
            let took = Int(environment.clock.steady - begun)
            logger.info("profile finished", ["kind": .init(kind), "elapsed_ms": .init(took)])
            reply.send(result)
        }
        reply.onCancel { task.cancel() }
    }

    private static func clamped(_ given: UInt32, default value: Int, _ range: ClosedRange<Int>) -> Int {
        given == 0 ? value : min(max(Int(given), range.lowerBound), range.upperBound)
    }

    /// What each shard does at this moment. Asks none of their tasks: what hangs is told too.
    package func dumpTasks(
        _ request: SiloV1.DumpTasksRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.DumpTasksResponse>
    ) throws(SiloError) {
        let hosts = shards.all
        var response = SiloV1.DumpTasksResponse()
        response.taskCount = UInt32(hosts.count)
        response.dump = hosts.enumerated().map { index, host in
            "task \(index + 1): shard \(host.id) \(host.range)\n" + ShardDump.lines(of: host).map { "  \($0)\n" }.joined()
        }.joined()
        reply.send(response)
    }
}

/// The one profile that a process can take at a time.
private final class ProfileTurn: Sendable {
    private let current = Mutex<Timestamp?>(nil)

    /// - Returns: when the one under way ends, in steady time; nil: there was none, and now this one is.
    func begin(until end: Timestamp) -> Timestamp? {
        current.withLock { current in
            if let current { return current }
            current = end
            return nil
        }
    }

    func end() { current.withLock { $0 = nil } }
}
