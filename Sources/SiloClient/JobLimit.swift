import SiloAPI

/// A condition for starting a job's attempts. A job may name up to 32, each of another key; it takes all of them in one step
/// or waits, holding none.
public enum JobLimit: Equatable, Sendable {
    /// At most `max` jobs of the tenant with this key run at once. Each job brings its own maximum; 1 or more.
    case concurrency(key: String, max: UInt32)
    /// The same with a maximum that all jobs of the key share. Workers are asked for a new one while jobs wait for it: see
    /// `Worker.init(_:group:_:refresh:handler:)`. The first job of the key sets all of this.
    case floating(key: String, initialMax: UInt32, refreshEvery: Duration, metadata: [String: String] = [:])
    /// At most so many starts in a time.
    case rate(RateLimit)

    /// A rate limit with nothing special about it: `limit` starts in each `period`.
    public static func rate(_ name: String, key: String, limit: Int64, per period: Duration) -> JobLimit {
        .rate(RateLimit(name, key: key, limit: limit, per: period))
    }
}

/// How many hits may be used in a time, over all jobs of a tenant that name it.
public struct RateLimit: Equatable, Sendable {
    public enum Window: Equatable, Sendable {
        /// From the first hit on; at least 1 ms.
        case lasting(Duration)
        /// The running period of the calendar, in UTC.
        case minute, hour, day, week, month, year
    }
    public enum Kind: Equatable, Sendable {
        /// A window of time has room for `limit` hits.
        case tokenBucket
        /// Room for `burst` hits (nil: `limit`), of which `limit` come free in each window, evenly.
        case leakyBucket(burst: Int64? = nil)
    }
    /// How long a job comes back when there is no room.
    public struct Retries: Equatable, Sendable {
        /// After so many it fails with the code `RATE_LIMITED`; 1 or more.
        public var max: UInt32
        public var initialBackoff: Duration
        public var maxBackoff: Duration
        public var multiplier: Double

        public init(
            max: UInt32, initialBackoff: Duration = .milliseconds(100), maxBackoff: Duration = .seconds(30), multiplier: Double = 2
        ) {
            self.max = max
            self.initialBackoff = initialBackoff
            self.maxBackoff = maxBackoff
            self.multiplier = multiplier
        }
    }

    public var name: String
    /// Whose hits are counted together.
    public var key: String
    public var limit: Int64
    public var window: Window
    /// What one attempt uses; 0 uses nothing.
    public var hits: Int32 = 1
    public var kind = Kind.tokenBucket
    /// Nil: the job waits until there is room, and becomes due just then.
    public var retries: Retries?
    /// Empties the bucket before it is asked.
    public var resets = false
    /// A refusal uses up what is left.
    public var drains = false

    public init(_ name: String, key: String, limit: Int64, per period: Duration) {
        self.init(name, key: key, limit: limit, window: .lasting(period))
    }

    public init(_ name: String, key: String, limit: Int64, window: Window) {
        self.name = name
        self.key = key
        self.limit = limit
        self.window = window
    }
}

extension SiloV1.Limit {
    init(_ limit: JobLimit) {
        self.init()
        switch limit {
        case .concurrency(let key, let max):
            var message = SiloV1.ConcurrencyLimit()
            message.key = key
            message.maxConcurrency = max
            self.limit = .concurrency(message)
        case .floating(let key, let initialMax, let interval, let metadata):
            var message = SiloV1.FloatingConcurrencyLimit()
            message.key = key
            message.defaultMaxConcurrency = initialMax
            message.refreshIntervalMs = interval.milliseconds
            message.metadata = metadata
            self.limit = .floatingConcurrency(message)
        case .rate(let rate):
            self.limit = .rateLimit(SiloV1.GubernatorRateLimit(rate))
        }
    }
}

extension SiloV1.GubernatorRateLimit {
    fileprivate init(_ rate: RateLimit) {
        self.init()
        name = rate.name
        uniqueKey = rate.key
        limit = rate.limit
        hits = rate.hits
        if case .leakyBucket(let burst) = rate.kind {
            algorithm = .leakyBucket
            self.burst = burst ?? 0
        }
        let calendar: Int64? = switch rate.window {
        case .lasting: nil
        case .minute: 0
        case .hour: 1
        case .day: 2
        case .week: 3
        case .month: 4
        case .year: 5
        }
        if case .lasting(let period) = rate.window { durationMs = period.milliseconds } else { durationMs = calendar ?? 0 }
        if calendar != nil { behavior |= Int32(SiloV1.GubernatorBehavior.durationIsGregorian.rawValue) }
        if rate.resets { behavior |= Int32(SiloV1.GubernatorBehavior.resetRemaining.rawValue) }
        if rate.drains { behavior |= Int32(SiloV1.GubernatorBehavior.drainOverLimit.rawValue) }
        if let retries = rate.retries {
            var policy = SiloV1.RateLimitRetryPolicy()
            policy.initialBackoffMs = retries.initialBackoff.milliseconds
            policy.maxBackoffMs = retries.maxBackoff.milliseconds
            policy.backoffMultiplier = retries.multiplier
            policy.maxRetries = retries.max
            retryPolicy = policy
        }
    }
}
