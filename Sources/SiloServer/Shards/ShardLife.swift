import SiloCore
import SiloStore
import SlateDB

/// What becomes of one shard on this node: what happened in, what is to be done out. `ShardHost` does it.
///
/// One task asks it what comes next, does that, and says how it went; anybody may ask for a reset or for the end meanwhile.
struct ShardLife<Store: Sendable, Served: Sendable>: Sendable {
    enum State: Sendable {
        /// Not open yet, or between a failure and the next try; says why. Followed by any other.
        case opening(String)
        /// Open, but the clock is behind the last write. Followed by any other.
        case behind(Store)
        /// Followed by `.opening`, `.lost`, `.releasing`, `.closed`.
        case serving(Served, Store)
        /// It is let go of, to be erased. Followed by `.opening`, `.lost`, `.closed`.
        case releasing
        /// Another process has opened it, and is left alone while it uses it; says why. Followed by any other.
        case lost(String)
        /// For good.
        case closed(ShardEnding)
    }

    enum Step: Equatable {
        case erase
        /// A store that was there before has to be there again: a disk that is not mounted must not look like an empty shard.
        case open(mustExist: Bool)
        case end
    }

    enum Action {
        /// It was tried to open the shard.
        case answerTries
        case answerResets(StoreError?)
        /// Wake the task, whatever it waits for.
        case wake
        /// Finish what the shard took in, and close it; without an ending it opens again.
        case release(Served, ShardEnding?)
        /// The task says that the shard stopped: it is news.
        case tell(StoreError)
        /// The task waits before the next step.
        case pause(milliseconds: Int64)
        /// The task looks after a while whether the other process still uses the shard.
        case watch(milliseconds: Int64)
    }

    private(set) var state = State.opening("acquisition in progress")
    /// Whether opening it was tried to the end, or is not going to be.
    private(set) var wasTried = false
    /// Of the last try; nil once it serves.
    private(set) var failure: StoreError?
    private var isToBeErased = false
    private var hasBeenOpen = false
    /// When it last began to serve, by the steady clock.
    private var servesSince: Timestamp?
    private var reopening = Reopening()
    /// The last failure that was told.
    private var told: String?

    var serves: Bool { if case .serving = state { true } else { false } }
    var isClosed: Bool { if case .closed = state { true } else { false } }
    /// What the task is doing has been overtaken: the shard is to be closed or erased.
    var isInterrupted: Bool { isClosed || isToBeErased }

    // MARK: What the task does

    /// What it does next.
    func next() -> Step {
        if isClosed { return .end }
        return isToBeErased ? .erase : .open(mustExist: hasBeenOpen)
    }

    mutating func erased() {
        isToBeErased = false
        hasBeenOpen = false
    }

    /// There is a store now, though it may not serve yet.
    mutating func opened() { hasBeenOpen = true }

    /// The store is open and its clock is behind. Nil: it is wanted no more; the store is to be closed.
    mutating func isBehind(_ store: Store, _ lag: ClockLag) -> [Action]? {
        guard !isInterrupted else { return nil }
        state = .behind(store)
        return tried(.behind(lag))
    }

    /// The shard is open. Nil: it is wanted no more, and is to be closed.
    mutating func serves(_ served: Served, _ store: Store, at now: Timestamp) -> [Action]? {
        guard !isInterrupted else { return nil }
        state = .serving(served, store)
        servesSince = now
        return tried(nil)
    }

    /// A step failed, or the shard stopped by itself.
    mutating func failed(_ error: StoreError, at now: Timestamp) -> [Action] {
        if let since = servesSince {
            reopening.served(forMilliseconds: now - since)
            servesSince = nil
            told = nil
        }
        guard !isClosed else { return [] }
        let isLost = if case .fenced = error { true } else { false }
        state = isLost ? .lost(error.message) : .opening(error.message)
        // The same failure again is no news.
        let news: [Action] = told == error.message ? [] : [.tell(error)]
        told = error.message
        let wait = reopening.pause(after: error)
        return news + tried(error) + [isLost ? .watch(milliseconds: wait) : .pause(milliseconds: wait)]
    }

    /// The other process still uses the shard.
    /// - Returns: when to look again, in milliseconds; nil: there is something else to do.
    mutating func isStillUsed() -> Int64? {
        guard case .lost(let why) = state, !isInterrupted else { return nil }
        return reopening.pause(after: .fenced(why))
    }

    // MARK: What others ask

    /// Everything is to be erased.
    /// - Throws: why it is not going to be.
    mutating func reset() throws(StoreError) -> [Action] {
        if case .closed(let ending) = state { throw .unavailable(ending.text) }
        isToBeErased = true
        defer { state = .releasing }
        if case .serving(let served, _) = state { return [.release(served, nil), .wake] }
        return [.wake]
    }

    /// It is to be served no more.
    mutating func close(_ ending: ShardEnding) -> [Action] {
        guard !isClosed else { return [] }
        defer {
            state = .closed(ending)
            wasTried = true
        }
        let waiting: [Action] = [.answerTries, .answerResets(.unavailable(ending.text)), .wake]
        if case .serving(let served, _) = state { return waiting + [.release(served, ending)] }
        return waiting
    }

    /// A reset is done once what was asked for is erased and open, or has failed.
    private mutating func tried(_ failure: StoreError?) -> [Action] {
        self.failure = failure
        wasTried = true
        return [.answerTries] + (failure != nil || !isToBeErased ? [.answerResets(failure)] : [])
    }
}

/// Why a shard is served no more.
enum ShardEnding: Equatable, Sendable {
    case shutdown
    /// The shard is another node's, or there is no such shard any more.
    case moved(ShardOwner?)

    var text: String {
        switch self {
        case .shutdown: "the server is shutting down"
        case .moved: "the shard has moved"
        }
    }

    /// What callers hear whose requests were not taken in.
    var refusal: SiloError {
        switch self {
        case .shutdown: .unavailable("the shard is closing")
        case .moved(let owner): .notOwner(hint: owner)
        }
    }
}
