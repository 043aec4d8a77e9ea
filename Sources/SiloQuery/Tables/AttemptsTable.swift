import Protobuf
import SiloCore
import SiloStore

/// `attempts`: every attempt that was begun, the running ones with them.
final class AttemptsTable: RowsTable {
    private static let tenant = Constraint(1, .equal)
    private static let job = Constraint(2, .equal)

    init(_ run: StatementRun) {
        super.init(
            "attempts",
            [
                Column("shard_id", .utf8), Column("tenant", .utf8), Column("job_id", .utf8), Column("attempt", .uint32),
                Column("task_id", .utf8), Column("outcome", words: .outcome), Column("started_at_ms", .int64),
                Column("finished_at_ms", .int64, nullable: true), Column("error_code", .utf8, nullable: true),
                Column("error_data", .utf8, nullable: true), Column("result", .utf8, nullable: true),
            ], run)
    }

    override func accepts(_ constraint: Constraint) -> Bool { constraint == Self.tenant || constraint == Self.job }
    override func exact(_ constraints: Set<Constraint>) -> Set<Constraint> { constraints }
    override func rows(_ constraints: Set<Constraint>) -> Double {
        if constraints.contains(Self.job) { return constraints.contains(Self.tenant) ? 3 : 60 }
        return constraints.contains(Self.tenant) ? 200_000 : 4_000_000
    }

    override func scan(_ plan: ScanPlan, _ arguments: ScanArguments) -> RowsScan {
        let tenants = arguments.tenants(Self.tenant)
        let jobs = arguments.texts(Self.job)?.unique
        let shown = jobs.map { "job=\($0.first.map { "\"\($0)\"" } ?? "none")" } ?? "all"
        let documents = AttemptPages.Documents(errorData: plan.uses(9), result: plan.uses(10))
        return RowsScan("tenant=\(JobScan.shown(tenants)), \(shown)") {
            AttemptPages($0, tenants: tenants, jobs, documents)
        }
    }
}

/// Reads attempts with rows of their own, then those that ended their jobs, then those that run.
///
/// `@unchecked Sendable`: one task at a time reads.
private final class AttemptPages: PageSource, @unchecked Sendable {
    /// Those that are read. They may be large, so others are not carried along.
    struct Documents {
        let errorData: Bool
        let result: Bool
    }
    private enum Kind { case earlier, last, running }
    private let shard: ScannedShard
    private let tenants: [Tenant]?
    private let jobs: [String]?
    private let documents: Documents
    private var ranges: ArraySlice<(Kind, start: Bytes, end: Bytes)>?
    private static let pageRows = 256

    init(_ shard: ScannedShard, tenants: [Tenant]?, _ jobs: [String]?, _ documents: Documents) {
        self.shard = shard
        self.tenants = tenants
        self.jobs = jobs
        self.documents = documents
    }

    private var reader: CountedReader { shard.reader }

    func next() async throws(StoreError) -> [[Cell]]? {
        var left = if let ranges { ranges } else { try await all() }
        defer { ranges = left }
        while let range = left.popFirst() {
            let page = try await reader.scan((range.start, range.end), limit: Self.pageRows)
            if page.hasMore, let last = page.rows.last { left = [(range.0, last.key + [0], range.end)] + left }
            let cells = page.rows.compactMap { self.cells($0, range.0) }
            if !cells.isEmpty { return cells }
        }
        return nil
    }

    private func all() async throws(StoreError) -> ArraySlice<(Kind, start: Bytes, end: Bytes)> {
        var all: ArraySlice<(Kind, start: Bytes, end: Bytes)> = []
        for part in try await Part.all(of: shard, tenants) { all += try await ranges(of: part) }
        return all
    }

    private func ranges(of part: Part) async throws(StoreError) -> [(Kind, start: Bytes, end: Bytes)] {
        func whole(_ kind: Kind, _ family: Family) -> (Kind, start: Bytes, end: Bytes) {
            let range = part.range(family)
            return (kind, range.start, range.end)
        }
        guard let jobs else { return [whole(.earlier, .attempt), whole(.last, .status), whole(.running, .lease)] }
        return try await part.tenants(reader).flatMap { tenant in
            let keys = TenantKeys(tenant)
            return jobs.flatMap { job -> [(Kind, start: Bytes, end: Bytes)] in
                let id = JobID(job)
                let attempts = keys.attempts(of: id)
                return [
                    (.earlier, attempts.start, attempts.end), (.last, keys.status(id), keys.status(id) + [0]),
                    (.running, keys.lease(id), keys.lease(id) + [0]),
                ]
            }
        }
    }

    private func cells(_ row: Row, _ kind: Kind) -> [Cell]? {
        var parts = KeyReader(row.key)
        guard let tenant = parts.tenant()?.string(in: row.key), let job = parts.string() else { return nil }
        let head: [Cell] = [.text(shard.id.description), .text(tenant), .text(job)]
        switch kind {
        case .earlier: return (try? StorageV1.Attempt(serializedBytes: row.value)).map { head + cells($0) }
        case .last: return (try? StorageV1.Status(serializedBytes: row.value))?.lastAttempt.map { head + cells($0) }
        case .running:
            guard let lease = try? StorageV1.Lease(serializedBytes: row.value) else { return nil }
            return head + [
                Cell(lease.attempt), .text(UUID(bytes: lease.taskId)?.text ?? ""), .text("Running"), .integer(lease.startedAtMs),
                .null, .null, .null, .null,
            ]
        }
    }

    private func cells(_ attempt: StorageV1.Attempt) -> [Cell] {
        let outcome = ShownStatus(finished: UInt8(clamping: attempt.outcome.rawValue)).map { "\($0.name)" } ?? "Unknown"
        return [
            Cell(attempt.number), .text(UUID(bytes: attempt.taskId)?.text ?? ""), .text(outcome), .integer(attempt.startedAtMs),
            .integer(attempt.finishedAtMs), attempt.errorCode.isEmpty ? .null : .text(attempt.errorCode),
            documents.errorData ? .json(attempt.errorData) : .null, documents.result ? .json(attempt.result) : .null,
        ]
    }
}
