private import Glibc

/// The time of a span: finer than what the rest of the server is given, since much in it takes less than a millisecond. Both ends
/// are by one look at the wall clock and a clock that is never set, so that no span ends before it began.
struct SpanClock: Sendable {
    private let wall: UInt64
    private let steady: UInt64

    init() {
        wall = Self.read(CLOCK_REALTIME)
        steady = Self.read(CLOCK_MONOTONIC)
    }

    /// Nanoseconds since 1970, at the beginning.
    var beginning: UInt64 { wall }
    /// The same now.
    var now: UInt64 { wall + (Self.read(CLOCK_MONOTONIC) - steady) }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
