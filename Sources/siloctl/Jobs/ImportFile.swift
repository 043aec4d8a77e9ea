import Protobuf
import SiloAPI
import SiloClient

// The jobs of an import file, as ImportCommand.details tells. What breaks a bound is the server's to refuse.

extension SiloV1.ImportJobRequest {
    init(json value: MessagePack, at place: String) throws(Failure) {
        self.init()
        var fields = try JSONFields(value, at: place)
        id = try fields.needed("id")
        taskGroup = try fields.needed("task_group")
        payload = fields.document("payload")
        tenant = try fields.text("tenant")
        priority = try fields.integer("priority", default: 50, in: 0...99)
        enqueueTimeMs = try fields.integer("enqueue_time_ms", default: 0)
        startAtMs = try fields.integer("start_at_ms", default: 0)
        metadata = try fields.texts("metadata")
        retainMs = try fields.integer("retain_ms", default: 0)
        if let policy = fields.value("retry_policy") {
            retryPolicy = try SiloV1.RetryPolicy(json: policy, at: fields.at("retry_policy"))
        }
        for (index, limit) in try fields.list("limits").enumerated() {
            limits.append(try SiloV1.Limit(json: limit, at: fields.at("limit \(index + 1)")))
        }
        for (index, attempt) in try fields.list("attempts").enumerated() {
            attempts.append(try SiloV1.ImportAttempt(json: attempt, at: fields.at("attempt \(index + 1)")))
        }
        try fields.finish()
    }
}

extension SiloV1.RetryPolicy {
    fileprivate init(json value: MessagePack, at place: String) throws(Failure) {
        self = .standard
        var fields = try JSONFields(value, at: place)
        retryCount = try fields.integer("retry_count", default: 0)
        initialIntervalMs = try fields.integer("initial_interval_ms", default: initialIntervalMs)
        maxIntervalMs = try fields.integer("max_interval_ms", default: maxIntervalMs)
        randomizeInterval = try fields.bool("randomize_interval", default: randomizeInterval)
        backoffFactor = try fields.fraction("backoff_factor", default: backoffFactor)
        try fields.finish()
    }
}

extension SiloV1.ImportAttempt {
    fileprivate init(json value: MessagePack, at place: String) throws(Failure) {
        self.init()
        var fields = try JSONFields(value, at: place)
        switch try fields.needed("status") {
        case "succeeded":
            status = .succeeded
            result = fields.document("result")
        case "failed":
            status = .failed
            errorCode = try fields.text("error_code") ?? ""
            errorData = fields.document("error_data")
        case "cancelled": status = .cancelled
        case let word: throw Failure("\(fields.at("status")) must be succeeded, failed or cancelled, not \(word)")
        }
        startedAtMs = try fields.integer("started_at_ms", default: 0)
        finishedAtMs = try fields.integer("finished_at_ms", default: 0)
        try fields.finish()
    }
}

extension SiloV1.Limit {
    fileprivate init(json value: MessagePack, at place: String) throws(Failure) {
        self.init()
        var fields = try JSONFields(value, at: place)
        if let value = fields.value("concurrency") {
            var inner = try JSONFields(value, at: fields.at("concurrency"))
            var slots = SiloV1.ConcurrencyLimit()
            slots.key = try inner.needed("key")
            slots.maxConcurrency = try inner.integer("max_concurrency", default: 0)
            try inner.finish()
            limit = .concurrency(slots)
        } else if let value = fields.value("floating_concurrency") {
            var inner = try JSONFields(value, at: fields.at("floating_concurrency"))
            var floating = SiloV1.FloatingConcurrencyLimit()
            floating.key = try inner.needed("key")
            floating.defaultMaxConcurrency = try inner.integer("default_max_concurrency", default: 0)
            floating.refreshIntervalMs = try inner.integer("refresh_interval_ms", default: 0)
            floating.metadata = try inner.texts("metadata")
            try inner.finish()
            limit = .floatingConcurrency(floating)
        } else if let value = fields.value("rate_limit") {
            limit = .rateLimit(try SiloV1.GubernatorRateLimit(json: value, at: fields.at("rate_limit")))
        } else {
            throw Failure("\(place) must have concurrency, floating_concurrency or rate_limit")
        }
        try fields.finish()
    }
}

extension SiloV1.GubernatorRateLimit {
    fileprivate init(json value: MessagePack, at place: String) throws(Failure) {
        self.init()
        var fields = try JSONFields(value, at: place)
        name = try fields.needed("name")
        uniqueKey = try fields.needed("unique_key")
        limit = try fields.integer("limit", default: 0)
        durationMs = try fields.integer("duration_ms", default: 0)
        hits = try fields.integer("hits", default: 1)
        behavior = try fields.integer("behavior", default: 0)
        burst = try fields.integer("burst", default: 0)
        switch try fields.text("algorithm") ?? "token_bucket" {
        case "token_bucket": algorithm = .tokenBucket
        case "leaky_bucket": algorithm = .leakyBucket
        case let word: throw Failure("\(fields.at("algorithm")) must be token_bucket or leaky_bucket, not \(word)")
        }
        if let value = fields.value("retry_policy") {
            var inner = try JSONFields(value, at: fields.at("retry_policy"))
            var policy = SiloV1.RateLimitRetryPolicy()
            policy.initialBackoffMs = try inner.integer("initial_backoff_ms", default: 100)
            policy.maxBackoffMs = try inner.integer("max_backoff_ms", default: 30_000)
            policy.backoffMultiplier = try inner.fraction("backoff_multiplier", default: 2)
            policy.maxRetries = try inner.integer("max_retries", default: 0)
            try inner.finish()
            retryPolicy = policy
        }
        try fields.finish()
    }
}
