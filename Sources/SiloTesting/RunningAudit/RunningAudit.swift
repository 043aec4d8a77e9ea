import Protobuf
import SiloCore
public import SiloStore

/// Follows a shard's database batch by batch and says what does not hold after each: places, holds, lines, counts, indexes,
/// and what may follow what. It shares no code with the engine's operations, and looks only at what a batch touched.
public final class RunningAudit {
    /// Texts as bytes: Swift calls texts equal that only Unicode holds to be equivalent.
    struct JobKey: Hashable, CustomStringConvertible {
        let tenant: Bytes
        let id: Bytes
        var description: String { "\(text(tenant))/\(text(id))" }
    }
    /// A task group, a limit's key, the name and key of a rate limit, or the 16 bytes of a line, of a tenant.
    struct Name: Hashable, CustomStringConvertible {
        let tenant: Bytes
        let name: Bytes
        var description: String { "\(text(tenant))/\(text(name))" }
    }
    struct Pending {
        let family: UInt8
        /// The task group of a ready row or a timer, the line of a waiting one.
        let place: Name
        let order: UInt64
        let arrival: UInt64
        let task: StorageV1.Task
    }
    struct JobRows {
        var job: StorageV1.Job?
        var status: StorageV1.Status?
        var lease: StorageV1.Lease?
        var pending: [Bytes: Pending] = [:]
        var finished: [Bytes: (state: UInt8, changedAt: UInt64, record: StorageV1.FinishedJob)] = [:]
        /// Its rows among the jobs that go at times of their own.
        var keptUntil: [Bytes: (time: UInt64, record: StorageV1.FinishedJob)] = [:]
        /// When it failed, as the index of failed jobs says.
        var failed: [Bytes: UInt64] = [:]
        var attempts: [UInt32: StorageV1.Attempt] = [:]
        var metadata: TextMap<String> = [:]

        var isEmpty: Bool {
            job == nil && status == nil && lease == nil && pending.isEmpty && finished.isEmpty && failed.isEmpty
                && attempts.isEmpty && keptUntil.isEmpty
                && metadata.isEmpty
        }
        /// Attempts that ended, with the one that ended the job.
        var ended: [StorageV1.Attempt] { Array(attempts.values) + (status?.lastAttempt.map { [$0] } ?? []) }
    }
    /// What jobs hold of a limit, by the maximum that they bring; nil: the floating limit's own.
    struct Held {
        var count: UInt64 = 0
        var byMax: [UInt32?: Int] = [:]
    }

    /// Says that jobs of a tenant ended so in a period of 2^16 ms.
    struct Period: Hashable {
        let tenant: Bytes
        let state: UInt8
        let number: UInt64
    }

    var jobs: [JobKey: JobRows] = [:]
    var directory: [Name: StorageV1.QueueCounts] = [:]
    var lines: [Name: StorageV1.Line] = [:]
    var slots: [Name: StorageV1.Slots] = [:]
    var buckets: [Name: StorageV1.Bucket] = [:]
    var drops: [Bytes: UInt32] = [:]
    /// Tenants that are being dropped: of them nothing holds but that their rows go.
    var dropped: Set<Bytes> = []
    /// The same as it was before the batch.
    var droppedBefore: Set<Bytes> = []
    var pausedLimits: Set<Name> = []
    var periods: Set<Period> = []
    /// The set of slices that hold anything, as it is stored.
    var slices = Bytes()
    var taskIDs: [Bytes: JobKey] = [:]
    var rates = RateAudit()

    // Sums over the jobs.
    var counts: [Name: StorageV1.QueueCounts] = [:]
    var held: [Name: Held] = [:]
    /// Marks that hold nothing any more, because the holders of the key were dropped.
    var void: [Name: UInt64] = [:]
    var waiting: [Name: UInt64] = [:]
    var reserved: [Name: UInt64] = [:]

