import SiloCore
import SiloStore

extension ShardMemory {
    /// Forgets everything of a tenant whose rows are being deleted, or are gone.
    func forget(_ tenant: Tenant) {
        for lease in leases.values where lease.queue.id.tenant == tenant { forget(lease) }
        for queue in queues(of: tenant) {
            windows.change(.ready(queue)) { $0.clear() }
            for axis in Axis.allCases { windows.change(.timers(queue, axis)) { $0.clear() } }
            queue.counts = StorageV1.QueueCounts()
            forget(queue)
            markDirty(queue)
        }
        for line in limits.lines.values where line.id.tenant == tenant { windows.change(.waiting(line)) { $0.clear() } }
        limits.forget(tenant)
        checks.removeAll { $0.tenant == tenant }
    }
}
