import Glibc

/// A moment on the monotonic clock, in nanoseconds. Comparable between processes of one machine.
struct Instant: Comparable, Sendable {
    var nanoseconds: UInt64

    static var now: Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

    /// Seconds from `earlier` to this; negative when it is later.
    func seconds(since earlier: Instant) -> Double {
        (Double(nanoseconds) - Double(earlier.nanoseconds)) / 1e9
    }

    func milliseconds(since earlier: Instant) -> Double { seconds(since: earlier) * 1000 }

    func advanced(seconds: Double) -> Instant { Instant(nanoseconds: nanoseconds + UInt64(max(0, seconds) * 1e9)) }

    /// Returns at this moment, or at once when it is past.
    func arrive() async {
        let rest = seconds(since: .now)
        guard rest > 0 else { return }
        try? await Task.sleep(for: .nanoseconds(Int64(rest * 1e9)), tolerance: .zero)
    }
}
