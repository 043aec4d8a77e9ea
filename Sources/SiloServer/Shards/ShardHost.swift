import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry
import SlateDB
import Synchronization

/// Keeps one shard open: opens it, and opens it anew when its storage failed and has come back.
final class ShardHost: Sendable {
    enum State: Sendable {
        /// Not open yet, or between a failure and the next try; says why.
        case opening(String)
        case serving(Shard, SlateStore)
        /// Another process took the shard over, or it cannot be read. It stays closed until somebody looks.
        case lost(String)
        case closed
    }

    let id: ShardID
    let range: ShardRange
    private let location: DataLocation
    private let options: OpenOptions
    private let settings: EngineSettings
    /// What the shard asks about limits that are kept elsewhere; nil: nobody is to be asked.
    let rateLimiter: (any RateLimiter)?
    private let clock: any Clock
    private let random: any RandomSource
    private let logger: Logger
    private let state = Mutex(State.opening("acquisition in progress"))

    init(
        _ entry: ShardMap.Entry, in location: DataLocation, options: OpenOptions, settings: EngineSettings,
        rateLimiter: (any RateLimiter)?, clock: any Clock, random: any RandomSource, logger: Logger
    ) {
        id = entry.id
        range = entry.range
        self.location = location
        self.options = options
        self.settings = settings
        self.rateLimiter = rateLimiter
        self.clock = clock
        self.random = random
        self.logger = logger
    }

    var current: State { state.withLock { $0 } }

    /// The shard while it serves.
    var shard: Shard? {
        if case .serving(let shard, _) = current { shard } else { nil }
    }

    /// Opens the shard for the first time. Throws what a restart would not mend.
    func open() async throws {
        try await serve()
    }

    /// Watches over the open shard until it is closed.
    func watch() async {
        while true {
            guard case .serving(let shard, let store) = current else {
                if case .closed = current { return }
                // A reset is on its way, or nobody but an operator can help.
                try? await clock.sleep(milliseconds: 100)
                continue
            }
            guard let failure = await shard.untilStopped() else {
                try? await clock.sleep(milliseconds: 10)
                continue
            }
            try? await store.close()
            // `close` may have won meanwhile.
            guard change(to: .opening("storage failed; the shard reopens")) else { return }
            logger.error("shard stopped", ["shard": .init(id), "error": .init(failure.message)])
            await reopen(after: failure)
        }
    }

    private func reopen(after failure: StoreError) async {
        var failure = failure
        var pause: Int64 = 100
        while true {
            if case .unavailable = failure {} else {
                if change(to: .lost(failure.message)) {
                    logger.error(
                        "shard given up: it was opened elsewhere or cannot be read; restart the server after a look",
                        ["shard": .init(id), "error": .init(failure.message)]
                    )
                }
                return
            }
            try? await clock.sleep(milliseconds: pause)
            guard case .opening = current else { return }
            do {
                // A place that is gone, such as a disk that is not mounted, must not look like an empty shard.
                try await serve(mustExist: true)
                return
            } catch let error as StoreError {
                failure = error
            } catch let error as StorageError {
                failure = StoreError(error)
            } catch {
                failure = .corrupt("\(error)")
            }
            pause = min(pause * 2, 5000)
            logger.warn("shard does not open yet", ["shard": .init(id), "error": .init(failure.message), "again_ms": .init(Int(pause))])
        }
    }

    private func serve(mustExist: Bool = false) async throws {
        let begun = clock.now
        var options = options
        options.mustExist = mustExist
        let store = SlateStore(try await location.open(id.description, options))
        let shard: Shard
        do {
            shard = try await Shard.open(store, settings: settings, clock: clock, random: random)
        } catch {
            try? await store.close()
            throw error
        }
        guard change(to: .serving(shard, store)) else {
            try? await shard.close()
            return
        }
        logger.info("opened shard", [
            "shard": .init(id), "range": .init(range), "jobs": .init(Int(shard.counts.total)),
            "durability": .init(store.database.durability.rawValue), "init_ms": .init(Int(clock.now - begun)),
        ])
    }

    /// Finishes what was taken in and closes the shard. It does not open again.
    func close() async {
        let before = state.withLock { state in
            defer { state = .closed }
            return state
        }
        guard case .serving(let shard, _) = before else { return }
        let begun = clock.now
        do {
            try await shard.close()
            logger.info("closed shard", ["shard": .init(id), "close_ms": .init(Int(clock.now - begun))])
        } catch {
            logger.error("shard did not close well", ["shard": .init(id), "error": .init(error.message)])
        }
    }

    /// Erases every job and opens the shard empty; id and range stay.
    func reset() async throws {
        let before = current
        guard change(to: .opening("reset in progress")) else { return }
        if case .serving(let shard, _) = before { try? await shard.close() }
        try await location.admin(id.description).delete()
        try await serve()
    }

    /// False when the host was closed, which is final.
    private func change(to new: State) -> Bool {
        state.withLock { state in
            if case .closed = state { return false }
            state = new
            return true
        }
    }
}
