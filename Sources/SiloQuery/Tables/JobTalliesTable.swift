import SiloCore

/// The table behind `Tally`: jobs, those that are alike in one row.
final class JobTalliesTable: JobsTable {
    private static let hidden = [Tally.count] + Tally.Measure.allCases.map(\.name)
    /// Where the first of these stands.
    private static let firstHidden = Name.allCases.count

    override init(_ run: StatementRun) { super.init(Tally.table, hidden: Self.hidden, run) }

    override var skipsRows: Bool { false }
    override func isOrdered(by order: [(column: Int, descends: Bool)], _ constraints: [(Constraint, value: String?)]) -> Bool {
        false
    }

    override func cursor() -> TableCursor { TalliesCursor(run) }

    enum Cell {
        case job(Name)
        case count
        case measure(Tally.Measure)
    }

    static func cell(_ number: Int) -> Cell? {
        if let name = Name(rawValue: number) { return .job(name) }
        if number == firstHidden { return .count }
        let measures = Tally.Measure.allCases
        let place = number - firstHidden - 1
        return measures.indices.contains(place) ? .measure(measures[place]) : nil
    }

    /// Columns of jobs whose measures a scan reads.
    static func measured(_ plan: ScanPlan) -> Set<Name> {
        Set(
            (firstHidden...firstHidden + Tally.Measure.allCases.count).compactMap { number in
                guard plan.uses(number), case .measure(let measure)? = cell(number) else { return nil }
                return measure.measured
            })
    }
}

/// A scan of tallies.
private final class TalliesCursor: TableCursor {
    private let run: StatementRun
    private var pump: RowPump<JobTally>?
    private var page: [JobTally] = []
    private var index = 0

    init(_ run: StatementRun) { self.run = run }

    override func filter(_ plan: ScanPlan, _ arguments: ScanArguments) throws(QueryError) {
        let measured = JobTalliesTable.measured(plan)
        let scan = JobScan(plan, arguments, alsoOf: measured)
        page = []
        index = 0
        pump = nil
        guard !run.explains("jobs", "\(scan.description)", plan, arguments) else { return }
        func uses(_ name: JobsTable.Name) -> Bool { plan.uses(name.rawValue) }
        let wants = JobTallies.Wants(
            tenant: uses(.tenant), group: uses(.group), status: uses(.status), priority: uses(.priority),
            changes: measured.contains(.changedAt), record: scan.needs.contains(.record))
        pump = RowPump(run.tallyScans(scan, wants), run, readsAhead: true)
        try turnPage()
    }

    override func next() throws(QueryError) {
        index += 1
        if index >= page.count { try turnPage() }
    }

    private func turnPage() throws(QueryError) {
        index = 0
        page = try pump?.next() ?? []
    }

    override var isAtEnd: Bool { index >= page.count }

    override func column(_ number: Int, _ result: CellResult) throws(QueryError) {
        guard index < page.count, let cell = JobTalliesTable.cell(number) else { return result.null() }
        let tally = page[index]
        switch cell {
        case .job(.shard): result.text(run.shards[tally.shard].id.description)
        case .job(.tenant): tally.tenant.withUnsafeBytes { result.text($0) }
        case .job(.group): tally.group.withUnsafeBytes { result.text($0) }
        case .job(.status): if let status = tally.status { result.text(status.name) } else { result.null() }
        case .job(.priority): result.integer(tally.priority)
        case .job: result.null()
        case .count: result.integer(tally.count)
        case .measure(.firstChange): result.integer(tally.changes.least)
        case .measure(.lastChange): result.integer(tally.changes.greatest)
        case .measure(.firstEnqueue): result.integer(tally.enqueues.least)
        case .measure(.lastEnqueue): result.integer(tally.enqueues.greatest)
        case .measure(.leastPriority): result.integer(tally.priorities.least)
        case .measure(.greatestPriority): result.integer(tally.priorities.greatest)
        case .measure(.prioritySum): result.integer(tally.prioritySum)
        }
    }
}

extension StatementRun {
    fileprivate func tallyScans(_ scan: JobScan, _ wants: JobTallies.Wants) -> [ShardScan<JobTally>] {
        shards.map { shard in
            let readers = (0..<TallyPages.sideBySide).map { _ in shard.scanned() }
            return ShardScan(id: shard.id, pages: TallyPages(scan, wants, readers))
        }
    }
}
