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

    /// When the pending attempt starts, as far as is known at `now`. A job cancelled before that attempt keeps it; a running one
    /// shows none.
    public func nextStart(at now: Moment) -> Timestamp? {
        if lease != nil { return nil }
        return due?.date(at: now)
    }

    /// The start of the pending attempt, from which its rank comes.
    var pendingStart: Timestamp? {
        guard let status else { return Timestamp(job.startMs) }
        return status.startMs.map { Timestamp($0) }
    }

    /// When it came to wait for its pending attempt.
    var scheduledAt: Timestamp { Timestamp(status?.changedAtMs ?? job.createdAtMs) }

    /// When the timer of the pending attempt is due, or was.
    var due: Due? { delay ?? pendingStart.map { .date($0) } }

    /// The end of the length of time that the pending attempt waits for, or has waited.
    var delay: Due? { status?.dueMs.map { .delay(until: Timestamp($0)) } }

    /// Where that timer stands.
    func position(_ due: Due) -> Position {
        Position(order: due.at.sortable, arrival: job.arrival, job: JobID(job.id))
    }

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

extension StoredJob {
    /// A job's rows on one consistent view, beside the shard's loop. Nil when the job does not exist.
    public static func read(
        _ id: JobID, _ keys: TenantKeys, from reader: any StoreReader
    ) async throws(StoreError) -> StoredJob? {
        try await read(id, keys) { key throws(StoreError) in try await reader.get(key) }
    }
}
