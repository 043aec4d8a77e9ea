import SiloCore
import SiloStore
import Synchronization

/// Makes written batches durable and answers the callers, as its machine decides.
final class Committer: Sendable {
    private struct State {
        var machine: CommitMachine<any PendingWork>
        /// Batches that no flush has begun to make durable, and those that the flush under way does.
        var written: [WrittenBatch] = []
        var covered: [WrittenBatch] = []
        /// When the flush under way began, in steady time; nil: there is none.
        var flushBegan: Timestamp?
        var sleeper: CheckedContinuation<Void, Never>?

        mutating func next(at steady: Timestamp) -> CommitMachine<any PendingWork>.Step {
            let step = machine.next(at: steady)
            if case .flush = step { (covered, written, flushBegan) = (written, [], steady) }
            return step
        }

        mutating func flushWasFull(at steady: Timestamp) -> [any PendingWork] {
            (written, covered, flushBegan) = (covered + written, [], nil)
            return machine.flushWasFull(at: steady)
        }

        mutating func takeSleeper() -> CheckedContinuation<Void, Never>? {
            defer { sleeper = nil }
            return sleeper
        }
    }
    private let state: Mutex<State>
    private let store: any KeyValueStore
    private let mailbox: Mailbox
    private let clock: any Clock
    private let events: any EngineEvents
    private let mayAnswer: @Sendable () -> Bool

    /// - Parameter mayAnswer: whether this process still owns the shard.
    init(
        store: any KeyValueStore, mailbox: Mailbox, clock: any Clock, flushGapMilliseconds: Int64,
        events: any EngineEvents = NoEvents(), mayAnswer: @escaping @Sendable () -> Bool = { true }
    ) {
        state = Mutex(State(machine: CommitMachine(flushGapMilliseconds: flushGapMilliseconds)))
        self.store = store
        self.mailbox = mailbox
        self.clock = clock
        self.events = events
        self.mayAnswer = mayAnswer
    }

    /// How soon a gap that was changed is noticed, in milliseconds.
    private static let pauseMax: Int64 = 1000

    /// In milliseconds, from now on.
    func setFlushGap(_ gap: Int64) { state.withLock { $0.machine.flushGap = gap } }

    /// Answers `work` once everything written so far is durable: at once when it is already.
    /// - Parameter batch: that was just written.
    func commit(_ work: [any PendingWork], _ batch: WrittenBatch?) {
        let (done, sleeper) = state.withLock { state in
            if let batch { state.written.append(batch) }
            let done = state.machine.add(work, wrote: batch != nil)
            return (done, state.machine.isIdle ? nil : state.takeSleeper())
        }
        sleeper?.resume()
        answer(done)
    }

    /// Flushes and answers until stopped. Throws when a flush fails; nobody of that flush was answered.
    func run() async throws(StoreError) {
        while true {
            switch state.withLock({ $0.next(at: clock.steady) }) {
            case .answer(let work): answer(work)
            case .flush: try await flush()
            case .pause(let milliseconds): try? await clock.sleep(milliseconds: min(milliseconds, Self.pauseMax))
            case .wait: await waitForChange()
            case .end: return
            }
        }
    }

    private func flush() async throws(StoreError) {
        events.flushBegan()
        do {
            try await store.flush()
        } catch {
            // Nothing is lost: it is tried again, unless the shard is being closed.
            if case .full = error, !state.withLock({ $0.machine.isStopped }) {
                return fail(state.withLock { $0.flushWasFull(at: clock.steady) }, error)
            }
            events.reached(.flushFailed, count: 1)
            fail(state.withLock { $0.machine.flushFailed() }, error)
            throw error
        }
        events.flushEnded()
        // Leases begin when their workers can be told.
        for batch in state.withLock(\.covered) { batch.becameDurable(at: clock.steady) }
        answer(state.withLock { state in
            state.flushBegan = nil
            return state.machine.flushEnded()
        })
        events.answered()
    }

    /// When the flush under way began, in steady time, and how many answers it and the next one owe.
    var load: (flushBegan: Timestamp?, answersOwed: Int) { state.withLock { ($0.flushBegan, $0.machine.answersOwed) } }

    /// `run` returns when what has been committed is answered.
    func stop() {
        state.withLock { state in
            state.machine.stop()
            return state.takeSleeper()
        }?.resume()
    }

    /// Nothing more becomes durable: fails whoever waits.
    func abort(_ error: StoreError) {
        let (work, sleeper) = state.withLock { state in (state.machine.abort(), state.takeSleeper()) }
        sleeper?.resume()
        fail(work, error)
    }

    private func waitForChange() async {
        await withCheckedContinuation { continuation in
            let mustWait = state.withLock { state in
                // Something may have come since the machine was asked.
                guard state.machine.isIdle else { return false }
                state.sleeper = continuation
                return true
            }
            if !mustWait { continuation.resume() }
        }
    }

    /// Every answer goes out here. One that knows of the shard what its next owner may have changed since must not.
    private func answer(_ work: [any PendingWork]) {
        guard !work.isEmpty else { return }
        guard mayAnswer() else { return mailbox.fail(work, .unavailable("another server owns the shard now")) }
        mailbox.answered(work)
        for work in work { work.answer() }
    }

    private func fail(_ work: [any PendingWork], _ error: StoreError) {
        mailbox.fail(work, SiloError(stopped: error))
    }
}
