/// A statement that counts, adds up and compares jobs by what many of them share need not have SQLite look at each: it gets
/// tallies, each of some jobs that are alike, and puts together those that belong together. So SQLite sorts a few rows.
enum Tally {
    /// The table of tallies, which no statement can name.
    static let table = "silo_job_tallies"
    /// How many jobs there are in each row.
    static let count = Rollup.count

    /// What a tally knows of its jobs' numbers, besides what they share.
    enum Measure: String, CaseIterable {
        case firstChange, lastChange, firstEnqueue, lastEnqueue, leastPriority, greatestPriority, prioritySum

        /// As SQLite knows it.
        var name: String { "silo_\(rawValue)" }

        /// The column of `jobs` that it is about.
        var measured: JobsTable.Name {
            switch self {
            case .firstChange, .lastChange: .changedAt
            case .firstEnqueue, .lastEnqueue: .enqueueTime
            case .leastPriority, .greatestPriority, .prioritySum: .priority
            }
        }

        fileprivate var column: Column {
            let column = JobsTable.columns[measured.rawValue]
            guard self != .prioritySum else { return Column(name, column.type.sum) }
            return column.renamed(name)
        }
    }

    /// What jobs of a tally may share: a statement may do with it what it likes.
    private static let shared: Set<String> = ["shard_id", "tenant", "task_group", "status_kind", "priority"]
    static let columns =
        JobsTable.columns.filter { shared.contains($0.name) } + [Column(count, .int64)] + Measure.allCases.map(\.column)
    private static let others =
        Set(JobsTable.columns.map(\.name)).subtracting(shared).union([count] + Measure.allCases.map(\.name))

    /// The same select over tallies; nil: it asks for more than they say.
    static func rewrite(_ core: SelectCore, _ ordered: [OrderTerm], common: [String: [Column]]) -> SelectCore? {
        guard let asked = RolledUp(core, ordered, common: common), asked.aliases.isDisjoint(with: others),
            asked.expressions.allSatisfy({ isAnswered($0, asked.aliases) })
        else { return nil }
        // The one row at the end of an index is found without the others.
        let aggregates = Set(asked.expressions.flatMap(\.aggregates).map(\.name))
        if core.group.isEmpty, aggregates == ["min"] || aggregates == ["max"] { return nil }
        return asked.rewritten(over: .jobTallies)
    }

    private static func isAnswered(_ expression: Expression, _ aliases: Set<String>) -> Bool {
        switch expression {
        case .column(_, let name): return shared.contains(name) || aliases.contains(name)
        case .exists, .subquery, .inSelect, .element: return false
        case .call(let call):
            guard call.window == nil else { return false }
            if call.isAggregate, !Rollup.isCount(call) {
                if measured(call) != nil { return call.filter.map { isAnswered($0, aliases) } ?? true }
                guard Rollup.isIndifferent(call) else { return false }
            }
        default: break
        }
        return expression.children.allSatisfy { isAnswered($0, aliases) }
    }

    /// What is asked of tallies in the place of an aggregate over a column of jobs; nil: it is another aggregate.
    static func measured(_ call: Call) -> Expression? {
        guard !call.isDistinct, call.window == nil, call.arguments.count == 1,
            case .column(let table, let name)? = call.arguments.first
        else { return nil }
        func over(_ measure: Measure) -> Expression {
            var measured = call
            measured.arguments = [.column(table: table, name: measure.name)]
            return .call(measured)
        }
        switch (call.name, name) {
        case ("min", "status_changed_at_ms"): return over(.firstChange)
        case ("max", "status_changed_at_ms"): return over(.lastChange)
        case ("min", "enqueue_time_ms"): return over(.firstEnqueue)
        case ("max", "enqueue_time_ms"): return over(.lastEnqueue)
        case ("min", "priority"): return over(.leastPriority)
        case ("max", "priority"): return over(.greatestPriority)
        case ("sum", "priority"): return over(.prioritySum)
        case ("avg", "priority"):
            let sum = Call(name: "sum", arguments: [.column(table: table, name: Measure.prioritySum.name)], filter: call.filter)
            let jobs = Call(name: "sum", arguments: [.column(table: table, name: count)], filter: call.filter)
            return .binary("/", .binary("*", .call(sum), .literal(.real("1.0"))), .call(jobs))
        default: return nil
        }
    }
}

extension Expression {
    /// Aggregates of its own select.
    fileprivate var aggregates: [Call] {
        if case .call(let call) = self, call.isAggregate, call.window == nil { return [call] }
        return children.flatMap(\.aggregates)
    }
}
