import Protobuf
import SiloCore
import SiloStore

/// `queues`: each holder of a concurrency limit, and each job that waits for one (spec/query.md 2.3).
final class QueuesTable: RowsTable {
    private static let tenant = Constraint(1, .equal)
    private static let queue = Constraint(2, .equal)
    private static let kind = Constraint(3, .equal)
    /// Columns that lines do not tell.
    private static let ofJobs = 4...7

    init(_ run: StatementRun) {
        super.init(
            "queues",
            [
                Column("shard_id", .utf8), Column("tenant", .utf8), Column("queue_name", .utf8),
                Column("entry_type", words: .queueEntry),
                Column("task_id", .utf8), Column("job_id", .utf8, nullable: true), Column("priority", .uint8, nullable: true),
                Column("timestamp_ms", .int64),
            ], run)
    }

    override func accepts(_ constraint: Constraint) -> Bool { [Self.tenant, Self.queue, Self.kind].contains(constraint) }

    override func rows(_ constraints: Set<Constraint>) -> Double {
        (constraints.contains(Self.tenant) ? 1 : 20) * (constraints.contains(Self.queue) ? 100 : 10_000)
    }

    override func scan(_ plan: ScanPlan, _ arguments: ScanArguments) -> RowsScan {
        let tenants = arguments.tenants(Self.tenant)
        let queues = arguments.texts(Self.queue)?.unique.map { LimitKey($0) }
        func shown(_ texts: [String]?) -> String { texts?.first.map { "Some(\"\($0)\")" } ?? "None" }
        let kinds = arguments.texts(Self.kind)
        let strategy =
            "tenant=\(JobScan.shown(tenants)), queue=\(shown(queues?.map(\.text))), entry_type=\(shown(kinds))"
        let wanted = HolderRows.Wanted(
            queues: queues, holders: kinds?.contains("holder") ?? true, lines: kinds?.contains("requester") ?? true)
        let lists = Self.ofJobs.contains { plan.uses($0) }
        return RowsScan(strategy) { QueuesScan($0, tenants: tenants, wanted, lists: lists) }
    }
}

/// `@unchecked Sendable`: as `RowScan`.
private final class QueuesScan: RowScan, @unchecked Sendable {
    private let wanted: HolderRows.Wanted
    /// Rows of waiting jobs are read; false: how many there are is enough.
    private let lists: Bool
    private var lines: ArraySlice<HolderRows.Line> = []
    /// Where the first of the lines goes on, and how many rows of it are to come.
    private var from: Bytes?
    private var left: UInt64 = 0
    private static let pageRows = 512

    init(_ shard: ScannedShard, tenants: [Tenant]?, _ wanted: HolderRows.Wanted, lists: Bool) {
        self.wanted = wanted
        self.lists = lists
        super.init(shard, tenants: tenants)
    }

    override func rows(of part: Part, in shard: ScannedShard, _ reader: CountedReader) async throws(StoreError) -> [[Cell]] {
        let found = try await HolderRows.read(part, wanted, reader)
        lines = found.lines[...]
        begin()
        let id = Cell.text(shard.id.description)
        return found.holders.map { holder in
            [
                id, .text(holder.tenant.name), .text(holder.key.text), .text("holder"), .text(holder.task), .null, .null,
                .integer(holder.since),
            ]
        }
    }

    private func begin() {
        from = nil
        left = lines.first?.waiting ?? 0
    }

    override func moreRows(in shard: ScannedShard, _ reader: CountedReader) async throws(StoreError) -> [[Cell]] {
        while let line = lines.first {
            let rows = lists ? try await listed(line, shard, reader) : counted(line, shard)
            if !rows.isEmpty { return rows }
            guard left == 0 else { continue }
            lines.removeFirst()
            begin()
        }
        return []
    }

