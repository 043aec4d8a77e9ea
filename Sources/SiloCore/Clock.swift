private import Glibc
import Synchronization

/// Where the time comes from. Made once in `main`; a test passes one that it moves by hand.
public protocol Clock: Sendable {
    /// The wall clock: what dates are compared with. Never goes back during the life of a process.
    var now: Timestamp { get }

    /// Milliseconds that pass evenly whatever is done to the wall clock: what lengths of time are measured with. It begins at the
    /// wall time at which the process began, and never goes back. Differences of it mean something, its value does not.
    var steady: Timestamp { get }

    /// How often the process was not there for a second or more while time passed, as when it was stopped by a signal.
    var absences: Int { get }

    /// Returns after `milliseconds`, or throws when the task is cancelled.
    func sleep(milliseconds: Int64) async throws
}

extension Clock {
    public var absences: Int { 0 }
}

/// Wall time that neither jumps nor goes back: it runs with the monotonic clock and drifts towards the system's wall clock
/// by at most a tenth of the time that passes, so that a stepped clock expires no lease at once and freezes none.
public final class SystemClock: Clock {
    private struct State {
        var last: Int64
        var monotonicAtLast: Int64
    }
    private let state: Mutex<State>
    private let steadyOffset: Int64
    private let presence: Presence?

    /// - Parameter noticesAbsence: a thread watches whether the process runs; see `absences`.
    public init(noticesAbsence: Bool = false) {
        presence = noticesAbsence ? Presence { Self.read(CLOCK_BOOTTIME) } : nil
        steadyOffset = Self.read(CLOCK_REALTIME) - Self.read(CLOCK_BOOTTIME)
        state = Mutex(State(last: Self.read(CLOCK_REALTIME), monotonicAtLast: Self.read(CLOCK_BOOTTIME)))
    }

    public var now: Timestamp {
        let wall = Self.read(CLOCK_REALTIME)
        let monotonic = Self.read(CLOCK_BOOTTIME)
        return state.withLock { state in
            let passed = max(0, monotonic - state.monotonicAtLast)
            let expected = state.last + passed
            let correction = min(max(wall - expected, -passed / 10), passed / 10)
            state = State(last: expected + correction, monotonicAtLast: max(monotonic, state.monotonicAtLast))
            return Timestamp(state.last / 1_000_000)
        }
    }

    public var steady: Timestamp { Timestamp((Self.read(CLOCK_BOOTTIME) + steadyOffset) / 1_000_000) }

    public var absences: Int { presence?.absences ?? 0 }

    public func sleep(milliseconds: Int64) async throws {
        try await Task.sleep(for: .milliseconds(milliseconds))
    }

    /// Nanoseconds on one of the system's clocks.
    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
