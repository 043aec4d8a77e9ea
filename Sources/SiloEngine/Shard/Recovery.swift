import Protobuf
import SiloCore
import SiloStore

extension ShardMemory {
    /// Rebuilds memory from a shard's database: the directory of queues, and the leases of those that have some.
    /// Ready jobs and timers are read when their turn comes.
    static func recover(
        from store: any KeyValueStore, settings: EngineSettings, windows: MemoryBudget, clock: any Clock
    ) async throws(StoreError) -> ShardMemory {
        let now = clock.now
        try await checkFormat(of: store, now: now)
        let memory = ShardMemory(settings: settings, windows: windows, pauses: try await pauses(in: store))
        try await memory.recoverLimits(from: store, now: now)

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
            memory.armTimers(of: queue)
            // Queues come in order of their tenants: one of each.
            if queue.counts.leased > 0, withLeases.last?.keys.prefix != queue.keys.prefix { withLeases.append(queue) }
        }
        for queue in withLeases { try await memory.recoverLeases(of: queue.id.tenant, from: store, clock) }
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
    private func recoverLimits(from store: any KeyValueStore, now: Timestamp) async throws(StoreError) {
        let states = ShardKeys.tenantStates
        try await store.scanAll(from: states.start, to: states.end) { row throws(StoreError) in
            guard let tenant = ShardKeys.parseTenant(row.key) else { return }
            let drops = try StorageV1.TenantState(stored: row.value).drops
            if drops > 0 { limits.setDropCount(of: tenant, drops) }
        }
        let refreshes = ShardKeys.refreshes
        try await store.scanAll(from: refreshes.start, to: refreshes.end) { row throws(StoreError) in
            guard let (tenant, key) = ShardKeys.parseRefresh(row.key), var record = try? StorageV1.Refresh(serializedBytes: row.value),
                let uuid = UUID(bytes: record.taskId)
            else { return }
            // As for jobs: its worker could not renew it meanwhile.
            if record.expiresAtMs != 0 { record.expiresAtMs = (now + settings.leaseMilliseconds).milliseconds }
            // None is planned for later than that, whatever the clock of the machine before said.
            record.dueAtMs = min(record.dueAtMs, (now + StorageV1.FloatingState.backoffMax).milliseconds)
            limits.refreshes.add(LiveRefresh(SlotLimit.Name(tenant: tenant, key: key), TaskID(uuid), record))
        }
        let first = try await store.scan(from: ShardKeys.lines.start, to: ShardKeys.lines.end, limit: 1)
        limits.unreadLines = first.first?.key
    }

    /// A worker could not renew its lease while nobody served the shard, so every lease starts anew, whatever the clock of the
    /// machine before said. A lease that cannot be read is set aside: it must not keep the shard from opening.
    private func recoverLeases(of tenant: Tenant, from store: any KeyValueStore, _ clock: any Clock) async throws(StoreError) {
        let keys = TenantKeys(tenant)
        var unreadable: [Write] = []
        try await store.scanAll(from: keys.leases.start, to: keys.leases.end) { row throws(StoreError) in
            guard let job = keys.parseJob(row.key), var record = try? StorageV1.Lease(serializedBytes: row.value),
                let uuid = UUID(bytes: record.taskId), let queue = queues[Queue.ID(tenant: tenant, group: TaskGroup(record.taskGroup))]
            else {
                unreadable.append(Write(key: ShardKeys.setAside(row.key), value: row.value))
                unreadable.append(Write(key: row.key, value: nil))
                return
            }
            record.expiresAtMs = (clock.now + settings.leaseMilliseconds).milliseconds
            let lease = LiveLease(
                taskID: TaskID(uuid), job: job, queue: queue, record: record, expiresAt: clock.steady + settings.leaseMilliseconds
            )
            leases[lease.taskID] = lease
            leaseAlarms.insert(LeaseAlarm(at: lease.expiresAt, taskID: lease.taskID))
        }
        guard !unreadable.isEmpty else { return }
        for queue in queues.values where queue.keys.prefix == keys.prefix {
            queue.counts.leased = UInt64(leases.values.filter { $0.queue === queue }.count)
            markDirty(queue)
        }
        takeDirtyRows(into: &unreadable)
        try await store.write(unreadable)
    }

    /// Marks a new database with the format, and refuses one that is newer than this program.
    private static func checkFormat(of store: any KeyValueStore, now: Timestamp) async throws(StoreError) {
        if let bytes = try await store.get(ShardKeys.info) {
            let info = try StorageV1.ShardInfo(stored: bytes)
            guard info.formatVersion <= ShardKeys.formatVersion else {
                throw .corrupt(
                    "the shard has format \(info.formatVersion), this program knows up to \(ShardKeys.formatVersion): "
                        + "run the newer program"
                )
            }
            // Older formats are part of this one; the program that wrote them must not open it any more.
            guard info.formatVersion < ShardKeys.formatVersion else { return }
            var raised = info
            raised.formatVersion = ShardKeys.formatVersion
            return try await store.write([Write(key: ShardKeys.info, value: raised.serializedBytes())])
        }
        var info = StorageV1.ShardInfo()
        info.formatVersion = ShardKeys.formatVersion
        info.createdAtMs = now.milliseconds
        try await store.write([Write(key: ShardKeys.info, value: info.serializedBytes())])
    }
}
