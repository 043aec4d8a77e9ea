import SiloStore

/// How long a shard that stopped waits before it is opened again: longer from one failure to the next, up to a bound. What is
/// likely to pass is tried sooner than what somebody has to mend.
struct Reopening {
    private var pause: Int64 = 0

    /// A shard that has served for so long has got over what failed before.
    static let calmMilliseconds: Int64 = 10_000

    /// Milliseconds to wait after a failure.
    mutating func pause(after failure: StoreError) -> Int64 {
        let (shortest, longest): (Int64, Int64) = switch failure {
        case .unavailable, .full, .behind: (100, 5000)
        case .corrupt: (1000, 60_000)
        // Whoever took the shard over is to keep it while it uses it: see `ShardHost`.
        case .fenced: (10_000, 60_000)
        }
        pause = min(max(pause * 2, shortest), longest)
        return pause
    }

    mutating func served(forMilliseconds time: Int64) {
        if time >= Self.calmMilliseconds { pause = 0 }
    }
}
