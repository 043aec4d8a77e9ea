import SiloCore
import SiloStore

/// The limits and lines that memory holds, and what is to be done about them. Only the shard's loop touches it.
final class LimitTable {
    private var slots: [SlotLimit.Name: SlotLimit] = [:]
    private var buckets: [Limit.ID: BucketLimit] = [:]
    /// Both kinds, in an order that a walk can go on in.
    private var inOrder = SortedSet<LimitInOrder>()
    private(set) var lines: [Line.ID: Line] = [:]
    /// Lines that ended in this batch.
    private var ended: [Line.ID: Line] = [:]

    /// Counts of dropped holders, of the tenants that have one.
    private(set) var drops: [Tenant: UInt32] = [:]
    /// Counts of drops of single keys, of the tenants that have one.
    private(set) var keyDrops: [Tenant: UInt64] = [:]
    /// Tenants whose rows say that they have slots.
    private var limited: Recent<Tenant, Void>

    /// Outstanding refreshes of floating limits, and where their tasks lead.
    var refreshes = RefreshTable()
    let pauses: PauseTable

    /// When a bucket has room again, or a floating limit is to be refreshed.
    private var alarms = PerAxis(Heap<LimitAlarm>())

    private var freed = FIFO<Limit>()
    private var kept = KeptSlots()
    private var dirtySlots = DirtyRows<SlotLimit>()
    private var dirtyBuckets = DirtyRows<BucketLimit>()
    private var dirtyLines = DirtyRows<Line>()

    /// From where on the stored lines have not been read yet; nil when all are in memory.
    var unreadLines: Bytes?

    /// Limits that nobody waited for when they were noted.
    private var idle = IdleSweep<Limit>()
    private let healed: Healed
    private let branches: Branches

    /// - Parameter limitedMax: tenants that are remembered as having slots.
    init(pauses: PauseTable, healed: Healed, branches: Branches, limitedMax: Int) {
        self.pauses = pauses
        self.healed = healed
        self.branches = branches
        limited = Recent(limitedMax)
    }

    func isNotedLimited(_ tenant: Tenant) -> Bool { limited[tenant] != nil }
    func noteLimited(_ tenant: Tenant) { limited.set(tenant, ()) }

    /// A slot was freed that nobody held.
    func noteGhostRelease() { healed.note(.ghostRelease) }

    // MARK: Limits

    func slot(_ tenant: Tenant, _ key: LimitKey) -> SlotLimit? { slots[SlotLimit.Name(tenant: tenant, key: key)] }
    func bucket(_ id: Limit.ID) -> BucketLimit? { buckets[id] }

    /// One of the two kinds.
    enum Found {
        case slots(SlotLimit)
        case bucket(BucketLimit)

        var limit: Limit {
            switch self {
            case .slots(let limit): limit
            case .bucket(let limit): limit
            }
        }
    }

    private func find(_ id: Limit.ID) -> Found? {
        switch id {
        case .slots(let tenant, let key): slot(tenant, key).map { .slots($0) }
        case .bucket: buckets[id].map { .bucket($0) }
        }
    }

    func add(_ tenant: Tenant, _ limit: SlotLimit) {
        limit.isPaused = pauses.isPaused(limit.key, of: tenant)
        replace(slots.updateValue(limit, forKey: SlotLimit.Name(tenant: tenant, key: limit.key)), by: limit)
        noteIdle(limit)
    }

    func add(_ limit: BucketLimit) {
        replace(buckets.updateValue(limit, forKey: limit.id), by: limit)
        noteIdle(limit)
    }

    private func replace(_ before: Limit?, by limit: Limit) {
        if let before { inOrder.remove(LimitInOrder(before)) }
        inOrder.insert(LimitInOrder(limit))
    }

    private func drop(_ name: SlotLimit.Name) {
        if let limit = slots.removeValue(forKey: name) { inOrder.remove(LimitInOrder(limit)) }
    }

    private func drop(_ id: Limit.ID) {
        if let limit = buckets.removeValue(forKey: id) { inOrder.remove(LimitInOrder(limit)) }
    }

    /// A tenant's limits in memory, in order of their keys.
    func slots(of tenant: Tenant) -> [SlotLimit] {
        slots.filter { $0.key.tenant == tenant }.map(\.value).sorted { $0.key < $1.key }
    }

