import Protobuf
import SiloCore
import SiloStore

/// What jobs take of their limits, and give back.
struct LimitMoves: Part {
    let transaction: Transaction

    // MARK: Finding limits and lines

    func slot(_ key: LimitKey, of tenant: Tenant) async throws(StoreError) -> SlotLimit {
        if let limit = memory.limits.slot(tenant, key) { return limit }
        let record: StorageV1.Slots? = try await transaction.record(TenantKeys(tenant).slots(key))
        if record == nil { try await noteLimited(tenant) }
        let limit = SlotLimit(tenant, key, record, drops: memory.limits.dropCount(of: tenant))
        memory.limits.add(tenant, limit)
        return limit
    }

    /// The tenant has a row that says that it has slots, so that audits find it without looking at others.
    private func noteLimited(_ tenant: Tenant) async throws(StoreError) {
        guard !memory.limits.isNotedLimited(tenant) else { return }
        let key = ShardKeys.tenantState(tenant)
        if try await rows.get(key) == nil { rows.put(key, StorageV1.TenantState().serializedBytes()) }
        memory.limits.noteLimited(tenant)
    }

    private func bucket(_ rate: StorageV1.RateLimit, of tenant: Tenant) async throws(StoreError) -> BucketLimit {
        let limit = try await storedBucket(rate, of: tenant)
        if limit.bucket.isAhead(of: now) {
            reached(.calendarWindowSetBack)
            change(limit) { $0.setBack(to: now, rate) }
        }
        return limit
    }

    private func storedBucket(_ rate: StorageV1.RateLimit, of tenant: Tenant) async throws(StoreError) -> BucketLimit {
        if let limit = memory.limits.bucket(.bucket(tenant, of: rate)) { return limit }
        let (name, key) = (LimitKey(rate.name), LimitKey(rate.uniqueKey))
        let record: StorageV1.Bucket? = try await transaction.record(TenantKeys(tenant).bucket(name, key))
        let limit = BucketLimit(tenant, name, key, Bucket(record ?? StorageV1.Bucket()), isStored: record != nil)
        memory.limits.add(limit)
        return limit
    }

    // MARK: Asking

    /// What a job's limits ask for, in the job's order. Several limits of one key are one, the strictest. A floating limit that
    /// nobody has named before begins with this job.
    func demands(of limits: [StorageV1.Limit], _ tenant: Tenant) async throws(StoreError) -> [Demand] {
        var demands: [Demand] = []
        demands.reserveCapacity(limits.count)
        for limit in limits {
            switch limit.kind {
            case .concurrency(let wanted):
                let limit = try await slot(LimitKey(wanted.key), of: tenant)
                limit.maxSeen = wanted.maxConcurrency
                demands.add(.slot(limit, max: wanted.maxConcurrency))
            case .floating(let wanted):
                let limit = try await slot(LimitKey(wanted.key), of: tenant)
                if limit.floating == nil { begin(wanted, limit) }
                demands.add(.slot(limit, max: nil))
            case .rate(let wanted) where !settings.asksRateLimiter:
                let limit = try await bucket(wanted, of: tenant)
                limit.rateSeen = wanted
                demands.append(.hits(limit, wanted))
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
        limit.maxima.note(state.currentMax, at: now)
        memory.limits.markDirty(limit)
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
                    if hasRoom { reached(.newcomerGoesBehindLine) }
                    return .blocked(demand, dueAt: nil)
                }
            case .hits(let limit, let rate):
                var bucket = limit.bucket
                if bucket.pass(to: moment, rate) { reached(.windowPassed) }
                let isReset = rate.behavior & RateBehavior.resetRemaining != 0
                if isReset { reached(.bucketReset) }
                guard isReset || bucket.hasRoom(rate), !isNewcomer || limit.lines.isEmpty else {
                    let dueAt = bucket.dueAt(rate, now: moment)
                    reached(rate.algorithm == Bucket.leakyBucket ? .leakyBucketBlocked : .rateBlocked)
                    if dueAt == nil { reached(.bucketFullOfPromises) }
                    return .blocked(demand, dueAt: dueAt)
                }
            }
        }
        return .free
    }

    // MARK: Taking and giving back

    func take(_ limit: SlotLimit) {
        limit.take()
        memory.limits.markDirty(limit)
    }

    /// Frees slots that were taken with this hold, as far as it is good.
    func free(_ keys: [LimitKey], hold: Hold?, of tenant: Tenant) async throws(StoreError) {
        guard let hold else { return }
        guard hold.drops == memory.limits.dropCount(of: tenant) else { return reached(.dropVoidsHold) }
        for key in keys {
            let limit = try await slot(key, of: tenant)
            guard hold.isGood(of: limit) else {
                reached(.keyDropVoidsHold)
                limit.endVoidHold()
                memory.limits.markDirty(limit)
                continue
            }
            guard limit.free() else {
                memory.limits.noteGhostRelease()
                continue
            }
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
        memory.limits.markDirty(limit)
    }

    /// Gives up what a pending task holds.
    func releasing(_ task: StorageV1.Task, _ job: JobReference) async throws(StoreError) -> StorageV1.Task {
        var task = task
        try await free(task.jobLimits.slotKeys, hold: task.slotHold, of: job.tenant)
        if task.reserved { try await changeBuckets(task.jobLimits.rates, of: job.tenant) { $0.unreserve($1) } }
        task.slotHold = nil
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

    // MARK: When there is no room

    /// Looks at the lines of a bucket again when it will have room. The calendar's windows end by the wall clock; should that be
    /// set back meanwhile, they are looked at no later than they would have been without, and then find out how things are.
    func lookAgain(at limit: BucketLimit, _ due: Due) {
        let wait = max(1, due.wait(from: moment))
        memory.limits.setAlarm(limit, .steady, at: steady + wait)
        if due.axis == .wall { memory.limits.setAlarm(limit, .wall, at: now + wait) }
    }

    /// What follows from a limit's having no room: when it is looked at again, or refreshed.
    func note(_ demand: Demand, _ dueAt: Due?, group: TaskGroup) {
        demand.limit.refusals &+= 1
        switch demand {
        case .slot(let limit, _):
            // Room that others were meant to have: they are looked at first.
            memory.limits.markFreed(limit)
            refreshes.planIfDue(limit, for: group)
        case .hits(let limit, _):
            if let dueAt { lookAgain(at: limit, dueAt) }
        }
    }

    /// A refused hit that asks for it uses up what is left. A job that waits in line is refused once, when it comes: drained at
    /// each look, a bucket would never have room for it.
    func drain(_ limit: BucketLimit, _ rate: StorageV1.RateLimit) {
        guard rate.behavior & RateBehavior.drainOverLimit != 0 else { return }
        change(limit) { bucket in
            var drained = bucket
            drained.pass(to: moment, rate)
            guard drained.drain(rate, at: moment) else { return }
            reached(.bucketDrained)
            bucket = drained
        }
    }
}
