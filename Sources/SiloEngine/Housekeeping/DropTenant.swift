import Protobuf
public import SiloCore
package import SiloStore

/// Begins to delete everything of a tenant, which `DropStep` then does step by step, also after a crash: the tenant's state says
/// that it is to be done.
///
/// From this on the tenant has no jobs, whatever rows are left, and nothing can be done with it until all are gone. What runs is
/// lost: its worker hears it with its next heartbeat.
public struct DropTenant: Duty {
    public let tenant: Tenant

    public init(tenant: Tenant) { self.tenant = tenant }

    /// What there is to be deleted. Durable when answered; asked again meanwhile it says how far it has come.
    package func run(in transaction: Transaction) async throws(StoreError) -> StorageV1.TenantDrop {
        let memory = transaction.memory
        if let drop = memory.drops[tenant] { return drop }
        transaction.reached(.tenantDropBegun)
        let counts = try await transaction.counts(of: tenant) { memory.levels.forget($0) }
        var drop = StorageV1.TenantDrop()
        drop.startedAtMs = transaction.now.milliseconds
        drop.jobs = counts.total
        drop.rowsExpected = 2 * counts.total + counts.completed
        var state = StorageV1.TenantState()
        // So that what is held is void at once.
        state.drops = memory.limits.dropCount(of: tenant) &+ 1
        state.drop = drop
        transaction.rows.put(ShardKeys.tenantState(tenant), state.serializedBytes())
        memory.totalJobs -= Int64(clamping: counts.total)
        memory.completedJobs -= Int64(clamping: counts.completed)
        memory.forget(tenant)
        memory.limits.setDropCount(of: tenant, state.drops)
        memory.setDrop(of: tenant, drop)
        return drop
    }
}

/// Deletes some more rows of a tenant that is being dropped, from where its state says that it goes on: what is deleted is not
/// walked over again.
struct DropStep: Duty {
    struct Answer {
        /// Nothing of the tenant is left.
        var isDone = true
        /// How long the loop was at it.
        var milliseconds: Int64 = 0
    }
    let tenant: Tenant

    /// Of one step; rows are read in pages, for those of jobs may be large.
    static let rowsMax = 512
    private static let bytesMax = 4 << 20
    private static let pageRows = 32
    private static let millisecondsMax: Int64 = 5

    var jobCount: Int { 32 }

    func run(in transaction: Transaction) async throws(StoreError) -> Answer {
        guard var drop = transaction.memory.drops[tenant] else { return Answer() }
        let keys = TenantKeys(tenant)
        let ranges = keys.everything + [keys.slice.periods]
        let number = ranges.firstIndex { Self.contains($0, drop.next) } ?? 0
        let range = ranges[number]
        let began = transaction.steady
        var (deleted, bytes) = (0, 0)
        var from: Bytes? = Self.contains(range, drop.next) ? drop.next : range.start
        while let start = from {
            let (rows, next) = try await transaction.rows.scan(from: start, to: range.end, limit: Self.pageRows)
            for row in rows where number < ranges.count - 1 || RetainedKeys.parsePeriod(row.key)?.tenant == tenant {
                delete(row, keys, in: transaction)
                deleted += 1
                bytes += row.value.count
            }
            from = next
            transaction.begin()
            if deleted >= Self.rowsMax || bytes >= Self.bytesMax || transaction.steady - began >= Self.millisecondsMax { break }
        }
        let milliseconds = transaction.steady - began
        guard let next = from ?? (number + 1 < ranges.count ? ranges[number + 1].start : nil) else {
            end(keys, in: transaction)
            return Answer(milliseconds: milliseconds)
        }
        drop.rowsDeleted += UInt64(deleted)
        drop.next = next
        write(drop, in: transaction)
        return Answer(isDone: false, milliseconds: milliseconds)
    }

    private static func contains(_ range: (start: Bytes, end: Bytes), _ key: Bytes) -> Bool {
        !key.lexicographicallyPrecedes(range.start) && key.lexicographicallyPrecedes(range.end)
    }

    /// With a row among finished ones go those of the indexes across tenants.
    private func delete(_ row: Row, _ keys: TenantKeys, in transaction: Transaction) {
        transaction.rows.delete(row.key)
        guard let (state, changedAt, id) = keys.parseFinishedRow(row.key) else { return }
        if state == UInt8(StorageV1.JobState.failed.rawValue) { transaction.rows.delete(keys.failed(changedAt, id)) }
        guard let record = try? StorageV1.FinishedJob(serializedBytes: row.value), record.keptUntilMs != 0 else { return }
        transaction.rows.delete(keys.keptUntil(Timestamp(record.keptUntilMs), id))
    }

    private func write(_ drop: StorageV1.TenantDrop, in transaction: Transaction) {
        var state = StorageV1.TenantState()
        state.drops = transaction.memory.limits.dropCount(of: tenant)
        state.drop = drop
        transaction.rows.put(ShardKeys.tenantState(tenant), state.serializedBytes())
        transaction.memory.setDrop(of: tenant, drop)
    }

    private func end(_ keys: TenantKeys, in transaction: Transaction) {
        transaction.reached(.tenantDropEnded)
        transaction.rows.delete(ShardKeys.tenantState(tenant))
        transaction.memory.forget(tenant)
        transaction.memory.setDrop(of: tenant, nil)
    }
}

extension Transaction {
    /// Jobs that a tenant has, and those of them that have finished. Memory is ahead of the rows.
    /// - Parameter visit: is given each queue that memory does not hold.
    func counts(
        of tenant: Tenant, visiting visit: (Queue) -> Void = { _ in }
    ) async throws(StoreError) -> (total: UInt64, completed: UInt64) {
        var (total, completed) = (UInt64(0), UInt64(0))
        for queue in memory.queues(of: tenant) {
            total += queue.total
            completed += queue.completed
        }
        let range = TenantKeys(tenant).queues
        var start: Bytes? = range.start
        while let from = start {
            let (found, next) = try await rows.scan(from: from, to: range.end, limit: 1024, merging: false)
            for row in found {
                guard case .queue(_, let group)? = ShardKeys.parse(row.key) else { continue }
                let id = Queue.ID(tenant: tenant, group: group)
                guard memory.queues[id] == nil, let counts = try? StorageV1.QueueCounts(serializedBytes: row.value) else {
                    continue
                }
                let queue = Queue(id, counts: counts)
                total += queue.total
                completed += queue.completed
                visit(queue)
            }
            start = next
        }
        return (total, completed)
    }
}
