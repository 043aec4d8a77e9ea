import Protobuf
import SiloCore
import SiloStore

extension Transaction {
    // MARK: Finding limits and lines

    func slot(_ key: LimitKey, of tenant: Tenant) async throws(StoreError) -> SlotLimit {
        if let limit = memory.limits.slot(tenant, key) { return limit }
        let record: StorageV1.Slots? = try await record(TenantKeys(tenant).slots(key))
        if record == nil { try await noteLimited(tenant) }
        let limit = SlotLimit(tenant, key, record, drops: memory.limits.dropCount(of: tenant))
        memory.limits.add(tenant, limit)
        return limit
    }

    /// The tenant has a row that says that it has slots, so that audits find it without looking at others.
    private func noteLimited(_ tenant: Tenant) async throws(StoreError) {
        guard !memory.limits.isNotedLimited(tenant) else { return }
        let key = ShardKeys.tenantState(tenant)
        if try await get(key) == nil { put(key, StorageV1.TenantState().serializedBytes()) }
        afterwards { $0.limits.noteLimited(tenant) }
    }

    private func bucket(_ rate: StorageV1.RateLimit, of tenant: Tenant) async throws(StoreError) -> BucketLimit {
        let limit = try await storedBucket(rate, of: tenant)
        if limit.bucket.isAhead(of: now) { change(limit) { $0.setBack(to: now, rate) } }
        return limit
    }

    private func storedBucket(_ rate: StorageV1.RateLimit, of tenant: Tenant) async throws(StoreError) -> BucketLimit {
        if let limit = memory.limits.bucket(.bucket(tenant, of: rate)) { return limit }
        let (name, key) = (LimitKey(rate.name), LimitKey(rate.uniqueKey))
        let record: StorageV1.Bucket? = try await record(TenantKeys(tenant).bucket(name, key))
        let limit = BucketLimit(tenant, name, key, Bucket(record ?? StorageV1.Bucket()), isStored: record != nil)
        memory.limits.add(limit)
        return limit
    }

    /// A record that can be made anew. One that cannot be read is set aside: it must not stop the shard.
    func record<Record: Message>(_ key: Bytes) async throws(StoreError) -> Record? {
        guard let bytes = try await get(key) else { return nil }
        if let record = try? Record(serializedBytes: bytes) { return record }
        setAside(Row(key: key, value: bytes))
        return nil
    }

    /// The line of jobs with these limits, which may be new and empty.
    func line(of limits: [StorageV1.Limit], _ tenant: Tenant) async throws(StoreError) -> Line {
        let id = Line.ID(tenant: tenant, line: LineID(of: limits))
        if let line = memory.limits.line(id) { return line }
        if memory.limits.unreadLines != nil, let record: StorageV1.Line = try await record(ShardKeys.line(tenant, id.line)) {
            let line = Line(id, record, isStored: true)
            memory.limits.add(line)
            return line
        }
        var record = StorageV1.Line()
        record.limits = limits
        let line = Line(id, record, isStored: false)
        memory.limits.add(line)
        onRollBack { memory in if line.waiting == 0 { memory.limits.forget(line) } }
        return line
    }

    // MARK: Asking

    /// What a job's limits ask for, in the job's order. Several limits of one key are one, the strictest.
    /// - Parameter beginning: a floating limit that nobody has named before begins with this job; else it is left out.
    func demands(
        of limits: [StorageV1.Limit], _ tenant: Tenant, beginning: Bool = true
    ) async throws(StoreError) -> [Demand] {
        var demands: [Demand] = []
        demands.reserveCapacity(limits.count)
        for limit in limits {
            switch limit.kind {
            case .concurrency(let wanted):
                add(.slot(try await slot(LimitKey(wanted.key), of: tenant), max: wanted.maxConcurrency), to: &demands)
            case .floating(let wanted):
                let limit = try await slot(LimitKey(wanted.key), of: tenant)
                if limit.floating == nil {
                    guard beginning else { continue }
                    begin(wanted, limit)
                }
                add(.slot(limit, max: nil), to: &demands)
            case .rate(let wanted) where !settings.asksRateLimiter:
                demands.append(.hits(try await bucket(wanted, of: tenant), wanted))
            case .rate, nil:
                break
            }
        }
        return demands
    }

    /// The first job of a floating limit sets its state (spec/limits.md 7.1).
    private func begin(_ wanted: StorageV1.FloatingLimit, _ limit: SlotLimit) {
        var state = StorageV1.FloatingState()
        state.currentMax = wanted.defaultMaxConcurrency
        state.defaultMax = wanted.defaultMaxConcurrency
        state.refreshIntervalMs = wanted.refreshIntervalMs
        state.metadata = wanted.metadata
        limit.floating = state
        onRollBack { _ in limit.floating = nil }
        memory.limits.markDirty(limit)
    }

