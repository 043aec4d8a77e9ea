import GRPC
import Protobuf
import SiloAPI
import SiloCore
import SiloEngine
import SiloStore

// The limits of a job, between the messages of the API and the records of the store.

extension SiloV1.RateLimitRetryPolicy {
    /// What stands in for an absent policy; a policy that is there counts as it is (spec/limits.md 1).
    static var standard: SiloV1.RateLimitRetryPolicy {
        var policy = SiloV1.RateLimitRetryPolicy()
        policy.initialBackoffMs = 100
        policy.maxBackoffMs = 30_000
        policy.backoffMultiplier = 2
        return policy
    }
}

extension [SiloV1.Limit] {
    /// The records of a job's limits. An entry that names nothing is dropped. Throws what breaks a bound, naming the field.
    func records() throws(Status) -> [StorageV1.Limit] {
        guard count <= Bounds.limitsMax else {
            throw Status(.invalidArgument, "limits has too many entries (max \(Bounds.limitsMax))")
        }
        var records: [StorageV1.Limit] = []
        var seen: Set<LimitIdentity> = []
        for (index, limit) in enumerated() {
            let check = BoundCheck("limits[\(index)]")
            guard let record = try limit.record(check) else { continue }
            // Twice the same would have the job wait for itself.
            guard seen.insert(record.identity).inserted else { throw check.refusal("names the same limit as an earlier entry") }
            records.append(record)
        }
        guard records.textBytes <= Bounds.limitsBytesMax else {
            throw Status(
                .invalidArgument, "limits too large (keys and metadata must be <= \(Bounds.limitsBytesMax) bytes together)")
        }
        return records
    }
}

extension SiloV1.Limit {
    fileprivate func record(_ check: BoundCheck) throws(Status) -> StorageV1.Limit? {
        var record = StorageV1.Limit()
        switch limit {
        case .concurrency(let limit):
            let check = check.field("concurrency")
            try check.key(limit.key, "key")
            try check.atLeastOne(Int64(limit.maxConcurrency), "max_concurrency")
            var slots = StorageV1.ConcurrencyLimit()
            slots.key = limit.key
            slots.maxConcurrency = limit.maxConcurrency
            record.kind = .concurrency(slots)
        case .floatingConcurrency(let limit):
            let check = check.field("floating_concurrency")
            try check.key(limit.key, "key")
            try check.atLeastOne(Int64(limit.defaultMaxConcurrency), "default_max_concurrency")
            try check.range(limit.refreshIntervalMs, 1...Bounds.limitMillisecondsMax, "refresh_interval_ms")
            try check.metadata(limit.metadata)
            var floating = StorageV1.FloatingLimit()
            floating.key = limit.key
            floating.defaultMaxConcurrency = limit.defaultMaxConcurrency
            floating.refreshIntervalMs = limit.refreshIntervalMs
            floating.metadata = limit.metadata
            record.kind = .floating(floating)
        case .rateLimit(let limit):
            record.kind = .rate(try limit.record(check.field("rate_limit")))
        case nil:
            return nil
        }
        return record
    }
}

