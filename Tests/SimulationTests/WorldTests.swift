import SiloClient
import SiloCore
import SiloEngine
import SiloServer
import SiloSimulation
import SiloStore
import SiloTesting
import Synchronization
import Testing

/// What a simulated world is made of.
@Suite struct WorldTests {
    @Test func timeJumpsToTheNextMomentAndSleepersWakeInOrder() throws {
        let world = SimulatedWorld(seed: 1)
        let begun = world.clock.now
        let woken = try world.run {
            await withTaskGroup(of: Int64.self) { group in
                for hours in [3, 1, 2] as [Int64] {
                    group.addTask {
                        try? await world.clock.sleep(milliseconds: hours * 3_600_000)
                        return hours
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
        }
        #expect(woken == [1, 2, 3])
        #expect(world.clock.now - begun == 3 * 3_600_000)
    }

    @Test func aCancelledSleeperWakesAtOnce() throws {
        let world = SimulatedWorld(seed: 1)
        let begun = world.clock.now
        try world.run {
            let sleeper = world.environment.start { try? await world.clock.sleep(milliseconds: 1000) }
            await world.clock.pause(microseconds: 5000)
            sleeper.cancel()
            await sleeper.value
        }
        #expect(world.clock.now - begun == 5)
        #expect(world.clock.waitCount == 0)
    }

    @Test func aRunThatCannotEndSaysWhatItKnows() {
        let world = SimulatedWorld(seed: 1)
        let error = #expect(throws: Standstill.self) {
            try world.run { await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in } }
        }
        #expect(error?.description.contains("everybody waits") ?? false)
        #expect(throws: Standstill.self) {
            try world.run(timeMax: 60_000) { while true { await world.clock.pause(microseconds: 1_000_000) } }
        }
    }

    @Test func theOrderOfTasksFollowsFromTheSeed() throws {
        func order(_ seed: UInt64) throws -> [Int] {
            try SimulatedWorld(seed: seed).run {
                await withTaskGroup(of: Int.self) { group in
                    for number in 0..<20 { group.addTask { number } }
                    return await group.reduce(into: []) { $0.append($1) }
                }
            }
        }
        #expect(try order(1) == order(1))
        #expect(try order(1) != order(2))
    }

    // MARK: Disk

    @Test(arguments: UInt64(0)..<20)
    func aCrashKeepsWhatWasFlushedAndAtMostTheFirstOfTheRest(_ seed: UInt64) throws {
        let world = SimulatedWorld(seed: seed)
        world.disk.faults.tornTails = seed % 2 == 0 ? 1 : 0
        let rows = try world.run {
            let mount = world.disk.mount()
            let store = try await mount.open("a", mustExist: false)
            for number in UInt8(0)..<5 { try await store.write([Write(key: [number], value: []), Write(key: [number, 1], value: [])]) }
            try await store.flush()
            for number in UInt8(5)..<10 { try await store.write([Write(key: [number], value: []), Write(key: [number, 1], value: [])]) }
            mount.crash()
            await #expect(throws: StoreError.self) { try await store.write([Write(key: [99], value: [])]) }
            await #expect(throws: StoreError.self) { _ = try await mount.open("a", mustExist: true) }
            let next = try await world.disk.mount().open("a", mustExist: true)
            return try await next.scan(from: [], to: [0xff], limit: .max)
        }
        #expect(rows.count % 2 == 0)
        #expect(rows.map { $0.key[0] } == (0..<rows.count / 2).flatMap { [UInt8($0), UInt8($0)] })
        #expect(seed % 2 == 0 ? (10...20).contains(rows.count) : rows.count == 10)
    }

