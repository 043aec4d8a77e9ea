import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry
import SlateDB
import Synchronization

/// Keeps one shard open: opens it, and opens it anew whatever its storage did, until it is closed. No failure is for ever: it is
/// tried again with pauses that grow to a bound.
///
/// One task, `run`, opens, serves, erases and closes stores; the other methods leave word and wake it.
final class ShardHost: Sendable {
    enum State: Sendable {
        /// Not open yet, or between a failure and the next try; says why.
        case opening(String)
        /// Open, but this machine's clock is behind the last write: only reads are served.
        case behind(any KeyValueStore)
        case serving(Shard, any KeyValueStore)
        case closed
    }

    private struct Life {
        var state = State.opening("acquisition in progress")
        /// Whether opening it was tried to the end, and who waits for that.
        var hasBeenTried = false
        var waitingForTry: [CheckedContinuation<Void, Never>] = []
        /// Everything is to be erased before the next opening, and who waits for that.
        var isToBeErased = false
        var waitingForReset: [CheckedContinuation<Void, any Error>] = []
        /// The shard that is closed to be erased.
        var closing: Task<Void, Never>?
        /// Of the last try; nil once it is open.
        var failure: StoreError?
        /// A store of this name was there; it has to be there again.
        var hasBeenOpen = false
        /// When it last began to serve, by the steady clock.
        var servesSince: Timestamp?

        mutating func takeServing() -> Timestamp? {
            defer { servesSince = nil }
            return servesSince
        }
    }

    let id: ShardID
    let range: ShardRange
    private let storage: any NodeStorage
    private let settings: EngineSettings
    private let environment: Environment
    private let rateLimiter: (any RateLimiter)?
    private let budgets: MemoryBudgets
    private let events: any EngineEvents
    private let logger: Logger
    private let onChange: @Sendable (_ serves: Bool) -> Void
    private let life = Mutex(Life())
    private let bell: Bell

    /// - Parameter onChange: is told whether the shard serves, whenever that may have changed. It must not call back.
    init(
        _ entry: ShardMap.Entry, in storage: any NodeStorage, settings: EngineSettings, environment: Environment,
        rateLimiter: (any RateLimiter)?, budgets: MemoryBudgets, logger: Logger, events: any EngineEvents = NoEvents(),
        onChange: @escaping @Sendable (_ serves: Bool) -> Void
    ) {
        id = entry.id
        range = entry.range
        self.storage = storage
        self.settings = settings
        self.environment = environment
        self.rateLimiter = rateLimiter
        self.budgets = budgets
        self.logger = logger
        self.events = events
        self.onChange = onChange
        bell = Bell(in: environment)
    }

    var clock: any Clock { environment.clock }

    // MARK: What others ask

    var current: State { life.withLock { $0.state } }

    /// The shard while it serves.
    var shard: Shard? {
        if case .serving(let shard, _) = current { shard } else { nil }
    }

    /// Why it did not open at the last try; nil: it is open, or was not tried yet.
    var failure: StoreError? { life.withLock { $0.failure } }

    /// Whether opening it was tried, whatever came of it.
    var wasTried: Bool { life.withLock { $0.hasBeenTried } }

    /// Returns when it was tried to open the shard, whatever came of it.
    func untilTried() async {
        await withCheckedContinuation { continuation in
            let isOver: Bool = life.withLock { life in
                if !life.hasBeenTried { life.waitingForTry.append(continuation) }
                return life.hasBeenTried
            }
            if isOver { continuation.resume() }
        }
    }

    /// Finishes what was taken in and closes the shard. It does not open again.
    func close() async {
        let (before, resets) = life.withLock { life in
            defer {
                set(.closed, &life)
                life.waitingForReset = []
            }
            return (life.state, life.waitingForReset)
        }
        for reset in resets { reset.resume(throwing: StoreError.unavailable("the server is shutting down")) }
        bell.ring()
        guard case .serving(let shard, _) = before else { return }
        let begun = clock.steady
        do {
            try await shard.close()
            logger.info("closed shard", ["shard": .init(id), "close_ms": .init(Int(clock.steady - begun))])
        } catch {
            logger.error("shard did not close well", fields(of: error))
        }
    }

    /// Erases every job and opens the shard empty; id and range stay. When it throws, nothing is served until it has been done:
    /// it goes on being tried.
    func reset() async throws {
        try await withCheckedThrowingContinuation { continuation in
            let isClosed = life.withLock { life in
                if case .closed = life.state { return true }
                life.isToBeErased = true
                life.waitingForReset.append(continuation)
                // `run` awaits its end.
                if case .serving(let shard, _) = life.state { life.closing = environment.start { try? await shard.close() } }
                set(.opening("reset in progress"), &life)
                return false
            }
            guard !isClosed else {
                return continuation.resume(throwing: StoreError.unavailable("the server is shutting down"))
            }
            bell.ring()
        }
    }

    // MARK: The life of the shard

    /// Opens the shard and serves it until the host is closed.
    func run() async {
        var reopening = Reopening()
        var told: String?
        while !isClosed {
            do throws(StoreError) {
                try await eraseIfAsked()
                try await serve()
                // It was closed, to be reset or for good.
            } catch {
                if let since = life.withLock({ $0.takeServing() }) {
                    reopening.served(forMilliseconds: clock.steady - since)
                    told = nil
                }
                guard change(to: .opening(error.message)) else { return }
                // The same failure again is no news.
                if told != error.message { logger.error("shard stopped; it is tried again", fields(of: error)) }
                told = error.message
                tried(error)
                await wait(after: error, &reopening)
            }
        }
    }

