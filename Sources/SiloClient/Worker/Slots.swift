import Synchronization

/// Counts the handlers that may run at once.
final class Slots: Sendable {
    private struct State {
        var taken = 0
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())
    private let count: Int

    init(_ count: Int) {
        self.count = count
    }

    var takenCount: Int { state.withLock { $0.taken } }

    func take() { state.withLock { $0.taken += 1 } }

    func free() {
        let waiters = state.withLock { state in
            state.taken -= 1
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// How many are free, as soon as one is.
    func waitForFree() async -> Int {
        await wait { $0 < count }
        return max(1, state.withLock { count - $0.taken })
    }

    /// Returns when none is taken.
    func drained() async { await wait { $0 == 0 } }

    private func wait(until isEnough: (Int) -> Bool) async {
        while true {
            if state.withLock({ isEnough($0.taken) }) { return }
            await withCheckedContinuation { continuation in
                let ready = state.withLock { state in
                    if isEnough(state.taken) { return true }
                    state.waiters.append(continuation)
                    return false
                }
                if ready { continuation.resume() }
            }
        }
    }
}
