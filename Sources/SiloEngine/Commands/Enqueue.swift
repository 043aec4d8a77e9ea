public import Protobuf
public import SiloCore
public import SiloStore
public import SiloTelemetry

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
    public var metadata: TextMap<String>
    public var taskGroup: String
    /// Whom it is for, when they trace and are recorded: kept with the job, and given to its workers.
    public var trace: TraceContext?
    /// How long it is kept after it has finished, in milliseconds; 0: as the server's settings say.
    public var retainMs: Int64

    public init(
        tenant: Tenant, id: JobID? = nil, priority: UInt32 = 50, startAtMs: Int64 = 0,
        retryPolicy: StorageV1.RetryPolicy? = nil, payload: Bytes = [], limits: [StorageV1.Limit] = [],
        metadata: TextMap<String> = [:], taskGroup: String, trace: TraceContext? = nil, retainMs: Int64 = 0
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
        self.trace = trace
        self.retainMs = retainMs
    }

    public var contentBytes: Int { payload.count + metadata.textBytes + limits.textBytes }

    /// Refused with `.jobAlreadyExists`.
    package func check(_ view: View) async throws(Refusal) -> Queue {
        let queue = try await view.queue(tenant, TaskGroup(taskGroup))
        if let id, try await view.get(queue.keys.job(id)) != nil { throw Self.exists(id, view) }
        try await view.prepare(limits, of: tenant)
        return queue
    }

    fileprivate static func exists(_ id: JobID, _ view: View) -> Refusal {
        view.reached(.duplicateID)
        return .refused(.jobAlreadyExists(id))
    }

    /// The job's id. Durable when answered.
    package func run(_ queue: Queue, in transaction: Transaction) async throws(StoreError) -> JobID {
        let id = self.id ?? JobID(UUID.ordered(at: transaction.now, from: transaction.random).text)
        var job = StorageV1.Job()
        job.id = id.text
        job.taskGroup = taskGroup
        job.priority = priority
        job.enqueueTimeMs = startAtMs
        job.startMs = startAtMs > 0 ? startAtMs : transaction.now.milliseconds
        job.createdAtMs = transaction.now.milliseconds
        job.arrival = transaction.memory.info.nextArrival()
        job.retryPolicy = retryPolicy
        job.limits = limits
        job.metadata = metadata
        job.payload = payload
        if let trace { job.trace = trace.storedBytes }
        job.retainMs = retainMs

        let encoded = job.serializedBytes()
        transaction.rows.insert(queue.keys.job(id), encoded)
        // A job whose row could not be read left its own behind.
        for (name, value) in metadata { transaction.rows.put(queue.keys.metadata(name, value, id), []) }
        transaction.memory.totalJobs += 1
        transaction.memory.tally.enqueued += 1
        let task = StorageV1.Task(
            job, attempt: 1, relative: 1, start: Timestamp(job.startMs), scheduledAt: transaction.now,
            encodedBytes: encoded.count,
            transaction.settings
        )
        try await transaction.admission.admit(JobReference(id: id, queue: queue), task)
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

    /// One existing id, or one named twice, refuses all.
    package func check(_ view: View) async throws(Refusal) -> [Queue] {
        var queues: [Queue] = []
        queues.reserveCapacity(jobs.count)
        var named: Set<Name> = []
        for job in jobs {
            queues.append(try await job.check(view))
            if let id = job.id, !named.insert(Name(tenant: job.tenant, id: id)).inserted { throw Enqueue.exists(id, view) }
        }
        return queues
    }

    private struct Name: Hashable {
        let tenant: Tenant
        let id: JobID
    }

    /// The jobs' ids, in order.
    package func run(_ queues: [Queue], in transaction: Transaction) async throws(StoreError) -> [JobID] {
        var ids: [JobID] = []
        ids.reserveCapacity(jobs.count)
        for (job, queue) in zip(jobs, queues) { ids.append(try await job.run(queue, in: transaction)) }
        return ids
    }
}
