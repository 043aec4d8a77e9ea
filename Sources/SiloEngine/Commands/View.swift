import Protobuf
import SiloCore
import SiloStore

/// What a command's checks may look at: the shard as the commands before it have left it. Nothing can be changed through it.
package struct View {
    private let transaction: Transaction
    private var memory: ShardMemory { transaction.memory }

    init(of transaction: Transaction) {
        self.transaction = transaction
    }

    var moment: Moment { transaction.moment }
    var now: Timestamp { transaction.now }
    var settings: EngineSettings { transaction.settings }

    /// For whoever counts: see `EngineEvents`.
    func reached(_ branch: Branch) { memory.branches.reached(branch) }

    // MARK: Rows

    func get(_ key: Bytes) async throws(Refusal) -> Bytes? {
        do {
            return try await transaction.rows.get(key)
        } catch {
            throw .store(error)
        }
    }

    /// Reads rows that are wanted later, when it is too late to refuse.
    func prepare(_ keys: (Transaction) -> [Bytes]) async throws(Refusal) {
        let keys = keys(transaction)
        guard !keys.isEmpty else { return }
        do { try await transaction.rows.readAhead(keys) } catch { throw .store(error) }
    }

    // MARK: Jobs

    /// Refuses what is about a tenant whose rows are being deleted.
    func checkNotDropped(_ tenant: Tenant) throws(Refusal) {
        guard memory.drops[tenant] == nil else { throw .refused(.tenantBeingDropped(tenant)) }
    }

    /// The queue of a tenant's task group, which may have no jobs.
    func queue(_ tenant: Tenant, _ group: TaskGroup) async throws(Refusal) -> Queue {
        try checkNotDropped(tenant)
        do {
            return try await transaction.queue(tenant, group)
        } catch {
            throw .store(error)
        }
    }

    /// The job's rows and its queue. Refuses with `.jobNotFound`, or with `.corrupt` when they cannot be read: one bad row
    /// refuses the requests for its job and does not stop the shard.
    func find(_ tenant: Tenant, _ id: JobID) async throws(Refusal) -> (stored: StoredJob, job: JobReference) {
        try checkNotDropped(tenant)
        let stored: StoredJob?
        do {
            stored = try await StoredJob.read(id, TenantKeys(tenant), get: transaction.rows.get)
        } catch .corrupt(let text, _) {
            throw .refused(.corrupt("job \(id): \(text)"))
        } catch {
            throw .store(error)
        }
        guard let stored else { throw .refused(.jobNotFound) }
        return (stored, JobReference(id: id, queue: try await queue(tenant, TaskGroup(stored.job.taskGroup))))
    }

    /// Where the pending attempt of a job stands; nil when it stands nowhere.
    func pending(_ job: JobReference, _ stored: StoredJob) async throws(Refusal) -> Pending? {
        do {
            return try await transaction.pending.find(job, stored)
        } catch {
            throw .store(error)
        }
    }

    /// Whether the job waits at a limit.
    func isWaiting(_ job: JobReference, _ stored: StoredJob) async throws(Refusal) -> Bool {
        guard let start = stored.pendingStart, !stored.job.limits.isEmpty else { return false }
        let key = job.keys.waiting(LineID(of: stored.job.limits), position(job, stored, start: start))
        if transaction.rows.isPresumed(key) { return true }
        return try await get(key) != nil
    }

    /// Where a job's pending attempt stands, or would, among those that are ready or wait at a limit.
    func position(_ job: JobReference, _ stored: StoredJob, start: Timestamp) -> Position {
        job.position(of: stored, start: start, settings)
    }

    // MARK: Tenants

    func drop(of tenant: Tenant) -> StorageV1.TenantDrop? { memory.drops[tenant] }

    func counts(of tenant: Tenant) async throws(Refusal) -> TenantCounts {
        do { return try await transaction.counts(of: tenant) } catch { throw .store(error) }
    }

    func storedHolders(of tenant: Tenant) async throws(Refusal) -> UInt64 {
        do { return try await transaction.storedHolders(of: tenant, drops: drops(of: tenant)) } catch { throw .store(error) }
    }

    var totalJobs: Int64 { memory.totalJobs }

    // MARK: Bulk actions

    func bulk(_ id: BulkID) -> StorageV1.BulkAction? { memory.bulks[id] }
    var bulks: [StorageV1.BulkAction] { Array(memory.bulks.actions.values) }
    var bulksRunning: Int { memory.bulks.running }

    // MARK: Leases

    /// The task of a job that a worker has.
    func lease(_ task: TaskID, of tenant: Tenant) -> LiveLease? {
        memory.leases[task].flatMap { $0.queue.id.tenant == tenant ? $0 : nil }
    }

    /// The live lease of a running job. A lease row without one in memory cannot be.
    func liveLease(_ stored: StoredJob) throws(Refusal) -> LiveLease {
        guard let bytes = stored.lease?.taskId, let uuid = UUID(bytes: bytes), let lease = memory.leases[TaskID(uuid)] else {
            throw .refused(.corrupt("job \(stored.job.id) has a lease that is not in memory"))
        }
        return lease
    }

    /// The refresh of a floating limit that goes by this task.
    func refresh(_ task: TaskID, of tenant: Tenant) -> LiveRefresh? {
        memory.limits.refreshes[task].flatMap { $0.limit.tenant == tenant ? $0 : nil }
    }

    // MARK: All of what memory holds

    /// Shows queues in the order of their keys, where those of one tenant are neighbours.
    /// - Parameters:
    ///   - place: those behind it; nil: from the first one on. Is set to that of the last one shown.
    ///   - countMax: so many at most.
    /// - Returns: whether there were no more.
    func forEachQueue(after place: inout QueueByKey.Place?, atMost countMax: Int, _ body: (Queue) -> Void) -> Bool {
        let begin = place
        var left = countMax
        var last: QueueByKey?
        memory.queuesByKey.forEach(behind: { next in begin.map { next.isPassed($0) } ?? false }) { next in
            guard left > 0 else { return false }
            left -= 1
            last = next
            body(next.queue)
            return true
        }
        if let last { place = last.place }
        return left > 0
    }

    /// The same of limits, in an order of their own, where those of one tenant are neighbours.
    /// - Parameter tenant: whose; nil: everybody's.
    func forEachLimit(
        of tenant: Tenant?, after place: inout LimitPlace?, atMost countMax: Int, _ body: (Limit) -> Void
    ) -> Bool {
        memory.limits.forEach(of: tenant, after: &place, atMost: countMax, body)
    }

    /// Shows leases, from a place on, which is set to where it goes on.
    /// - Parameter countMax: places that are looked at.
    /// - Returns: whether there were no more.
    func forEachLease(from place: inout Int, atMost countMax: Int, _ body: (LiveLease) -> Void) -> Bool {
        memory.leaseSlots.forEach(from: &place, atMost: countMax, body)
    }

    // MARK: Limits, pauses and workers

    func pause(_ target: PauseTarget) -> StorageV1.Pause? { memory.limits.pauses[target] }
    var pauses: [PauseTarget: StorageV1.Pause] { memory.limits.pauses.all }

    /// How often the tenant's holders have been dropped.
    func drops(of tenant: Tenant) -> UInt32 { memory.limits.dropCount(of: tenant) }

    /// The line of jobs with these limits; nil when nobody waits in it, as far as is known.
    func line(of limits: [StorageV1.Limit], _ tenant: Tenant) -> Line? {
        memory.limits.line(Line.ID(tenant: tenant, line: LineID(of: limits)))
    }

    /// What a job's limits ask for, of limits as they are. Floating limits that nobody has named before are left out.
    func demands(of limits: [StorageV1.Limit], _ tenant: Tenant) async throws(Refusal) -> [Demand] {
        var demands: [Demand] = []
        for limit in limits {
            switch limit.kind {
            case .concurrency(let wanted):
                demands.add(.slot(try await slot(LimitKey(wanted.key), of: tenant), max: wanted.maxConcurrency))
            case .floating(let wanted):
                let limit = try await slot(LimitKey(wanted.key), of: tenant)
                if limit.floating != nil { demands.add(.slot(limit, max: nil)) }
            case .rate(let wanted) where !settings.asksRateLimiter:
                demands.append(.hits(try await bucket(wanted, of: tenant), wanted))
            case .rate, nil:
                break
            }
        }
        return demands
    }

    /// The limit that memory holds, or a copy of the stored one.
    func slot(_ key: LimitKey, of tenant: Tenant) async throws(Refusal) -> SlotLimit {
        if let limit = memory.limits.slot(tenant, key) { return limit }
        let record = try await get(TenantKeys(tenant).slots(key)).flatMap { try? StorageV1.Slots(serializedBytes: $0) }
        let limit = SlotLimit(tenant, key, record, drops: drops(of: tenant))
        limit.isPaused = memory.limits.pauses.isPaused(key, of: tenant)
        return limit
    }

    private func bucket(_ rate: StorageV1.RateLimit, of tenant: Tenant) async throws(Refusal) -> BucketLimit {
        if let limit = memory.limits.bucket(.bucket(tenant, of: rate)) { return limit }
        let (name, key) = (LimitKey(rate.name), LimitKey(rate.uniqueKey))
        let record = try await get(TenantKeys(tenant).bucket(name, key)).flatMap { try? StorageV1.Bucket(serializedBytes: $0) }
        return BucketLimit(tenant, name, key, Bucket(record ?? StorageV1.Bucket()), isStored: record != nil)
    }

    /// Shows the queues whose first job waits for its time, soonest first by one of the two clocks, until `body` says false.
    func forEachTimer(_ axis: Axis, _ body: (Queue.ID, Timestamp) -> Bool) {
        memory.timerAlarms[axis].forEachInOrder { alarm in
            // An entry whose queue is looked at at another time is of no use any more.
            guard let queue = memory.queues[alarm.queue], queue.timers[axis].alarm == alarm.at else { return true }
            return body(alarm.queue, alarm.at)
        }
    }

    /// How workers ask for a group; nil when none did lately.
    func poll(_ group: TaskGroup) -> Polls.Poll? { memory.polls[group] }
    func waitingWorkers(_ queue: Queue.ID) -> Int { memory.waiters.count(of: queue.group, for: queue.tenant) }
}
