public import Protobuf
public import SiloCore
public import SiloStore

/// Stores a job that ran elsewhere, with the attempts it had; or adds attempts to one that is stored (spec/jobs.md 6.11).
public struct Import: Command {
    public var tenant: Tenant
    public var id: JobID
    public var priority: UInt32
    /// 0 or less means now.
    public var enqueueTimeMs: Int64
    /// Of the pending attempt, if one is left; 0 or less means now.
    public var startAtMs: Int64
    public var retryPolicy: StorageV1.RetryPolicy?
    public var payload: Bytes
    public var limits: [StorageV1.Limit]
    public var metadata: TextMap<String>
    public var taskGroup: String
    /// How long it is kept after it has finished, in milliseconds; 0: as the server's settings say.
    public var retainMs: Int64
    /// Oldest first, each ended. Numbers and task ids are given here.
    public var attempts: [StorageV1.Attempt]

    public init(
        tenant: Tenant, id: JobID, priority: UInt32 = 50, enqueueTimeMs: Int64 = 0, startAtMs: Int64 = 0,
        retryPolicy: StorageV1.RetryPolicy? = nil, payload: Bytes = [], limits: [StorageV1.Limit] = [],
        metadata: TextMap<String> = [:], taskGroup: String, retainMs: Int64 = 0, attempts: [StorageV1.Attempt] = []
    ) {
        self.tenant = tenant
        self.id = id
        self.priority = priority
        self.enqueueTimeMs = enqueueTimeMs
        self.startAtMs = startAtMs
        self.retryPolicy = retryPolicy
        self.payload = payload
        self.limits = limits
        self.metadata = metadata
        self.taskGroup = taskGroup
        self.retainMs = retainMs
        self.attempts = attempts
    }

    public var contentBytes: Int {
        attempts.reduce(payload.count + metadata.textBytes + limits.textBytes) { $0 + $1.result.count + $1.errorData.count }
    }

    /// What is stored of the job.
    package enum Found {
        case nothing(Queue)
        /// The number of attempts that it has, and its pending attempt if it waits for one.
        case job(JobReference, StoredJob, existing: Int, Pending?)
    }

    package func check(_ view: View) async throws(Refusal) -> Found {
        let found: (stored: StoredJob, job: JobReference)
        do throws(Refusal) {
            found = try await view.find(tenant, id)
        } catch .refused(.jobNotFound) {
            try checkOrder(from: 0)
            try await view.prepare(limits, of: tenant)
            return .nothing(try await view.queue(tenant, TaskGroup(taskGroup)))
        }
        let existing = try await checkAttempts(found.stored, found.job, view)
        try await view.prepare(found.stored.job.limits, of: tenant)
        let pending = found.stored.isFinished ? nil : try await view.pending(found.job, found.stored)
        return .job(found.job, found.stored, existing: existing, pending)
    }

    /// The state that the job is in then. Durable when answered.
    package func run(_ found: Found, in transaction: Transaction) async throws(StoreError) -> JobStatusName {
        switch found {
        case .nothing(let queue):
            try await store(JobReference(id: id, queue: queue), in: transaction)
        case .job(let job, let stored, let existing, let pending):
            try await addAttempts(to: stored, job, existing: existing, pending, in: transaction)
        }
    }

    // MARK: A new job

    private func store(_ job: JobReference, in transaction: Transaction) async throws(StoreError) -> JobStatusName {
        let now = transaction.now.milliseconds
        var record = StorageV1.Job()
        record.id = id.text
        record.taskGroup = taskGroup
        record.priority = priority
        record.enqueueTimeMs = enqueueTimeMs > 0 ? enqueueTimeMs : now
        record.startMs = startAtMs > 0 ? startAtMs : now
        record.createdAtMs = now
        record.arrival = transaction.memory.info.nextArrival()
        record.retryPolicy = retryPolicy
        record.limits = limits
        record.metadata = metadata
        record.payload = payload
        record.retainMs = retainMs

        transaction.reached(attempts.isEmpty ? .importedNew : .importedFinished)
        let encoded = record.serializedBytes()
        transaction.rows.insert(job.keys.job(id), encoded)
        for (name, value) in metadata { transaction.rows.put(job.keys.metadata(name, value, id), []) }
        transaction.memory.totalJobs += 1
        return try await settle(job, record, encoded.count, existing: 0, in: transaction)
    }

    // MARK: A job that is stored

