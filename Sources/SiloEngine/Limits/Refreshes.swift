import Protobuf
import SiloCore
import SiloStore

/// New values of floating limits: workers are asked for them while jobs wait.
struct Refreshes: Part {
    let transaction: Transaction

    // MARK: Planning (spec/limits.md 7.2)

    /// The limit's job has just come to wait: workers of its group are asked for a new value when the last one is old.
    func planIfDue(_ limit: SlotLimit, for group: TaskGroup) {
        guard let floating = limit.floating, memory.limits.refreshes[limit.id] == nil else { return }
        guard floating.refreshFrom <= steady else { return memory.limits.setAlarm(limit, .steady, at: floating.refreshFrom) }
        plan(of: limit, for: group, due: steady)
    }

    /// The same for jobs that have waited for a while. False: the store does not answer.
    func planIfWaitedFor(_ limit: SlotLimit) async throws(StoreError) -> Bool {
        guard limit.floating != nil else { return true }
        guard let group = try await groupIfAnswered(waitingAt: limit) else { return false }
        if let group { planIfDue(limit, for: group) }
        return true
    }

    private func groupIfAnswered(waitingAt limit: SlotLimit) async throws(StoreError) -> TaskGroup?? {
        try await transaction.ifAnswered { () async throws(StoreError) in try await group(waitingAt: limit) }
    }

    /// Of the groups whose jobs wait for the limit, as far as they are looked at, that whose workers asked for work last; nil
    /// when nobody waits.
    private func group(waitingAt limit: SlotLimit) async throws(StoreError) -> TaskGroup? {
        var groups: Set<TaskGroup> = []
        for line in limit.lines.some(Self.linesLookedAt) {
            guard let head = try await lines.head(of: line) else { continue }
            groups.insert(head.record.jobGroup)
            for waiting in line.window.prefix(Self.jobsLookedAt) { groups.insert(waiting.record.jobGroup) }
        }
        func lastPoll(_ group: TaskGroup) -> Timestamp {
            memory.waiters.count(of: group, for: limit.id.tenant) > 0 ? steady : memory.polls[group]?.last ?? Timestamp(.min)
        }
        return groups.max { (lastPoll($0), $1) < (lastPoll($1), $0) }
    }

    /// How many lines of a limit are looked at to find a group with workers, and how many jobs of each.
    private static let linesLookedAt = 16
    private static let jobsLookedAt = 64

    private func plan(of limit: SlotLimit, for group: TaskGroup, due: Timestamp) {
        reached(.refreshPlanned)
        let name = SlotLimit.Name(tenant: limit.id.tenant, key: limit.key)
        let taskID = TaskID(.random(from: transaction.random))
        var record = StorageV1.Refresh()
        record.taskId = taskID.uuid.bytes
        record.taskGroup = group.text
        record.dueAtMs = due.milliseconds
        let refresh = LiveRefresh(name, taskID, record)
        rows.put(refresh.key, record.serializedBytes())
        memory.info.storesDelays = true
        memory.limits.refreshes.add(refresh)
        if due <= steady { offer(refresh) }
    }

    private func offer(_ refresh: LiveRefresh) {
        memory.limits.refreshes.offer(refresh, until: steady + settings.leaseMilliseconds)
        memory.workCame(for: refresh.group, of: refresh.limit.tenant)
        memory.news.workChanged(for: refresh.group)
    }

    /// The refresh is due, or the worker that had it did not report, or no worker took it: while somebody waits for the limit,
    /// workers are asked again, those of another group when they alone are there. False: the store does not answer.
    func tend(_ refresh: LiveRefresh) async throws(StoreError) -> Bool {
        guard try await transaction.haveAtHand(transaction.unread([refresh.limit.key], of: refresh.limit.tenant)) else {
            return false
        }
        let limit = try await limits.slot(refresh.limit.key, of: refresh.limit.tenant)
        guard let waiting = try await groupIfAnswered(waitingAt: limit) else { return false }
        if refresh.isLeased { reached(.refreshExpired) }
        if refresh.offeredUntil != nil { reached(.refreshNotTaken) }
        // While lines are still to be read, those in memory are not all who wait.
        let group = waiting ?? (memory.limits.unreadLines == nil ? nil : refresh.group)
        if !refresh.isLeased, group == refresh.group {
            offer(refresh)
        } else {
            remove(refresh)
            if let group { plan(of: limit, for: group, due: steady) }
        }
        return true
    }

