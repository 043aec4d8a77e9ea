import Protobuf
package import SiloAPI
package import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry

// Between the messages of the API and the records of the store. Limits: LimitConversion.swift.

extension SiloV1.SerializedBytes {
    init(_ bytes: Bytes) {
        self.init()
        encoding = .msgpack(bytes)
    }
}

extension SiloV1.SerializedBytes? {
    /// No message and no encoding count as no bytes.
    var bytes: Bytes {
        if case .msgpack(let bytes) = self?.encoding { bytes } else { [] }
    }
}

extension SiloV1.RetryPolicy {
    /// The record of a policy. Throws for what makes no wait; all else counts as it is, zeros among it: a wait of nothing.
    func record() throws(SiloError) -> StorageV1.RetryPolicy {
        let check = BoundCheck("retry_policy")
        try check.range(initialIntervalMs, 0...Int64.max, "initial_interval_ms")
        try check.range(maxIntervalMs, 0...Int64.max, "max_interval_ms")
        try check.multiplier(backoffFactor, "backoff_factor")
        var record = StorageV1.RetryPolicy()
        record.retryCount = retryCount
        record.initialIntervalMs = initialIntervalMs
        record.maxIntervalMs = maxIntervalMs
        record.randomizeInterval = randomizeInterval
        record.backoffFactor = backoffFactor
        return record
    }
}

extension SiloV1.RetryPolicy {
    init(_ policy: StorageV1.RetryPolicy) {
        self.init()
        retryCount = policy.retryCount
        initialIntervalMs = policy.initialIntervalMs
        maxIntervalMs = policy.maxIntervalMs
        randomizeInterval = policy.randomizeInterval
        backoffFactor = policy.backoffFactor
    }
}

extension SiloV1.JobStatus {
    package init(_ status: JobStatusName) {
        switch status {
        case .scheduled: self = .scheduled
        case .running: self = .running
        case .succeeded: self = .succeeded
        case .failed: self = .failed
        case .cancelled: self = .cancelled
        }
    }
}

extension SiloV1.Task {
    /// - Parameters:
    ///   - shard: as the worker must send it back.
    ///   - tenant: as workers see it.
    init(_ task: LeasedTask, shard: String, tenant: String?, leaseMilliseconds: Int64) {
        self.init()
        id = task.id.description
        jobId = task.job.id
        tenantId = tenant
        attemptNumber = task.attempt
        relativeAttemptNumber = task.relativeAttempt
        isLastAttempt = task.isLastAttempt
        metadata = task.job.metadata
        limits = task.job.limits.map(SiloV1.Limit.init)
        payload = SiloV1.SerializedBytes(task.job.payload)
        priority = task.job.priority
        self.shard = shard
        taskGroup = task.job.taskGroup
        leaseMs = leaseMilliseconds
        (traceparent, tracestate) = task.job.traceHeaders
    }
}

extension StorageV1.Job {
    /// Whom it was enqueued for; empty: nobody who traces.
    fileprivate var traceHeaders: (parent: String, state: String) {
        guard !trace.isEmpty, let context = TraceContext(storedBytes: trace) else { return ("", "") }
        return (context.header, context.state)
    }
}

extension SiloV1.JobAttempt {
    /// A finished attempt.
    init(_ attempt: StorageV1.Attempt, of job: String) {
        self.init()
        jobId = job
        attemptNumber = attempt.number
        taskId = UUID(bytes: attempt.taskId)?.text ?? ""
        startedAtMs = attempt.startedAtMs
        finishedAtMs = attempt.finishedAtMs
        switch attempt.outcome {
        case .succeeded:
            status = .succeeded
            result = SiloV1.SerializedBytes(attempt.result)
        case .cancelled:
            status = .cancelled
        default:
            status = .failed
            errorCode = attempt.errorCode
            errorData = SiloV1.SerializedBytes(attempt.errorData)
        }
    }

    /// The attempt that runs.
    init(_ lease: StorageV1.Lease, of job: String) {
        self.init()
        jobId = job
        attemptNumber = lease.attempt
        taskId = UUID(bytes: lease.taskId)?.text ?? ""
        startedAtMs = lease.startedAtMs
        status = .running
    }
}

extension SiloV1.GetJobResponse {
    /// A job without its attempts.
    init(_ stored: StoredJob, at now: Moment) {
        self.init()
        let job = stored.job
        id = job.id
        priority = job.priority
        enqueueTimeMs = job.enqueueTimeMs
        // That of an enqueued job is its start.
        let isImported = job.enqueueTimeMs > 0 && job.enqueueTimeMs != job.startMs
        enqueuedAtMs = isImported ? job.enqueueTimeMs : job.createdAtMs
        payload = SiloV1.SerializedBytes(job.payload)
        retryPolicy = job.retryPolicy.map(SiloV1.RetryPolicy.init)
        limits = job.limits.map(SiloV1.Limit.init)
        metadata = job.metadata
        status = SiloV1.JobStatus(stored.state)
        statusChangedAtMs = stored.changedAt.milliseconds
        nextAttemptStartsAfterMs = stored.nextStart(at: now)?.milliseconds
        taskGroup = job.taskGroup
        (traceparent, tracestate) = job.traceHeaders
        retainMs = job.retainMs
        if stored.state == .succeeded, let last = stored.status?.lastAttempt { result = SiloV1.SerializedBytes(last.result) }
    }
}

extension SiloV1.GetJobResultResponse {
    /// What a finished job came to, as its status says. Throws `.jobNotComplete`.
    init(_ stored: StoredJob) throws(SiloError) {
        self.init()
        guard stored.isFinished else { throw .jobNotComplete(stored.state) }
        id = stored.job.id
        status = SiloV1.JobStatus(stored.state)
        finishedAtMs = stored.changedAt.milliseconds
        let last = stored.status?.lastAttempt
        switch stored.state {
        case .succeeded:
            result = .successData(SiloV1.SerializedBytes(last?.result ?? []))
        case .failed:
            var failure = SiloV1.JobFailure()
            failure.errorCode = last?.errorCode ?? ""
            failure.errorData = SiloV1.SerializedBytes(last?.errorData ?? [])
            result = .failure(failure)
        default:
            var cancelled = SiloV1.JobCancelled()
            cancelled.cancelledAtMs = finishedAtMs
            result = .cancelled(cancelled)
        }
    }
}
