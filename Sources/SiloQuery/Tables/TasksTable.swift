import Protobuf
import SiloCore
import SiloStore

/// `tasks`: attempts that are to be, ready or not yet due, and due refreshes of floating limits (spec/query.md 2.2).
final class TasksTable: RowsTable {
    private static let tenant = Constraint(1, .equal)
    private static let group = Constraint(2, .equal)
    private static let start = 3

    init(_ run: StatementRun) {
        super.init(
            "tasks",
            [
                Column("shard_id", .utf8), Column("tenant", .utf8), Column("task_group", .utf8), Column("start_time_ms", .int64),
                Column("priority", .uint8), Column("job_id", .utf8), Column("attempt", .uint32),
                Column("variant_type", words: .taskVariant),
                Column("task_id", .utf8), Column("held_queues", .utf8),
            ], run)
    }

    override func accepts(_ constraint: Constraint) -> Bool {
        constraint == Self.tenant || constraint == Self.group
            || constraint.column == Self.start && TimeBounds.has(constraint.comparison)
    }

    /// The tenant is checked again, as plans have always shown.
    override func exact(_ constraints: Set<Constraint>) -> Set<Constraint> {
        constraints.contains(Self.group) ? constraints.filter { $0.column == Self.start || $0 == Self.group } : []
    }

    override func rows(_ constraints: Set<Constraint>) -> Double {
        (constraints.contains(Self.tenant) ? 1 : 20) * (constraints.contains(Self.group) ? 1000 : 10_000)
    }

    override func scan(_ plan: ScanPlan, _ arguments: ScanArguments) -> RowsScan {
        let tenants = arguments.tenants(Self.tenant)
        let groups = arguments.texts(Self.group)?.unique.map { TaskGroup($0) }
        let times = TimeBounds(arguments, column: Self.start)
        var strategy = "FullScan"
        if let groups, groups.count == 1, let group = groups.first {
            let (low, high) = (times.shown(times.low), times.shown(times.high))
            strategy = "TaskGroupScan(task_group=\"\(group)\", time_lower=\(low), time_upper=\(high))"
        }
        return RowsScan(strategy) { TaskPages($0, tenants: tenants, groups: groups, times) }
    }
}

/// Reads the rows of `tasks`, a page at a time.
///
/// `@unchecked Sendable`: one task at a time reads.
private final class TaskPages: PageSource, @unchecked Sendable {
    private enum Kind { case ready, date, delay, line, refresh }
    private let shard: ScannedShard
    private let tenants: [Tenant]?
    private let groups: [TaskGroup]?
    private let times: TimeBounds
    private var parts: ArraySlice<Part>?
    private var ranges: ArraySlice<(Kind, start: Bytes, end: Bytes)> = []
    private var holds = GoodHolds()
    private static let pageRows = 512

    init(_ shard: ScannedShard, tenants: [Tenant]?, groups: [TaskGroup]?, _ times: TimeBounds) {
        self.shard = shard
        self.tenants = tenants
        self.groups = groups
        self.times = times
    }

    private var reader: CountedReader { shard.reader }

    func next() async throws(StoreError) -> [[Cell]]? {
        guard !times.isEmpty else { return nil }
        var left = if let parts { parts } else { try await Part.all(of: shard, tenants)[...] }
        defer { parts = left }
        while true {
            while let range = ranges.popFirst() {
                let page = try await reader.scan((range.start, range.end), limit: Self.pageRows)
                if page.hasMore, let last = page.rows.last {
                    ranges = [(range.0, last.key + [0], range.end)] + ranges
                }
                var cells: [[Cell]] = []
                for row in page.rows { if let row = try await self.cells(row, range.0) { cells.append(row) } }
                if !cells.isEmpty { return cells }
            }
            guard let part = left.popFirst() else { return nil }
            reader.held.clear()
            holds = try await GoodHolds(of: part, reader)
            ranges = try await ranges(of: part)[...]
        }
    }

    /// Ranges in which something stands, as the directory says.
    private func ranges(of part: Part) async throws(StoreError) -> [(Kind, start: Bytes, end: Bytes)] {
        var ranges: [(Kind, start: Bytes, end: Bytes)] = []
        var hasLines = false
        for row in try await part.directory(reader, groups: groups) {
            let keys = TenantKeys(row.tenant)
            if row.counts.ready > 0 {
                // No rank is before its start.
                let from = max(row.counts.readyFrom, UInt64(clamping: times.low ?? 0))
                let range = keys.ready(row.group, from: Position(from: from))
                ranges.append((.ready, range.start, range.end))
            }
            if row.counts.dates > 0 {
                let from = max(row.counts.datesFrom, UInt64(clamping: times.low ?? 0))
                let all = keys.dates(row.group, from: Position(from: from))
                let end = times.high.map { keys.dates(row.group, from: Position(from: UInt64(clamping: $0) + 1)).start }
                ranges.append((.date, all.start, end ?? all.end))
            }
            if row.counts.delays > 0 {
                let range = keys.delays(row.group, from: Position(from: row.counts.delaysFrom))
                ranges.append((.delay, range.start, range.end))
            }
            hasLines = hasLines || row.counts.waiting > 0
        }
        if hasLines {
            let range = part.range(.waiting)
            ranges.append((.line, range.start, range.end))
        }
        let refreshes = part.range(.refresh)
        ranges.append((.refresh, refreshes.start, refreshes.end))
        return ranges
    }

    private func cells(_ row: Row, _ kind: Kind) async throws(StoreError) -> [Cell]? {
        guard kind != .refresh else { return refresh(row) }
        guard let pending = PendingRow(row, isInLine: kind == .line) else { return nil }
        // Who waits for a slot has no task yet: it is a row of `queues`.
        guard kind != .line || pending.limits.slotKeys.isEmpty else { return nil }
        let group = pending.group ?? pending.taskGroup
        var start = pending.task.startMs
        if kind == .delay { start = shard.moment.date(of: Timestamp(Int64(clamping: pending.order))).milliseconds }
        guard times.contains(start), groups?.contains(TaskGroup(group)) ?? true else { return nil }
        var held: [String] = []
        if kind == .ready, let hold = pending.task.hold {
            held = try await holds.keys(pending.limits.slotKeys, hold, pending.task.keyHold, of: Tenant(pending.tenant), reader)
        }
        return [
            .text(shard.id.description), .text(pending.tenant), .text(group), .integer(start),
            Cell(pending.task.priority),
            .text(pending.job), Cell(pending.task.attempt), .text(kind == .line ? "CheckRateLimit" : "RunAttempt"),
            .text("\(pending.job):\(pending.task.attempt)"), .text(held.joined(separator: ",")),
        ]
    }

    private func refresh(_ row: Row) -> [Cell]? {
        guard case .refresh(let tenant, let limit)? = ShardKeys.parse(row.key),
            let refresh = try? StorageV1.Refresh(serializedBytes: row.value), refresh.expiresAtMs == 0,
            groups?.contains(TaskGroup(refresh.taskGroup)) ?? true
        else { return nil }
        let due = shard.moment.date(of: Timestamp(refresh.dueAtMs)).milliseconds
        guard times.contains(due) else { return nil }
        return [
            .text(shard.id.description), .text(tenant.name), .text(refresh.taskGroup), .integer(due), .integer(0),
            .text(limit.text), .integer(0), .text("RefreshFloatingLimit"), .text(""), .text(""),
        ]
    }
}
