import SiloClient
import SiloCore
import SiloServer
import SiloSimulation
import SiloStore
import SiloTesting
import Synchronization
import Testing

/// A node with two shards, a client and three workers, all as in production; messages are lost, the disk is slow and
/// sometimes fails, and the node dies in the middle.
private final class SmallService: Sendable {
    static let jobCount = 50
    static let address = "node:1"
    let world: SimulatedWorld
    let settings: NodeSettings

    init(seed: UInt64, keeping extent: Trace.Extent) {
        world = SimulatedWorld(seed: seed, keeping: extent)
        world.wire.faults.lostRequests = 0.01
        world.wire.faults.lostAnswers = 0.01
        world.wire.faults.slow = 0.01
        world.wire.faults.duplicates = 0.005
        world.disk.faults.tornTails = 0.5
        world.disk.faults.flushErrors = 0.002
        var settings = NodeSettings(data: "")
        settings.shardCount = 2
        settings.tenancy = true
        self.settings = settings
    }

    /// How the acknowledged jobs ended.
    func run() throws -> [JobResult] {
        try world.run { try await self.live() }
    }

    private func live() async throws -> [JobResult] {
        let node = try await start()
        let next = world.environment.start { [self] in
            await world.clock.pause(microseconds: world.random.number(in: 100_000...3_000_000))
            node.kill()
            await world.clock.pause(microseconds: world.random.number(in: 0...5_000_000))
            return try? await start()
        }
        let client = world.client(Self.address) { $0.timeout = .seconds(5) }
        let workers = (1...3).map { worker(client, "worker \($0)") }
        let running = workers.map { worker in world.environment.start { await worker.run() } }

        let handles = await withTaskGroup(of: JobHandle?.self) { group in
            for number in 0..<Self.jobCount { group.addTask { await self.enqueue(number, client) } }
            var handles: [JobHandle] = []
            for await handle in group { if let handle { handles.append(handle) } }
            return handles.sorted { $0.id < $1.id }
        }
        var results: [JobResult] = []
        for handle in handles { results.append(try await result(of: handle)) }
        for worker in workers { worker.stop() }
        for task in running { await task.value }
        client.close()
        await next.value?.stop()
        return results
    }

    /// As whoever looks after a server would.
    private func start() async throws -> SimulatedNode {
        while true {
            do {
                return try await SimulatedNode.start(on: world.disk, at: Self.address, settings, in: world)
            } catch is StoreError {
                await world.clock.pause(microseconds: 1_000_000)
            }
        }
    }

    private func enqueue(_ number: Int, _ client: Client) async -> JobHandle? {
        await world.clock.pause(microseconds: world.random.number(in: 0...3_000_000))
        var job = SiloClient.NewJob("group", payload: Payload(bytes: [UInt8](repeating: UInt8(number), count: 20)))
        job.tenant = "tenant \(number % 5)"
        job.retry = RetryPolicy(retries: 50, initialInterval: .milliseconds(200), maxInterval: .seconds(2))
        return try? await client.enqueue(job)
    }

    private func result(of job: JobHandle) async throws -> JobResult {
        while true {
            do throws(ClientError) {
                return try await job.awaitResult()
            } catch {
                switch error {
                case .unavailable, .timedOut: await world.clock.pause(microseconds: 100_000)
                default: throw error
                }
            }
        }
    }

    private func worker(_ client: Client, _ name: String) -> Worker {
        var options = WorkerOptions()
        options.id = name
        options.concurrency = 4
        options.wait = .seconds(2)
        options.onError = { [world] error in world.trace.note("\(name): \(error)") }
        return Worker(client, group: "group", options) { [world] task in
            try await world.clock.sleep(milliseconds: world.random.number(in: 0...5000))
            return world.random.chance(10) ? .failed(code: "UNLUCKY") : .succeeded(task.payload)
        }
    }
}

@Suite struct SubstrateTests {
    @Test(arguments: [UInt64(1), 2, 3])
    func everyAcknowledgedJobEndsAndTheSameSeedGivesTheSameRun(_ seed: UInt64) throws {
        let first = SmallService(seed: seed, keeping: .all)
        let results = try first.run()
        #expect(results.count > SmallService.jobCount / 2)
        for result in results {
            guard case .succeeded = result else { Issue.record("a job ended with \(result)"); continue }
        }
        let second = SmallService(seed: seed, keeping: .all)
        #expect(try second.run() == results)
        let pair = zip(first.world.trace.lines, second.world.trace.lines).first { $0 != $1 }
        #expect(pair == nil)
        #expect(first.world.trace.fingerprint == second.world.trace.fingerprint)
        for name in first.world.disk.names where name != "map" {
            #expect(ShardAudit(first.world.disk.durableRows(of: name)).violations == [])
        }
    }

    @Test func differentSeedsGiveDifferentRuns() throws {
        let fingerprints = try (UInt64(1)...5).map { seed in
            let service = SmallService(seed: seed, keeping: .last(10))
            _ = try service.run()
            return service.world.trace.fingerprint
        }
        #expect(Set(fingerprints).count == 5)
    }

    @Test func simulatedTimePassesQuickly() throws {
        let begun = ContinuousClock.now
        var simulated: Int64 = 0
        var pieces = 0
        for seed in UInt64(100)..<120 {
            let service = SmallService(seed: seed, keeping: .nothing)
            let start = service.world.clock.now
            _ = try service.run()
            simulated += service.world.clock.now - start
            pieces += service.world.executor.jobsRun
        }
        let seconds = begun.duration(to: .now) / .seconds(1)
        print("\(Double(simulated) / 60_000 / seconds) simulated minutes a second, \(Double(pieces) / seconds / 1000) pieces of tasks a millisecond, \(20 / seconds) runs a second")
        #expect(simulated > 0)
    }
}
