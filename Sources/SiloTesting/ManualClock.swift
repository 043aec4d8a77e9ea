public import SiloCore
import Synchronization
public import TestSupport

/// A clock that moves only when a test moves it. Sleeps go by its steady time.
public final class ManualClock: Clock {
    private struct Sleeper {
        let id: Int
        let until: Timestamp
        let continuation: CheckedContinuation<Void, any Error>
    }
    private struct State {
        var steady: Timestamp
        /// What the wall clock is ahead of the steady one, in milliseconds.
        var ahead: Int64 = 0
        var sleepers: [Sleeper] = []
        var cancelled: Set<Int> = []
        var nextID = 0
        var absences = 0
    }
    private let state: Mutex<State>
    /// Raised when somebody falls asleep.
    public let changes: Signal

    public init(at now: Timestamp = Timestamp(1_700_000_000_000), changes: Signal = Signal()) {
        self.changes = changes
        state = Mutex(State(steady: now))
    }

    public var now: Timestamp { state.withLock { $0.steady + $0.ahead } }
    public var steady: Timestamp { state.withLock { $0.steady } }

    public var absences: Int { state.withLock { $0.absences } }

    /// Time passes while the process is not there.
    public func absent(milliseconds: Int64) {
        state.withLock { $0.absences += 1 }
        advance(milliseconds: milliseconds)
    }

    /// The moments until which somebody sleeps, by steady time.
    public var sleepers: [Timestamp] { state.withLock { $0.sleepers.map(\.until) } }

    /// Moves on, and wakes whoever has slept long enough.
    public func advance(milliseconds: Int64) {
        let due = state.withLock { state in
            state.steady = state.steady + milliseconds
            let due = state.sleepers.filter { $0.until <= state.steady }
            state.sleepers.removeAll { $0.until <= state.steady }
            return due
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    /// Sets the wall clock forwards or back: no time passes.
    public func step(milliseconds: Int64) {
        state.withLock { $0.ahead += milliseconds }
    }

    public func sleep(milliseconds: Int64) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let isCancelled = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return true }
                    state.sleepers.append(Sleeper(id: id, until: state.steady + milliseconds, continuation: continuation))
                    return false
                }
                if isCancelled { continuation.resume(throwing: CancellationError()) } else { changes.raise() }
            }
        } onCancel: {
            let sleeper: Sleeper? = state.withLock { state in
                guard let index = state.sleepers.firstIndex(where: { $0.id == id }) else {
                    state.cancelled.insert(id)
                    return nil
                }
                return state.sleepers.remove(at: index)
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }
}
