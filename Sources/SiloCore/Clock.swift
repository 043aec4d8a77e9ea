private import Glibc
import Synchronization

/// Where the time comes from. Made once in `main`; a test passes one that it moves by hand.
public protocol Clock: Sendable {
    /// The wall clock: what dates are compared with, and what is shown. It may be set forwards and back at any time.
    var now: Timestamp { get }

    /// Milliseconds that pass evenly whatever is done to the wall clock: what lengths of time are measured with. It begins at the
    /// wall time at which the process began, and never goes back. Differences of it mean something, its value does not.
    var steady: Timestamp { get }

    /// Both at one look.
    var moment: Moment { get }

    /// How often the process was not there for a second or more while time passed, as when it was stopped by a signal.
    var absences: Int { get }

    /// Returns after `milliseconds`, or throws when the task is cancelled.
    func sleep(milliseconds: Int64) async throws
}

extension Clock {
    public var absences: Int { 0 }
}

/// The system's clocks. Small corrections of the wall clock, as time servers and leap seconds make them, are spread: it gains or
/// loses a tenth of the time that passes until they are made up for. A larger one means that the clock was wrong, and is followed
/// at once.
public final class SystemClock: Clock {
    /// What the wall clock is ahead of the steady one.
    private let ahead: Mutex<Slew>
    private let steadyOffset: Int64
    private let presence: Presence?

    /// - Parameter noticesAbsence: a thread watches whether the process runs; see `absences`.
    public init(noticesAbsence: Bool = false) {
        presence = noticesAbsence ? Presence { Self.read(CLOCK_BOOTTIME) } : nil
        steadyOffset = Self.read(CLOCK_REALTIME) - Self.read(CLOCK_BOOTTIME)
        ahead = Mutex(Slew(0, at: 0))
        _ = now
    }

    public var now: Timestamp { wall(at: steadyNanoseconds) }
    public var steady: Timestamp { Timestamp(steadyNanoseconds / 1_000_000) }

    public var moment: Moment {
        let steady = steadyNanoseconds
        return Moment(wall: wall(at: steady), steady: Timestamp(steady / 1_000_000))
    }

    private var steadyNanoseconds: Int64 { Self.read(CLOCK_BOOTTIME) + steadyOffset }

    /// What the wall clock is taken to show now, which is `steady` nanoseconds on the other.
    private func wall(at steady: Int64) -> Timestamp {
        let shown = Self.read(CLOCK_REALTIME)
        return Timestamp((steady + ahead.withLock { $0.follow(shown - steady, at: steady) }) / 1_000_000)
    }

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

/// An offset that follows another one: slowly where they differ little, at once where they differ much. All in nanoseconds.
struct Slew {
    /// Differences up to this are made up for by a tenth of the time that passes; in 20 s at most.
    static let slowMax: Int64 = 2_000_000_000

    private(set) var value: Int64
    private var last: Int64

    init(_ value: Int64, at time: Int64) {
        self.value = value
        last = time
    }

    /// - Parameters:
    ///   - target: what it should be.
    ///   - time: of a clock that never goes back; two threads may come in the wrong order.
    mutating func follow(_ target: Int64, at time: Int64) -> Int64 {
        let most = max(0, time - last) / 10
        last = max(last, time)
        let difference = target - value
        value += abs(difference) > Self.slowMax ? difference : min(max(difference, -most), most)
        return value
    }
}
