import Protobuf
import SiloCore
import SiloStore

/// `limits`: every limit that is in use: slots of concurrency and floating limits, buckets of rate limits.
final class LimitsTable: RowsTable {
    private static let tenant = Constraint(1, .equal)

    init(_ run: StatementRun) {
        super.init(
            "limits",
            [
                Column("shard_id", .utf8), Column("tenant", .utf8), Column("name", .utf8), Column("limit_key", .utf8),
                Column("limit_type", .utf8), Column("maximum", .int64, nullable: true), Column("held", .int64),
                Column("waiting", .int64), Column("next_room_ms", .int64, nullable: true), Column("is_paused", .boolean),
                Column("paused_since_ms", .int64, nullable: true),
            ], run)
    }

    override func accepts(_ constraint: Constraint) -> Bool { constraint == Self.tenant }
    override func exact(_ constraints: Set<Constraint>) -> Set<Constraint> { constraints }
    override func rows(_ constraints: Set<Constraint>) -> Double { constraints.isEmpty ? 2000 : 100 }

    override func scan(_ plan: ScanPlan, _ arguments: ScanArguments) -> RowsScan {
        let tenants = arguments.tenants(Self.tenant)
        return RowsScan("tenant=\(JobScan.shown(tenants))") { LimitsScan($0, tenants: tenants) }
    }
}

/// `@unchecked Sendable`: as `RowScan`.
private final class LimitsScan: RowScan, @unchecked Sendable {
    /// Of one part, by tenant and key.
    private struct Found {
        var maxima: [Tenant: [LimitKey: UInt32]] = [:]
        var rates: [Tenant: [LimitKey: StorageV1.RateLimit]] = [:]
        var waiting: [Tenant: [LimitKey: UInt64]] = [:]
        var pauses: [Tenant: [LimitKey: Int64]] = [:]
    }

    override func rows(of part: Part, in shard: ScannedShard, _ reader: CountedReader) async throws(StoreError) -> [[Cell]] {
        let drops = try await reader.drops(of: part)
        let found = try await found(in: part, reader)
        var rows: [[Cell]] = []
        for row in try await reader.all(part.range(.slots)) {
            var parts = KeyReader(row.key)
            guard let tenant = parts.tenant().map({ Tenant($0.string(in: row.key)) }),
                let key = parts.string().map({ LimitKey($0) }), let slots = try? StorageV1.Slots(serializedBytes: row.value)
            else { continue }
            let maximum = slots.floating?.currentMax ?? found.maxima[tenant]?[key]
            let held = slots.drops >= drops[tenant] ?? 0 ? slots.held : 0
            rows.append(
                head(shard, tenant, "", key, slots.floating == nil ? "concurrency" : "floating") + [
                    Cell(maximum.map { Int64($0) }), .integer(Int64(clamping: held)), Cell(found.waiting[tenant]?[key] ?? 0),
                    .null,
                ] + paused(found.pauses[tenant]?[key]))
        }
        for row in try await reader.all(part.range(.bucket)) {
            var parts = KeyReader(row.key)
            guard let tenant = parts.tenant().map({ Tenant($0.string(in: row.key)) }), let name = parts.string(),
                let key = parts.string().map({ LimitKey($0) }), let bucket = try? StorageV1.Bucket(serializedBytes: row.value)
            else { continue }
            let whole = Self.rateKey(name, key.text)
            let rate = found.rates[tenant]?[whole]
            let hits = (Int64(exactly: bucket.used.rounded()) ?? .max).addingReportingOverflow(Int64(clamping: bucket.reserved))
            rows.append(
                head(shard, tenant, name, key, "rate") + [
                    Cell(rate?.limit), .integer(hits.overflow ? .max : hits.partialValue),
                    Cell(found.waiting[tenant]?[whole] ?? 0),
                    nextRoom(bucket, rate, at: shard.moment),
                ] + paused(found.pauses[tenant]?[key]))
        }
        return rows
    }

    /// Of both parts of a rate limit's name.
    private static func rateKey(_ name: String, _ key: String) -> LimitKey { LimitKey(name + "\0" + key) }

    private func head(_ shard: ScannedShard, _ tenant: Tenant, _ name: String, _ key: LimitKey, _ kind: String) -> [Cell] {
        [.text(shard.id.description), .text(tenant.name), .text(name), .text(key.text), .text(kind)]
    }

    private func paused(_ since: Int64?) -> [Cell] { [.integer(since == nil ? 0 : 1), Cell(since)] }

    /// When a full bucket has room again; NULL: it has some, or nothing says how large it is.
    private func nextRoom(_ bucket: StorageV1.Bucket, _ rate: StorageV1.RateLimit?, at moment: Moment) -> Cell {
        guard let rate, bucket.used + Double(bucket.reserved) >= Double(rate.limit), bucket.windowEndsMs > 0 else { return .null }
        let isDate = bucket.calendarFromMs > 0
        let end = isDate ? Timestamp(bucket.windowEndsMs) : moment.date(of: Timestamp(bucket.windowEndsMs))
        return end > moment.wall ? .integer(end.milliseconds) : .null
    }

    /// What lines of waiting jobs say of limits, and what is paused.
    private func found(in part: Part, _ reader: CountedReader) async throws(StoreError) -> Found {
        var found = Found()
        for row in try await reader.all(part.range(.line)) {
            guard case .line(let tenant, _)? = ShardKeys.parse(row.key),
                let line = try? StorageV1.Line(serializedBytes: row.value)
            else { continue }
            for limit in line.limits {
                let key: LimitKey
                switch limit.kind {
                case .concurrency(let slots):
                    key = LimitKey(slots.key)
                    found.maxima[tenant, default: [:]][key] = slots.maxConcurrency
                case .floating(let floating): key = LimitKey(floating.key)
                case .rate(let rate):
                    key = Self.rateKey(rate.name, rate.uniqueKey)
                    found.rates[tenant, default: [:]][key] = rate
                case nil: continue
                }
                found.waiting[tenant, default: [:]][key, default: 0] += line.waiting
            }
        }
        for row in try await reader.all(part.range(.pause)) {
            guard case .pause(let target)? = ShardKeys.parse(row.key), let tenant = target.tenant,
                case .limit(let key, of: _) = target,
                let pause = try? StorageV1.Pause(serializedBytes: row.value)
            else { continue }
            found.pauses[tenant, default: [:]][key] = pause.sinceMs
        }
        return found
    }
}
