/// The table `jobs` (spec/query.md 2.1).
class JobsTable: VirtualTable {
    enum Name: Int, CaseIterable {
        case shard, tenant, id, priority, enqueueTime, payload, status, changedAt, group, attempt, nextStart, metadata, limits
        /// Ours, not upstream's.
        case errorCode
        /// Metadata once more, as conditions name it that its index answers.
        case metadataIndex
    }

    static let columns = [
        Column("shard_id", .utf8), Column("tenant", .utf8), Column("id", .utf8), Column("priority", .uint8),
        Column("enqueue_time_ms", .int64), Column("payload", .utf8, nullable: true),
        Column("status_kind", nullable: true, words: .jobStatus),
        Column("status_changed_at_ms", .int64, nullable: true, isSet: true),
        Column("task_group", .utf8), Column("current_attempt", .uint32, nullable: true),
        Column("next_attempt_starts_after_ms", .int64, nullable: true), Column("metadata", .map, nullable: true),
        Column("limits", .utf8, nullable: true), Column("error_code", .utf8, nullable: true, isListed: false),
    ]

    static let tenant = Constraint(Name.tenant.rawValue, .equal)
    static let id = Constraint(Name.id.rawValue, .equal)
    static let status = Constraint(Name.status.rawValue, .equal)
    static let group = Constraint(Name.group.rawValue, .equal)
    /// What metadata answers; of several the first is scanned by.
    static let byMetadata = [Constraint.Comparison.has, .hasPrefix].flatMap { comparison in
        [Name.metadataIndex, .metadata].map { Constraint($0.rawValue, comparison) }
    }
    /// What a statement cannot name: the compiler writes it.
    static let metadataIndex = "silo_metadata"

    init(_ run: StatementRun) { super.init("jobs", Self.columns, hidden: [Self.metadataIndex], run) }

    /// One of the same columns, and more.
    init(_ name: String, hidden: [String], _ run: StatementRun) {
        super.init(name, Self.columns, hidden: [Self.metadataIndex] + hidden, run)
    }

    /// Of one shard: of several each has some of the rows that are passed over. So has each of several selects, and SQLite tells
    /// each of them what is to be passed over in all.
    override var skipsRows: Bool { run.query.shards.count == 1 && run.compiled?.hasCompound != true }

    override func accepts(_ constraint: Constraint) -> Bool {
        // Of a walk, what finds jobs in the order of their keys.
        if run.query.walk != nil {
            return [Self.tenant, Self.id].contains(constraint)
                || constraint.comparison == .has && Self.byMetadata.contains(constraint)
        }
        return [Self.tenant, Self.id, Self.status, Self.group].contains(constraint) || Self.byMetadata.contains(constraint)
            || Self.isOfIds(constraint) || Self.isOfTimes(constraint)
    }

    private static func isOfIds(_ constraint: Constraint) -> Bool {
        constraint.column == Name.id.rawValue && IdRange.has(constraint.comparison)
    }

    private static func isOfTimes(_ constraint: Constraint) -> Bool {
        constraint.column == Name.changedAt.rawValue && TimeBounds.has(constraint.comparison)
    }

    override func exact(_ constraints: Set<Constraint>) -> Set<Constraint> {
        var exact = constraints.intersection([Self.tenant])
        if constraints.contains(Self.id) { return exact.isEmpty ? [] : exact.union([Self.id]) }
        if run.query.walk != nil { return exact }
        if let metadata = Self.byMetadata.first(where: constraints.contains) { return exact.union([metadata]) }
        if constraints.contains(Self.status) { exact.insert(Self.status) }
        return exact
    }

    override func rows(_ constraints: Set<Constraint>) -> Double {
        let tenants: Double = constraints.contains(Self.tenant) ? 1 : 20
        if constraints.contains(Self.id) { return tenants }
        if !constraints.isDisjoint(with: Self.byMetadata) { return 100 * tenants }
        let share = constraints.contains(where: { Self.isOfIds($0) || Self.isOfTimes($0) || $0 == Self.group }) ? 0.1 : 1
        return (constraints.contains(Self.status) ? 1000 : 100_000) * tenants * share
    }

    override func isOrdered(by order: [(column: Int, descends: Bool)], _ constraints: [(Constraint, value: String?)]) -> Bool {
        guard order.count == 1, let term = order.first else { return false }
        let tenant = constraints.first { $0.0 == Self.tenant }
        if tenant != nil, tenant?.value == nil { return false }
        let others = constraints.filter { $0.0 != Self.tenant }
        if term.column == Name.id.rawValue {
            return tenant != nil && !term.descends && others.allSatisfy { Self.isOfIds($0.0) }
        }
        guard term.column == Name.changedAt.rawValue, term.descends,
            let status = others.first(where: { $0.0 == Self.status })?.value.flatMap({ ShownStatus(name: $0) })
        else { return false }
        // A tenant is in one shard. Of all tenants there is an index of failures only.
        guard tenant != nil else { return others.count == 1 && status == .failed && run.query.tenants == nil }
        return status.stored != nil && others.allSatisfy { $0.0 == Self.status || Self.isOfTimes($0.0) }
    }

    override func cursor() -> TableCursor { JobsCursor(run) }
}
