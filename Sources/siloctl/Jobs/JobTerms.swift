import SiloAPI
import SiloClient

// Retry policies and limits, for people and for programs. The objects are those that an import file has.

extension SiloV1.RetryPolicy {
    /// `3, after 1.0 s, 2 times as long each time, at most 60.0 s`.
    var text: String {
        guard retryCount > 0 else { return "none" }
        guard maxIntervalMs > 0 else { return "\(retryCount), at once" }
        let growth = backoffFactor == 1 ? "" : ", \(backoffFactor.plain) times as long each time"
        let chance = randomizeInterval ? ", each up to twice as long by chance" : ""
        return "\(retryCount), after \(Words.length(min(initialIntervalMs, maxIntervalMs)))\(growth), at most "
            + Words.length(maxIntervalMs) + chance
    }

    var object: [String: Any] {
        [
            "retry_count": retryCount, "initial_interval_ms": initialIntervalMs, "max_interval_ms": maxIntervalMs,
            "backoff_factor": backoffFactor.isFinite ? backoffFactor : 0, "randomize_interval": randomizeInterval,
        ]
    }
}

extension SiloV1.Limit {
    /// Nil for one that names nothing.
    var text: String? {
        switch limit {
        case .concurrency(let slots): "\(slots.key): at most \(slots.maxConcurrency) at once"
        case .floatingConcurrency(let floating):
            "\(floating.key): at most \(floating.defaultMaxConcurrency) at once, until workers set another maximum, every "
                + Words.length(floating.refreshIntervalMs)
        case .rateLimit(let rate): "\(rate.name)/\(rate.uniqueKey): \(rate.limit) \(rate.period)"
        case nil: nil
        }
    }

    var object: [String: Any]? {
        switch limit {
        case .concurrency(let slots): ["concurrency": ["key": slots.key, "max_concurrency": slots.maxConcurrency]]
        case .floatingConcurrency(let floating):
            ["floating_concurrency": [
                "key": floating.key, "default_max_concurrency": floating.defaultMaxConcurrency,
                "refresh_interval_ms": floating.refreshIntervalMs, "metadata": floating.metadata,
            ] as [String: Any]]
        case .rateLimit(let rate): ["rate_limit": rate.object]
        case nil: nil
        }
    }
}

extension SiloV1.GubernatorRateLimit {
    fileprivate var period: String {
        let isCalendar = behavior & SiloV1.GubernatorBehavior.durationIsGregorian.rawValue != 0
        guard isCalendar else { return "in \(Words.length(durationMs))" }
        return RateLimit.CalendarPeriod(rawValue: durationMs).map { "each \($0)" } ?? "in a period of the calendar"
    }

    fileprivate var object: [String: Any] {
        var object: [String: Any] = [
            "name": name, "unique_key": uniqueKey, "limit": limit, "duration_ms": durationMs, "hits": hits, "behavior": behavior,
            "algorithm": algorithm == .leakyBucket ? "leaky_bucket" : "token_bucket", "burst": burst,
        ]
        if let policy = retryPolicy {
            object["retry_policy"] = [
                "initial_backoff_ms": policy.initialBackoffMs, "max_backoff_ms": policy.maxBackoffMs,
                "backoff_multiplier": policy.backoffMultiplier.isFinite ? policy.backoffMultiplier : 0,
                "max_retries": policy.maxRetries,
            ] as [String: Any]
        }
        return object
    }
}

extension Double {
    /// Without a fraction that is none.
    fileprivate var plain: String { Int(exactly: self).map(String.init) ?? "\(self)" }
}
