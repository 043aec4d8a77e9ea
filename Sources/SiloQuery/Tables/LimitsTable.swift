import Protobuf
import SiloCore
import SiloStore

/// `limits`: every limit that is in use, waited for or paused: slots of concurrency and floating limits, buckets of rate limits.
final class LimitsTable: RowsTable {
    private static let tenant = Constraint(1, .equal)
    private static let key = Constraint(3, .equal)
    private static let maximum = 5
    private static let nextRoom = 8

    init(_ run: StatementRun) {
        super.init(
            "limits",
            [
                Column("shard_id", .utf8), Column("tenant", .utf8), Column("name", .utf8), Column("limit_key", .utf8),
                Column("limit_type", words: .limitKind), Column("maximum", .int64, nullable: true), Column("held", .int64),
                Column("waiting", .int64), Column("next_room_ms", .int64, nullable: true), Column("is_paused", .boolean),
                Column("paused_since_ms", .int64, nullable: true),
            ], run)
    }

    override func accepts(_ constraint: Constraint) -> Bool { constraint == Self.tenant || constraint == Self.key }
    override func exact(_ constraints: Set<Constraint>) -> Set<Constraint> { constraints }
    override func rows(_ constraints: Set<Constraint>) -> Double {
        (constraints.contains(Self.tenant) ? 1 : 20) * (constraints.contains(Self.key) ? 10 : 100)
    }

    override func scan(_ plan: ScanPlan, _ arguments: ScanArguments) -> RowsScan {
        let tenants = arguments.tenants(Self.tenant)
        let keys = arguments.texts(Self.key)?.unique.map { LimitKey($0) }
        let needsSizes = plan.uses(Self.maximum) || plan.uses(Self.nextRoom)
        let shown = keys.map { ", key=\($0.first.map { "\"\($0)\"" } ?? "none")" } ?? ""
        return RowsScan("tenant=\(JobScan.shown(tenants))\(shown)") {
            LimitsScan($0, tenants: tenants, keys, needsSizes: needsSizes)
        }
    }
}

/// `@unchecked Sendable`: as `RowScan`.
private final class LimitsScan: RowScan, @unchecked Sendable {
    /// Nil: all.
    private let keys: [LimitKey]?
    private let needsSizes: Bool

    init(_ shard: ScannedShard, tenants: [Tenant]?, _ keys: [LimitKey]?, needsSizes: Bool) {
        self.keys = keys
        self.needsSizes = needsSizes
        super.init(shard, tenants: tenants)
    }

    private func isAsked(_ name: LimitName) -> Bool { keys?.contains(name.key) ?? true }

    override func rows(of part: Part, in shard: ScannedShard, _ reader: CountedReader) async throws(StoreError) -> [[Cell]] {
        var limits = LimitLines()
        try await limits.add(part, reader)
        let wanted = HolderRows.Wanted(queues: keys, holders: needsSizes, lines: false)
        let holders = try await HolderRows.read(part, wanted, reader)
        let pauses = try await reader.pausedLimits(of: part)
        let slots = holders.slots.flatMap { tenant, slots in slots.keys.map { LimitName(tenant, slots: $0) } }
        let buckets = try await buckets(of: part, reader)
        if needsSizes { try await limits.addSizes(of: buckets.keys.filter(isAsked), reader) }
        let drops = try await reader.drops(of: part)
        var since: [LimitName: Int64] = [:]
        for pause in pauses { since[LimitName(pause.tenant, slots: pause.key)] = pause.since }
        let waited = limits.waiting.filter { $0.value > 0 }.keys
        let all = Set(slots).union(buckets.keys).union(waited).union(since.keys).filter(isAsked).sorted()
        return all.map { name in
            let stored = holders.slots[name.tenant]?[name.key]
            let isFloating = stored?.floating != nil || limits.floating.contains(name)
            let kind = name.rate != nil ? "rate" : isFloating ? "floating" : "concurrency"
            let held: Int64
            let maximum: Int64?
            var nextRoom: Int64?
            if name.rate != nil {
                let (bucket, rate) = (buckets[name] ?? StorageV1.Bucket(), limits.rates[name])
                held = bucket.hits
                maximum = rate?.limit
                nextRoom = rate.flatMap { bucket.nextRoom($0, at: shard.moment) }
            } else {
                let isDropped = (stored?.drops ?? 0) < drops[name.tenant] ?? 0
                held = isDropped ? 0 : Int64(clamping: stored?.held ?? 0)
                maximum = (stored?.floating?.currentMax ?? limits.maxima[name] ?? holders.maximum(of: name.key, name.tenant))
                    .map { Int64($0) }
            }
            return [
                .text(shard.id.description), .text(name.tenant.name), .text(name.rate?.text ?? ""), .text(name.key.text),
                .text(kind), Cell(maximum), .integer(held), Cell(limits.waiting[name] ?? 0), Cell(nextRoom),
                .integer(since[name] == nil ? 0 : 1), Cell(since[name]),
            ]
        }
    }

    private func buckets(of part: Part, _ reader: CountedReader) async throws(StoreError) -> [LimitName: StorageV1.Bucket] {
        var buckets: [LimitName: StorageV1.Bucket] = [:]
        for row in try await reader.all(part.range(.bucket)) {
            var parts = KeyReader(row.key)
            guard let tenant = parts.tenant()?.string(in: row.key), let rate = parts.string(), let key = parts.string(),
                let bucket = try? StorageV1.Bucket(serializedBytes: row.value)
            else { continue }
            buckets[LimitName(Tenant(tenant), rate: LimitKey(rate), LimitKey(key))] = bucket
        }
        return buckets
    }
}

extension StorageV1.Bucket {
    /// That are used, and promised.
    fileprivate var hits: Int64 {
        let hits = (Int64(exactly: used.rounded()) ?? .max).addingReportingOverflow(Int64(clamping: reserved))
        return hits.overflow ? .max : hits.partialValue
    }

    /// When it has room again if it is full; nil: it has some.
    fileprivate func nextRoom(_ rate: StorageV1.RateLimit, at moment: Moment) -> Int64? {
        guard used + Double(reserved) >= Double(rate.limit), windowEndsMs > 0 else { return nil }
        let isDate = calendarFromMs > 0
        let end = isDate ? Timestamp(windowEndsMs) : moment.date(of: Timestamp(windowEndsMs))
        return end > moment.wall ? end.milliseconds : nil
    }
}
