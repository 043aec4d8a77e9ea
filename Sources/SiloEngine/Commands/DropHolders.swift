import Protobuf
public import SiloCore
package import SiloStore

/// Frees every slot that a tenant's jobs hold (spec/jobs.md 6.14): for emergencies. What runs goes on, without slots.
///
/// The tenant's count of drops is part of every hold, so that a hold from before is void wherever it stands.
public struct DropHolders: Command {
    public let tenant: Tenant

    public init(tenant: Tenant) {
        self.tenant = tenant
    }

    /// Slots that are held by limits which memory does not hold.
    package func check(_ view: View) async throws(Refusal) -> UInt64 {
        // Nothing is held there.
        guard view.drop(of: tenant) == nil else { return 0 }
        return try await view.storedHolders(of: tenant)
    }

    /// How many slots were held. Durable when answered.
    package func run(_ stored: UInt64, in transaction: Transaction) async throws(StoreError) -> UInt64 {
        guard transaction.memory.drops[tenant] == nil else { return 0 }
        let limits = transaction.memory.limits
        // Memory is ahead of the rows.
        let inMemory = limits.slots(of: tenant)
        let total = inMemory.reduce(stored) { $0 + $1.held }
        guard total > 0 else { return 0 }

        let count = limits.dropCount(of: tenant) &+ 1
        var state = StorageV1.TenantState()
        state.drops = count
        transaction.rows.put(ShardKeys.tenantState(tenant), state.serializedBytes())
        limits.setDropCount(of: tenant, count)
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
