import Protobuf
import SiloCore
import SiloStore

/// Which marks of ready and running jobs still hold slots: the holders of a tenant, or of one of its keys, may have been dropped.
struct GoodHolds {
    /// How often the holders of a tenant, and of single keys of it, were dropped; of tenants where any were.
    private var drops: [Tenant: (all: UInt32, key: UInt64)] = [:]
    /// Holds of a key that are older than this count are void; of the keys that were asked for.
    private var keyDrops: [Tenant: [LimitKey: UInt64]] = [:]

    init() {}

    init(of part: Part, _ reader: CountedReader) async throws(StoreError) {
        drops = try await reader.states(of: part).compactMapValues { state in
            state.drops == 0 && state.keyDrops == 0 ? nil : (state.drops, state.keyDrops)
        }
    }

    /// Those of a job's keys that it holds a slot of.
    mutating func keys(
        _ keys: [String], _ hold: UInt32?, _ keyHold: UInt64, of tenant: Tenant, _ reader: CountedReader
    ) async throws(StoreError) -> [String] {
        guard let hold else { return [] }
        guard let (drops, keyDrops) = self.drops[tenant] else { return keys }
        guard hold >= drops else { return [] }
        guard keyHold < keyDrops else { return keys }
        var good: [String] = []
        for key in keys where try await keyHold >= self.keyDrops(of: LimitKey(key), tenant, reader) { good.append(key) }
        return good
    }

    private mutating func keyDrops(
        of key: LimitKey, _ tenant: Tenant, _ reader: CountedReader
    ) async throws(StoreError) -> UInt64 {
        if let known = keyDrops[tenant]?[key] { return known }
        let row = try await reader.get(TenantKeys(tenant).slots(key))
        let count = row.flatMap { try? StorageV1.Slots(serializedBytes: $0) }?.keyDrops ?? 0
        keyDrops[tenant, default: [:]][key] = count
        return count
    }
}

extension CountedReader {
    /// What is stored of each tenant of a part besides its jobs.
    fileprivate func states(of part: Part) async throws(StoreError) -> [Tenant: StorageV1.TenantState] {
        var states: [Tenant: StorageV1.TenantState] = [:]
        for row in try await all(part.range(.tenantState)) {
            guard case .tenantState(let tenant)? = ShardKeys.parse(row.key),
                let state = try? StorageV1.TenantState(serializedBytes: row.value)
            else { continue }
            states[tenant] = state
        }
        return states
    }

    /// How often the holders of each tenant of a part were dropped.
    func drops(of part: Part) async throws(StoreError) -> [Tenant: UInt32] { try await states(of: part).mapValues(\.drops) }
}