extension SiloV1.GubernatorRateLimit {
    fileprivate func record(_ check: BoundCheck) throws(Status) -> StorageV1.RateLimit {
        let policy = retryPolicy ?? .standard
        try check.key(name, "name")
        try check.key(uniqueKey, "unique_key")
        try check.range(limit, 1...Bounds.rateMax, "limit")
        if behavior & Int32(SiloV1.GubernatorBehavior.durationIsGregorian.rawValue) != 0 {
            let last = CalendarPeriod.allCases.map(\.rawValue).max() ?? 0
            try check.range(durationMs, 0...last, "duration_ms", "with DURATION_IS_GREGORIAN, a calendar period ")
        } else {
            try check.range(durationMs, 1...Bounds.limitMillisecondsMax, "duration_ms")
        }
        try check.range(burst, 0...Bounds.rateMax, "burst")
        let isLeaky = algorithm == .leakyBucket
        let room = isLeaky && burst > 0 ? burst : limit
        try check.range(Int64(hits), 0...room, "hits", "at most what the bucket has room for, ")
        try check.range(policy.initialBackoffMs, 0...Bounds.limitMillisecondsMax, "retry_policy.initial_backoff_ms")
        try check.range(policy.maxBackoffMs, 0...Bounds.limitMillisecondsMax, "retry_policy.max_backoff_ms")
        try check.multiplier(policy.backoffMultiplier, "retry_policy.backoff_multiplier")

        var rate = StorageV1.RateLimit()
        rate.name = name
        rate.uniqueKey = uniqueKey
        rate.limit = limit
        rate.durationMs = durationMs
        rate.hits = hits
        rate.algorithm = isLeaky ? 1 : 0
        rate.behavior = behavior
        rate.burst = burst
        rate.initialBackoffMs = policy.initialBackoffMs
        rate.maxBackoffMs = policy.maxBackoffMs
        rate.backoffMultiplier = policy.backoffMultiplier
        rate.maxRetries = policy.maxRetries
        return rate
    }
}

/// What two limits of one job must not share. Concurrency limits and floating limits of a key are one limit.
private enum LimitIdentity: Hashable {
    case slots(LimitKey)
    case bucket(name: LimitKey, key: LimitKey)
    case nothing
}

extension StorageV1.Limit {
    fileprivate var identity: LimitIdentity {
        switch kind {
        case .concurrency(let limit): .slots(LimitKey(limit.key))
        case .floating(let limit): .slots(LimitKey(limit.key))
        case .rate(let limit): .bucket(name: LimitKey(limit.name), key: LimitKey(limit.uniqueKey))
        case nil: .nothing
        }
    }
}

extension SiloV1.Limit {
    init(_ record: StorageV1.Limit) {
        self.init()
        switch record.kind {
        case .concurrency(let slots):
            var limit = SiloV1.ConcurrencyLimit()
            limit.key = slots.key
            limit.maxConcurrency = slots.maxConcurrency
            self.limit = .concurrency(limit)
        case .floating(let floating):
            var limit = SiloV1.FloatingConcurrencyLimit()
            limit.key = floating.key
            limit.defaultMaxConcurrency = floating.defaultMaxConcurrency
            limit.refreshIntervalMs = floating.refreshIntervalMs
            limit.metadata = floating.metadata
            self.limit = .floatingConcurrency(limit)
        case .rate(let rate):
            var limit = SiloV1.GubernatorRateLimit()
            limit.name = rate.name
            limit.uniqueKey = rate.uniqueKey
            limit.limit = rate.limit
            limit.durationMs = rate.durationMs
            limit.hits = rate.hits
            limit.algorithm = rate.algorithm == 1 ? .leakyBucket : .tokenBucket
            limit.behavior = rate.behavior
            limit.burst = rate.burst
            var policy = SiloV1.RateLimitRetryPolicy()
            policy.initialBackoffMs = rate.initialBackoffMs
            policy.maxBackoffMs = rate.maxBackoffMs
            policy.backoffMultiplier = rate.backoffMultiplier
            policy.maxRetries = rate.maxRetries
            limit.retryPolicy = policy
            self.limit = .rateLimit(limit)
        case nil:
            break
        }
    }
}

extension SiloV1.RefreshFloatingLimitTask {
    init(_ refresh: LeasedRefresh, shard: String, tenant: String?, leaseMilliseconds: Int64) {
        self.init()
        id = refresh.id.description
        queueKey = refresh.limit.text
        currentMaxConcurrency = refresh.currentMax
        lastRefreshedAtMs = refresh.lastRefreshedAt.milliseconds
        metadata = refresh.metadata
        leaseMs = leaseMilliseconds
        self.shard = shard
        taskGroup = refresh.group.text
        tenantId = tenant
    }
}
