/// Counts of jobs by tenant, group and status are kept by the shard: a statement that asks for nothing else reads them, and no
/// job.
enum Rollup {
    /// The table of these counts, which no statement can name: how many jobs in each row.
    static let table = "silo_job_counts"
    static let count = "silo_jobs"
    private static let columnNames: Set<String> = ["shard_id", "tenant", "task_group", "status_kind"]
    static let columns = [
        Column("shard_id", .utf8), Column("tenant", .utf8), Column("task_group", .utf8), Column("status_kind", words: .jobStatus),
        Column(count, .int64),
    ]

    /// The same select over the counts; nil: it asks for more than they say.
    static func rewrite(_ core: SelectCore, _ ordered: [OrderTerm], common: [String: [Column]]) -> SelectCore? {
        guard let asked = RolledUp(core, ordered, common: common), asked.aliases.isDisjoint(with: others),
            asked.expressions.allSatisfy({ isAnswered($0, asked.aliases) })
        else { return nil }
        return asked.rewritten(over: .jobCounts)
    }

    private static let others = Set(JobsTable.columns.map(\.name)).subtracting(columnNames).union([count])

    private static func isAnswered(_ expression: Expression, _ aliases: Set<String>) -> Bool {
        switch expression {
        case .column(_, let name): return columnNames.contains(name) || aliases.contains(name)
        case .exists, .subquery, .inSelect, .element: return false
        case .call(let call):
            guard call.window == nil else { return false }
            if call.isAggregate, !isCount(call), !isIndifferent(call) { return false }
        default: break
        }
        return expression.children.allSatisfy { isAnswered($0, aliases) }
    }

    /// It counts rows, whatever is in them.
    static func isCount(_ call: Call) -> Bool {
        guard call.name == "count", !call.isDistinct, call.filter.map({ !$0.hasSelect }) ?? true else { return false }
        if call.isStar { return true }
        if case .literal(let literal)? = call.arguments.first { return literal != .null }
        if case .column(_, let name)? = call.arguments.first { return neverNull.contains(name) }
        return false
    }

    /// Columns of jobs. What an alias stands for may be NULL.
    private static let neverNull = columnNames.union(
        JobsTable.columns.filter { !$0.isNullable || $0.isSet }.map(\.name))

    /// However often a value comes, it says the same.
    static func isIndifferent(_ call: Call) -> Bool { call.name == "min" || call.name == "max" || call.isDistinct }

    /// What is asked of the counts in its place.
    static func sum(_ call: Call) -> Expression {
        var sum = Call(name: "sum", arguments: [.column(table: nil, name: count)])
        sum.filter = call.filter
        return .call(Call(name: "coalesce", arguments: [.call(sum), .literal(.integer("0"))]))
    }
}

/// A select of nothing but groups and aggregates over `jobs`.
struct RolledUp {
    private let core: SelectCore
    private let alias: String?
    let expressions: [Expression]
    let aliases: Set<String>

    /// Nil: it is another.
    init?(_ core: SelectCore, _ ordered: [OrderTerm], common: [String: [Column]]) {
        guard core.from.count == 1, let item = core.from.first, case .table("jobs") = item.source, common["jobs"] == nil else {
            return nil
        }
        var expressions: [Expression] = [core.condition, core.having].compactMap { $0 } + core.group + ordered.map(\.expression)
        var aliases: Set<String> = []
        for column in core.columns {
            guard case .expression(let expression, let alias, _) = column else { return nil }
            expressions.append(expression)
            if let alias { aliases.insert(alias) }
        }
        guard expressions.contains(where: \.isAggregated) || !core.group.isEmpty else { return nil }
        self.core = core
        alias = item.alias
        self.expressions = expressions
        self.aliases = aliases
    }

    func rewritten(over source: FromItem.Source) -> SelectCore {
        var rewritten = core
        rewritten.from = [FromItem(source: source, alias: alias ?? "jobs", join: nil)]
        return rewritten
    }
}
