import Protobuf
import SiloCore
import SiloStore

/// Who holds slots of limits in one part of a shard, and where others wait for them.
struct HolderRows {
    struct Holder {
        let tenant: Tenant
        let key: LimitKey
        let task: String
        let job: String
        let since: Int64
    }
    /// Jobs with the same limits, which wait for the same slot.
    struct Line {
        let tenant: Tenant
        let key: LimitKey
        let id: LineID
        let from: Position
        let waiting: UInt64
    }
    /// What is asked for.
    struct Wanted {
        /// Keys of limits; nil: all.
        var queues: [LimitKey]?
        var holders = true
        var lines = true

        func has(_ key: LimitKey) -> Bool { queues?.contains(key) ?? true }
    }
    private(set) var holders: [Holder] = []
    private(set) var lines: [Line] = []
    /// The maximum of each key that limits of holders and lines name, by tenant.
    private var fixed: [Tenant: [LimitKey: UInt32]] = [:]
    private(set) var slots: [Tenant: [LimitKey: StorageV1.Slots]] = [:]
    /// Limits that were looked up by their keys: they alone are known.
    private var lookedUp: Set<LimitKey> = []
    private var paused: [Tenant: Set<LimitKey>] = [:]
    private var drops: [Tenant: UInt32] = [:]
    private let wanted: Wanted

    private init(_ wanted: Wanted) { self.wanted = wanted }

    static func read(_ part: Part, _ wanted: Wanted, _ reader: CountedReader) async throws(StoreError) -> HolderRows {
        var rows = HolderRows(wanted)
        try await rows.addSlots(part, reader)
        if wanted.lines { try await rows.addLines(part, reader) }
        // Tenants without slots have no holders.
        if wanted.holders, !rows.slots.isEmpty {
            rows.drops = try await reader.drops(of: part)
            for tenant in rows.slots.keys.sorted() where rows.missingHolders(of: tenant) > 0 {
                try await rows.addHolders(of: tenant, reader)
            }
        }
        return rows
    }

    // MARK: Slots

    private mutating func addSlots(_ part: Part, _ reader: CountedReader) async throws(StoreError) {
        if case .tenant(let tenant) = part, let queues = wanted.queues {
            for key in queues { try await addSlots(of: key, tenant, reader) }
            return
        }
        for row in try await reader.all(part.range(.slots)) {
            var parts = KeyReader(row.key)
            guard let tenant = parts.tenant()?.string(in: row.key), let key = parts.string(),
                let slots = try? StorageV1.Slots(serializedBytes: row.value)
            else { continue }
            self.slots[Tenant(tenant), default: [:]][LimitKey(key)] = slots
        }
    }

    private mutating func addSlots(of key: LimitKey, _ tenant: Tenant, _ reader: CountedReader) async throws(StoreError) {
        guard lookedUp.insert(key).inserted, let row = try await reader.get(TenantKeys(tenant).slots(key)) else { return }
        slots[tenant, default: [:]][key] = try? StorageV1.Slots(serializedBytes: row)
    }

    // MARK: Lines

    private mutating func addLines(_ part: Part, _ reader: CountedReader) async throws(StoreError) {
        for (tenant, key, _) in try await reader.pausedLimits(of: part) { paused[tenant, default: []].insert(key) }
        for row in try await reader.all(part.range(.line)) {
            guard case .line(let tenant, let id)? = ShardKeys.parse(row.key),
                let line = try? StorageV1.Line(serializedBytes: row.value), line.waiting > 0
            else { continue }
            let keys = line.limits.slotKeys.map { LimitKey($0) }
            guard keys.contains(where: wanted.has) else { continue }
            note(line.limits, of: tenant)
            // Which of its limits has no room is known of all of them.
            if case .tenant = part, wanted.queues != nil {
                for key in keys { try await addSlots(of: key, tenant, reader) }
            }
            guard let key = missing(keys, of: tenant), wanted.has(key) else { continue }
            lines.append(Line(tenant: tenant, key: key, id: id, from: Position(from: line.waitingFrom), waiting: line.waiting))
        }
    }

