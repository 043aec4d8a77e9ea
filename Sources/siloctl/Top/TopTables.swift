import SiloAPI
import SiloCore

/// What the tables of `top` show of a moment.
struct TopTables {
    let sample: TopSample
    let pace: TopPace
    let minute: TopPace
    /// Milliseconds since the Unix epoch.
    let now: Int64

    /// - Parameter filter: rows whose names contain it.
    func table(_ view: TopView, filter: String) -> TopTable {
        var table =
            switch view {
            case .groups: groups
            case .tenants: tenants
            case .shards: shards
            case .workers: workers
            }
        // A name as it is, whatever of it can be shown.
        table.rows.removeAll { row in
            guard case .text(let name) = row[0].order else { return false }
            return !filter.isEmpty && !name.contains(filter)
        }
        return table
    }

    private static let unasked = "It was not looked at before the pause; space goes on."

    // MARK: Task groups

    private var groups: TopTable {
        var sums: [ExactText: SiloV1.OverviewGroup] = [:]
        for group in sample.nodes.flatMap(\.groups) {
            let name = ExactText(group.taskGroup)
            sums[name] = sums[name]?.adding(group) ?? group
        }
        return TopTable(
            columns: [
                .init(title: "Task group", isText: true, rank: 0), .init(title: "Backlog", rank: 0, least: 9),
                .init(title: "At limits", rank: 7), .init(title: "Running", rank: 1), .init(title: "Scheduled", rank: 8),
                .init(title: "Started/s", rank: 2), .init(title: "Ended/s", rank: 6, least: 8),
                .init(title: "Oldest", isLength: true, rank: 3, least: 8),
                .init(title: "Empty in", isLength: true, rank: 4, least: 9),
                .init(title: "Workers", rank: 5), .init(title: "State", isText: true, rank: 2, least: 6),
            ],
            rows: sums.values.map(row), empty: "No jobs wait or run.")
    }

    private func row(_ group: SiloV1.OverviewGroup) -> TopTable.Row {
        let rates = pace.rates.map { _ in pace.groups[ExactText(group.taskGroup)] ?? .init() }
        let isPaused = sample.paused.contains(ExactText(group.taskGroup))
        return [
            .text(group.taskGroup), .count(group.backlog), .count(group.jobs?.waiting ?? 0), .count(group.jobs?.running ?? 0),
            .count(group.jobs?.scheduled ?? 0), .rate(rates?.started), .rate(rates?.ended), .length(group.oldestReadyMs),
            emptyIn(group), .count(group.workers), isPaused ? .text("paused", .busy) : .text("-"),
        ]
    }

    /// When nothing will wait any more, as things went in the last minute.
    private func emptyIn(_ group: SiloV1.OverviewGroup) -> TopTable.Cell {
        let unknown = TopTable.Cell(line: "-", order: .number(-1))
        guard group.backlog > 0, minute.rates != nil else { return unknown }
        let rates = minute.groups[ExactText(group.taskGroup)] ?? .init()
        let never = { (word: String) in TopTable.Cell(line: Line(word), order: .number(.infinity)) }
        guard rates.started > 0 else { return never("stands") }
        guard rates.drain > 0 else { return never(rates.drain < 0 ? "grows" : "stays") }
        return .length(Int64(min(Double(group.backlog) / rates.drain * 1000, 1e15)))
    }

    // MARK: Tenants

    private var tenants: TopTable {
        let columns: [TopTable.Column] = [
            .init(title: "Tenant", isText: true, rank: 0), .init(title: "Backlog", rank: 0, least: 9),
            .init(title: "At limits", rank: 5), .init(title: "Running", rank: 1),
            .init(title: "Scheduled", rank: 4, least: 9), .init(title: "Ended/min", rank: 2),
            .init(title: "Failed/min", rank: 3), .init(title: "Failed", rank: 3, least: 8), .init(title: "Succeeded", rank: 6),
        ]
        let rows = sample.tenants?.map { tenant -> TopTable.Row in
            [
                .text(tenant.tenant), .count(tenant.ready + tenant.waiting), .count(tenant.waiting), .count(tenant.running),
                .count(tenant.scheduled), .count(tenant.endedInMinute),
                .count(tenant.failedInMinute, isBad: tenant.failedInMinute > 0), .count(tenant.failed), .count(tenant.succeeded),
            ]
        }
        return TopTable(columns: columns, rows: rows ?? [], empty: rows == nil ? Self.unasked : "No tenant has jobs.")
    }

