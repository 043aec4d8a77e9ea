package import SiloAPI

extension NewJob {
    package func request(id: String, shard: String) -> SiloV1.EnqueueRequest {
        var request = SiloV1.EnqueueRequest()
        request.shard = shard
        request.id = id
        request.priority = priority
        request.startAtMs = startAt?.milliseconds ?? 0
        request.retryPolicy = retry.map(SiloV1.RetryPolicy.init)
        request.payload = payload.message
        request.limits = limits.map(SiloV1.Limit.init)
        request.tenant = tenant
        request.metadata = metadata.message
        request.taskGroup = group
        request.retainMs = retention.map { max(1, $0.milliseconds) } ?? 0
        return request
    }
}

extension SiloV1.RetryPolicy {
    init(_ policy: RetryPolicy) {
        self.init()
        retryCount = policy.retries
        initialIntervalMs = policy.initialInterval.milliseconds
        maxIntervalMs = policy.maxInterval.milliseconds
        randomizeInterval = policy.jitter
        backoffFactor = policy.factor
    }
}

// MARK: Sizes

extension NewJob {
    /// Bytes on the wire but for the id, or a little more.
    var weight: Int {
        let texts = group.utf8.count + (tenant?.utf8.count ?? 0)
        return payload.bytes.count + texts + metadata.weight + limits.reduce(0) { $0 + $1.weight } + 128
    }
}

extension JobMetadata {
    fileprivate var weight: Int { reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 16 } }
}

extension JobLimit {
    fileprivate var weight: Int {
        switch self {
        case .concurrency(let key, _): key.utf8.count + 32
        case .floating(let key, _, _, let metadata): key.utf8.count + metadata.weight + 48
        case .rate(let rate): rate.name.utf8.count + rate.key.utf8.count + 128
        }
    }
}
