import GRPC
import Protobuf
import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry
import SiloTesting
import SlateDB
import Synchronization
import Testing

@testable import SiloServer
@testable import SiloService

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
        /// Calls of `close` under way; each takes as long as the test says.
        var closing = 0
        var close: (@Sendable (_ closing: Int) async throws(StoreError) -> Void)?
        var isErasedInUse = false
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
        return LaggingStore(store) {
            self.state.withLock { $0.lag }
        } closing: { () async throws(StoreError) in
            try await self.close()
        }
    }

    private func close() async throws(StoreError) {
        let (close, closing) = state.withLock { state in
            state.closing += 1
            return (state.close, state.closing)
        }
        defer { change { $0.closing -= 1 } }
        try await close?(closing)
    }

    func place(of name: String) -> String { "place of \(name)" }

    func erase(_ name: String) async throws {
        try state.withLock { state in
            if state.eraseErrors > 0 {
                state.eraseErrors -= 1
                throw StoreError.unavailable("cannot erase")
            }
            state.erased += 1
            if state.closing > 0 { state.isErasedInUse = true }
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
    private let closing: @Sendable () async throws(StoreError) -> Void

    init(
        _ inner: any KeyValueStore, lag: @escaping @Sendable () -> ClockLag?,
        closing: @escaping @Sendable () async throws(StoreError) -> Void
    ) {
        self.inner = inner
        self.lag = lag
        self.closing = closing
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
    func close() async throws(StoreError) {
        try await closing()
        try await inner.close()
    }
}

/// Runs a host in simulated time, with the log lines that it wrote.
private func withHost(
    _ storage: TestStorage = TestStorage(),
    _ body: @escaping @Sendable (ShardHost, TestStorage, SimulatedClock, Mutex<[String]>.Box) async throws -> Void
) throws {
    try withShards([storage]) { shards, clock, lines, _ in try await body(shards.hosts[0], storage, clock, lines) }
}

/// The same of a set of hosts, one for each storage, with what makes more of them.
private func withShards(
    _ storages: [TestStorage],
    _ body: @escaping @Sendable (
        ShardSet, SimulatedClock, Mutex<[String]>.Box, _ make: @escaping @Sendable (TestStorage) -> ShardHost
    ) async throws -> Void
) throws {
    let clock = SimulatedClock(seed: 1)
    let executor = SeededExecutor(seed: 1, clock: clock)
    let environment = Environment(clock: clock, random: SeededRandom(seed: 1), executor: executor)
    let lines = Mutex<[String]>.Box()
    let logger = Logger("shard") { line in lines.value.withLock { $0.append(line) } }
    try executor.run(timeMax: 24 * 3_600_000) {
        let random = SeededRandom(seed: 2)
        let make: @Sendable (TestStorage) -> ShardHost = { storage in
            ShardHost(
                ShardMap.Entry(id: ShardID(.random(from: random)), range: ShardRange(start: nil, end: nil)),
                in: storage, settings: EngineSettings(), environment: environment, rateLimiter: nil,
                budgets: MemoryBudgets(EngineSettings()), logger: logger, onChange: { _ in }
            )
        }
        let shards = ShardSet(storages.map(make), in: environment)
        try await body(shards, clock, lines, make)
        await shards.close()
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

private struct OneShard: Shards {
    let host: ShardHost
    var all: [any HostedShard] { [host] }
    subscript(id: ShardID) -> (any HostedShard)? { id == host.id ? host : nil }
}

@Suite("Shards that come and go while a node serves", .timeLimit(.minutes(10))) struct ShardSetTests {
    @Test("whoever asks for a shard that has moved is told its owner; what it took in is finished")
    func aShardMoves() throws {
        let storage = TestStorage()
        try withShards([storage]) { shards, clock, _, _ in
            let host = shards.hosts[0]
            #expect(await host.untilServing(clock, milliseconds: 1000))
            let shard = try #require(host.shard)
            let owner = ShardOwner(node: "n2", address: "n2:7450")
            async let taken = shard.run(Pause(.tenant(Tenant("a")), reason: ""))
            try await clock.sleep(milliseconds: 1)
            await shards.remove(host.id, movedTo: owner)
            #expect(try await taken == false, "it was not paused before")
            await #expect(throws: SiloError.notOwner(hint: owner)) {
                try await shard.run(Pause(.tenant(Tenant("b")), reason: ""))
            }
            // Who had looked before, and who looks now.
            #expect(throws: SiloError.notOwner(hint: owner)) {
                try ShardResolver(OneShard(host: host), .system).serving(host.id.description)
            }
            #expect(throws: SiloError.notOwner(hint: nil)) { try ShardResolver(shards, .system).serving(host.id.description) }
            #expect(shards.hosts.isEmpty)
        }
    }

    @Test("those that take the place of another open when it is closed, and are seen at once")
    func aShardIsReplaced() throws {
        let (old, left, right) = (TestStorage(), TestStorage(), TestStorage())
        try withShards([old]) { shards, clock, _, make in
            let host = shards.hosts[0]
            #expect(await host.untilServing(clock, milliseconds: 1000))
            let isClosed = Mutex<[String]>.Box()
            old.change {
                $0.close = { _ async throws(StoreError) in
                    try? await clock.sleep(milliseconds: 5000)
                    isClosed.value.withLock { $0.append("closed; opened: \(left.opened + right.opened)") }
                }
            }
            let new = [make(left), make(right)]
            async let replaced: Void = shards.replace([host.id], with: new)
            try await clock.sleep(milliseconds: 1000)
            #expect(Set(shards.hosts.map(\.id)) == Set(new.map(\.id)))
            #expect(throws: SiloError.shardNotReady("acquisition in progress")) {
                try ShardResolver(shards, .system).serving(new[0].id.description)
            }
            await replaced
            #expect(isClosed.matching("closed; opened: 0").count == 1)
            for host in new { #expect(await host.untilServing(clock, milliseconds: 1000)) }
        }
    }

    @Test("a set that is closed opens nothing more, and a shard that is removed before it opened lets go whoever waits")
    func nothingComesAfterTheEnd() throws {
        let (first, late) = (TestStorage(), TestStorage())
        first.change { $0.openErrors = Array(repeating: .corrupt("x"), count: 100) }
        try withShards([first]) { shards, clock, _, make in
            let host = shards.hosts[0]
            await shards.remove(host.id)
            await host.untilTried()
            await shards.close()
            await shards.add(make(late))
            try await clock.sleep(milliseconds: 10_000)
            #expect(shards.hosts.isEmpty && late.opened == 0)
        }
    }
}

@Suite("What a shard does when its storage fails", .timeLimit(.minutes(10))) struct ShardHostTests {
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

    @Test("a database of another format is named, with both formats and what to do", arguments: [
        (UInt32(1), "run the older program"), (99, "run the newer program"),
    ])
    func anotherFormat(version: UInt32, way: String) throws {
        try withHost { host, storage, clock, lines in
            #expect(await host.untilServing(clock, milliseconds: 1000))
            let rows = storage.state.withLock { $0.rows }
            var info = StorageV1.ShardInfo()
            info.formatVersion = version
            try await rows.write([Write(key: ShardKeys.info, value: info.serializedBytes())])
            try await rows.flush()
            storage.fail { $0.failWrites = true }
            _ = try? await host.shard?.run(Pause(.tenant(Tenant("a")), reason: ""))
            while lines.matching("has format").isEmpty { try? await clock.sleep(milliseconds: 10) }
            let line = try #require(lines.matching("has format").first)
            for part in [
                "format \(version)", "format \(ShardKeys.formatVersion) only", way, "place of \(host.id)", "shard=\(host.id)",
            ] {
                #expect(line.contains(part), "\(line)")
            }
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
            let shards = ShardResolver(OneShard(host: host), .system)
            #expect(throws: SiloError.self) { try shards.serving(host.id.description) }
            let shard = try await shards.readable(host.id.description).shard
            #expect(try await shard.reader().0.get([1]) == nil)
            #expect(try await shard.pauses(for: .server).isEmpty)
            await #expect(throws: SiloError.jobNotFound) {
                try await shard.explanation(Explain(tenant: .none, id: JobID("nobody")), for: .server)
            }
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

    @Test("a reset erases nothing while the store is being closed, also one that fails", arguments: [false, true])
    func aResetAwaitsTheClose(fails: Bool) throws {
        try withHost { host, storage, clock, _ in
            #expect(await host.untilServing(clock, milliseconds: 1000))
            storage.change {
                // A second call takes longer than the first.
                $0.close = { closing async throws(StoreError) in
                    try? await clock.sleep(milliseconds: Int64(closing) * 30_000)
                    if fails { throw .unavailable("cannot close") }
                }
            }
            if fails {
                storage.fail { $0.failWrites = true }
                _ = try? await host.shard?.run(Pause(.tenant(Tenant("a")), reason: ""))
            }
            _ = try? await host.reset()
            storage.change { $0.close = nil }
            #expect(await host.untilServing(clock, milliseconds: 200_000))
            #expect(storage.state.withLock { $0.erased == 1 && !$0.isErasedInUse })
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
