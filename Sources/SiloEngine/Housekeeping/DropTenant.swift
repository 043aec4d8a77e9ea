import Protobuf
public import SiloCore
package import SiloStore

/// Begins to delete everything of a tenant, which `DropStep` then does step by step, also after a crash: the tenant's state says
/// that it is to be done.
///
/// From this on the tenant has no jobs, whatever rows are left, and nothing can be done with it until all are gone. What runs is
/// lost: its worker hears it with its next heartbeat.
public struct DropTenant: Command {
    public let tenant: Tenant

    public init(tenant: Tenant) { self.tenant = tenant }

    package enum Found: Sendable {
        case underWay(StorageV1.TenantDrop)
        case whole(TenantCounts)
    }

    package func check(_ view: View) async throws(Refusal) -> Found {
        if let drop = view.drop(of: tenant) { return .underWay(drop) }
        return .whole(try await view.counts(of: tenant))
    }

    /// What there is to be deleted. Durable when answered; asked again meanwhile it says how far it has come.
    package func run(_ found: Found, in transaction: Transaction) async throws(StoreError) -> StorageV1.TenantDrop {
        let counts: TenantCounts
        switch found {
        case .underWay(let drop): return drop
        case .whole(let found): counts = found
        }
        let memory = transaction.memory
        transaction.reached(.tenantDropBegun)
        for queue in counts.storedOnly { memory.levels.forget(queue) }
        var drop = StorageV1.TenantDrop()
        drop.startedAtMs = transaction.now.milliseconds
        drop.jobs = counts.total
        drop.rowsExpected = 2 * counts.total + counts.completed
        var state = memory.limits.state(of: tenant)
        // So that what is held is void at once.
        state.drops &+= 1
        state.drop = drop
        transaction.rows.put(ShardKeys.tenantState(tenant), state.serializedBytes())
        memory.totalJobs -= Int64(clamping: counts.total)
        memory.completedJobs -= Int64(clamping: counts.completed)
        memory.forget(tenant)
        memory.limits.take(state, of: tenant)
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
        /// The store does not answer: there is more to do some time later.
        var isUnanswered = false
        /// How long the loop was at it.
        var milliseconds: Int64 = 0
    }
    let tenant: Tenant

    static var isAside: Bool { true }

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
        var isUnanswered = false
        while let start = from {
            let page = try await transaction.ifAnswered { () async throws(StoreError) in
                try await transaction.rows.scan(from: start, to: range.end, limit: Self.pageRows)
            }
            guard let (rows, next) = page else {
                isUnanswered = true
                break
            }
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
        return Answer(isDone: false, isUnanswered: isUnanswered, milliseconds: milliseconds)
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
        var state = transaction.memory.limits.state(of: tenant)
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
    /// Memory is ahead of the rows.
    func counts(of tenant: Tenant) async throws(StoreError) -> TenantCounts {
        var counts = TenantCounts()
        for queue in memory.queues(of: tenant) { counts.add(queue) }
        let range = TenantKeys(tenant).queues
        var start: Bytes? = range.start
        while let from = start {
            let (found, next) = try await rows.scan(from: from, to: range.end, limit: 1024, merging: false)
            for row in found {
                guard case .queue(_, let group)? = ShardKeys.parse(row.key) else { continue }
                let id = Queue.ID(tenant: tenant, group: group)
                guard memory.queues[id] == nil, let stored = try? StorageV1.QueueCounts(serializedBytes: row.value) else {
                    continue
                }
                let queue = Queue(id, counts: stored)
                counts.add(queue)
                counts.storedOnly.append(queue)
            }
            start = next
        }
        return counts
    }
}

// Safety: made and used in one turn of the loop.
/// The jobs that a tenant has, and those of them that have finished.
package struct TenantCounts: @unchecked Sendable {
    private(set) var total: UInt64 = 0
    private(set) var completed: UInt64 = 0
    /// Queues that memory does not hold.
    fileprivate(set) var storedOnly: [Queue] = []

    fileprivate mutating func add(_ queue: Queue) {
        total += queue.total
        completed += queue.completed
    }
}
