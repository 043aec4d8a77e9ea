import Synchronization

/// Lets tasks wait until several parts have ended.
final class EndSignal: Sendable {
    private struct State {
        var parts: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    init(parts: Int) { state = Mutex(State(parts: parts)) }

    func partEnded() {
        let waiting = state.withLock { state in
            state.parts -= 1
            guard state.parts == 0 else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.parts > 0 { state.waiting.append(continuation) }
                return state.parts == 0
            }
            if isOver { continuation.resume() }
        }
    }
}