    @Test func aSecondWriterFencesTheFirst() throws {
        let world = SimulatedWorld(seed: 1)
        try world.run {
            let first = try await world.disk.mount().open("a", mustExist: false)
            try await first.write([Write(key: [1], value: [])])
            try await first.flush()
            try await first.write([Write(key: [2], value: [])])
            let second = try await world.disk.mount().open("a", mustExist: true)
            await #expect(throws: StoreError.fenced("a newer writer is there")) { try await first.flush() }
            await #expect(throws: StoreError.fenced("a newer writer is there")) {
                try await first.write([Write(key: [3], value: [])])
            }
            #expect(try await second.scan(from: [], to: [0xff], limit: 9).map(\.key) == [[1]])
        }
    }

    @Test func anIdleShardDoesWhatIsDueThoughItsClockRunsSlow() throws {
        let world = SimulatedWorld(seed: 1)
        let clock = SkewedClock(world.clock, aheadMilliseconds: 0, rate: 0.9)
        try world.run {
            let store = try await world.disk.mount(clock).open("a", mustExist: false)
            let shard = try await Shard.open(store, clock: clock, random: world.random, executor: world.executor)
            _ = try await shard.run(Enqueue(tenant: Tenant("t"), id: JobID("a"), taskGroup: "g"))
            #expect(try await shard.lease(Lease(worker: "w", group: "g", taskCountMax: 1)).tasks.count == 1)
            // Nobody calls any more: the lease must end by itself, ten seconds later by that clock.
            try await world.clock.sleep(milliseconds: 11_000)
            #expect(shard.counts.leases == 1)
            try await world.clock.sleep(milliseconds: 200)
            #expect(shard.counts.leases == 0)
            try await shard.close()
        }
    }

    @Test func aSnapshotShowsWhatWasWrittenSoFar() throws {
        let world = SimulatedWorld(seed: 1)
        try world.run {
            let store = try await world.disk.mount().open("a", mustExist: false)
            let before = try await store.snapshot()
            try await store.write([Write(key: [1], value: [1])])
            let written = try await store.snapshot()
            try await store.write([Write(key: [1], value: [2])])
            try await store.flush()
            #expect(try await before.get([1]) == nil)
            #expect(try await written.get([1]) == [1])
            #expect(try await store.snapshot().get([1]) == [2])
        }
    }

    // MARK: Wire

    @Test func aLostRequestEndsInTime() throws {
        for seed in UInt64(0)..<20 {
            let world = SimulatedWorld(seed: seed)
            let begun = world.clock.now
            try world.run {
                _ = try await SimulatedNode.start(on: world.disk, at: "a:1", NodeSettings(data: ""), in: world)
                world.wire.cut("a:1")
                let client = world.client("a:1") { $0.timeout = .seconds(7) }
                await #expect(throws: ClientError.self) { try await client.ping() }
                #expect(world.wire.runningCalls == [])
            }
            #expect(world.clock.now - begun <= 8000)
        }
    }

    @Test func aKilledServerEndsItsCallsAndAnotherTakesItsPlace() throws {
        let world = SimulatedWorld(seed: 1)
        var settings = NodeSettings(data: "")
        settings.shardCount = 2
        let used = settings
        try world.run {
            let node = try await SimulatedNode.start(on: world.disk, at: "a:1", used, in: world)
            let client = world.client("a:1")
            let job = try await client.enqueue(try SiloClient.NewJob("group", "payload"))
            node.kill()
            await #expect(throws: ClientError.self) { try await client.ping() }
            let next = try await SimulatedNode.start(on: world.disk, at: "a:1", used, in: world)
            #expect(try await job.status() == .scheduled)
            await next.stop()
        }
    }

    /// The request for work of a worker that is gone takes nothing: a second worker gets the job.
    @Test func aCallerThatIsGoneIsNoticed() throws {
        for seed in UInt64(0)..<20 {
            let world = SimulatedWorld(seed: seed)
            let begun = world.clock.now
            let worked = try world.run {
                _ = try await SimulatedNode.start(on: world.disk, at: "a:1", NodeSettings(data: ""), in: world)
                let client = world.client("a:1")
                let names = Box<String>()
                func work(_ name: String) -> (Worker, Task<Void, Never>) {
                    var options = WorkerOptions()
                    options.id = name
                    let worker = Worker(client, group: "group", options) { task in
                        names.add(name)
                        return .succeeded(.empty)
                    }
                    return (worker, world.environment.start { await worker.run() })
                }
                let (_, gone) = work("gone")
                await world.clock.pause(microseconds: 100_000)
                gone.cancel()
                await gone.value
                // Until then the server may still answer the one that is gone.
                await world.clock.pause(microseconds: 5000)
                let (worker, running) = work("there")
                _ = try await client.enqueue(try SiloClient.NewJob("group", 1)).awaitResult(every: .milliseconds(10))
                worker.stop()
                await running.value
                return names.all
            }
            #expect(worked == ["there"])
            #expect(world.clock.now - begun < 5000)
        }
    }
}

/// Collects values.
private final class Box<Value: Sendable>: Sendable {
    private let items = Mutex<[Value]>([])
    func add(_ value: Value) { items.withLock { $0.append(value) } }
    var all: [Value] { items.withLock { $0 } }
}
