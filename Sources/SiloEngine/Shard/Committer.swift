import SiloCore
import SiloStore
import Synchronization

/// Makes written batches durable and answers the callers, as its machine decides.
final class Committer: Sendable {
    private struct State {
        var machine: CommitMachine<any PendingWork>
        var sleeper: CheckedContinuation<Void, Never>?

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

    /// Answers `work` once everything written so far is durable: at once when it is already.
    /// - Parameter wrote: a batch was just written.
    func commit(_ work: [any PendingWork], wrote: Bool) {
        let (done, sleeper) = state.withLock { state in
            let done = state.machine.add(work, wrote: wrote)
            return (done, state.machine.isIdle ? nil : state.takeSleeper())
        }
        sleeper?.resume()
        answer(done)
    }

    /// Flushes and answers until stopped. Throws when a flush fails; nobody of that flush was answered.
    func run() async throws(StoreError) {
        while true {
            switch state.withLock({ $0.machine.next(at: clock.steady) }) {
            case .answer(let work): answer(work)
            case .flush: try await flush()
            case .pause(let milliseconds): try? await clock.sleep(milliseconds: milliseconds)
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
            events.reached(.flushFailed, count: 1)
            fail(state.withLock { $0.machine.flushFailed() }, error)
            throw error
        }
        events.flushEnded()
        answer(state.withLock { $0.machine.flushEnded() })
    }

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
        mailbox.fail(work, .unavailable(error.message))
    }
}
