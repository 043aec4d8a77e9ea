public import SiloCore
public import SiloStore

/// A job's rows, read together, and what they say of it.
public struct StoredJob: Sendable {
    public let job: StorageV1.Job
    public let status: StorageV1.Status?
    public let lease: StorageV1.Lease?
    /// The encoded size of `job`.
    let jobBytes: Int

    /// Nil when the job does not exist.
    static func read(
        _ id: JobID, _ keys: TenantKeys, get: (Bytes) async throws(StoreError) -> Bytes?
    ) async throws(StoreError) -> StoredJob? {
        guard let job = try await get(keys.job(id)) else { return nil }
        let status = try await get(keys.status(id))
        let lease = try await get(keys.lease(id))
        return StoredJob(
            job: try StorageV1.Job(stored: job),
            status: try status.map { bytes throws(StoreError) in try StorageV1.Status(stored: bytes) },
            lease: try lease.map { bytes throws(StoreError) in try StorageV1.Lease(stored: bytes) },
            jobBytes: job.count
        )
    }

    /// A job with a lease runs; one without a status waits for its first attempt.
    public var state: JobStatusName {
        if lease != nil { return .running }
        return status?.state.name ?? .scheduled
    }

    public var isFinished: Bool { state != .scheduled && state != .running }

    public var changedAt: Timestamp {
        Timestamp(lease?.startedAtMs ?? status?.changedAtMs ?? job.createdAtMs)
    }

    /// When the pending attempt starts. A job cancelled before that attempt keeps it; a running one shows none.
    public var nextStart: Timestamp? {
        if lease != nil { return nil }
        return due ?? pendingStart
    }

    /// The start of the pending attempt, from which its rank comes.
    var pendingStart: Timestamp? {
        guard let status else { return Timestamp(job.startMs) }
        return status.startMs.map { Timestamp($0) }
    }

    /// When the timer of a pending attempt is due that a rate limit put off.
    var due: Timestamp? { status?.dueMs.map { Timestamp($0) } }

    /// The number of the pending attempt; of a finished or running job the last one.
    public var attempt: UInt32 { lease?.attempt ?? status?.attempt ?? 1 }

    /// The numbers of the attempts that have rows of their own: all that ended but the one that ended the job. There are no gaps,
    /// so that nobody has to look for them.
    public var earlierAttempts: Range<UInt32> { 1..<max(1, attempt) }

    var relativeAttempt: UInt32 { lease?.relativeAttempt ?? status?.relativeAttempt ?? 1 }

    /// When cancellation was asked for; nil when it was not.
    public var cancelledAt: Timestamp? {
        (lease?.cancelledAtMs ?? status?.cancelledAtMs).map { Timestamp($0) }
    }
}

extension StorageV1.JobState {
    public var name: JobStatusName {
        switch self {
        case .running: .running
        case .succeeded: .succeeded
        case .failed: .failed
        case .cancelled: .cancelled
        default: .scheduled
        }
    }
}

extension Transaction {
    /// The job's rows and its queue. Throws `.jobNotFound`, or `.corrupt` when they cannot be read: one bad row refuses the
    /// requests for its job and does not stop the shard.
    func find(_ tenant: Tenant, _ id: JobID) async throws -> (stored: StoredJob, job: JobReference) {
        let stored: StoredJob?
        do {
            stored = try await StoredJob.read(id, TenantKeys(tenant)) { key throws(StoreError) in try await self.get(key) }
        } catch StoreError.corrupt(let text, _) {
            throw SiloError.corrupt("job \(id): \(text)")
        }
        guard let stored else { throw SiloError.jobNotFound }
        return (stored, JobReference(id: id, queue: try await queue(tenant, TaskGroup(stored.job.taskGroup))))
    }

    /// The live lease of a running job, for a command on the job. A lease row without one in memory cannot be.
    func liveLease(_ stored: StoredJob) throws(SiloError) -> LiveLease {
        guard let bytes = stored.lease?.taskId, let uuid = UUID(bytes: bytes), let lease = memory.leases[TaskID(uuid)] else {
            throw .corrupt("job \(stored.job.id) has a lease that is not in memory")
        }
        return lease
    }
}
