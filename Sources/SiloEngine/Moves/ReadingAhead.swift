import Protobuf
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

    /// Has at hand what putting a leased job back reads. False: the store does not answer.
    func haveAtHand(toPutBack lease: LiveLease) async throws(StoreError) -> Bool {
        let job = lease.queue.keys.job(lease.job)
        let own = unread(forEnding: lease, mayRetry: true) + [job, lease.queue.keys.status(lease.job), lease.key]
        guard try await haveAtHand(own) else { return false }
        // Which limits it has is said there.
        guard let row = try await rows.get(job), let stored = try? StorageV1.Job(serializedBytes: row) else { return true }
        return try await haveAtHand(unread(stored.limits, of: lease.queue.id.tenant))
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

    /// Has at hand what the end of an attempt will read, and the next attempt after it.
    func prepare(forEnding lease: LiveLease, mayRetry: Bool) async throws(Refusal) {
        try await prepare { $0.unread(forEnding: lease, mayRetry: mayRetry) }
        guard mayRetry, lease.cancelledAt == nil, let row = try await get(lease.queue.keys.job(lease.job)),
            let stored = try? StorageV1.Job(serializedBytes: row)
        else { return }
        try await prepare(stored.limits, of: lease.queue.id.tenant)
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
