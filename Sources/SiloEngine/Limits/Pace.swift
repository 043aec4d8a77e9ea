import SiloCore

/// How often something has happened lately: a running mean of the time between two events, the last ones weighing most.
struct Pace {
    private var last: Timestamp?
    /// Milliseconds; nil until it has happened twice.
    private(set) var gap: Double?

    /// It happened `count` times since the last call.
    mutating func record(_ count: Int = 1, at now: Timestamp) {
        guard count > 0 else { return }
        if let last {
            let new = Double(max(0, now - last)) / Double(count)
            gap = gap.map { $0 * 0.9 + new * 0.1 } ?? new
        }
        last = now
    }

    /// Milliseconds until it has happened `count` times more; nil when there is nothing to go by, as where it has not happened
    /// for much longer than it took before.
    func estimate(_ count: UInt64, at now: Timestamp) -> Int64? {
        guard let gap, let last, Double(now - last) <= max(Self.silenceMin, Self.gapsMax * gap) else { return nil }
        return Int64(min(gap * Double(count), 1e15))
    }

    private static let silenceMin = 5000.0
    private static let gapsMax = 20.0
}
