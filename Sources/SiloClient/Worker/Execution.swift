import SiloCore
import Synchronization

/// The state of one leased task in a worker, from its arrival until its outcome is taken.
final class Execution: Sendable {
    enum Ending { case cancelled, leaseLost }
    private struct State {
        var term: LeaseTerm
        var ending: Ending?
        /// The handler is done; what is left is to report.
        var isSettled = false
        /// Heartbeats fail, and that was told.
        var isFailing = false
        var cancelHandler: (@Sendable () -> Void)?
        /// Waits until the lease is known to be held, or lost.
        var waiter: CheckedContinuation<Void, Never>?
    }
    /// What is to be done for a lease at a moment.
    struct Due {
        /// The lease is not known to be held any more.
        var isOver = false
        var beats = false
        /// When a heartbeat was sent that should have been answered by now.
        var silentSince: Timestamp?
        var next: Timestamp
    }
    private let state: Mutex<State>
    let lease: Lease

    init(_ lease: Lease, _ term: LeaseTerm) {
        self.lease = lease
        state = Mutex(State(term: term))
    }

    var leaseMilliseconds: Int64 { state.withLock { $0.term.length } }
    var ending: Ending? { state.withLock { $0.ending } }
    var isSettled: Bool { state.withLock { $0.isSettled } }

    /// The handler is done. From now on the server alone decides whether the lease is held.
    func settle() { state.withLock { $0.isSettled = true } }

    // MARK: The lease

    /// Takes what is due now.
    func due(at now: Timestamp) -> Due {
        state.withLock { state in
            guard state.ending != .leaseLost else { return Due(next: .distantFuture) }
            guard state.isSettled || !state.term.isOver(at: now) else { return Due(isOver: true, next: .distantFuture) }
            let beats = state.term.takeBeat(at: now)
            let next = state.isSettled ? state.term.nextBeatAt : min(state.term.nextBeatAt, state.term.heldUntil)
            return Due(beats: beats, silentSince: state.term.overdueBeat(at: now), next: next)
        }
    }

    func acknowledge(beatOf sent: Timestamp) {
        let waiter = state.withLock { state in
            state.term.acknowledge(beatOf: sent)
            state.isFailing = false
            return Self.takeWaiter(&state)
        }
        waiter?.resume()
    }

    /// Whether that is news.
    func fail(beatOf sent: Timestamp, at now: Timestamp) -> Bool {
        state.withLock { state in
            state.term.fail(beatOf: sent, at: now)
            defer { state.isFailing = true }
            return !state.isFailing && !state.isSettled
        }
    }

    /// Returns when the lease is known to be held, or when the execution was ended.
    func confirmed() async {
        await withCheckedContinuation { continuation in
            let isKnown = state.withLock { state in
                if state.term.isConfirmed || state.ending != nil { return true }
                state.waiter = continuation
                return false
            }
            if isKnown { continuation.resume() }
        }
    }

    // MARK: The handler

    /// What the handler made of the task; `cancel` is called when the execution is ended before.
    func value<Value: Sendable>(of handler: Task<Value, Never>, cancel: @escaping @Sendable () -> Void) async -> Value {
        let isEnding = state.withLock { state in
            state.cancelHandler = cancel
            return state.ending != nil
        }
        if isEnding { cancel() }
        return await handler.value
    }

    /// Tells the handler to stop. False when it is done, or was told the same before. A lease that is lost overrides a
    /// cancellation.
    @discardableResult
    func end(_ ending: Ending) -> Bool {
        let (isNews, cancel, waiter): (Bool, (@Sendable () -> Void)?, CheckedContinuation<Void, Never>?) = state.withLock {
            state in
            // Also of one that is settled, whose outcome alone is still on its way.
            if ending == .leaseLost { state.term.lose() }
            guard !state.isSettled, state.ending == nil || (state.ending == .cancelled && ending == .leaseLost) else {
                return (false, nil, nil)
            }
            let wasTold = state.ending != nil
            state.ending = ending
            return (true, wasTold ? nil : state.cancelHandler, Self.takeWaiter(&state))
        }
        cancel?()
        waiter?.resume()
        return isNews
    }

    private static func takeWaiter(_ state: inout State) -> CheckedContinuation<Void, Never>? {
        guard state.term.isConfirmed || state.ending != nil else { return nil }
        defer { state.waiter = nil }
        return state.waiter
    }
}
