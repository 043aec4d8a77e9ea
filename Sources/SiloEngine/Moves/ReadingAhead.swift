import SiloCore
import SiloStore

// What a change reads it reads beforehand, as far as that can be known, for then it can still be refused or left for later:
// data in a bucket may be away. A read that fails in the middle of a change ends the shard.

extension Transaction {
    /// The rows of limits that memory does not hold.
    func unread(_ limits: [StorageV1.Limit], of tenant: Tenant) -> [Bytes] {
        var slots: [LimitKey] = []
        var keys: [Bytes] = []
        for limit in limits {
            switch limit.kind {
            case .concurrency(let wanted): slots.append(LimitKey(wanted.key))
            case .floating(let wanted): slots.append(LimitKey(wanted.key))
            case .rate(let rate) where !settings.asksRateLimiter:
                guard memory.limits.bucket(.bucket(tenant, of: rate)) == nil else { continue }
                keys.append(TenantKeys(tenant).bucket(LimitKey(rate.name), LimitKey(rate.uniqueKey)))
            case .rate, nil: continue
            }
        }
        return keys + unread(slots, of: tenant)
    }

    func unread(_ slots: [LimitKey], of tenant: Tenant) -> [Bytes] {
        var keys: [Bytes] = []
        for key in slots where memory.limits.slot(tenant, key) == nil { keys.append(TenantKeys(tenant).slots(key)) }
        if !keys.isEmpty, !memory.limits.isNotedLimited(tenant) { keys.append(ShardKeys.tenantState(tenant)) }
        return keys
    }

    /// The row of a queue that memory does not hold.
    func unread(_ queue: Queue.ID) -> [Bytes] {
        memory.queues[queue] == nil ? [ShardKeys.queue(queue.tenant, queue.group)] : []
    }

    /// What the end of an attempt reads: the slots that it frees, and the job, if it may run again.
    func unread(forEnding lease: LiveLease, mayRetry: Bool) -> [Bytes] {
        let slots = unread(lease.record.slots.map { LimitKey($0) }, of: lease.queue.id.tenant)
        return slots + (mayRetry && lease.cancelledAt == nil ? [lease.queue.keys.job(lease.job)] : [])
    }

    /// Has rows at hand for the rest of the batch. False: the store does not answer.
    func haveAtHand(_ keys: [Bytes]) async throws(StoreError) -> Bool {
        guard !keys.isEmpty else { return true }
        return try await ifAnswered { () async throws(StoreError) in try await rows.readAhead(keys) } != nil
    }
}

extension View {
    /// Has at hand what a change will read of limits.
    func prepare(_ limits: [StorageV1.Limit], of tenant: Tenant) async throws(Refusal) {
        try await prepare { $0.unread(limits, of: tenant) }
    }
}

extension Part {
    /// Whether the first of the rows, if there are any, is in memory: it is read when the window has run empty. False: the store
    /// does not answer.
    func haveFirstAtHand(of pending: PendingRows) async throws(StoreError) -> Bool {
        guard pending.isToBeRead else { return true }
        return try await transaction.ifAnswered { () async throws(StoreError) in try await load(pending) } != nil
    }
}

extension PendingRows {
    /// Its first row is not in memory.
    var isToBeRead: Bool { window.isEmpty && window.frontier != nil }
}