    private func remove(_ refresh: LiveRefresh) {
        rows.delete(refresh.key)
        memory.limits.refreshes.remove(refresh)
    }

    // MARK: Working (spec/limits.md 7.3, 7.4)

    /// Gives a worker the refreshes that wait for workers of its group. One alone may be larger than the answer.
    func lease(_ lease: Lease) async throws(StoreError) -> [LeasedRefresh] {
        var leased: [LeasedRefresh] = []
        var bytes = 0
        while leased.count < settings.refreshesPerLeaseMax, let refresh = memory.limits.refreshes.first(for: lease) {
            let unread = transaction.unread([refresh.limit.key], of: refresh.limit.tenant)
            guard try await transaction.haveAtHand(unread) else { break }
            let limit = try await limits.slot(refresh.limit.key, of: refresh.limit.tenant)
            guard let floating = limit.floating else {
                remove(refresh)
                continue
            }
            let given = LeasedRefresh(
                id: refresh.taskID, tenant: refresh.limit.tenant, limit: limit.key, currentMax: floating.currentMax,
                lastRefreshedAt: Timestamp(floating.lastRefreshedAtMs), metadata: floating.metadata, group: lease.group
            )
            bytes += given.answerBytes
            guard leased.isEmpty || bytes <= lease.answerBytesMax else { break }
            memory.limits.refreshes.take(refresh)
            refresh.record.workerId = lease.worker
            refresh.record.expiresAtMs = (steady + settings.leaseMilliseconds).milliseconds
            refresh.batch = memory.batch
            rows.put(refresh.key, refresh.record.serializedBytes())
            memory.limits.refreshes.changed(refresh)
            leased.append(given)
        }
        if !leased.isEmpty { memory.news.workChanged(for: lease.group) }
        return leased
    }

    /// The worker that has it was heard: it lasts as long again.
    func renew(_ refresh: LiveRefresh) {
        refresh.record.expiresAtMs = (steady + settings.leaseMilliseconds).milliseconds
        refresh.batch = memory.batch
        rows.put(refresh.key, refresh.record.serializedBytes())
        memory.limits.refreshes.changed(refresh)
    }

    /// Lets others have a refresh that a worker was never told of.
    func release(_ refresh: LiveRefresh) {
        guard refresh.isLeased else { return }
        reached(.refreshGivenBack)
        refresh.record.workerId = ""
        refresh.record.expiresAtMs = 0
        rows.put(refresh.key, refresh.record.serializedBytes())
        memory.limits.refreshes.changed(refresh)
        offer(refresh)
    }

    /// Takes what a worker found out.
    func end(_ refresh: LiveRefresh, _ outcome: ReportRefresh.Outcome) async throws(StoreError) {
        let limit = try await limits.slot(refresh.limit.key, of: refresh.limit.tenant)
        remove(refresh)
        guard var floating = limit.floating else { return }
        switch outcome {
        case .success(let newMax):
            reached(newMax < floating.currentMax ? .floatingLowered : .floatingRaised)
            floating.currentMax = newMax
            floating.lastRefreshedAtMs = now.milliseconds
            floating.lastRefreshedSteadyMs = steady.milliseconds
            floating.retryCount = 0
            floating.nextRetryAtMs = nil
            // Memory may have read the limit when it had been refreshed before.
            if limit.maxima.entries.isEmpty {
                limit.maxima.note(limit.floating?.currentMax ?? newMax, at: Timestamp(limit.floating?.lastRefreshedAtMs ?? 0))
            }
            limit.maxima.note(newMax, at: now)
            limit.floating = floating
            if newMax == 0 { for line in limit.lines.all { memory.limits.stopKeeping(for: line) } }
            memory.limits.markFreed(limit)
            memory.limits.planRefresh(of: limit)
        case .failure:
            let backoff = min(StorageV1.FloatingState.backoffMax, saturated(1000 * power(2, floating.retryCount)))
            floating.retryCount += 1
            floating.nextRetryAtMs = (steady + backoff).milliseconds
            limit.floating = floating
            // When nobody can say who waits, those of the same group may as well be asked again.
            if let group = try await groupIfAnswered(waitingAt: limit) ?? refresh.group {
                reached(.refreshFailedWithWaiters)
                plan(of: limit, for: group, due: steady + backoff)
            } else {
                reached(.refreshFailedWithoutWaiters)
            }
        }
        memory.limits.markDirty(limit)
    }
}
