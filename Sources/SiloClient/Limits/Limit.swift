/// One condition for starting an attempt of a job. A job waits in line until all of its limits have room.
///
/// A key is of one tenant; its jobs share the limit whatever their task group. Up to 32 limits a job, none twice.
public enum JobLimit: Equatable, Sendable {
    /// At most `max` attempts at once, 1 or more. Jobs may give the same key another maximum; each is held to its own.
    case concurrency(_ key: String, max: UInt32)
    /// The same with a maximum that workers find out again while jobs wait for it: see the `refresh` handler of `Worker`.
    /// - `initialMax`: until the first refresh.
    /// - `refreshEvery`: the least time between two, 1 ms to ten years.
    /// - `metadata`: handed to the handler; up to 16 entries.
    ///
    /// The first job of a key decides all three.
    case floating(_ key: String, initialMax: UInt32, refreshEvery: Duration, metadata: JobMetadata = [:])
    /// So many attempts in a span of time.
    case rate(RateLimit)

    /// At most `limit` hits in each window, for instance `.rate("emails", key: "acme", 100, per: .minutes(1))`.
    public static func rate(
        _ name: String, key: String, _ limit: Int64, per window: RateLimit.Window, hits: Int32 = 1,
        algorithm: RateLimit.Algorithm = .tokenBucket, behavior: RateLimit.Behavior = [], retry: RateLimit.Retry = .init()
    ) -> JobLimit {
        .rate(RateLimit(
            name, key: key, limit, per: window, hits: hits, algorithm: algorithm, behavior: behavior, retry: retry
        ))
    }
}

/// A rate limit in the terms of Gubernator. A hit counts when its attempt starts, whatever comes of it.
public struct RateLimit: Equatable, Sendable {
    /// What is limited, such as `emails`. Together with `key` it names the limit.
    public var name: String
    /// For whom, such as a customer.
    public var key: String
    /// Hits in one window, 1 to a million millions.
    public var limit: Int64
    public var window: Window
    /// What one attempt uses; 0 only waits for room.
    public var hits: Int32
    public var algorithm: Algorithm
    public var behavior: Behavior
    public var retry: Retry

    public init(
        _ name: String, key: String, _ limit: Int64, per window: Window, hits: Int32 = 1,
        algorithm: Algorithm = .tokenBucket, behavior: Behavior = [], retry: Retry = Retry()
    ) {
        self.name = name
        self.key = key
        self.limit = limit
        self.window = window
        self.hits = hits
        self.algorithm = algorithm
        self.behavior = behavior
        self.retry = retry
    }

    /// The span of time that a limit is counted in.
    public enum Window: Equatable, Sendable {
        /// 1 ms to ten years, from the first hit on.
        case length(Duration)
        /// The running period of the calendar, in UTC.
        case calendar(CalendarPeriod)

        public static func milliseconds(_ count: Int64) -> Window { .length(.milliseconds(count)) }
        public static func seconds(_ count: Int64) -> Window { .length(.seconds(count)) }
        public static func minutes(_ count: Int64) -> Window { .length(.seconds(count * 60)) }
        public static func hours(_ count: Int64) -> Window { .length(.seconds(count * 3600)) }
    }

    /// Weeks begin on Monday.
    public enum CalendarPeriod: Int64, CaseIterable, Equatable, Sendable {
        case minute, hour, day, week, month, year
    }

    public enum Algorithm: Equatable, Sendable {
        /// All hits of a window may come at once.
        case tokenBucket
        /// Hits are spread evenly over the window, but for the first `burst` of them; nil: `limit`.
        case leakyBucket(burst: Int64? = nil)
    }

    /// What else is to happen, as Gubernator has it.
    public struct Behavior: OptionSet, Hashable, Sendable {
        public let rawValue: Int32
        public init(rawValue: Int32) { self.rawValue = rawValue }

        /// An external limiter is asked at once, not together with other questions.
        public static let noBatching = Behavior(rawValue: 1)
        /// An external limiter may answer from a copy of its counts.
        public static let global = Behavior(rawValue: 2)
        /// Forgets what was used before each hit.
        public static let resetRemaining = Behavior(rawValue: 8)
        /// A job that finds no room uses up what is left.
        public static let drainOverLimit = Behavior(rawValue: 16)
    }

    /// How a job that found no room comes back. Without a bound it waits in line, and starts as soon as there is room.
    public struct Retry: Equatable, Sendable {
        /// The wait after the first refusal, when it is not known when there will be room.
        public var initialBackoff: Duration
        public var maxBackoff: Duration
        /// Each wait is `factor` times the one before.
        public var factor: Double
        /// After so many more refusals the job fails with the code `RATE_LIMITED`; nil: never.
        public var retriesMax: UInt32?

        public init(
            initialBackoff: Duration = .milliseconds(100), maxBackoff: Duration = .seconds(30), factor: Double = 2,
            retriesMax: UInt32? = nil
        ) {
            self.initialBackoff = initialBackoff
            self.maxBackoff = maxBackoff
            self.factor = factor
            self.retriesMax = retriesMax
        }
    }
}
