import Synchronization

/// Every call of a server between its arrival and its end, so that they can be counted, limited and cancelled.
///
/// Also says when the server may be destroyed. That its connections are gone is not enough for that: a call outlives its
/// connection until the handler has answered, and answering needs the completion queue.
final class RunningCalls: Sendable {
    private struct State {
        var limit: Int
        var slots: [CallState?] = []
        var free: [Int] = []
        /// Admitted ones; those that were refused are in slots too until their answer is out.
        var running = 0
        /// Of the running ones those that the limit is for.
        var limited = 0
        /// Calls that are waited for, and those that came and are not over.
        var open = 0
        /// How many are looking through the calls to cancel them.
        var cancelling = 0
        var isDrained = false
        var isDestroyed = false

        /// True once: the server is the caller's to destroy.
        mutating func takeServer() -> Bool {
            guard isDrained, open == 0, cancelling == 0, !isDestroyed else { return false }
            isDestroyed = true
            return true
        }
    }

    private let onEnd: (@Sendable () -> Void)?
    private let state: Mutex<State>

    /// - Parameter onEnd: is told when a call is over and no longer counted.
    init(limit: Int, onEnd: (@Sendable () -> Void)? = nil) {
        state = Mutex(State(limit: limit))
        self.onEnd = onEnd
    }

    /// From now on so many may run; those that do go on.
    func setLimit(_ limit: Int) { state.withLock { $0.limit = limit } }

    var running: Int { state.withLock { $0.running } }
    var all: [CallState] { state.withLock { $0.slots.compactMap { $0 } } }

    /// A call is waited for. Followed by `ended`, or `insert` and `remove`.
    func awaited() { state.withLock { $0.open += 1 } }

    /// Nobody came. True: the server is the caller's to destroy.
    func ended() -> Bool {
        state.withLock { state in
            state.open -= 1
            return state.takeServer()
        }
    }

    /// What lets a call run.
    enum Admission {
        /// The limit of all calls.
        case limited
        /// A limit of its method.
        case apart
    }

    /// Notes a call that came; gives its slot.
    func insert(_ call: CallState) -> Int {
        state.withLock { state in
            if let slot = state.free.popLast() {
                state.slots[slot] = call
                return slot
            }
            state.slots.append(call)
            return state.slots.count - 1
        }
    }

    /// Counts a call as running; false when it is past the limit.
    func admit(_ admission: Admission) -> Bool {
        state.withLock { state in
            if admission == .limited {
                guard state.limited < state.limit else { return false }
                state.limited += 1
            }
            state.running += 1
            return true
        }
    }

    /// The call is over and released. True: the server is the caller's to destroy.
    func remove(_ slot: Int, _ admission: Admission?) -> Bool {
        defer { onEnd?() }
        return state.withLock { state in
            state.slots[slot] = nil
            state.free.append(slot)
            if admission != nil { state.running -= 1 }
            if admission == .limited { state.limited -= 1 }
            state.open -= 1
            return state.takeServer()
        }
    }

    /// False when the server is destroyed. Else it stays until `endCancelling`.
    func beginCancelling() -> Bool {
        state.withLock { state in
            guard !state.isDestroyed else { return false }
            state.cancelling += 1
            return true
        }
    }

    /// True: the server is the caller's to destroy.
    func endCancelling() -> Bool {
        state.withLock { state in
            state.cancelling -= 1
            return state.takeServer()
        }
    }

    /// The server's connections are gone. True: it is the caller's to destroy.
    func drained() -> Bool {
        state.withLock { state in
            state.isDrained = true
            return state.takeServer()
        }
    }
}
