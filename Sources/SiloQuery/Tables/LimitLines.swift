import Protobuf
import SiloCore
import SiloStore

/// Names a limit of a tenant: slots of a key, or a rate limit, whose name has two parts.
struct LimitName: Hashable, Comparable {
    let tenant: Tenant
    /// Nil: of slots, which come first.
    let rate: LimitKey?
    let key: LimitKey

    init(_ tenant: Tenant, slots key: LimitKey) { (self.tenant, rate, self.key) = (tenant, nil, key) }
    init(_ tenant: Tenant, rate: LimitKey, _ key: LimitKey) { (self.tenant, self.rate, self.key) = (tenant, rate, key) }

    static func < (left: LimitName, right: LimitName) -> Bool {
        if left.tenant != right.tenant { return left.tenant < right.tenant }
        guard let one = left.rate, let other = right.rate, one != other else {
            return left.rate == right.rate ? left.key < right.key : left.rate == nil
        }
        return one < other
    }
}

/// What jobs say of the limits that they are under, as far as their rows are read.
struct LimitLines {
    private(set) var waiting: [LimitName: UInt64] = [:]
    private(set) var maxima: [LimitName: UInt32] = [:]
    private(set) var rates: [LimitName: StorageV1.RateLimit] = [:]
    private(set) var floating: Set<LimitName> = []
    /// Jobs of one queue, or that run, which are asked for what nobody in line says.
    private static let jobsMax = 256

    /// The lines of waiting jobs.
    mutating func add(_ part: Part, _ reader: CountedReader) async throws(StoreError) {
        for row in try await reader.all(part.range(.line)) {
            guard case .line(let tenant, _)? = ShardKeys.parse(row.key),
                let line = try? StorageV1.Line(serializedBytes: row.value)
            else { continue }
            for name in note(line.limits, of: tenant) { waiting[name, default: 0] += line.waiting }
        }
    }

    /// How large rate limits are that nobody waits for, by some jobs that are ready or run: they took hits not long ago.
    mutating func addSizes(of names: [LimitName], _ reader: CountedReader) async throws(StoreError) {
        for tenant in Set(names.filter { rates[$0] == nil }.map(\.tenant)) {
            let keys = TenantKeys(tenant)
            for row in try await Part.tenant(tenant).directory(reader) where row.counts.ready > 0 {
                let range = keys.ready(row.group, from: Position(from: row.counts.readyFrom))
                for row in try await reader.scan(range, limit: Self.jobsMax).rows {
                    if let pending = PendingRow(row) { note(pending.limits, of: tenant) }
                }
            }
            for lease in try await reader.scan(keys.leases, limit: Self.jobsMax).rows {
                guard names.contains(where: { $0.tenant == tenant && rates[$0] == nil }) else { break }
                guard let id = keys.parseJob(lease.key), let row = try await reader.get(keys.job(id)),
                    let job = try? StorageV1.Job(serializedBytes: row)
                else { continue }
                note(job.limits, of: tenant)
            }
        }
    }

    @discardableResult
    private mutating func note(_ limits: [StorageV1.Limit], of tenant: Tenant) -> [LimitName] {
        limits.compactMap { limit in
            switch limit.kind {
            case .concurrency(let slots):
                let name = LimitName(tenant, slots: LimitKey(slots.key))
                maxima[name] = slots.maxConcurrency
                return name
            case .floating(let limit):
                let name = LimitName(tenant, slots: LimitKey(limit.key))
                floating.insert(name)
                return name
            case .rate(let rate):
                let name = LimitName(tenant, rate: LimitKey(rate.name), LimitKey(rate.uniqueKey))
                rates[name] = rate
                return name
            case nil: return nil
            }
        }
    }
}
