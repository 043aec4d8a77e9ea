import Protobuf
import SiloCore
import SiloStore

/// `leases`: the attempts that run, and which worker has them.
final class LeasesTable: RowsTable {
    private static let tenant = Constraint(1, .equal)
    private static let job = Constraint(2, .equal)
    private static let heldQueues = 10

    init(_ run: StatementRun) {
        super.init(
            "leases",
            [
                Column("shard_id", .utf8), Column("tenant", .utf8), Column("job_id", .utf8), Column("task_id", .utf8),
                Column("worker_id", .utf8), Column("task_group", .utf8), Column("attempt", .uint32),
                Column("started_at_ms", .int64),
                Column("expires_at_ms", .int64), Column("cancelled_at_ms", .int64, nullable: true), Column("held_queues", .utf8),
            ], run)
    }

    override func accepts(_ constraint: Constraint) -> Bool { constraint == Self.tenant || constraint == Self.job }
    override func exact(_ constraints: Set<Constraint>) -> Set<Constraint> { constraints }
    override func rows(_ constraints: Set<Constraint>) -> Double {
        (constraints.contains(Self.tenant) ? 1 : 20) * (constraints.contains(Self.job) ? 1 : 100)
    }

    override func scan(_ plan: ScanPlan, _ arguments: ScanArguments) -> RowsScan {
        let tenants = arguments.tenants(Self.tenant)
        let jobs = arguments.texts(Self.job)?.unique.map { JobID($0) }
        let shown = jobs.map { ", job=\($0.first.map { "\"\($0)\"" } ?? "none")" } ?? ""
        return RowsScan("tenant=\(JobScan.shown(tenants))\(shown)") {
            LeasesScan($0, tenants: tenants, jobs, needsHolds: plan.uses(Self.heldQueues))
        }
    }
}

/// `@unchecked Sendable`: as `RowScan`.
private final class LeasesScan: RowScan, @unchecked Sendable {
    /// Nil: all.
    private let jobs: [JobID]?
    private let needsHolds: Bool

    init(_ shard: ScannedShard, tenants: [Tenant]?, _ jobs: [JobID]?, needsHolds: Bool) {
        self.jobs = jobs
        self.needsHolds = needsHolds
        super.init(shard, tenants: tenants)
    }

    override func rows(of part: Part, in shard: ScannedShard, _ reader: CountedReader) async throws(StoreError) -> [[Cell]] {
        var holds = needsHolds ? try await GoodHolds(of: part, reader) : GoodHolds()
        var rows: [[Cell]] = []
        for row in try await leases(of: part, reader) {
            guard let (tenant, job) = ShardKeys.parseLease(row.key), let lease = try? StorageV1.Lease(serializedBytes: row.value)
            else { continue }
            let held = needsHolds ? try await holds.keys(lease.slots, lease.hold, lease.keyHold, of: tenant, reader) : []
            rows.append([
                .text(shard.id.description), .text(tenant.name), .text(job.text), .text(UUID(bytes: lease.taskId)?.text ?? ""),
                .text(lease.workerId), .text(lease.taskGroup), Cell(lease.attempt), .integer(lease.startedAtMs),
                .integer(shard.moment.date(of: Timestamp(lease.expiresAtMs)).milliseconds), Cell(lease.cancelledAtMs),
                .text(held.joined(separator: ",")),
            ])
        }
        return rows
    }

    private func leases(of part: Part, _ reader: CountedReader) async throws(StoreError) -> [Row] {
        guard let jobs else { return try await reader.all(part.range(.lease)) }
        var rows: [Row] = []
        for tenant in try await part.tenants(reader) {
            for job in jobs {
                let key = TenantKeys(tenant).lease(job)
                if let value = try await reader.get(key) { rows.append(Row(key: key, value: value)) }
            }
        }
        return rows
    }
}

/// `shards`: the shards that the statement is asked of, and how many jobs they have.
final class ShardsTable: RowsTable {
    init(_ run: StatementRun) {
        super.init(
            "shards",
            [
                Column("shard_id", .utf8), Column("range_start", .utf8), Column("range_end", .utf8), Column("tenants", .int64),
                Column("jobs", .int64), Column("finished_jobs", .int64), Column("leases", .int64),
            ], run)
    }

    override func rows(_ constraints: Set<Constraint>) -> Double { 8 }

    override func scan(_ plan: ScanPlan, _ arguments: ScanArguments) -> RowsScan {
        RowsScan("all") { ShardPages($0, arguments.audience) }
    }
}

/// `@unchecked Sendable`: one task at a time reads.
private final class ShardPages: PageSource, @unchecked Sendable {
    private let shard: ScannedShard
    private let tenants: [Tenant]?
    private var isOver = false

    init(_ shard: ScannedShard, _ tenants: [Tenant]?) {
        self.shard = shard
        self.tenants = tenants
    }

    /// Its one row. Of a statement for some tenants it counts theirs.
    func next() async throws(StoreError) -> [[Cell]]? {
        guard !isOver else { return nil }
        isOver = true
        var names: Set<Tenant> = []
        var (jobs, finished, leases) = (UInt64(0), UInt64(0), UInt64(0))
        for part in try await Part.all(of: shard, tenants) {
            shard.reader.held.clear()
            for row in try await part.directory(shard.reader) {
                names.insert(row.tenant)
                let ended = row.counts.succeeded + row.counts.failed + row.counts.cancelled
                finished += ended
                leases += row.counts.leased
                jobs += ended + row.counts.leased + row.count(.waiting)
            }
        }
        return [
            [
                .text(shard.id.description), .text(shard.range.start?.text ?? ""), .text(shard.range.end?.text ?? ""),
                .integer(Int64(names.count)), Cell(jobs), Cell(finished), Cell(leases),
            ]
        ]
    }
}
