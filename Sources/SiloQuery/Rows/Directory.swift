import Protobuf
import SiloCore
import SiloStore

/// How many jobs of a tenant and task group stand in each place, as the shard counts them.
struct DirectoryRow: Sendable {
    let tenant: Tenant
    let group: TaskGroup
    let counts: StorageV1.QueueCounts

    init?(_ row: Row) {
        guard case .queue(let tenant, let group)? = ShardKeys.parse(row.key),
            let counts = try? StorageV1.QueueCounts(serializedBytes: row.value)
        else { return nil }
        self.tenant = tenant
        self.group = group
        self.counts = counts
    }

    func count(_ state: ShownStatus) -> UInt64 {
        switch state {
        case .waiting, .scheduled: counts.ready + counts.waiting + counts.dates + counts.delays
        case .running: counts.leased
        case .succeeded: counts.succeeded
        case .failed: counts.failed
        case .cancelled: counts.cancelled
        }
    }
}

/// Which part of a shard a scan reads.
enum Part: Sendable {
    case slice(Slice)
    case tenant(Tenant)

    func range(_ family: Family) -> (start: Bytes, end: Bytes) {
        switch self {
        case .slice(let slice): slice.range(family)
        case .tenant(let tenant): TenantKeys(tenant).range(family)
        }
    }

    /// - Parameter groups: those that are asked for; nil: all.
    func directory(_ reader: CountedReader, groups: [TaskGroup]? = nil) async throws(StoreError) -> [DirectoryRow] {
        guard let groups else { return try await reader.all(range(.queue)).compactMap { DirectoryRow($0) } }
        guard case .tenant(let tenant) = self else {
            return try await directory(reader).filter { groups.contains($0.group) }
        }
        var rows: [DirectoryRow] = []
        for group in groups {
            let key = ShardKeys.queue(tenant, group)
            if let value = try await reader.get(key), let row = DirectoryRow(Row(key: key, value: value)) { rows.append(row) }
        }
        return rows
    }

    /// The tenants that have jobs, in the order of their keys.
    func tenants(_ reader: CountedReader) async throws(StoreError) -> [Tenant] {
        if case .tenant(let tenant) = self { return [tenant] }
        var tenants: [Tenant] = []
        for row in try await directory(reader) where tenants.last != row.tenant { tenants.append(row.tenant) }
        return tenants
    }

    /// The parts of a shard that belong to these tenants; nil: to everybody.
    static func all(of shard: ScannedShard, _ tenants: [Tenant]?) async throws(StoreError) -> [Part] {
        if let tenants { return tenants.filter { shard.range.contains($0.hash) }.map { .tenant($0) } }
        guard let bits = try await shard.reader.get(ShardKeys.slices), let slices = SliceSet(stored: bits) else { return [] }
        return slices.slices.map { .slice($0) }
    }
}

/// A job's status as it is shown (spec/query.md 4).
enum ShownStatus: UInt8, CaseIterable, Sendable {
    case waiting, scheduled, running, succeeded, failed, cancelled

    /// As it is shown, and in no other words.
    init?(name: String) {
        guard let status = Self(name), "\(status.name)" == name else { return nil }
        self = status
    }

    /// The literals that are taken for it; nil: there is no such status.
    init?(_ text: String) {
        switch text {
        case "Waiting", "waiting": self = .waiting
        case "Scheduled", "scheduled": self = .scheduled
        case "Running", "running": self = .running
        case "Succeeded", "succeeded", "success": self = .succeeded
        case "Failed", "failed": self = .failed
        case "Cancelled", "cancelled", "canceled": self = .cancelled
        default: return nil
        }
    }

    var name: StaticString {
        switch self {
        case .waiting: "Waiting"
        case .scheduled: "Scheduled"
        case .running: "Running"
        case .succeeded: "Succeeded"
        case .failed: "Failed"
        case .cancelled: "Cancelled"
        }
    }

    /// As plans call it.
    var planName: String { self == .scheduled ? "FutureScheduled" : "\(name)" }

    /// Of a finished job, as its index has it.
    var stored: StorageV1.JobState? {
        switch self {
        case .succeeded: .succeeded
        case .failed: .failed
        case .cancelled: .cancelled
        default: nil
        }
    }

    init?(finished state: UInt8) {
        switch StorageV1.JobState(rawValue: Int32(state)) {
        case .succeeded: self = .succeeded
        case .failed: self = .failed
        case .cancelled: self = .cancelled
        default: return nil
        }
    }
}
