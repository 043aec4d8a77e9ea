import Protobuf
import SiloCore
import SiloStore

extension ShardMemory {
    /// Rebuilds memory from a shard's database: the directory of queues, and the leases of those that have some.
    /// Ready jobs and timers are read when their turn comes.
    static func recover(
        from store: any KeyValueStore, settings: EngineSettings, now: Timestamp
    ) async throws(StoreError) -> ShardMemory {
        let memory = ShardMemory(settings: settings)
        try await checkFormat(of: store, now: now)

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
            memory.queues[queue.id] = queue
            memory.activate(queue)
            memory.armTimers(of: queue)
            // Queues come in order of their tenants: one of each.
            if queue.counts.leased > 0, withLeases.last?.keys.prefix != queue.keys.prefix { withLeases.append(queue) }
        }
        for queue in withLeases { try await memory.recoverLeases(of: queue.id.tenant, from: store, now: now) }
        // What was read may have been written but not flushed by whoever served the shard before, and is answered from now on.
        try await store.flush()
        return memory
    }

    /// A worker could not renew its lease while nobody served the shard, so every lease starts anew. A lease that cannot be
    /// read is set aside: it must not keep the shard from opening.
    private func recoverLeases(of tenant: Tenant, from store: any KeyValueStore, now: Timestamp) async throws(StoreError) {
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
            record.expiresAtMs = max(record.expiresAtMs, (now + settings.leaseMilliseconds).milliseconds)
            let lease = LiveLease(taskID: TaskID(uuid), job: job, queue: queue, record: record)
            leases[lease.taskID] = lease
            leaseAlarms.insert(LeaseAlarm(at: lease.expiresAt, taskID: lease.taskID))
        }
        guard !unreadable.isEmpty else { return }
        for queue in queues.values where queue.keys.prefix == keys.prefix {
            queue.counts.leased = UInt64(leases.values.filter { $0.queue === queue }.count)
            markDirty(queue)
        }
        try await store.write(unreadable + takeDirtyRows())
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
            return
        }
        var info = StorageV1.ShardInfo()
        info.formatVersion = ShardKeys.formatVersion
        info.createdAtMs = now.milliseconds
        try await store.write([Write(key: ShardKeys.info, value: info.serializedBytes())])
    }
}
