import Protobuf
public import SiloCore
public import SiloStore

/// Stores a new job and makes its first attempt due (spec/jobs.md 6.1).
public struct Enqueue: Command {
    public var tenant: Tenant
    /// Nil: the shard chooses a random one.
    public var id: JobID?
    public var priority: UInt32
    /// As the caller sent it; 0 or less means now.
    public var startAtMs: Int64
    public var retryPolicy: StorageV1.RetryPolicy?
    public var payload: Bytes
    public var limits: [StorageV1.Limit]
    public var metadata: [String: String]
    public var taskGroup: String

    public init(
        tenant: Tenant, id: JobID? = nil, priority: UInt32 = 50, startAtMs: Int64 = 0,
        retryPolicy: StorageV1.RetryPolicy? = nil, payload: Bytes = [], limits: [StorageV1.Limit] = [],
        metadata: [String: String] = [:], taskGroup: String
    ) {
        self.tenant = tenant
        self.id = id
        self.priority = priority
        self.startAtMs = startAtMs
        self.retryPolicy = retryPolicy
        self.payload = payload
        self.limits = limits
        self.metadata = metadata
        self.taskGroup = taskGroup
    }

    public var contentBytes: Int { payload.count + metadata.textBytes + limits.textBytes }

    /// The job's id. Durable when answered. Throws `.jobAlreadyExists`, changing nothing.
    public func run(in transaction: Transaction) async throws -> JobID {
        let queue = try await transaction.queue(tenant, TaskGroup(taskGroup))
        let id: JobID
        if let given = self.id {
            guard try await transaction.get(queue.keys.job(given)) == nil else {
                Probe.duplicateID.reached()
                throw SiloError.jobAlreadyExists(given)
            }
            id = given
        } else {
            id = JobID(UUID.random(from: transaction.random).text)
        }

        var job = StorageV1.Job()
        job.id = id.text
        job.taskGroup = taskGroup
        job.priority = priority
        job.enqueueTimeMs = startAtMs
        job.startMs = startAtMs > 0 ? startAtMs : transaction.now.milliseconds
        job.createdAtMs = transaction.now.milliseconds
        job.arrival = transaction.nextArrival()
        job.retryPolicy = retryPolicy
        job.limits = limits
        job.metadata = metadata
        job.payload = payload

        let encoded = job.serializedBytes()
        transaction.put(queue.keys.job(id), encoded)
        for (name, value) in metadata { transaction.put(queue.keys.metadata(name, value, id), []) }
        let task = transaction.task(
            job, attempt: 1, relative: 1, start: Timestamp(job.startMs), scheduledAt: transaction.now, encodedBytes: encoded.count
        )
        try await transaction.admit(JobReference(id: id, queue: queue), task)
        transaction.afterwards { $0.totalJobs += 1 }
        return id
    }
}

/// Stores several new jobs: all of them in one step, or none.
public struct EnqueueAll: Command {
    public var jobs: [Enqueue]

    public init(_ jobs: [Enqueue]) {
        self.jobs = jobs
    }

    public var jobCount: Int { jobs.count }
    public var contentBytes: Int { jobs.reduce(0) { $0 + $1.contentBytes } }

    /// The jobs' ids, in order. One existing id, or one named twice, refuses all.
    public func run(in transaction: Transaction) async throws -> [JobID] {
        var ids: [JobID] = []
        ids.reserveCapacity(jobs.count)
        for job in jobs { ids.append(try await job.run(in: transaction)) }
        return ids
    }
}