    /// The first of a job's keys that has no room: that is where it stands in line. Nil: it waits for no slot.
    private func missing(_ keys: [LimitKey], of tenant: Tenant) -> LimitKey? {
        let full = keys.first { key in
            if paused[tenant]?.contains(key) == true { return true }
            guard let held = slots[tenant]?[key]?.held, let maximum = maximum(of: key, tenant) else { return false }
            return held >= UInt64(maximum)
        }
        return full ?? keys.first
    }

    // MARK: Holders

    /// How many slots are held by jobs that are not found yet.
    private func missingHolders(of tenant: Tenant) -> Int {
        let held = (slots[tenant] ?? [:]).reduce(UInt64(0)) { sum, entry in
            wanted.has(entry.key) && entry.value.drops >= drops[tenant] ?? 0 ? sum + entry.value.held : sum
        }
        return Int(clamping: held) - holders.reduce(0) { $0 + ($1.tenant == tenant ? 1 : 0) }
    }

    /// Jobs that run, then those that have what they need and are not leased yet.
    private mutating func addHolders(of tenant: Tenant, _ reader: CountedReader) async throws(StoreError) {
        let keys = TenantKeys(tenant)
        for row in try await reader.all(keys.leases) {
            guard let id = keys.parseJob(row.key), let lease = try? StorageV1.Lease(serializedBytes: row.value),
                let hold = lease.hold, hold >= drops[tenant] ?? 0
            else { continue }
            for key in lease.slots.map({ LimitKey($0) }).unique
            where wanted.has(key) && lease.keyHold >= keyDrops(of: key, tenant) {
                if fixed[tenant]?[key] == nil, slots[tenant]?[key]?.floating == nil,
                    let job = try await reader.get(keys.job(id)), let record = try? StorageV1.Job(serializedBytes: job)
                {
                    note(record.limits, of: tenant)
                }
                let task = UUID(bytes: lease.taskId)?.text ?? ""
                holders.append(Holder(tenant: tenant, key: key, task: task, job: id.text, since: lease.startedAtMs))
            }
        }
        guard missingHolders(of: tenant) > 0 else { return }
        for row in try await Part.tenant(tenant).directory(reader) where row.counts.ready > 0 {
            let range = keys.ready(row.group, from: Position(from: row.counts.readyFrom))
            try await reader.each(range) { row throws(StoreError) in try addHolder(row, held: reader.held) }
        }
    }

    private mutating func addHolder(_ row: Row, held: HeldRows) throws(StoreError) {
        guard let pending = PendingRow(row) else { return }
        let tenant = Tenant(pending.tenant)
        note(pending.limits, of: tenant)
        for key in pending.heldKeys(drops[tenant] ?? 0).map({ LimitKey($0) })
        where wanted.has(key) && pending.task.keyHold >= keyDrops(of: key, tenant) {
            try held.take(key.text.utf8.count + pending.job.utf8.count)
            holders.append(
                Holder(
                    tenant: tenant, key: key, task: "\(pending.job):\(pending.task.attempt)", job: pending.job,
                    since: pending.task.scheduledAtMs))
        }
    }

    /// Holds of the key that are older than this count are void.
    private func keyDrops(of key: LimitKey, _ tenant: Tenant) -> UInt64 { slots[tenant]?[key]?.keyDrops ?? 0 }

    // MARK: Limits

    private mutating func note(_ limits: [StorageV1.Limit], of tenant: Tenant) {
        for case .concurrency(let slots)? in limits.map(\.kind) {
            fixed[tenant, default: [:]][LimitKey(slots.key)] = slots.maxConcurrency
        }
    }

    /// How many may hold a key at once; nil: no row says so.
    func maximum(of key: LimitKey, _ tenant: Tenant) -> UInt32? {
        slots[tenant]?[key]?.floating?.currentMax ?? fixed[tenant]?[key]
    }

    func isFloating(_ key: LimitKey, _ tenant: Tenant) -> Bool { slots[tenant]?[key]?.floating != nil }
}
