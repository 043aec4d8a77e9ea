import Protobuf
import SiloCore
import SiloStore

extension ShardMemory {
    /// Rebuilds memory from a shard's database: the directory of queues, and the leases of those that have some.
    /// Ready jobs and timers are read when their turn comes.
    static func recover(
        from store: any KeyValueStore, _ info: StorageV1.ShardInfo, settings: EngineSettings, windows: MemoryBudget,
        at now: Moment
    ) async throws(StoreError) -> ShardMemory {
        let memory = ShardMemory(settings: settings, windows: windows, pauses: try await pauses(in: store))
        memory.info = info
        memory.nextArrival = info.arrivalsFrom
        try await memory.recoverLimits(from: store, at: now.steady)

        var withLeases: [Queue] = []
        let directory = ShardKeys.queues
        try await store.scanAll(from: directory.start, to: directory.end, page: 4096) { row throws(StoreError) in
            guard let (tenant, group) = ShardKeys.parseQueue(row.key) else {
                throw .corrupt("a directory key cannot be read")
            }
            let queue = Queue(Queue.ID(tenant: tenant, group: group), counts: try StorageV1.QueueCounts(stored: row.value))
            memory.totalJobs += Int64(clamping: queue.total)
            memory.completedJobs += Int64(clamping: queue.completed)
            guard !queue.isIdle else { return }
            memory.add(queue)
            memory.activate(queue)
            for axis in Axis.allCases { memory.armTimers(of: queue, axis) }
            // Queues come in order of their tenants: one of each.
            if queue.counts.leased > 0, withLeases.last?.keys.prefix != queue.keys.prefix { withLeases.append(queue) }
        }
        for queue in withLeases { try await memory.recoverLeases(of: queue.id.tenant, from: store, at: now) }
        // What was read may have been written but not flushed by whoever served the shard before, and is answered from now on.
        try await store.flush()
        return memory
    }

    private static func pauses(in store: any KeyValueStore) async throws(StoreError) -> PauseTable {
        let pauses = PauseTable()
        let range = ShardKeys.pauses
        try await store.scanAll(from: range.start, to: range.end) { row throws(StoreError) in
            guard let target = ShardKeys.parsePause(row.key) else { return }
            pauses[target] = (try? StorageV1.Pause(serializedBytes: row.value)) ?? StorageV1.Pause()
        }
        return pauses
    }

    /// What is known of limits before the first of them is asked. Lines are read in the loop's turns: there may be many.
    private func recoverLimits(from store: any KeyValueStore, at now: Timestamp) async throws(StoreError) {
        let states = ShardKeys.tenantStates
        try await store.scanAll(from: states.start, to: states.end) { row throws(StoreError) in
            guard let tenant = ShardKeys.parseTenant(row.key) else { return }
            let drops = try StorageV1.TenantState(stored: row.value).drops
            if drops > 0 { limits.setDropCount(of: tenant, drops) }
        }
        let refreshes = ShardKeys.refreshes
        try await store.scanAll(from: refreshes.start, to: refreshes.end) { row throws(StoreError) in
            guard let (tenant, key) = ShardKeys.parseRefresh(row.key),
                var record = try? StorageV1.Refresh(serializedBytes: row.value),
                let uuid = UUID(bytes: record.taskId)
            else { return }
            // As for jobs: its worker could not renew it meanwhile.
            if record.expiresAtMs != 0 { record.expiresAtMs = (now + settings.leaseMilliseconds).milliseconds }
            limits.refreshes.add(LiveRefresh(SlotLimit.Name(tenant: tenant, key: key), TaskID(uuid), record))
        }
        let first = try await store.scan(from: ShardKeys.lines.start, to: ShardKeys.lines.end, limit: 1)
        limits.unreadLines = first.first?.key
    }

    /// A worker could not renew its lease while nobody served the shard, so every lease starts anew, whatever the clock of the
    /// machine before said. A lease that cannot be read is set aside: it must not keep the shard from opening.
    private func recoverLeases(of tenant: Tenant, from store: any KeyValueStore, at now: Moment) async throws(StoreError) {
        let keys = TenantKeys(tenant)
        var unreadable: [Write] = []
        try await store.scanAll(from: keys.leases.start, to: keys.leases.end) { row throws(StoreError) in
            guard let job = keys.parseJob(row.key), var record = try? StorageV1.Lease(serializedBytes: row.value),
                let uuid = UUID(bytes: record.taskId),
                let queue = queues[Queue.ID(tenant: tenant, group: TaskGroup(record.taskGroup))]
            else {
                unreadable.append(Write(key: ShardKeys.setAside(row.key), value: row.value))
                unreadable.append(Write(key: row.key, value: nil))
                return
            }
            record.expiresAtMs = (now.steady + settings.leaseMilliseconds).milliseconds
            let lease = LiveLease(taskID: TaskID(uuid), job: job, queue: queue, record: record)
            leases[lease.taskID] = lease
            leaseAlarms.insert(LeaseAlarm(at: lease.expiresAt, taskID: lease.taskID))
        }
        guard !unreadable.isEmpty else { return }
        for queue in queues.values where queue.keys.prefix == keys.prefix {
            queue.counts.leased = UInt64(leases.values.filter { $0.queue === queue }.count)
            markDirty(queue)
        }
        takeDirtyRows(into: &unreadable, at: now)
        try await store.write(unreadable)
    }

    /// What the database says of itself. A new one is marked with the format; one of another format is refused.
    static func info(of store: any KeyValueStore, now: Timestamp) async throws(StoreError) -> StorageV1.ShardInfo {
        if let bytes = try await store.get(ShardKeys.info) {
            let info = try StorageV1.ShardInfo(stored: bytes)
            guard info.formatVersion == ShardKeys.formatVersion else {
                let way = info.formatVersion > ShardKeys.formatVersion
                    ? "run the newer program" : "run the older program that wrote it, or begin with an empty place"
                throw .corrupt(
                    "the shard has format \(info.formatVersion), this program reads format \(ShardKeys.formatVersion) only: "
                        + "\(way)"
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

extension Transaction {
    /// Where a new job stands among those that came: behind all of them, whatever the clock says and whoever opened the shard.
    ///
    /// Numbers are set aside by the block, so that one row is written for very many jobs. When the shard is opened anew, those
    /// that are left of a block are passed over.
    func nextArrival() -> UInt64 {
        if memory.nextArrival >= memory.info.arrivalsFrom {
            let before = memory.info.arrivalsFrom
            memory.info.arrivalsFrom = memory.nextArrival + Self.arrivalsBlock
            memory.isInfoDirty = true
            onRollBack { $0.info.arrivalsFrom = before }
        }
        defer { memory.nextArrival += 1 }
        return memory.nextArrival
    }

    private static let arrivalsBlock: UInt64 = 1 << 20
}