    private func listed(
        _ line: HolderRows.Line, _ shard: ScannedShard, _ reader: CountedReader
    ) async throws(StoreError) -> [[Cell]] {
        guard left > 0 else { return [] }
        let range = TenantKeys(line.tenant).waiting(line.id, from: line.from)
        let page = try await reader.scan((from ?? range.start, range.end), limit: Self.pageRows)
        left = page.hasMore ? left : 0
        from = (page.rows.last?.key ?? range.end) + [0]
        return page.rows.compactMap { row in
            guard let pending = PendingRow(row, isInLine: true) else { return nil }
            let task = "\(pending.job):\(pending.task.attempt):\(String(pending.arrival, radix: 16))"
            return head(line, shard) + [
                .text(task), .text(pending.job), Cell(pending.task.priority), .integer(pending.task.startMs),
            ]
        }
    }

    /// As many rows as the line says.
    private func counted(_ line: HolderRows.Line, _ shard: ScannedShard) -> [[Cell]] {
        let count = min(left, UInt64(Self.pageRows))
        left -= count
        return Array(repeating: head(line, shard) + [.null, .null, .null, .null], count: Int(count))
    }

    private func head(_ line: HolderRows.Line, _ shard: ScannedShard) -> [Cell] {
        [.text(shard.id.description), .text(line.tenant.name), .text(line.key.text), .text("requester")]
    }
}

/// `queue_counts`: how many hold and wait for each limit (spec/query.md 2.5).
final class QueueCountsTable: RowsTable {
    private static let tenant = Constraint(1, .equal)
    private static let queue = Constraint(2, .equal)

    init(_ run: StatementRun) {
        super.init(
            "queue_counts",
            [
                Column("shard_id", .utf8), Column("tenant", .utf8), Column("queue_name", .utf8), Column("holders", .int64),
                Column("requesters", .int64), Column("max_concurrency", .int64, nullable: true),
                Column("limit_type", nullable: true, words: .queueLimit),
            ], run)
    }

    override func accepts(_ constraint: Constraint) -> Bool { constraint == Self.tenant || constraint == Self.queue }
    override func rows(_ constraints: Set<Constraint>) -> Double { constraints.isEmpty ? 10_000 : 500 }

    override func scan(_ plan: ScanPlan, _ arguments: ScanArguments) -> RowsScan {
        let tenants = arguments.tenants(Self.tenant)
        let queues = arguments.texts(Self.queue)?.unique.map { LimitKey($0) }
        return RowsScan("tenant=\(JobScan.shown(tenants))") { QueueCountsScan($0, tenants: tenants, queues) }
    }
}

/// `@unchecked Sendable`: as `RowScan`.
private final class QueueCountsScan: RowScan, @unchecked Sendable {
    private let queues: [LimitKey]?

    init(_ shard: ScannedShard, tenants: [Tenant]?, _ queues: [LimitKey]?) {
        self.queues = queues
        super.init(shard, tenants: tenants)
    }

    override func rows(of part: Part, in shard: ScannedShard, _ reader: CountedReader) async throws(StoreError) -> [[Cell]] {
        struct Queue: Hashable {
            let tenant: Tenant
            let key: LimitKey
        }
        let found = try await HolderRows.read(part, HolderRows.Wanted(queues: queues), reader)
        var counts: [Queue: (holders: Int64, requesters: Int64)] = [:]
        for holder in found.holders { counts[Queue(tenant: holder.tenant, key: holder.key), default: (0, 0)].holders += 1 }
        for line in found.lines {
            counts[Queue(tenant: line.tenant, key: line.key), default: (0, 0)].requesters += Int64(clamping: line.waiting)
        }
        let ordered = counts.sorted { ($0.key.tenant, $0.key.key) < ($1.key.tenant, $1.key.key) }
        return ordered.map { queue, count in
            let maximum = found.maximum(of: queue.key, queue.tenant)
            let kind = found.isFloating(queue.key, queue.tenant) ? "floating" : "fixed"
            return [
                .text(shard.id.description), .text(queue.tenant.name), .text(queue.key.text), .integer(count.holders),
                .integer(count.requesters), Cell(maximum.map { Int64($0) }), maximum == nil ? .null : .text(kind),
            ]
        }
    }
}
