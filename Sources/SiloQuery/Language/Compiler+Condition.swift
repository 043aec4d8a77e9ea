/// Conditions of WHERE and ON.
extension Compiler {
    /// A condition whose parts SQLite offers to the tables one by one.
    func condition(_ condition: Expression, _ scope: Scope, _ from: [FromItem]) throws(QueryError) -> String {
        var parts: [String] = []
        for part in condition.conjuncts { parts += try conjunct(part, scope, from) }
        if from.count == 1, let table = from[0].table { conjunctCounts[table] = condition.conjuncts.count }
        return parts.joined(separator: " AND ")
    }

    /// Alternatives are one range of an index each where they name one column, and otherwise looked at row by row: SQLite would
    /// scan once for each and need the numbers of rows.
    private func conjunct(_ part: Expression, _ scope: Scope, _ from: [FromItem]) throws(QueryError) -> [String] {
        let arms = part.disjuncts
        guard arms.count > 1 else { return ["(\(indexed(try truth(expression(part, scope)), scope, from)))"] }
        if let (column, values) = Self.oneOf(arms) { return [try expression(.inList(column, values, negated: false), scope).sql] }
        var parts = [try expression(part, scope).sql]
        var pinned: [Expression] = []
        var status: Expression?
        for arm in arms {
            guard let (column, values) = arm.conjuncts.lazy.compactMap({ Self.oneOf([$0]) }).first(where: { $0.0.isStatus })
            else {
                return parts
            }
            // Of several tables none has one of these statuses for certain.
            guard status?.isSameColumn(as: column) ?? true else { return parts }
            status = column
            pinned += values
        }
        if let status { parts.append(try expression(.inList(status, pinned, negated: false), scope).sql) }
        return parts
    }

    /// A test of metadata that must hold names the column that the index answers for: nothing else need be read then.
    private func indexed(_ sql: String, _ scope: Scope, _ from: [FromItem]) -> String {
        guard from.allSatisfy({ $0.join?.kind != .left }), scope.common["jobs"] == nil else { return sql }
        for item in from where item.table == "jobs" {
            let table = quoted(item.alias ?? "jobs")
            for function in ["silo_has", "silo_prefix"] {
                let shown = "\(function)(\(table).\"metadata\", "
                guard sql.hasPrefix(shown) else { continue }
                return "\(function)(\(table).\(quoted(JobsTable.metadataIndex)), " + sql.dropFirst(shown.count)
            }
        }
        return sql
    }

    /// The column that all arms compare with constants, and these.
    private static func oneOf(_ arms: [Expression]) -> (Expression, [Expression])? {
        var column: Expression?
        var values: [Expression] = []
        for arm in arms {
            var own: Expression
            switch arm {
            case .binary("=", let left, let right):
                own = left.isColumn ? left : right
                guard own.isColumn, (left.isColumn ? right : left).isConstant else { return nil }
                values.append(left.isColumn ? right : left)
            case .inList(let operand, let items, negated: false):
                guard operand.isColumn, items.allSatisfy(\.isConstant) else { return nil }
                own = operand
                values += items
            default: return nil
            }
            guard column.map({ $0.isSameColumn(as: own) }) ?? true else { return nil }
            column = own
        }
        return column.map { ($0, values) }
    }
}

extension Expression {
    fileprivate var isColumn: Bool { if case .column = self { true } else { false } }
    fileprivate var isStatus: Bool { if case .column(_, "status_kind") = self { true } else { false } }

    fileprivate var isConstant: Bool {
        switch self {
        case .literal, .parameter: true
        default: false
        }
    }

    fileprivate func isSameColumn(as other: Expression) -> Bool {
        guard case .column(let table, let name) = self, case .column(let otherTable, let otherName) = other else { return false }
        return name == otherName && table == otherTable
    }
}