    func dropCount(of tenant: Tenant) -> UInt32 { drops.isEmpty ? 0 : drops[tenant] ?? 0 }
    func setDropCount(of tenant: Tenant, _ count: UInt32) { drops[tenant] = count }
    func keyDropCount(of tenant: Tenant) -> UInt64 { keyDrops.isEmpty ? 0 : keyDrops[tenant] ?? 0 }
    func setKeyDropCount(of tenant: Tenant, _ count: UInt64) { keyDrops[tenant] = count }

    /// Takes over what is stored of the tenant.
    func take(_ state: StorageV1.TenantState, of tenant: Tenant) {
        if state.drops > 0 { drops[tenant] = state.drops }
        if state.keyDrops > 0 { keyDrops[tenant] = state.keyDrops }
    }

    /// The mark of what is taken now.
    func hold(of tenant: Tenant) -> Hold { Hold(drops: dropCount(of: tenant), keyDrops: keyDropCount(of: tenant)) }

    /// What is stored of the tenant, but for its being dropped.
    func state(of tenant: Tenant) -> StorageV1.TenantState {
        var state = StorageV1.TenantState()
        state.drops = dropCount(of: tenant)
        state.keyDrops = keyDropCount(of: tenant)
        return state
    }

    /// Shows the limits that memory holds: see `View.forEachLimit`.
    func forEach(of tenant: Tenant?, after place: inout LimitPlace?, atMost countMax: Int, _ body: (Limit) -> Void) -> Bool {
        let (begin, hash) = (place, tenant?.hash)
        var left = countMax
        var last: LimitInOrder?
        func isPassed(_ next: LimitInOrder) -> Bool {
            if let hash, next.tenant < hash { return true }
            return begin.map { next.place <= $0 } ?? false
        }
        inOrder.forEach(behind: isPassed) { next in
            guard left > 0, hash.map({ next.tenant == $0 }) ?? true else { return false }
            left -= 1
            last = next
            body(next.limit)
            return true
        }
        if let last { place = last.place }
        return left > 0
    }

    // MARK: Lines

    func line(_ id: Line.ID) -> Line? { lines[id] ?? ended[id] }

    func add(_ line: Line) {
        lines[line.id] = line
        ended[line.id] = nil
    }

    /// Nobody waits in the line any more.
    func forget(_ line: Line) {
        stopKeeping(for: line)
        leave(line)
        lines[line.id] = nil
        // Until its row is written it is the one that a newcomer begins again: no row may be written twice in a batch.
        if line.isDirty { ended[line.id] = line }
    }

    /// The line waits at no limit any more.
    private func leave(_ line: Line) {
        guard let limit = line.blockedAt else { return }
        limit.lines.remove(line)
        noteIdle(limit)
    }

    /// The line waits at a limit from now on, until it is looked at again.
    func park(_ line: Line, at demand: Demand) {
        if let other = line.blockedAt, other !== demand.limit { branches.reached(.lineMovedToOtherLimit) }
        leave(line)
        demand.limit.lines.add(line, max: demand.max, at: demand.limit)
        if case .slot(let limit, _) = demand { planRefresh(of: limit) }
    }

    // MARK: Keeping slots

    /// The line could not use a slot that came free, because its jobs need another besides: see `KeptSlots`.
    func passedOver(_ line: Line, _ demands: [Demand], patience: Int64, at now: Timestamp) {
        if kept.passedOver(line, demands, patience: patience, at: now) { branches.reached(.slotsKeptForStarving) }
    }

    /// The line got what it needs, or nobody waits in it any more.
    func stopKeeping(for line: Line) {
        for limit in kept.stop(for: line) { markFreed(limit) }
    }

    // MARK: What is to be done

    /// Something of the limit may have come free: whoever waits for it is looked at before anything is made durable.
    func markFreed(_ limit: Limit) {
        guard !limit.isFreed, !limit.lines.isEmpty else { return }
        limit.isFreed = true
        freed.append(limit)
    }

    var hasFreed: Bool { !freed.isEmpty }

    func nextFreed() -> Limit? {
        let limit = freed.popFirst()
        limit?.isFreed = false
        return limit
    }

    /// The limit is looked at again no later than at a time of one of the clocks.
    func setAlarm(_ limit: Limit, _ axis: Axis, at time: Timestamp) {
        guard limit.alarm[axis].map({ time < $0 }) ?? true else { return }
        limit.alarm[axis] = time
        alarms[axis].insert(LimitAlarm(at: time, limit: limit.id))
    }

    var nextAlarm: PerAxis<Timestamp?> {
        PerAxis(wall: alarms.wall.first?.at, steady: [alarms.steady.first?.at, refreshes.nextAlarm].compactMap { $0 }.min())
    }

