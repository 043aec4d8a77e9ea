public import SiloCore

/// One question to an external rate limiter (spec/limits.md 8).
public struct RateCheck: Sendable, Equatable {
    public let name: String
    public let uniqueKey: String
    /// What the attempt uses; 0 only looks.
    public let hits: Int64
    /// Hits in one window.
    public let limit: Int64
    public let durationMilliseconds: Int64
    /// 0 token bucket, 1 leaky bucket.
    public let algorithm: UInt32
    /// Bits of `GubernatorBehavior`.
    public let behavior: Int32
    /// Of a leaky bucket: hits at once; 0: `limit`.
    public let burst: Int64

    public init(
        name: String, uniqueKey: String, hits: Int64, limit: Int64, durationMilliseconds: Int64, algorithm: UInt32,
        behavior: Int32, burst: Int64
    ) {
        self.name = name
        self.uniqueKey = uniqueKey
        self.hits = hits
        self.limit = limit
        self.durationMilliseconds = durationMilliseconds
        self.algorithm = algorithm
        self.behavior = behavior
        self.burst = burst
    }
}

/// What an external rate limiter answered.
public enum RateAnswer: Sendable, Equatable {
    case under
    /// No room. `resetAt` is when there may be some; nil when the limiter does not say.
    case over(resetAt: Timestamp?)
    /// It could not be asked, or answered with an error: the job is put off and asked for again.
    case failed(String)
}

/// A rate limiter beside the shard, shared with other systems. Its outage delays jobs; it never loses or frees them.
public protocol RateLimiter: Sendable {
    /// Asks. `completion` runs once, on any thread, within a bounded time.
    func check(_ check: RateCheck, completion: @escaping @Sendable (RateAnswer) -> Void)
}
