import Glibc

/// How far the wall clock is behind the last write that a database knows.
///
/// SlateDB stamps every write with the wall clock and refuses one whose stamp would be smaller than the greatest before; worse,
/// it then closes itself. So a write is not given to it while the clock is behind.
public struct ClockLag: Equatable, Sendable, CustomStringConvertible {
    /// Milliseconds since the Unix epoch.
    public let lastWrite: Int64
    public let now: Int64

    public init(lastWrite: Int64, now: Int64) {
        self.lastWrite = lastWrite
        self.now = now
    }

    public var milliseconds: Int64 { lastWrite - now }

    /// For callers and log lines: how far it is behind, and when writes are taken again.
    public var description: String {
        let tenths = (milliseconds + 99) / 100
        return "this machine's clock is \(tenths / 10).\(tenths % 10) s behind the last write here; set it right, or wait: "
            + "reads are served, writes are taken again when it has passed \(Self.date(lastWrite))"
    }

    /// RFC 3339, UTC.
    private static func date(_ milliseconds: Int64) -> String {
        var seconds = time_t(milliseconds / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        var text = [CChar](repeating: 0, count: 64)
        let count = strftime(&text, text.count, "%Y-%m-%dT%H:%M:%S", &parts)
        let fraction = String(1000 + milliseconds % 1000).dropFirst()
        return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) + ".\(fraction)Z"
    }

    /// Reads SlateDB's text: "invalid clock tick, must be monotonic. last_tick=`2`, next_tick=`1`".
    init?(refusal text: String) {
        guard text.contains("invalid clock tick") else { return nil }
        let numbers = text.split(separator: "`").compactMap { Int64($0) }
        guard numbers.count == 2 else { return nil }
        self.init(lastWrite: numbers[0], now: numbers[1])
    }

    /// What SlateDB reads at its opening: the system's clock, whatever is done to it.
    static func wallClock() -> Int64 { milliseconds(of: CLOCK_REALTIME) }

    /// By which it counts from there.
    static func steadyClock() -> Int64 { milliseconds(of: CLOCK_MONOTONIC) }

    private static func milliseconds(of clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