    /// The next limit whose alarm rings by `now`.
    func popAlarm(_ axis: Axis, by now: Timestamp) -> Found? {
        while let alarm = alarms[axis].first, alarm.at <= now {
            alarms[axis].popFirst()
            guard let found = find(alarm.limit), found.limit.alarm[axis] == alarm.at else { continue }
            found.limit.alarm[axis] = nil
            return found
        }
        return nil
    }

    /// A floating limit that somebody waits for is looked at when its next refresh may begin.
    func planRefresh(of limit: SlotLimit) {
        guard let floating = limit.floating, !limit.lines.isEmpty, refreshes[limit.id] == nil else { return }
        setAlarm(limit, .steady, at: floating.refreshFrom)
    }

    /// Forgets all limits of a tenant, who waits at them, and what of it is paused.
    func forget(_ tenant: Tenant) {
        for line in lines.values where line.id.tenant == tenant { forget(line) }
        for limit in slots(of: tenant) { drop(SlotLimit.Name(tenant: tenant, key: limit.key)) }
        for id in buckets.keys where id.tenant == tenant { drop(id) }
        for refresh in refreshes.all where refresh.limit.tenant == tenant { refreshes.remove(refresh) }
        for target in pauses.all.keys where target.tenant == tenant { pauses[target] = nil }
        drops[tenant] = nil
        keyDrops[tenant] = nil
        limited.forget(tenant)
    }

    // MARK: Rows

    func markDirty(_ limit: SlotLimit) { dirtySlots.mark(limit) }
    func markDirty(_ limit: BucketLimit) { dirtyBuckets.mark(limit) }
    func markDirty(_ line: Line) { dirtyLines.mark(line) }

    /// Adds the rows that memory is ahead of. A row that is not there is not deleted.
    /// - Returns: whether one of them stores the end of a length of time.
    func takeDirtyRows(into batch: inout [Write], at now: Moment) -> Bool {
        var storesDelays = false
        dirtySlots.takeAll { limit in
            if limit.floating != nil { storesDelays = true }
            add(limit.row(TenantKeys(limit.id.tenant)), to: &batch, &limit.isStored)
            noteIdle(limit)
        }
        dirtyBuckets.takeAll { limit in
            if !limit.bucket.isEmpty { storesDelays = true }
            add(limit.row(TenantKeys(limit.id.tenant), at: now), to: &batch, &limit.isStored)
            noteIdle(limit)
        }
        dirtyLines.takeAll { line in
            line.hasUnwrittenRows = false
            add(line.row(), to: &batch, &line.isStored)
        }
        ended.removeAll(keepingCapacity: true)
        return storesDelays
    }

    private func add(_ write: Write, to batch: inout [Write], _ isStored: inout Bool) {
        guard write.value != nil || isStored else { return }
        isStored = write.value != nil
        batch.append(write)
    }

    // MARK: Bounds

    var count: Int { slots.count + buckets.count }
    var slotCount: Int { slots.count }
    var bucketCount: Int { buckets.count }

    private func noteIdle(_ limit: Limit) {
        if limit.lines.isEmpty { idle.note(limit) }
    }

    /// Forgets limits that nobody waits for, those that were idle first, when there are many: their rows say all there is to
    /// know.
    func forgetIdle(above countMax: Int) {
        idle.sweep(above: countMax) { limit in
            guard limit.lines.isEmpty else { return .busy }
            guard !limit.isDirty, !limit.isFreed, !limit.isKept else { return .later }
            branches.reached(.limitForgotten)
            switch limit.id {
            case .slots(let tenant, let key):
                let name = SlotLimit.Name(tenant: tenant, key: key)
                if slots[name] === limit { drop(name) }
            case .bucket:
                if buckets[limit.id] === limit { drop(limit.id) }
            }
            return .forgotten
        }
    }
}

/// When to look at a limit.
private struct LimitAlarm: Comparable {
    let at: Timestamp
    let limit: Limit.ID
    static func < (left: LimitAlarm, right: LimitAlarm) -> Bool { left.at < right.at }
    static func == (left: LimitAlarm, right: LimitAlarm) -> Bool { left.at == right.at && left.limit == right.limit }
}

extension StorageV1.FloatingState {
    /// The longest time between a refresh that failed and the next, in milliseconds.
    static let backoffMax: Int64 = 60_000

    /// When the next refresh may begin, by steady time.
    var refreshFrom: Timestamp {
        max(Timestamp(lastRefreshedSteadyMs) + refreshIntervalMs, Timestamp(nextRetryAtMs ?? 0))
    }
}
