import SiloCore
import SiloEngine
import SiloService
import SiloStore
import SiloTelemetry
import SlateDB
import Synchronization

/// Keeps one shard open: opens it, and opens it anew whatever its storage did, until it is closed. No failure is for ever: it is
/// tried again with pauses that grow to a bound. `ShardLife` decides all that; this does it.
///
/// One task, `run`, opens, serves, erases and closes stores; the other methods leave word and wake it.
final class ShardHost: HostedShard {
    private typealias Life = ShardLife<any KeyValueStore, Shard>

    private struct State {
        var life = Life()
        var waitingForTry: [CheckedContinuation<Void, Never>] = []
        var waitingForReset: [CheckedContinuation<Void, any Error>] = []
        /// What shards are opened with from now on.
        var changeable: EngineSettings.Changeable
        /// The shard that is let go of.
        var releasing: Task<Void, Never>?
    }

    let id: ShardID
    let range: ShardRange
    private let storage: any NodeStorage
    private let settings: EngineSettings
    private let environment: Environment
    private let rateLimiter: (any RateLimiter)?
    private let budgets: MemoryBudgets
    private let dates: RetentionClock
    private let events: any EngineEvents
    private let finder: (any JobFinder)?
    private let bulkEnds: BulkEnds
    private let logger: Logger
    private let onChange: @Sendable (_ serves: Bool) -> Void
    private let state: Mutex<State>
    private let bell: Bell

    /// - Parameters:
    ///   - finder: finds the jobs of bulk actions; nil: they do not go on.
    ///   - bulkEnds: is told of those that come to their end.
    ///   - onChange: is told whether the shard serves, whenever that may have changed. It must not call back.
    init(
        _ entry: ShardMap.Entry, in storage: any NodeStorage, settings: EngineSettings, environment: Environment,
        rateLimiter: (any RateLimiter)?, budgets: MemoryBudgets, logger: Logger, events: any EngineEvents = NoEvents(),
        finder: (any JobFinder)? = nil, bulkEnds: BulkEnds? = nil,
        onChange: @escaping @Sendable (_ serves: Bool) -> Void
    ) {
        state = Mutex(State(changeable: settings.changeable))
        id = entry.id
        range = entry.range
        self.storage = storage
        self.settings = settings
        self.environment = environment
        self.rateLimiter = rateLimiter
        self.budgets = budgets
        dates = RetentionClock(environment.clock)
        self.logger = logger
        self.events = events
        self.finder = finder
        self.bulkEnds = bulkEnds ?? BulkEnds(audit: nil, logger: logger)
        self.onChange = onChange
        bell = Bell(in: environment)
    }

    // MARK: What others ask

    var current: HostedShardState {
        switch state.withLock({ $0.life.state }) {
        case .opening(let why), .lost(let why): .opening(why)
        case .behind(let store): .behind(store)
        case .serving(let shard, let store): .serving(shard, store)
        case .releasing: .opening("reset in progress")
        case .closed(.shutdown): .closed
        case .closed(.moved(let owner)): .moved(owner)
        }
    }

    /// Why it did not open at the last try; nil: it is open, or was not tried yet.
    var failure: StoreError? { state.withLock { $0.life.failure } }

    /// Whether opening it was tried, whatever came of it.
    var wasTried: Bool { state.withLock { $0.life.wasTried } }

    /// The shard as the rows of its store show it, for as long as the clock keeps it from being served.
    func unserved(_ store: any KeyValueStore) async throws(StoreError) -> UnservedShard {
        try await UnservedShard(
            try await store.snapshot(), settings: settings, clock: environment.clock, rateLimiter: rateLimiter
        )
    }

    /// Returns when it was tried to open the shard, whatever came of it.
    func untilTried() async {
        await withCheckedContinuation { continuation in
            let isOver: Bool = state.withLock { state in
                if !state.life.wasTried { state.waitingForTry.append(continuation) }
                return state.life.wasTried
            }
            if isOver { continuation.resume() }
        }
    }

    /// Finishes what was taken in and closes the shard. It does not open again. Returns when it is closed.
    func close(_ ending: ShardEnding = .shutdown) async {
        perform(change { $0.life.close(ending) })
        await untilReleased()
    }