    private var isClosed: Bool {
        if case .closed = current { true } else { false }
    }

    private func eraseIfAsked() async throws(StoreError) {
        guard life.withLock({ $0.isToBeErased }) else { return }
        do { try await storage.erase(id.description) } catch { throw StoreError(wrapping: error) }
        life.withLock { life in
            life.isToBeErased = false
            life.hasBeenOpen = false
        }
    }

    /// Opens the shard and serves it until it is closed. Throws why it could not be opened, or stopped.
    private func serve() async throws(StoreError) {
        let begun = clock.steady
        let store = try await openStore()
        do throws(StoreError) {
            try await waitForClock(of: store)
            guard !isInterrupted else {
                try await store.close()
                return
            }
            let shard = try await Shard.open(
                store, settings: settings, clock: clock, random: environment.random, executor: environment.executor,
                rateLimiter: rateLimiter, budgets: budgets, events: LoggedEvents(of: id, logger, events),
                onAudit: { [logger, id] in Self.tell($0, of: id, logger) }
            )
            guard change(to: .serving(shard, store)) else { return try await shard.close() }
            logger.info("opened shard", [
                "shard": .init(id), "range": .init(range), "jobs": .init(Int(shard.counts.total)),
                "durability": .init(store.durability?.rawValue ?? "none"), "init_ms": .init(Int(clock.steady - begun)),
            ])
            life.withLock { $0.servesSince = clock.steady }
            tried(nil)
            let tending = environment.start { [storage, id] in await storage.tend(id.description, store) }
            let failure = await shard.untilStopped()
            tending.cancel()
            if let failure { throw failure }
            await life.withLock { $0.closing }?.value
        } catch {
            try? await store.close()
            throw error
        }
    }

    private func openStore() async throws(StoreError) -> any KeyValueStore {
        // A place that is gone, such as a disk that is not mounted, must not look like an empty shard.
        let mustExist = life.withLock { $0.hasBeenOpen }
        do {
            let store = try await storage.open(id.description, mustExist: mustExist)
            if mustExist { Probe.shardReopened.reached() }
            life.withLock { $0.hasBeenOpen = true }
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
        guard change(to: .behind(store)) else { return }
        Probe.clockBehind.reached()
        logger.error("shard takes no writes yet", ["shard": .init(id), "error": .init(lag), "behind_ms": .init(Int(lag.milliseconds))])
        tried(.behind(lag))
        while let lag = store.clockLag, !isInterrupted {
            // The clock may be set right at any time.
            await bell.wait(milliseconds: min(1000, max(1, lag.milliseconds)))
            // Fails when somebody else has taken the store over.
            try await store.flush()
        }
        if !isInterrupted { logger.info("the clock has passed the shard's last write", ["shard": .init(id)]) }
    }

    /// The shard is to be closed or erased.
    private var isInterrupted: Bool {
        life.withLock { life in
            if case .closed = life.state { return true }
            return life.isToBeErased
        }
    }

    /// Waits before the next try. What another process has taken over is left alone as long as that process uses it: two servers
    /// that were told to serve the same place must not take it from each other for ever.
    private func wait(after failure: StoreError, _ reopening: inout Reopening) async {
        guard case .fenced = failure else {
            await bell.wait(milliseconds: reopening.pause(after: failure))
            return
        }
        Probe.fenced.reached()
        var seen = try? await storage.activity(of: id.description)
        while !isInterrupted {
            await bell.wait(milliseconds: reopening.pause(after: failure))
            let now = try? await storage.activity(of: id.description)
            guard now != seen else { return }
            seen = now
        }
    }

    /// A try to open the shard has ended.
    private func tried(_ failure: StoreError?) {
        let (tries, resets) = life.withLock { life in
            life.failure = failure
            life.hasBeenTried = true
            // The reset is done once what was asked for is erased and open, or has failed.
            let isDone = failure != nil || !life.isToBeErased
            defer {
                life.waitingForTry = []
                if isDone { life.waitingForReset = [] }
            }
            return (life.waitingForTry, isDone ? life.waitingForReset : [])
        }
        for waiting in tries { waiting.resume() }
        for waiting in resets {
            if let failure { waiting.resume(throwing: failure) } else { waiting.resume() }
        }
    }

    /// False when the host was closed, which is final, or the shard is to be erased first.
    private func change(to new: State) -> Bool {
        life.withLock { life in
            if case .closed = life.state { return false }
            if case .opening = new {} else if life.isToBeErased { return false }
            set(new, &life)
            return true
        }
    }

    private func set(_ new: State, _ life: inout Life) {
        life.state = new
        if case .serving = new { onChange(true) } else { onChange(false) }
    }

    private func fields(of failure: StoreError) -> Logger.Fields {
        ["shard": .init(id), "error": .init(failure.message), "cause": .init(failure.cause?.description ?? "none")]
    }

    /// A slot that nobody holds, or that two may hold, is a fault of this program: somebody should look.
    private static func tell(_ audit: HolderAudit.Report, of id: ShardID, _ logger: Logger) {
        guard !audit.isClean else { return }
        logger.error(
            "limits do not count right; DropTenantHolders counts a tenant's anew",
            [
                "shard": .init(id), "ghosts": .init(Int(clamping: audit.ghosts)), "missing": .init(Int(clamping: audit.missing)),
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
