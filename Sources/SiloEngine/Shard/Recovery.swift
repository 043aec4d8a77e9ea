import Protobuf
import SiloCore
import SiloStore

extension ShardMemory {
    /// Rebuilds memory from a shard's database: of each slice that holds anything, the indexes, and the leases if it has some.
    /// Ready jobs and timers are read when their turn comes, lines while the shard serves.
    static func recover(
        from store: any KeyValueStore, _ info: StorageV1.ShardInfo, settings: EngineSettings, windows: MemoryBudget,
        measured: MeasuredGroups? = nil, at now: Moment
    ) async throws(StoreError) -> ShardMemory {
        let slices = try await slices(in: store)
        let memory = ShardMemory(
            settings: settings, windows: windows, info: info, slices: slices, measured: measured, at: now.steady)
        memory.limits.pauses.take(try await store.rows(of: ShardKeys.pauses))
        memory.bulks.take(try await store.rows(of: ShardKeys.bulks))
        try await store.indexes(of: slices.slices) { slice, rows throws(StoreError) in
            if rows.isEmpty, try await store.scan(from: slice.rows.start, to: slice.rows.end, limit: 1).isEmpty {
                return memory.slices.forget(slice)
            }
            let hasLeases = try memory.take(rows.map { IndexRow($0) }, at: now.steady)
            if hasLeases { try await memory.recoverLeases(of: slice, from: store, at: now) }
        }
        memory.limits.unreadLines = memory.slices.set.slices.first?.lines.start
        // What was read may have been written but not flushed by whoever served the shard before, and is answered from now on.
        try await store.flush()
        return memory
    }

    /// The slices that hold anything.
    static func slices(in store: any StoreReader) async throws(StoreError) -> SliceSet {
        guard let stored = try await store.get(ShardKeys.slices) else { return SliceSet() }
        guard let set = SliceSet(stored: stored) else { throw .corrupt("the set of slices cannot be read") }
        return set
    }

    static func pauses(in store: any StoreReader) async throws(StoreError) -> PauseTable {
        let pauses = PauseTable()
        pauses.take(try await store.rows(of: ShardKeys.pauses))
        for slice in try await slices(in: store).slices { pauses.take(try await store.rows(of: slice.pauses)) }
        return pauses
    }

    /// What is known of queues, and of limits before the first of them is asked.
    /// - Returns: whether a queue counts leases.
    private func take(_ rows: [IndexRow], at now: Timestamp) throws(StoreError) -> Bool {
        var hasLeases = false
        // A queue has to know them.
        for row in rows { limits.pauses.take(row) }
        try takeDrops(rows)
        for row in rows {
            switch row.index {
            case .queue(let tenant, _) where drops[tenant] != nil, .refresh(let tenant, _) where drops[tenant] != nil: break
            case .queue(let tenant, let group):
                let queue = Queue(Queue.ID(tenant: tenant, group: group), counts: try StorageV1.QueueCounts(stored: row.value))
                if queue.counts.leased > 0 { hasLeases = true }
                take(queue)
            case .refresh(let tenant, let key): take(row.value, of: SlotLimit.Name(tenant: tenant, key: key), at: now)
            case .tenantState(let tenant):
                limits.take(try StorageV1.TenantState(stored: row.value), of: tenant)
            case .pause, .line: break
            case nil: throw .corrupt("a key of an index cannot be read")
            }
        }
        return hasLeases
    }

    /// Of a tenant that is being dropped nothing is left, whatever rows are.
    private func takeDrops(_ rows: [IndexRow]) throws(StoreError) {
        for row in rows {
            guard case .tenantState(let tenant)? = row.index,
                let drop = try StorageV1.TenantState(stored: row.value).drop
            else { continue }
            setDrop(of: tenant, drop)
        }
    }

    private func take(_ queue: Queue) {
        totalJobs += Int64(clamping: queue.total)
        completedJobs += Int64(clamping: queue.completed)
        queue.notedCounts = StorageV1.QueueCounts()
        if !queue.isIdle {
            add(queue)
            resume(queue)
            for axis in Axis.allCases { armTimers(of: queue, axis) }
        }
        levels.note(queue)
    }

    /// As for jobs: the worker of a refresh could not renew its lease meanwhile.
    private func take(_ refresh: Bytes, of limit: SlotLimit.Name, at now: Timestamp) {
        guard var record = try? StorageV1.Refresh(serializedBytes: refresh), let uuid = UUID(bytes: record.taskId) else {
            return
        }
        if record.expiresAtMs != 0 { record.expiresAtMs = (now + settings.leaseMilliseconds).milliseconds }
        limits.refreshes.add(LiveRefresh(limit, TaskID(uuid), record))
    }