    /// There were audits of its limits at the start.
    var isAudited: Bool { settings.auditMilliseconds != nil }

    func change(_ settings: EngineSettings.Changeable) {
        let shard = state.withLock { state in
            state.changeable = settings
            if case .serving(let shard, _) = state.life.state { return Optional(shard) }
            return nil
        }
        shard?.change(settings)
    }

    func reset() async throws {
        try await withCheckedThrowingContinuation { continuation in
            do throws(StoreError) {
                let actions = try change { state throws(StoreError) in
                    let actions = try state.life.reset()
                    state.waitingForReset.append(continuation)
                    return actions
                }
                perform(actions)
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    // MARK: Effects

    /// Every event goes through here: whoever wants to know whether the shard serves is told in order.
    private func change<R, E: Error>(_ event: (inout State) throws(E) -> R) throws(E) -> R {
        try state.withLock { state throws(E) in
            let before = state.life.serves
            defer { if state.life.serves != before { onChange(!before) } }
            return try event(&state)
        }
    }

    /// What anybody's event asks for, besides what the task does itself.
    private func perform(_ actions: [Life.Action]) {
        for action in actions {
            switch action {
            case .answerTries:
                for waiting in change({ state in Self.take(&state.waitingForTry) }) { waiting.resume() }
            case .answerResets(let failure):
                for waiting in change({ state in Self.take(&state.waitingForReset) }) {
                    if let failure { waiting.resume(throwing: failure) } else { waiting.resume() }
                }
            case .wake: bell.ring()
            case .release(let shard, let ending): release(shard, ending)
            case .tell(let error): logger.error("shard stopped; it is tried again", fields(of: error))
            case .pause, .watch: break
            }
        }
    }

    private static func take<Waiting>(_ waiting: inout [Waiting]) -> [Waiting] {
        defer { waiting = [] }
        return waiting
    }

    /// Nothing is erased or opened before this has ended, however it ends: `run` awaits it.
    private func release(_ shard: Shard, _ ending: ShardEnding?) {
        change { state in
            let before = state.releasing
            state.releasing = environment.start { [self] in
                await before?.value
                // The task tells why a shard that is erased did not close well.
                guard let ending else {
                    try? await shard.close()
                    return
                }
                let begun = environment.clock.steady
                do throws(StoreError) {
                    try await shard.close(refusing: ending.refusal)
                    logger.debug("closed shard", [
                        "shard": .init(id), "close_ms": .init(Int(environment.clock.steady - begun)),
                    ])
                } catch {
                    logger.error("shard did not close well", fields(of: error))
                }
            }
        }
    }

    private func untilReleased() async {
        await state.withLock { $0.releasing }?.value
    }

    // MARK: The task

    /// Opens the shard and serves it until the host is closed.
    func run() async {
        while true {
            await untilReleased()
            let step = change { $0.life.next() }
            do throws(StoreError) {
                switch step {
                case .end: return
                case .erase: try await erase()
                case .open(let mustExist): try await serve(mustExist: mustExist)
                }
            } catch {
                let actions = change { $0.life.failed(error, at: environment.clock.steady) }
                perform(actions)
                await wait(actions)
            }
        }
    }

    private func erase() async throws(StoreError) {
        do { try await storage.erase(id.description) } catch { throw StoreError(wrapping: error) }
        change { $0.life.erased() }
    }

    /// Opens the shard and serves it until it is closed. Throws why it could not be opened, or stopped.
    private func serve(mustExist: Bool) async throws(StoreError) {
        let begun = environment.clock.steady
        let store = try await open(mustExist: mustExist)
        do throws(StoreError) {
            try await waitForClock(of: store)
            guard !isInterrupted else { return try await store.close() }
            var settings = settings
            settings.changeable = state.withLock { $0.changeable }
            let shard = try await Shard.open(
                store, settings: settings, clock: environment.clock, random: environment.random, executor: environment.executor,
                prompt: environment.prompt, rateLimiter: rateLimiter, budgets: budgets, dates: dates, finder: finder,
                events: LoggedEvents(of: id, logger, events),
                onBulkEnd: { [bulkEnds, id] in bulkEnds.tell($0, of: id) },
                onAudit: { [logger, id] in Self.tell($0, of: id, logger) }
            )
            // At the start the server tells of all shards in one line.
            let isNews = wasTried
            let actions = change { $0.life.serves(shard, store, at: environment.clock.steady) }
            guard let actions else { return try await shard.close() }
            // It may have changed while the shard was opened.
            shard.change(state.withLock { $0.changeable })
            logger.log(isNews ? .info : .debug, "opened shard", [
                "shard": .init(id), "range": .init(range), "jobs": .init(Int(shard.counts.total)),
                "durability": .init(store.durability?.rawValue ?? "none"),
                "init_ms": .init(Int(environment.clock.steady - begun)),
            ])
            perform(actions)
            let tending = environment.start { [storage, id] in await storage.tend(id.description, store) }
            let failure = await shard.untilStopped()
            tending.cancel()
            if let failure { throw failure }
        } catch {
            try? await store.close()
            throw error
        }
    }

    private func open(mustExist: Bool) async throws(StoreError) -> any KeyValueStore {
        do {
            let store = try await storage.open(id.description, mustExist: mustExist)
            if mustExist { Probe.shardReopened.reached() }
            change { $0.life.opened() }
            return store
        } catch {
            throw StoreError(wrapping: error)
        }
    }

    /// Serves reads until the machine's clock has passed the store's last write.
    private func waitForClock(of store: any KeyValueStore) async throws(StoreError) {
        guard let lag = store.clockLag else { return }
        // What is read from now on was perhaps written, but not flushed, by whoever had the store before.
        try await store.flush()
        guard let actions = change({ $0.life.isBehind(store, lag) }) else { return }
        Probe.clockBehind.reached()
        logger.error(
            "shard takes no writes yet", ["shard": .init(id), "error": .init(lag), "behind_ms": .init(Int(lag.milliseconds))])
        perform(actions)
        while let lag = store.clockLag, !isInterrupted {
            // The clock may be set right at any time.
            await bell.wait(milliseconds: min(1000, max(1, lag.milliseconds)))
            // Fails when somebody else has taken the store over.
            try await store.flush()
        }
        if !isInterrupted { logger.info("the clock has passed the shard's last write", ["shard": .init(id)]) }
    }

    private var isInterrupted: Bool { state.withLock { $0.life.isInterrupted } }

    /// Waits as a failure asks for. What another process has taken over is left alone as long as that process uses it: two
    /// servers that were told to serve the same place must not take it from each other for ever.
    private func wait(_ actions: [Life.Action]) async {
        for action in actions {
            switch action {
            case .pause(let milliseconds): await bell.wait(milliseconds: milliseconds)
            case .watch(let milliseconds): await watch(milliseconds)
            default: break
            }
        }
    }

    private func watch(_ milliseconds: Int64) async {
        Probe.fenced.reached()
        var seen = try? await storage.activity(of: id.description)
        var pause: Int64? = milliseconds
        while let milliseconds = pause {
            await bell.wait(milliseconds: milliseconds)
            let now = try? await storage.activity(of: id.description)
            guard now != seen else { return }
            seen = now
            pause = change { $0.life.isStillUsed() }
        }
    }

    private func fields(of failure: StoreError) -> Logger.Fields {
        [
            "shard": .init(id), "database": .init(storage.place(of: id.description)), "error": .init(failure.message),
            "cause": .init(failure.cause?.description ?? "none"),
        ]
    }

    /// A slot that nobody holds, or that two may hold, is a fault of this program: somebody should look.
    private static func tell(_ audit: HolderAudit.Report, of id: ShardID, _ logger: Logger) {
        guard !audit.isClean else { return }
        logger.error(
            "limits do not count right; DropTenantHolders counts all of a tenant's anew, and DropLimitHolders none",
            [
                "shard": .init(id), "ghosts": .init(Int(clamping: audit.ghosts)), "missing": .init(Int(clamping: audit.missing)),
                "voids_off": .init(Int(clamping: audit.voidsOff)),
                "examples": .init(audit.examples.joined(separator: "; ")),
            ]
        )
    }
}

extension StoreError {
    /// Of whatever a `NodeStorage` threw.
    init(wrapping error: any Error) {
        switch error {
        case let error as StoreError: self = error
        case let error as StorageError: self.init(error)
        default: self = .unavailable("\(error)")
        }
    }
}