    private func add(_ demand: Demand, to demands: inout [Demand]) {
        guard case .slot(let limit, let max) = demand,
            let place = demands.firstIndex(where: { $0.limit === limit }), case .slot(_, let other) = demands[place]
        else { return demands.append(demand) }
        if limit.capacity(max) < limit.capacity(other) { demands[place] = demand }
    }

    /// Whether there is room for all of it now.
    /// - Parameters:
    ///   - line: that the job waits in; nil when it waits in none.
    ///   - isNewcomer: it goes behind those that wait.
    func verdict(_ demands: [Demand], in line: Line?, isNewcomer: Bool = false) -> Verdict {
        for demand in demands {
            switch demand {
            case .slot(let limit, let max):
                let hasRoom = limit.hasRoom(max, for: line)
                guard hasRoom, !isNewcomer || limit.lines.isEmpty || limit.candidate() == nil else {
                    if hasRoom { Probe.newcomerGoesBehindLine.reached() }
                    return .blocked(demand, dueAt: nil)
                }
            case .hits(let limit, let rate):
                var bucket = limit.bucket
                bucket.pass(to: moment, rate)
                let isReset = rate.behavior & RateBehavior.resetRemaining != 0
                if isReset { Probe.bucketReset.reached() }
                guard isReset || bucket.hasRoom(rate), !isNewcomer || limit.lines.isEmpty else {
                    let dueAt = bucket.dueAt(rate, now: moment)
                    (rate.algorithm == Bucket.leakyBucket ? Probe.leakyBucketBlocked : .rateBlocked).reached()
                    if dueAt == nil { Probe.bucketFullOfPromises.reached() }
                    return .blocked(demand, dueAt: dueAt)
                }
            }
        }
        return .free
    }

    // MARK: Taking and giving back

    func take(_ limit: SlotLimit) {
        let before = limit.held
        limit.take()
        onRollBack { _ in limit.restore(before) }
        memory.limits.markDirty(limit)
    }

    /// Frees slots that were taken when the tenant's holders had been dropped `hold` times.
    func free(_ keys: [LimitKey], hold: UInt32?, of tenant: Tenant) async throws(StoreError) {
        guard let hold else { return }
        guard hold == memory.limits.dropCount(of: tenant) else { return Probe.dropVoidsHold.reached() }
        for key in keys {
            let limit = try await slot(key, of: tenant)
            let before = limit.held
            guard limit.free() else {
                memory.limits.noteGhostRelease()
                continue
            }
            onRollBack { _ in limit.restore(before) }
            limit.releases.record(at: steady)
            memory.limits.markDirty(limit)
            memory.limits.markFreed(limit)
        }
    }

    /// Brings a bucket to now, as a job's limit sees it, and changes it.
    func change(_ limit: BucketLimit, _ body: (inout Bucket) -> Void) {
        let before = limit.bucket
        body(&limit.bucket)
        guard limit.bucket != before else { return }
        onRollBack { _ in limit.bucket = before }
        memory.limits.markDirty(limit)
    }

    /// Gives up what a pending task holds.
    func releasing(_ task: StorageV1.Task, _ job: JobReference) async throws(StoreError) -> StorageV1.Task {
        var task = task
        try await free(task.jobLimits.slotKeys, hold: task.hold, of: job.tenant)
        if task.reserved { try await changeBuckets(task.jobLimits.rates, of: job.tenant) { $0.unreserve($1) } }
        task.hold = nil
        task.reserved = false
        return task
    }

    /// The attempt starts: the hits that it was promised are used.
    func useHits(_ task: StorageV1.Task, _ job: JobReference) async throws(StoreError) {
        guard task.reserved else { return }
        let now = moment
        try await changeBuckets(task.jobLimits.rates, of: job.tenant) { $0.use($1, at: now) }
    }

    /// Changes the buckets of a job's rate limits, and has those looked at who wait for them.
    func changeBuckets(
        _ rates: [StorageV1.RateLimit], of tenant: Tenant, _ body: (inout Bucket, StorageV1.RateLimit) -> Void
    ) async throws(StoreError) {
        for rate in rates {
            let limit = try await bucket(rate, of: tenant)
            change(limit) { body(&$0, rate) }
            memory.limits.markFreed(limit)
        }
    }
}