    /// What the tenants of a page are the first of.
    static func order(ofTenantsBy column: Int) -> SiloV1.ListTenantsRequest.Order {
        switch column {
        case 5, 6: .rate
        case 7: .failures
        default: .backlog
        }
    }

    // MARK: Shards

    private var shards: TopTable {
        let rows = sample.nodes.flatMap(\.shards).map { shard -> TopTable.Row in
            let isSlow = shard.slowness > TopHealth.slowMilliseconds
            let state: TopTable.Cell =
                shard.trouble.isEmpty ? isSlow ? .text("slow", .busy) : .text("serves", .good) : .text("closed", .bad)
            return [
                .text(shard.shardId), state, .count(shard.jobs), .count(shard.jobs - shard.finished), .count(shard.leases),
                .count(shard.waitingWorkers), .length(shard.oldestRequestMs.ifAny), .length(shard.flushMs.ifAny),
                .count(shard.wrongSlots + shard.mended, isBad: shard.wrongSlots + shard.mended > 0),
                .text(sample.addresses[shard.shardId] ?? "-"),
            ]
        }
        return TopTable(
            columns: [
                .init(title: "Shard", isText: true, rank: 0), .init(title: "State", isText: true, rank: 0, least: 6),
                .init(title: "Jobs", rank: 1, least: 9), .init(title: "Unfinished", rank: 3),
                .init(title: "Leases", rank: 2, least: 7), .init(title: "Calls", rank: 5),
                .init(title: "Request", isLength: true, rank: 4, least: 8),
                .init(title: "Flush", isLength: true, rank: 4, least: 7),
                .init(title: "Faults", rank: 6), .init(title: "Server", isText: true, rank: 7),
            ],
            rows: rows, empty: "The shards are being opened.")
    }

    // MARK: Workers

    private var workers: TopTable {
        let rows = sample.workers?.map { worker -> TopTable.Row in
            let last = worker.lastHeardMs > 0 ? max(0, now - worker.lastHeardMs) : nil
            return [
                .text(worker.workerId), worker.isQuiet ? .text("quiet", .busy) : .text("-"), .count(worker.leases),
                .length(worker.oldestLeaseMs.map { max(0, now - $0) }), .length(last),
                .text(worker.groups.map(\.taskGroup).joined(separator: ", ")), .text(worker.host.isEmpty ? "-" : worker.host),
                .text(worker.version.isEmpty ? "-" : worker.version),
            ]
        }
        return TopTable(
            columns: [
                .init(title: "Worker", isText: true, rank: 0), .init(title: "State", isText: true, rank: 1, least: 5),
                .init(title: "Holds", rank: 0, least: 6), .init(title: "Oldest", isLength: true, rank: 2, least: 8),
                .init(title: "Heard", isLength: true, rank: 3, least: 8), .init(title: "Groups", isText: true, rank: 4),
                .init(title: "Host", isText: true, rank: 5), .init(title: "Version", isText: true, rank: 6),
            ],
            rows: rows ?? [], empty: rows == nil ? Self.unasked : "No worker has asked for work lately.")
    }
}

extension SiloV1.OverviewGroup {
    fileprivate func adding(_ other: Self) -> Self {
        var sum = self
        var jobs = self.jobs ?? .init()
        jobs.scheduled += other.jobs?.scheduled ?? 0
        jobs.waiting += other.jobs?.waiting ?? 0
        jobs.ready += other.jobs?.ready ?? 0
        jobs.running += other.jobs?.running ?? 0
        sum.jobs = jobs
        sum.oldestReadyMs = [oldestReadyMs, other.oldestReadyMs].compactMap { $0 }.max()
        sum.workers = max(workers, other.workers)
        return sum
    }
}

extension Int64 {
    fileprivate var ifAny: Int64? { self > 0 ? self : nil }
}
