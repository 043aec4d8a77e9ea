import SiloCore
import SiloStore
import Synchronization

/// Makes written batches durable and answers the callers: one log flush serves all batches written before it began.
final class Committer: Sendable {
    private struct State {
        var answers: [any PendingWork] = []
        /// Batches that no flush has begun to make durable.
        var unflushed: [WrittenBatch] = []
        var isFlushing = false
        var isStopped = false
        var sleeper: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())
    private let store: any KeyValueStore
    private let mailbox: Mailbox
    private let clock: any Clock
    private let flushGapMilliseconds: Int64

    init(store: any KeyValueStore, mailbox: Mailbox, clock: any Clock, flushGapMilliseconds: Int64) {
        self.store = store
        self.mailbox = mailbox
        self.clock = clock
        self.flushGapMilliseconds = flushGapMilliseconds
    }

    /// Answers `work` once everything written so far is durable: at once when it is already.
    /// - Parameter written: a batch that was just written.
    func commit(_ work: [any PendingWork], _ written: WrittenBatch?) {
        let (isDurable, sleeper): (Bool, CheckedContinuation<Void, Never>?) = state.withLock { state in
            if let written { state.unflushed.append(written) }
            guard !state.unflushed.isEmpty || state.isFlushing else { return (true, nil) }
            state.answers += work
            defer { state.sleeper = nil }
            return (false, state.sleeper)
        }
        sleeper?.resume()
        if isDurable { answer(work) }
    }

    /// Flushes and answers until stopped. Throws when a flush fails; nobody of that flush was answered.
    func run() async throws(StoreError) {
        var lastFlush: Timestamp?
        while await waitForWork() {
            if flushGapMilliseconds > 0, let last = lastFlush {
                let rest = flushGapMilliseconds - (clock.steady - last)
                if rest > 0 { try? await clock.sleep(milliseconds: rest) }
            }
            let (work, batches) = state.withLock { state in
                defer { state.answers = [] }
                defer { state.unflushed = [] }
                state.isFlushing = !state.unflushed.isEmpty
                return (state.answers, state.unflushed)
            }
            // What came during the last flush and wrote nothing.
            if batches.isEmpty {
                answer(work)
                continue
            }
            do {
                lastFlush = clock.steady
                try await store.flush()
            } catch {
                Probe.flushFailed.reached()
                fail(work, error)
                throw error
            }
            for batch in batches { batch.becameDurable(at: clock.steady) }
            state.withLock { $0.isFlushing = false }
            answer(work)
        }
    }

    /// `run` returns when what has been committed is answered.
    func stop() {
        state.withLock { state in
            state.isStopped = true
            defer { state.sleeper = nil }
            return state.sleeper
        }?.resume()
    }

    /// Nothing more becomes durable: fails whoever waits.
    func abort(_ error: StoreError) {
        let work = state.withLock { state in
            defer { state.answers = [] }
            state.isStopped = true
            return state.answers
        }
        fail(work, error)
        stop()
    }

    private func waitForWork() async -> Bool {
        while true {
            let next: Bool? = state.withLock { state in
                if !state.unflushed.isEmpty || !state.answers.isEmpty { return true }
                return state.isStopped ? false : nil
            }
            if let next { return next }
            await withCheckedContinuation { continuation in
                let ready = state.withLock { state in
                    if !state.unflushed.isEmpty || !state.answers.isEmpty || state.isStopped { return true }
                    state.sleeper = continuation
                    return false
                }
                if ready { continuation.resume() }
            }
        }
    }

    private func answer(_ work: [any PendingWork]) {
        mailbox.answered(work)
        for work in work { work.answer() }
    }

    private func fail(_ work: [any PendingWork], _ error: StoreError) {
        mailbox.fail(work, .unavailable(error.message))
    }
}
