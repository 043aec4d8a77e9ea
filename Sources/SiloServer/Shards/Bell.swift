import SiloCore
import Synchronization

/// Cuts a pause short. One task waits; anybody may ring, also before.
final class Bell: Sendable {
    private struct State {
        var hasRung = false
        var turn = 0
        /// The turn whose time is up.
        var overdue = 0
        var waiting: CheckedContinuation<Bool, Never>?

        mutating func take() -> CheckedContinuation<Bool, Never>? {
            defer { waiting = nil }
            return waiting
        }
    }
    private let state = Mutex(State())
    private let environment: Environment

    init(in environment: Environment) {
        self.environment = environment
    }

    func ring() {
        state.withLock { state in
            let waiting = state.take()
            state.hasRung = waiting == nil
            return waiting
        }?.resume(returning: true)
    }

    /// Returns when it rings, or after a while.
    /// - Returns: whether it rang.
    @discardableResult
    func wait(milliseconds: Int64) async -> Bool {
        let turn = state.withLock { state in
            state.turn += 1
            return state.turn
        }
        // Awaited below, once it is of no use any more.
        let alarm = environment.start { [self, environment] in
            guard (try? await environment.clock.sleep(milliseconds: milliseconds)) != nil else { return }
            timeIsUp(for: turn)
        }
        let hasRung = await withCheckedContinuation { continuation in
            let hasRung: Bool? = state.withLock { state in
                defer { state.hasRung = false }
                if state.hasRung { return true }
                if state.overdue == turn { return false }
                state.waiting = continuation
                return nil
            }
            if let hasRung { continuation.resume(returning: hasRung) }
        }
        alarm.cancel()
        await alarm.value
        return hasRung
    }

    private func timeIsUp(for turn: Int) {
        state.withLock { state in
            guard state.turn == turn else { return nil as CheckedContinuation<Bool, Never>? }
            state.overdue = turn
            return state.take()
        }?.resume(returning: false)
    }
}
