private import Foundation
import Synchronization

/// Notices when this process did not run: it was stopped, its machine was suspended, or it got no processor time.
///
/// A thread of its own looks at the clock ten times a second. When it comes much too late, whoever judges others by the time that
/// passed must know that their messages could not be read meanwhile.
final class Presence: Sendable {
    /// A gap of this length is an absence, in nanoseconds.
    static let gapMin: Int64 = 1_000_000_000
    private static let pulseSeconds = 0.1

    private struct State {
        var lastPulse: Int64
        var absences = 0
    }
    private let state: Mutex<State>
    private let read: @Sendable () -> Int64

    /// - Parameter read: a monotonic clock, in nanoseconds.
    init(_ read: @escaping @Sendable () -> Int64) {
        self.read = read
        state = Mutex(State(lastPulse: read()))
        Thread.detachNewThread { [weak self] in
            while let self {
                self.pulse()
                Thread.sleep(forTimeInterval: Self.pulseSeconds)
            }
        }
    }

    /// Absences since the beginning, one that is not over yet, or not noticed by the thread yet, included.
    var absences: Int {
        let now = read()
        return state.withLock { $0.absences + (now - $0.lastPulse >= Self.gapMin ? 1 : 0) }
    }

    private func pulse() {
        let now = read()
        state.withLock { state in
            if now - state.lastPulse >= Self.gapMin { state.absences += 1 }
            state.lastPulse = now
        }
    }
}