    /// A worker could not renew its lease while nobody served the shard, so every lease starts anew, whatever the clock of the
    /// machine before said. A lease that cannot be read is set aside: it must not keep the shard from opening.
    private func recoverLeases(of slice: Slice, from store: any KeyValueStore, at now: Moment) async throws(StoreError) {
        var unreadable: [Row] = []
        try await store.scanAll(from: slice.leases.start, to: slice.leases.end) { row throws(StoreError) in
            let names = ShardKeys.parseLease(row.key)
            if let names, drops[names.tenant] != nil { return }
            guard let (tenant, job) = names,
                var record = try? StorageV1.Lease(serializedBytes: row.value),
                let uuid = UUID(bytes: record.taskId),
                let queue = queues[Queue.ID(tenant: tenant, group: TaskGroup(record.taskGroup))]
            else { return unreadable.append(row) }
            record.expiresAtMs = (now.steady + settings.leaseMilliseconds).milliseconds
            let lease = LiveLease(taskID: TaskID(uuid), job: job, queue: queue, record: record)
            hold(lease)
        }
        guard !unreadable.isEmpty else { return }
        try await setAside(unreadable, of: slice, in: store, at: now)
    }

    private func setAside(_ rows: [Row], of slice: Slice, in store: any KeyValueStore, at now: Moment) async throws(StoreError) {
        var batch = rows.flatMap { row in
            [Write(key: ShardKeys.setAside(row.key), value: row.value), Write(key: row.key, value: nil)]
        }
        var counts: [ObjectIdentifier: UInt64] = [:]
        for lease in leases.values { counts[ObjectIdentifier(lease.queue), default: 0] += 1 }
        for queue in queues.values where queue.keys.slice == slice {
            queue.counts.leased = counts[ObjectIdentifier(queue)] ?? 0
            markDirty(queue)
        }
        takeDirtyRows(into: &batch, at: now)
        try await store.write(batch)
    }

    /// What the database says of itself. A new one is marked with the format; one of another format is refused.
    static func info(of store: any KeyValueStore, now: Timestamp) async throws(StoreError) -> StorageV1.ShardInfo {
        if let bytes = try await store.get(ShardKeys.info) {
            let info = try StorageV1.ShardInfo(stored: bytes)
            guard info.formatVersion == ShardKeys.formatVersion else {
                let way = info.formatVersion > ShardKeys.formatVersion
                    ? "run the newer program" : "run the older program that wrote it, or begin with an empty place"
                throw .corrupt(
                    "the shard has format \(info.formatVersion), "
                        + "this program reads format \(ShardKeys.formatVersion) only: \(way)"
                )
            }
            return info
        }
        var info = StorageV1.ShardInfo()
        info.formatVersion = ShardKeys.formatVersion
        info.createdAtMs = now.milliseconds
        try await store.write([Write(key: ShardKeys.info, value: info.serializedBytes())])
        return info
    }
}

/// A row of an index, whose key is taken apart once.
private struct IndexRow {
    let index: ShardKeys.Index?
    let value: Bytes

    init(_ row: Row) {
        index = ShardKeys.parse(row.key)
        value = row.value
    }
}

extension PauseTable {
    fileprivate func take(_ rows: [Row]) {
        for row in rows { take(IndexRow(row)) }
    }

    fileprivate func take(_ row: IndexRow) {
        guard case .pause(let target)? = row.index else { return }
        self[target] = (try? StorageV1.Pause(serializedBytes: row.value)) ?? StorageV1.Pause()
    }
}

extension StoreReader {
    /// Every row of a range that is known to be small.
    fileprivate func rows(of range: (start: Bytes, end: Bytes)) async throws(StoreError) -> [Row] {
        var rows: [Row] = []
        try await scanAll(from: range.start, to: range.end) { row throws(StoreError) in rows.append(row) }
        return rows
    }

    /// The indexes of slices, in order. Some are read at once, while those before them are taken: each takes a round trip where
    /// the data lies in a bucket, and time of a processor where it does not.
    fileprivate func indexes(
        of slices: [Slice], _ take: (Slice, [Row]) async throws(StoreError) -> Void
    ) async throws(StoreError) {
        let result = await withTaskGroup(of: (index: Int, rows: Result<[Row], StoreError>).self) { group in
            var read: [Int: Result<[Row], StoreError>] = [:]
            var asked = 0
            do throws(StoreError) {
                for (index, slice) in slices.enumerated() {
                    while asked < min(slices.count, index + Self.slicesAtOnce) {
                        group.addTask { [asked, slice = slices[asked]] in
                            do throws(StoreError) { return (asked, .success(try await rows(of: slice.indexes))) } catch {
                                return (asked, .failure(error))
                            }
                        }
                        asked += 1
                    }
                    while read[index] == nil, let next = await group.next() { read[next.index] = next.rows }
                    guard let rows = read.removeValue(forKey: index) else { throw .unavailable("an index was not read") }
                    try await take(slice, try rows.get())
                }
                return Result<Void, StoreError>.success(())
            } catch {
                group.cancelAll()
                return .failure(error)
            }
        }
        try result.get()
    }

    private static var slicesAtOnce: Int { 16 }
}
