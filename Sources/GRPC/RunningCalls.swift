import Synchronization

/// Every call of a server between its arrival and its end, so that they can be counted, limited and cancelled.
///
/// Also keeps a server from being destroyed while its calls are being cancelled.
final class RunningCalls: Sendable {
    private struct State {
        var slots: [CallState?] = []
        var free: [Int] = []
        /// Admitted ones; those refused for the limit are in slots too until their answer is out.
        var running = 0
        var isCancelling = false
        var isDrained = false
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    var running: Int { state.withLock { $0.running } }
    var all: [CallState] { state.withLock { $0.slots.compactMap { $0 } } }

    /// Notes a call; `isAdmitted` is false when it is past the limit.
    func insert(_ call: CallState) -> (slot: Int, isAdmitted: Bool) {
        state.withLock { state in
            let isAdmitted = state.running < limit
            if isAdmitted { state.running += 1 }
            if let slot = state.free.popLast() {
                state.slots[slot] = call
                return (slot, isAdmitted)
            }
            state.slots.append(call)
            return (state.slots.count - 1, isAdmitted)
        }
    }

    func remove(_ slot: Int, wasAdmitted: Bool) {
        state.withLock { state in
            state.slots[slot] = nil
            state.free.append(slot)
            if wasAdmitted { state.running -= 1 }
        }
    }

    // MARK: Shutdown: `drained` and cancelling may overlap; whoever is last destroys the server.

    /// False when the server is drained already, or somebody else is cancelling.
    func beginCancelling() -> Bool {
        state.withLock { state in
            guard !state.isDrained, !state.isCancelling else { return false }
            state.isCancelling = true
            return true
        }
    }

    /// True: the server drained meanwhile and is the caller's to destroy.
    func endCancelling() -> Bool {
        state.withLock { state in
            state.isCancelling = false
            return state.isDrained
        }
    }

    /// True: the server is the caller's to destroy.
    func drained() -> Bool {
        state.withLock { state in
            state.isDrained = true
            return !state.isCancelling
        }
    }
}