    /// Rows that could not be read and were moved out of the way.
    public internal(set) var setAside = 0
    var found: [String] = []
    var touched = Touched()

    struct Touched {
        var jobs: [JobKey: JobRows] = [:]
        var queues: Set<Name> = []
        var limits: Set<Name> = []
        var lines: Set<Name> = []
        var buckets: Set<Name> = []
        var slices: Set<Int> = []
        /// Tenants of whom nothing is left, as their state says.
        var gone: Set<Bytes> = []
    }

    /// The default of the shard's settings.
    static let agingMilliseconds: UInt64 = 60_000

    public init() {}

    public var total: Int { jobs.count { $0.value.job != nil && !dropped.contains($0.key.tenant) } }
    public var completed: Int { jobs.count { !$0.value.finished.isEmpty && !dropped.contains($0.key.tenant) } }
    public var unfinished: [String] {
        jobs.filter { $0.value.job != nil && $0.value.finished.isEmpty && !dropped.contains($0.key.tenant) }
            .map { "\($0.key)" }.sorted()
    }
    /// What became of a job: `scheduled`, `running` or how it ended; nil when it is not stored.
    public func state(of id: String, tenant: String) -> StorageV1.JobState? {
        guard let rows = jobs[JobKey(tenant: Bytes(tenant.utf8), id: Bytes(id.utf8))], rows.job != nil else { return nil }
        if rows.lease != nil { return .running }
        return rows.finished.isEmpty ? .scheduled : rows.status?.state ?? .scheduled
    }

    /// Slots that jobs hold.
    public var heldSlots: UInt64 { held.values.reduce(0) { $0 + $1.count } }

    /// Takes in one batch.
    /// - Returns: what does not hold after it.
    public func apply(_ batch: [Write]) -> [String] {
        found = []
        touched = Touched()
        droppedBefore = dropped
        for write in batch {
            do { try take(write) } catch { found.append("a row cannot be read: \(error), key \(write.key)") }
        }
        // In order of their starts, as the windows of rate limits want it.
        for (key, before) in touched.jobs.sorted(by: { start(of: $0.key) < start(of: $1.key) }) {
            let rows = jobs[key] ?? JobRows()
            if rows.isEmpty { jobs[key] = nil }
            count(key, rows, 1)
            check(key, rows, before)
        }
        for queue in touched.queues { checkQueue(queue) }
        for limit in touched.limits { checkLimit(limit) }
        for line in touched.lines { checkLine(line) }
        for bucket in touched.buckets { checkBucket(bucket) }
        for tenant in touched.gone { checkGone(tenant) }
        for slice in touched.slices where slices.isEmpty || slices[slice >> 3] & (1 << (slice & 7)) == 0 {
            found.append("slice \(slice) holds rows, and opening does not know of it")
        }
        return found
    }

    func start(of job: JobKey) -> Int64 { jobs[job]?.lease?.startedSteadyMs ?? 0 }

    /// From now on the times are of another clock: what may start because of the time is not known until there was a rest.
    public func clockWasSet() { rates.clockWasSet() }
}

/// The keys of a job's concurrency and floating limits, with the fixed maximum where there is one.
func slotLimits(_ limits: [StorageV1.Limit]) -> [Bytes: UInt32?] {
    var found: [Bytes: UInt32?] = [:]
    for limit in limits {
        switch limit.kind {
        case .concurrency(let slots): found.updateValue(slots.maxConcurrency, forKey: Bytes(slots.key.utf8))
        case .floating(let floating): found.updateValue(nil, forKey: Bytes(floating.key.utf8))
        default: break
        }
    }
    return found
}

func rateLimits(_ limits: [StorageV1.Limit]) -> [StorageV1.RateLimit] {
    limits.compactMap { if case .rate(let rate) = $0.kind { rate } else { nil } }
}

func text(_ bytes: Bytes) -> String { String(decoding: bytes, as: UTF8.self) }
