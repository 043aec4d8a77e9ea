import Synchronization

/// Every call of a server between its arrival and its end, so that they can be counted, limited and cancelled.
///
/// Also says when the server may be destroyed. That its connections are gone is not enough for that: a call outlives its
/// connection until the handler has answered, and answering needs the completion queue.
final class RunningCalls: Sendable {
    private struct State {
        var slots: [CallState?] = []
        var free: [Int] = []
        /// Those refused for the limit are in slots too until their answer is out, and not counted here.
        var running = 0
        /// Of the running ones those that the limit is for.
        var counted = 0
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

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

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

    /// Where a call stands here.
    struct Place {
        let slot: Int
        /// False when it is past the limit.
        let isAdmitted: Bool
        let isCounted: Bool
    }

    /// Notes a call that came.
    /// - Parameter isCounted: false when it has another limit.
    func insert(_ call: CallState, isCounted: Bool) -> Place {
        state.withLock { state in
            let isAdmitted = !isCounted || state.counted < limit
            if isAdmitted { state.running += 1 }
            if isAdmitted, isCounted { state.counted += 1 }
            if let slot = state.free.popLast() {
                state.slots[slot] = call
                return Place(slot: slot, isAdmitted: isAdmitted, isCounted: isCounted)
            }
            state.slots.append(call)
            return Place(slot: state.slots.count - 1, isAdmitted: isAdmitted, isCounted: isCounted)
        }
    }

    /// The call is over and released. True: the server is the caller's to destroy.
    func remove(_ place: Place) -> Bool {
        state.withLock { state in
            state.slots[place.slot] = nil
            state.free.append(place.slot)
            if place.isAdmitted { state.running -= 1 }
            if place.isAdmitted, place.isCounted { state.counted -= 1 }
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
