import GRPC
import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry
import SiloTesting
import SlateDB
import Synchronization
import Testing

@testable import SiloServer

/// Storage of a test: one store in memory, which fails as it is told.
private final class TestStorage: NodeStorage {
    struct State {
        var openErrors: [StoreError] = []
        var eraseErrors = 0
        var opened = 0
        var erased = 0
        var rows = MemoryStore()
        var flushes: UInt64 = 0
        var isUsedByAnother = false
        var lag: ClockLag?
        var current: FaultyStore?
    }
    let state = Mutex(State())

    func open(_ name: String, mustExist: Bool) async throws -> any KeyValueStore {
        let rows = try state.withLock { state in
            if !state.openErrors.isEmpty { throw state.openErrors.removeFirst() }
            state.opened += 1
            state.rows = state.rows.crash()
            return state.rows
        }
        let store = FaultyStore(rows)
        state.withLock { $0.current = store }
        return LaggingStore(store) { self.state.withLock { $0.lag } }
    }

    func erase(_ name: String) async throws {
        try state.withLock { state in
            if state.eraseErrors > 0 {
                state.eraseErrors -= 1
                throw StoreError.unavailable("cannot erase")
            }
            state.erased += 1
            state.rows = MemoryStore()
        }
    }

    func activity(of name: String) async throws -> StoreActivity? {
        state.withLock { state in
            if state.isUsedByAnother { state.flushes += 1 }
            return StoreActivity(openings: 1, flushes: state.flushes)
        }
    }

    func change(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }
    func fail(_ change: (inout FaultyStore.Faults) -> Void) { state.withLock { $0.current }?.set(change) }
    var opened: Int { state.withLock { $0.opened } }
}

/// A store whose clock is behind for as long as the test says.
private final class LaggingStore: KeyValueStore {
    private let inner: any KeyValueStore
    private let lag: @Sendable () -> ClockLag?

    init(_ inner: any KeyValueStore, lag: @escaping @Sendable () -> ClockLag?) {
        self.inner = inner
        self.lag = lag
    }

    var clockLag: ClockLag? { lag() }
    func get(_ key: Bytes) async throws(StoreError) -> Bytes? { try await inner.get(key) }
    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        try await inner.scan(from: start, to: end, limit: limit)
    }
    func write(_ batch: [Write]) async throws(StoreError) {
        if let lag = lag() { throw .behind(lag) }
        try await inner.write(batch)
    }
    func flush() async throws(StoreError) { try await inner.flush() }
    func snapshot() async throws(StoreError) -> any StoreReader { try await inner.snapshot() }
    func close() async throws(StoreError) { try await inner.close() }
}

/// Runs a host in simulated time, with the log lines that it wrote.
private func withHost(
    _ storage: TestStorage = TestStorage(),
    _ body: @escaping @Sendable (ShardHost, TestStorage, SimulatedClock, Mutex<[String]>.Box) async throws -> Void
) throws {
    let clock = SimulatedClock(seed: 1)
    let executor = SeededExecutor(seed: 1, clock: clock)
    let environment = Environment(clock: clock, random: SeededRandom(seed: 1), executor: executor)
    let lines = Mutex<[String]>.Box()
    let logger = Logger("shard") { line in lines.value.withLock { $0.append(line) } }
    try executor.run(timeMax: 24 * 3_600_000) {
        let host = ShardHost(
            ShardMap.Entry(id: ShardID(.random(from: SeededRandom(seed: 2))), range: ShardRange(start: nil, end: nil)),
            in: storage, settings: EngineSettings(), environment: environment, rateLimiter: nil,
            budgets: MemoryBudgets(EngineSettings()), logger: logger, onChange: { _ in }
        )
        let running = environment.start { await host.run() }
        try await body(host, storage, clock, lines)
        await host.close()
        await running.value
    }
}

extension Mutex where Value == [String] {
    fileprivate final class Box: Sendable {
        let value = Mutex<[String]>([])
        func matching(_ text: String) -> [String] { value.withLock { $0.filter { $0.contains(text) } } }
    }
}

extension ShardHost {
    fileprivate var serves: Bool { shard != nil }

    fileprivate func untilServing(_ clock: SimulatedClock, milliseconds: Int64) async -> Bool {
        let end = clock.now + milliseconds
        while !serves, clock.now < end { try? await clock.sleep(milliseconds: 50) }
        return serves
    }
}

@Suite("What a shard does when its storage fails") struct ShardHostTests {
    @Test("whatever kept a shard from opening, it is tried again", arguments: [
        StoreError.unavailable("x"), .corrupt("x"), .fenced("x"), .behind(ClockLag(lastWrite: 2, now: 1)),
    ])
    func noFailureIsForEver(error: StoreError) throws {
        try withHost(TestStorage()) { host, storage, clock, lines in
            storage.change { $0.openErrors = [error, error, error] }
            #expect(await host.untilServing(clock, milliseconds: 600_000))
            #expect(lines.matching("it is tried again").count == 1, "the same failure is told once")
        }
    }

