import Protobuf
public import SiloCore
import SiloStore

/// Frees every slot that a tenant's jobs hold (spec/jobs.md 6.14): for emergencies. What runs goes on, without slots.
///
/// The tenant's count of drops is part of every hold, so that a hold from before is void wherever it stands.
public struct DropHolders: Command {
    public let tenant: Tenant

    public init(tenant: Tenant) {
        self.tenant = tenant
    }

    /// How many slots were held. Durable when answered.
    public func run(in transaction: Transaction) async throws -> UInt64 {
        let limits = transaction.memory.limits
        let before = limits.dropCount(of: tenant)
        var held: [LimitKey: UInt64] = [:]
        let keys = TenantKeys(tenant)
        for row in try await transaction.scanAll(from: keys.slots.start, to: keys.slots.end) {
            guard let key = keys.parseSlots(row.key), let record = try? StorageV1.Slots(serializedBytes: row.value) else {
                continue
            }
            held[key] = record.drops == before ? record.held : 0
        }
        // Memory is ahead of the rows.
        let inMemory = limits.slots(of: tenant)
        for limit in inMemory { held[limit.key] = limit.held }
        let total = held.values.reduce(0, +)
        guard total > 0 else { return 0 }

        let count = before &+ 1
        var state = StorageV1.TenantState()
        state.drops = count
        transaction.put(ShardKeys.tenantState(tenant), state.serializedBytes())
        limits.setDropCount(of: tenant, count)
        for limit in inMemory {
            limit.dropAll(count)
            limits.markDirty(limit)
            limits.markFreed(limit)
        }
        return total
    }
}
