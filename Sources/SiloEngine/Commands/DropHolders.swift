import Protobuf
public import SiloCore
package import SiloStore

/// Frees the slots that a tenant's jobs hold, of all limits or of one (spec/jobs.md 6.14): for emergencies. What runs goes on,
/// without slots.
///
/// The tenant's counts of drops are part of every hold, so that a hold from before is void wherever it stands.
public struct DropHolders: Command {
    public let tenant: Tenant
    /// Of which limit; nil: of all.
    public let key: LimitKey?

    public init(tenant: Tenant, key: LimitKey? = nil) {
        self.tenant = tenant
        self.key = key
    }

    /// Slots of the one limit that are held, or those of limits which memory does not hold.
    package func check(_ view: View) async throws(Refusal) -> UInt64 {
        // Nothing is held there.
        guard view.drop(of: tenant) == nil else { return 0 }
        guard let key else { return try await view.storedHolders(of: tenant) }
        try await view.prepare { $0.unread([key], of: tenant) }
        return try await view.slot(key, of: tenant).held
    }

    /// How many slots were held. Durable when answered.
    package func run(_ found: UInt64, in transaction: Transaction) async throws(StoreError) -> UInt64 {
        guard transaction.memory.drops[tenant] == nil else { return 0 }
        if let key { return found == 0 ? 0 : try await dropHolders(of: key, in: transaction) }
        return dropAll(found, in: transaction)
    }

    private func dropHolders(of key: LimitKey, in transaction: Transaction) async throws(StoreError) -> UInt64 {
        let limits = transaction.memory.limits
        let limit = try await transaction.limits.slot(key, of: tenant)
        let count = limit.held
        limits.setKeyDropCount(of: tenant, limits.keyDropCount(of: tenant) &+ 1)
        transaction.rows.put(ShardKeys.tenantState(tenant), limits.state(of: tenant).serializedBytes())
        limit.dropHolders(limits.keyDropCount(of: tenant))
        limits.markDirty(limit)
        limits.markFreed(limit)
        return count
    }

    private func dropAll(_ stored: UInt64, in transaction: Transaction) -> UInt64 {
        let limits = transaction.memory.limits
        // Memory is ahead of the rows.
        let inMemory = limits.slots(of: tenant)
        let total = inMemory.reduce(stored) { $0 + $1.held }
        guard total > 0 else { return 0 }

        let count = limits.dropCount(of: tenant) &+ 1
        limits.setDropCount(of: tenant, count)
        transaction.rows.put(ShardKeys.tenantState(tenant), limits.state(of: tenant).serializedBytes())
        for limit in inMemory {
            limit.dropAll(count)
            limits.markDirty(limit)
            limits.markFreed(limit)
        }
        return total
    }
}

extension Transaction {
    /// Slots of a tenant that are held by the rows of limits which memory does not hold. One page at a time: a tenant may have
    /// any number of limits. Their rows are written at the end of a batch, so that none is in the one that is being made.
    func storedHolders(of tenant: Tenant, drops: UInt32) async throws(StoreError) -> UInt64 {
        let keys = TenantKeys(tenant)
        var total: UInt64 = 0
        var start: Bytes? = keys.slots.start
        while let from = start {
            let (rows, next) = try await rows.scan(from: from, to: keys.slots.end, limit: Self.holdersPage, merging: false)
            for row in rows {
                guard let key = keys.parseSlots(row.key), memory.limits.slot(tenant, key) == nil,
                    let record = try? StorageV1.Slots(serializedBytes: row.value), record.drops == drops
                else { continue }
                total += record.held
            }
            start = next
        }
        return total
    }

    private static let holdersPage = 1024
}