    /// Refuses attempts that do not go on from those that the job has.
    /// - Returns: how many it has.
    private func checkAttempts(_ stored: StoredJob, _ job: JobReference, _ view: View) async throws(Refusal) -> Int {
        func refuse(_ reason: String) -> Refusal { .refused(.jobRefused(.reimport, id, reason: reason, stored.state)) }
        if stored.state == .running { throw refuse("job is currently running") }
        if stored.state == .succeeded { throw refuse("job already succeeded") }
        let existing = stored.earlierAttempts.count + (stored.status?.lastAttempt == nil ? 0 : 1)
        guard attempts.count >= existing else {
            throw refuse("reimport has \(attempts.count) attempts but job has \(existing) existing attempts")
        }
        for (number, new) in zip(UInt32(1)..., attempts.prefix(existing)) {
            guard try await view.endedAttempt(number, of: job, stored).tells(theSameAs: new) else {
                throw refuse("existing attempt \(number) does not match reimport data")
            }
        }
        guard attempts.count > existing else { throw refuse("reimport must include at least one new attempt") }
        try checkOrder(from: existing)
        return existing
    }

    private func addAttempts(
        to stored: StoredJob, _ job: JobReference, existing: Int, _ pending: Pending?, in transaction: Transaction
    ) async throws(StoreError) -> JobStatusName {
        transaction.reached(stored.isFinished ? .reimportedFinished : .reimportedPending)
        if let status = stored.status, stored.isFinished {
            transaction.finished.takeBack(job, status, Kept(stored.job))
        }
        if let pending { _ = try await transaction.pending.takeReleasing(pending, job, stored) }
        var record = stored.job
        record.retryPolicy = retryPolicy
        let encoded = record.serializedBytes()
        transaction.rows.put(job.keys.job(id), encoded)
        return try await settle(job, record, encoded.count, existing: existing, in: transaction)
    }

    // MARK: Parts

    /// Attempts before the last must have failed, for else the job would have ended there.
    private func checkOrder(from first: Int) throws(Refusal) {
        for index in first..<max(first, attempts.count - 1) where attempts[index].outcome != .failed {
            throw .refused(
                .invalidArgument("import attempt \(index + 1) must be Failed (only the last attempt may be non-Failed)"))
        }
    }

    /// Writes the new attempts, and puts the job where the last of them left it.
    private func settle(
        _ job: JobReference, _ record: StorageV1.Job, _ recordBytes: Int, existing: Int, in transaction: Transaction
    ) async throws(StoreError) -> JobStatusName {
        var numbered = attempts
        for index in numbered.indices {
            numbered[index].number = UInt32(index + 1)
            numbered[index].relativeNumber = UInt32(index + 1)
            if index >= existing { numbered[index].taskId = UUID.random(from: transaction.random).bytes }
        }
        let count = UInt32(numbered.count)
        // Failed attempts that the policy would have retried leave one to run.
        let isPending =
            numbered.last.map { $0.outcome == .failed && record.retryPolicy.map { count <= $0.retryCount } ?? false } ?? true
        let ended = isPending ? nil : numbered.popLast()
        for attempt in numbered.dropFirst(existing) {
            transaction.rows.put(job.keys.attempt(id, attempt.number), attempt.serializedBytes())
        }
        if let last = ended {
            let end = JobEnd(
                state: last.outcome, attempt: count, relative: count, kept: Kept(record), at: Timestamp(last.finishedAtMs),
                lastAttempt: last
            )
            transaction.finished.add(job, end)
            return last.outcome.name
        }
        let start = startAtMs > 0 ? Timestamp(startAtMs) : transaction.now
        if count == 0 {
            // A job without a status is scheduled for its first attempt.
            let task = StorageV1.Task(
                record, attempt: 1, relative: 1, start: start, scheduledAt: transaction.now, encodedBytes: recordBytes,
                transaction.settings
            )
            try await transaction.admission.admit(job, task)
        } else {
            try await transaction.attempts.schedule(
                job, record, recordBytes, attempt: count + 1, relative: count + 1, start: start)
        }
        return .scheduled
    }
}

extension View {
    /// One attempt of a job that ended. They are looked at one by one: all of them may be too much for memory.
    fileprivate func endedAttempt(_ number: UInt32, of job: JobReference, _ stored: StoredJob) async throws(Refusal)
        -> StorageV1.Attempt
    {
        if let last = stored.status?.lastAttempt, last.number == number { return last }
        guard let bytes = try await get(job.keys.attempt(job.id, number)),
            let attempt = try? StorageV1.Attempt(serializedBytes: bytes)
        else { throw .refused(.corrupt("attempt \(number) of job \(job.id) cannot be read")) }
        return attempt
    }
}

extension StorageV1.Attempt {
    /// Whether it is the same attempt, as far as whoever imports it can know.
    fileprivate func tells(theSameAs other: StorageV1.Attempt) -> Bool {
        outcome == other.outcome && startedAtMs == other.startedAtMs && finishedAtMs == other.finishedAtMs
            && result == other.result && errorCode.hasSameBytes(as: other.errorCode) && errorData == other.errorData
    }
}
