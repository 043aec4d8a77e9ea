package import SiloAPI

// Limits, between the client's types and the messages of the API.

extension SiloV1.Limit {
    package init(_ limit: JobLimit) {
        self.init()
        switch limit {
        case .concurrency(let key, let max):
            var message = SiloV1.ConcurrencyLimit()
            message.key = key
            message.maxConcurrency = max
            self.limit = .concurrency(message)
        case .floating(let key, let initialMax, let refreshEvery, let metadata):
            var message = SiloV1.FloatingConcurrencyLimit()
            message.key = key
            message.defaultMaxConcurrency = initialMax
            message.refreshIntervalMs = refreshEvery.milliseconds
            message.metadata = metadata.message
            self.limit = .floatingConcurrency(message)
        case .rate(let rate):
            self.limit = .rateLimit(SiloV1.GubernatorRateLimit(rate))
        }
    }
}

extension JobLimit {
    /// Nil for a kind that this client does not know.
    init?(_ message: SiloV1.Limit) {
        switch message.limit {
        case .concurrency(let limit): self = .concurrency(limit.key, max: limit.maxConcurrency)
        case .floatingConcurrency(let limit):
            self = .floating(
                limit.key, initialMax: limit.defaultMaxConcurrency, refreshEvery: .milliseconds(limit.refreshIntervalMs),
                metadata: JobMetadata(limit.metadata)
            )
        case .rateLimit(let limit): self = .rate(RateLimit(limit))
        case nil: return nil
        }
    }
}

extension SiloV1.GubernatorRateLimit {
    fileprivate init(_ rate: RateLimit) {
        self.init()
        name = rate.name
        uniqueKey = rate.key
        limit = rate.limit
        behavior = rate.behavior.rawValue
        switch rate.window {
        case .length(let length): durationMs = length.milliseconds
        case .calendar(let period):
            durationMs = period.rawValue
            behavior |= RateLimit.calendarBit
        }
        hits = rate.hits
        if case .leakyBucket(let burst) = rate.algorithm {
            algorithm = .leakyBucket
            self.burst = burst ?? 0
        }
        var policy = SiloV1.RateLimitRetryPolicy()
        policy.initialBackoffMs = rate.retry.initialBackoff.milliseconds
        policy.maxBackoffMs = rate.retry.maxBackoff.milliseconds
        policy.backoffMultiplier = rate.retry.factor
        policy.maxRetries = rate.retry.retriesMax ?? 0
        retryPolicy = policy
    }
}

extension RateLimit {
    fileprivate static var calendarBit: Int32 { SiloV1.GubernatorBehavior.durationIsGregorian.rawValue }

    fileprivate init(_ message: SiloV1.GubernatorRateLimit) {
        let period = message.behavior & Self.calendarBit == 0 ? nil : CalendarPeriod(rawValue: message.durationMs)
        self.init(
            message.name, key: message.uniqueKey, message.limit,
            per: period.map { .calendar($0) } ?? .milliseconds(message.durationMs), hits: message.hits,
            algorithm: message.algorithm == .leakyBucket
                ? .leakyBucket(burst: message.burst > 0 ? message.burst : nil) : .tokenBucket,
            behavior: Behavior(rawValue: message.behavior & ~Self.calendarBit)
        )
        if let policy = message.retryPolicy {
            retry = Retry(
                initialBackoff: .milliseconds(policy.initialBackoffMs), maxBackoff: .milliseconds(policy.maxBackoffMs),
                factor: policy.backoffMultiplier, retriesMax: policy.maxRetries > 0 ? policy.maxRetries : nil
            )
        }
    }
}
