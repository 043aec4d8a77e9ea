import SiloCore
import SiloStore

/// `tenant_counts`: how many jobs of a tenant have a stored status (spec/query.md 2.4).
final class TenantCountsTable: RowsTable {
    private static let tenant = 1

    init(_ run: StatementRun) {
        super.init(
            "tenant_counts",
            [
                Column("shard_id", .utf8), Column("tenant", .utf8), Column("status_kind", words: .storedStatus),
                Column("cnt", .int64),
            ], run)
    }

    override func accepts(_ constraint: Constraint) -> Bool {
        guard constraint.column == Self.tenant else { return false }
        return constraint.comparison == .equal || TenantNames.signs[constraint.comparison] != nil
    }
    override func rows(_ constraints: Set<Constraint>) -> Double { constraints.isEmpty ? 1000 : 10 }

    override func scan(_ plan: ScanPlan, _ arguments: ScanArguments) -> RowsScan {
        let equal = Constraint(Self.tenant, .equal)
        let tenants = arguments.tenants(equal)
        let names = TenantNames(arguments, column: Self.tenant)
        let strategy = arguments.texts(equal)?.first.map { "tenant=\"\($0)\"" } ?? names.description
        return RowsScan(strategy) { TenantCountsScan($0, tenants: tenants, names) }
    }
}

/// Names of tenants between bounds. Keys are in the order of hashes: all are read, and others pass for nothing.
private struct TenantNames {
    static let signs: [Constraint.Comparison: String] = [.greater: ">", .greaterOrEqual: ">=", .less: "<", .lessOrEqual: "<="]
    private let bounds: [(comparison: Constraint.Comparison, name: Tenant)]

    init(_ arguments: ScanArguments, column: Int) {
        let order: [Constraint.Comparison] = [.greater, .greaterOrEqual, .less, .lessOrEqual]
        bounds = order.compactMap { comparison in
            arguments.texts(Constraint(column, comparison))?.first.map { (comparison, Tenant($0)) }
        }
    }

    func contains(_ tenant: Tenant) -> Bool {
        bounds.allSatisfy { comparison, name in
            switch comparison {
            case .greater: tenant > name
            case .greaterOrEqual: tenant >= name
            case .less: tenant < name
            default: tenant <= name
            }
        }
    }

    /// As plans show it.
    var description: String {
        let texts = bounds.map { "tenant\(Self.signs[$0.comparison] ?? "")\"\($0.name)\"" }
        return texts.isEmpty ? "all" : texts.joined(separator: ", ")
    }
}

/// `@unchecked Sendable`: as `RowScan`.
private final class TenantCountsScan: RowScan, @unchecked Sendable {
    private let names: TenantNames

    init(_ shard: ScannedShard, tenants: [Tenant]?, _ names: TenantNames) {
        self.names = names
        super.init(shard, tenants: tenants)
    }

    override func rows(of part: Part, in shard: ScannedShard, _ reader: CountedReader) async throws(StoreError) -> [[Cell]] {
        var rows: [[Cell]] = []
        let directory = try await part.directory(reader)
        var index = 0
        while index < directory.count {
            let tenant = directory[index].tenant
            var counts: [(String, UInt64)] = [
                ("Scheduled", 0), ("Running", 0), ("Succeeded", 0), ("Failed", 0), ("Cancelled", 0),
            ]
            while index < directory.count, directory[index].tenant == tenant {
                let own: [ShownStatus] = [.scheduled, .running, .succeeded, .failed, .cancelled]
                for (place, status) in own.enumerated() { counts[place].1 += directory[index].count(status) }
                index += 1
            }
            for (name, count) in counts where count > 0 && names.contains(tenant) {
                rows.append([.text(shard.id.description), .text(tenant.name), .text(name), Cell(count)])
            }
        }
        return rows
    }
}

/// The table behind `Rollup`: counts of jobs by tenant, group and shown status.
final class JobCountsTable: RowsTable {
    private static let tenant = Constraint(1, .equal)

    init(_ run: StatementRun) { super.init(Rollup.table, Rollup.columns, run) }

    override func accepts(_ constraint: Constraint) -> Bool { constraint == Self.tenant }
    override func exact(_ constraints: Set<Constraint>) -> Set<Constraint> { constraints }
    override func rows(_ constraints: Set<Constraint>) -> Double { constraints.isEmpty ? 1000 : 10 }

    override func scan(_ plan: ScanPlan, _ arguments: ScanArguments) -> RowsScan {
        let tenants = arguments.tenants(Self.tenant)
        return RowsScan("Counters(tenant=\(JobScan.shown(tenants)))") {
            JobCountsScan($0, tenants: tenants, needsStatus: plan.uses(3))
        }
    }
}

/// `@unchecked Sendable`: as `RowScan`.
private final class JobCountsScan: RowScan, @unchecked Sendable {
    private let needsStatus: Bool

    init(_ shard: ScannedShard, tenants: [Tenant]?, needsStatus: Bool) {
        self.needsStatus = needsStatus
        super.init(shard, tenants: tenants)
    }

    override func rows(of part: Part, in shard: ScannedShard, _ reader: CountedReader) async throws(StoreError) -> [[Cell]] {
        var rows: [[Cell]] = []
        for row in try await part.directory(reader) {
            let due = needsStatus ? try await dueTimers(of: row, at: shard.moment, reader) : 0
            let timers = row.counts.dates + row.counts.delays
            let counts: [(ShownStatus, UInt64)] = [
                (.waiting, row.counts.ready + row.counts.waiting + min(due, timers)), (.scheduled, timers - min(due, timers)),
                (.running, row.counts.leased), (.succeeded, row.counts.succeeded), (.failed, row.counts.failed),
                (.cancelled, row.counts.cancelled),
            ]
            for (status, count) in counts where count > 0 {
                rows.append([
                    .text(shard.id.description), .text(row.tenant.name), .text(row.group.text), .text("\(status.name)"),
                    Cell(count),
                ])
            }
        }
        return rows
    }

    /// Timers whose time has come and that the shard has not come to yet: their jobs wait.
    private func dueTimers(
        of row: DirectoryRow, at moment: Moment, _ reader: CountedReader
    ) async throws(StoreError) -> UInt64 {
        let keys = TenantKeys(row.tenant)
        var due = 0
        if row.counts.dates > 0, row.counts.datesFrom <= moment.wall.sortable {
            let first = keys.dates(row.group, from: Position(from: row.counts.datesFrom)).start
            let end = keys.dates(row.group, from: Position(from: moment.wall.sortable + 1)).start
            try await reader.each((first, end)) { _ in due += 1 }
        }
        if row.counts.delays > 0, row.counts.delaysFrom <= moment.steady.sortable {
            let first = keys.delays(row.group, from: Position(from: row.counts.delaysFrom)).start
            let end = keys.delays(row.group, from: Position(from: moment.steady.sortable + 1)).start
            try await reader.each((first, end)) { _ in due += 1 }
        }
        return UInt64(due)
    }
}