    @Test("pauses grow, and have a bound")
    func pausesGrow() {
        for (error, longest) in [(StoreError.unavailable("x"), 5000), (.corrupt("x"), 60_000), (.fenced("x"), 60_000)] {
            var reopening = Reopening()
            let pauses = (0..<20).map { _ in reopening.pause(after: error) }
            #expect(pauses == pauses.sorted() && pauses.first ?? 0 > 0 && pauses.last == Int64(longest))
            reopening.served(forMilliseconds: Reopening.calmMilliseconds)
            #expect(reopening.pause(after: error) == pauses.first)
        }
    }

    @Test("an internal error of one call stops the shard, and it serves again")
    func anInternalErrorIsNotForEver() throws {
        try withHost { host, storage, clock, lines in
            #expect(await host.untilServing(clock, milliseconds: 1000))
            storage.fail {
                $0.failWrites = true
                $0.error = StoreError(StorageError.internalError("a panic"))
            }
            _ = try? await host.shard?.run(Pause(.tenant(Tenant("a")), reason: ""))
            _ = await host.shard?.untilStopped()
            while host.serves { try? await clock.sleep(milliseconds: 10) }
            #expect(await host.untilServing(clock, milliseconds: 10_000))
            #expect(lines.matching("internal: a panic").count == 1, "the log has the cause")
        }
    }

    @Test("a shard that another process took is left alone while that one uses it, and taken back when it is not")
    func aFencedShardWaits() throws {
        try withHost { host, storage, clock, _ in
            #expect(await host.untilServing(clock, milliseconds: 1000))
            storage.change { $0.isUsedByAnother = true }
            storage.fail {
                $0.failWrites = true
                $0.error = .fenced("a newer writer")
            }
            _ = try? await host.shard?.run(Pause(.tenant(Tenant("a")), reason: ""))
            try await clock.sleep(milliseconds: 3_600_000)
            #expect(!host.serves && storage.opened == 1, "an hour of use, and it was not taken away")
            storage.change { $0.isUsedByAnother = false }
            #expect(await host.untilServing(clock, milliseconds: 130_000))
        }
    }

    @Test("while the clock is behind reads are served; writing begins by itself when it has passed")
    func aClockThatIsBehind() throws {
        let storage = TestStorage()
        storage.change { $0.lag = ClockLag(lastWrite: 90_000, now: 1000) }
        try withHost(storage) { host, storage, clock, lines in
            await host.untilTried()
            let shards = ShardSet([host])
            #expect(throws: Status.self) { try shards.resolve(host.id.description) }
            #expect(try await shards.reader(host.id.description).reader.get([1]) == nil)
            try await clock.sleep(milliseconds: 600_000)
            #expect(!host.serves && storage.opened == 1 && lines.matching("ERROR").count == 1)
            storage.change { $0.lag = nil }
            #expect(await host.untilServing(clock, milliseconds: 1100))
            #expect(storage.opened == 1, "the store stays open")
        }
    }

    @Test("a reset that fails is told, goes on being tried, and ends in an empty shard")
    func aResetIsTriedAgain() throws {
        try withHost { host, storage, clock, _ in
            #expect(await host.untilServing(clock, milliseconds: 1000))
            storage.change { $0.eraseErrors = 2 }
            await #expect(throws: StoreError.unavailable("cannot erase")) { try await host.reset() }
            #expect(!host.serves)
            #expect(await host.untilServing(clock, milliseconds: 10_000))
            #expect(storage.state.withLock { $0.erased } == 1)
            try await host.reset()
            #expect(host.serves && storage.state.withLock { $0.erased } == 2)
        }
    }

    @Test("a reset between a failure and the next try takes the place of that try")
    func aResetMeetsAReopening() throws {
        try withHost { host, storage, clock, _ in
            #expect(await host.untilServing(clock, milliseconds: 1000))
            storage.change { $0.openErrors = Array(repeating: .corrupt("x"), count: 3) }
            storage.fail { $0.failWrites = true }
            _ = try? await host.shard?.run(Pause(.tenant(Tenant("a")), reason: ""))
            while host.failure == nil { try? await clock.sleep(milliseconds: 10) }
            storage.change { $0.openErrors = [] }
            try await host.reset()
            #expect(host.serves && storage.state.withLock { $0.erased } == 1)
        }
    }

    @Test("a shard can be closed whatever it is doing")
    func itCloses() throws {
        for error in [StoreError.unavailable("x"), .corrupt("x"), .fenced("x")] {
            let storage = TestStorage()
            storage.change {
                $0.openErrors = Array(repeating: error, count: 100)
                $0.isUsedByAnother = true
            }
            try withHost(storage) { host, _, clock, _ in await host.untilTried() }
        }
        let storage = TestStorage()
        storage.change { $0.lag = ClockLag(lastWrite: 90_000, now: 1000) }
        try withHost(storage) { host, _, _, _ in await host.untilTried() }
    }
}
