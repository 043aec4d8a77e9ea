import SiloCore

/// A statement in SQLite's SQL, and what its result is.
struct Compiled {
    let sql: String
    let columns: [Column]
    let isExplain: Bool
    /// Values of placeholders that stand in `sql` as `$n`.
    let parameters: [Int: Parameter]
    /// Of each table that a select has alone: parts of its WHERE that must all hold.
    let conjuncts: [String: Int]
    /// Somewhere in it selects are joined by UNION and the like.
    let hasCompound: Bool
    /// What was hardly meant, for people.
    let notices: [String]
}

/// Translates a statement into SQLite's dialect: finds what each name means, which type each expression has, and writes out
/// what SQLite would take to mean something else.
final class Compiler {
    private let given: [Parameter]
    private let tables: [String: [Column]]
    /// Names that stand in double quotes somewhere in the statement.
    let quotedNames: Set<String>
    private var used: [Int: Parameter] = [:]
    /// Expressions that were written; what is nested in some ways is written more than once.
    private var steps = 0
    private static let stepsMax = 300_000
    /// Bytes of all that was written: each level of a nested text is written anew with what stands in it.
    private var bytesWritten = 0
    private static let bytesWrittenMax = 64 << 20
    private let control: StatementControl?
    /// Tables that the statement reads, once SQLite has put each common table where it is used: it does so before it looks at the
    /// time, and of tables that use one another twice it would make more than there is room for.
    private var tablesRead = 0
    private static let tablesReadMax = 4096
    var conjunctCounts: [String: Int] = [:]
    private var hasCompound = false
    private var notices: [String] = []
    private static let noticesMax = 8

    /// - Parameters:
    ///   - tables: columns by table.
    ///   - control: may end it early.
    static func compile(
        _ text: String, _ parameters: [Parameter], tables: [String: [Column]], control: StatementControl? = nil
    ) throws(QueryError) -> Compiled {
        let statement = try Parser.statement(text)
        let compiler = Compiler(given: parameters, tables: tables, quotedNames: statement.quotedNames, control: control)
        let (sql, columns) = try compiler.select(statement.select, in: nil)
        return Compiled(
            sql: sql, columns: columns, isExplain: statement.isExplain, parameters: compiler.used,
            conjuncts: compiler.conjunctCounts, hasCompound: compiler.hasCompound,
            notices: compiler.notices
        )
    }

    private init(given: [Parameter], tables: [String: [Column]], quotedNames: Set<String>, control: StatementControl?) {
        self.given = given
        self.tables = tables
        self.quotedNames = quotedNames
        self.control = control
    }

    func parameter(_ number: Int) throws(QueryError) -> Parameter {
        guard number <= given.count else { throw .parameter("No value found for placeholder with id $\(number)") }
        return given[number - 1]
    }

    func use(_ number: Int, _ value: Parameter) { used[number] = value }

    func note(_ notice: String) {
        guard notices.count < Self.noticesMax, !notices.contains(where: notice.hasSameBytes) else { return }
        notices.append(notice)
    }

    func countStep() throws(QueryError) {
        steps += 1
        guard steps <= Self.stepsMax else { throw .syntax("it takes more than \(Self.stepsMax) steps to understand") }
        if let end = control?.end { throw end }
    }

    func countBytes(_ sql: String) throws(QueryError) {
        bytesWritten += sql.utf8.count
        guard bytesWritten <= Self.bytesWrittenMax else {
            throw .syntax("it takes more than \(Self.bytesWrittenMax) bytes to write out, as each level holds those within it")
        }
    }

    private func countTables(_ count: Int) throws(QueryError) {
        tablesRead += count
        guard tablesRead <= Self.tablesReadMax else {
            throw .syntax("it reads more than \(Self.tablesReadMax) tables, with those that its common tables stand for")
        }
    }

    // MARK: Selects

    func select(_ select: Select, in parent: Scope?) throws(QueryError) -> (sql: String, columns: [Column]) {
        let outer = Scope(parent: parent)
        let with = try commonTables(of: select, outer)
        var sql = ""
        var columns: [Column] = []
        var orderScope = outer
        for (index, (compound, core)) in select.cores.enumerated() {
            let isAlone = select.cores.count == 1
            let (text, own, scope) = try self.core(core, in: outer, ordered: isAlone ? select.order : [])
            if let compound {
                hasCompound = true
                guard own.count == columns.count else {
                    throw .syntax("the selects joined by \(compound) have different columns")
                }
                sql += " \(compound) "
                columns = zip(columns, own).map { first, second in
                    let isNullable = first.isNullable || second.isNullable
                    return Column(
                        first.name, first.type.common(with: second.type), nullable: isNullable, isSet: !isNullable,
                        words: FixedWords.common(first.words, second.words))
                }
            } else {
                columns = own
            }
            if index == 0 { orderScope = scope }
            sql += text
        }
        sql += try order(of: select, columns, orderScope)
        sql += try limit(of: select, outer)
        sql = with + sql
        try countBytes(sql)
        return (sql, columns)
    }

    private func commonTables(of select: Select, _ scope: Scope) throws(QueryError) -> String {
        guard !select.tables.isEmpty else { return "" }
        var parts: [String] = []
        for table in select.tables {
            let read = tablesRead
            defer { tablesRead = read }
            if select.isRecursive, let first = select.tables.first(where: { $0.name == table.name })?.select.cores.first {
                let inner = Scope(parent: scope)
                _ = try commonTables(of: table.select, inner)
                let (_, columns, _) = try core(first.core, in: inner, ordered: [])
                // What the recursion adds may be of a wider type.
                scope.common[table.name] = try named(table, columns).map(\.nullable).map { column in
                    column.type.isInteger ? Column(column.name, .int64, nullable: true) : column
                }
            }
            tablesRead = read
            let (sql, columns) = try self.select(table.select, in: scope)
            scope.commonSizes[table.name] = max(1, tablesRead - read)
            let own = scope.common[table.name].flatMap { select.isRecursive ? $0 : nil } ?? columns
            let result = try named(table, own)
            scope.common[table.name] = result
            parts.append("\(quoted(table.name))(\(result.map { quoted($0.name) }.joined(separator: ", "))) AS (\(sql))")
        }
        return "WITH \(select.isRecursive ? "RECURSIVE " : "")\(parts.joined(separator: ", ")) "
    }

    private func named(_ table: CommonTable, _ columns: [Column]) throws(QueryError) -> [Column] {
        guard !table.columns.isEmpty else { return columns }
        guard table.columns.count == columns.count else {
            throw .syntax("common table \(table.name) names \(table.columns.count) columns and has \(columns.count)")
        }
        return zip(columns, table.columns).map { $0.renamed($1) }
    }

    private func core(
        _ core: Core, in parent: Scope, ordered: [OrderTerm]
    ) throws(QueryError) -> (String, [Column], Scope) {
        switch core {
        case .select(let core): return try selectCore(core, in: parent, ordered: ordered)
        case .values(let rows):
            let scope = Scope(parent: parent)
            var types: [ColumnType] = []
            var texts: [String] = []
            for row in rows {
                var values: [Typed] = []
                for value in row { values.append(try expression(value, scope)) }
                guard types.isEmpty || types.count == values.count else { throw .syntax("rows of VALUES have different lengths") }
                types = types.isEmpty ? values.map(\.type) : zip(types, values).map { $0.common(with: $1.type) }
                texts.append("(\(values.map(\.sql).joined(separator: ", ")))")
            }
            let columns = types.enumerated().map { Column("column\($0.offset + 1)", $0.element, nullable: true) }
            return ("VALUES \(texts.joined(separator: ", "))", columns, scope)
        }
    }

    private func selectCore(
        _ written: SelectCore, in parent: Scope, ordered: [OrderTerm]
    ) throws(QueryError) -> (String, [Column], Scope) {
        let core =
            Rollup.rewrite(written, ordered, common: parent.common) ?? Tally.rewrite(written, ordered, common: parent.common)
            ?? written
        let scope = Scope(parent: parent)
        let from = try sources(core.from, scope)
        var sql = ""
        if let condition = core.condition { sql += " WHERE " + (try self.condition(condition, scope, core.from)) }
        for case .expression(let expression, let alias?, _) in core.columns { scope.aliases[alias] = expression }
        let groups = try self.groups(core, scope)
        let isAggregated =
            !groups.isEmpty || core.having?.isAggregated == true
            || core.columns.contains { if case .expression(let expression, _, _) = $0 { expression.isAggregated } else { false } }
            || ordered.contains { $0.expression.isAggregated }
        if isAggregated { scope.groups = Set(groups.map { ExactText($0) }) }
        if !groups.isEmpty { sql += " GROUP BY " + groups.joined(separator: ", ") }
        if let having = core.having { sql += " HAVING " + (try truth(expression(having, scope))) }
        let (list, columns) = try resultColumns(core, scope)
        return ("SELECT \(core.isDistinct ? "DISTINCT " : "")\(list)\(from)\(sql)", columns, scope)
    }

    private func resultColumns(_ core: SelectCore, _ scope: Scope) throws(QueryError) -> (String, [Column]) {
        var texts: [String] = []
        var columns: [Column] = []
        var named: Set<String> = []
        for column in core.columns {
            switch column {
            case .all(let table):
                let relations = scope.relations.filter { table == nil || $0.name == table }
                guard !relations.isEmpty else {
                    guard let table else { throw .syntax("* has no table") }
                    throw .unknown("table", table, among: scope.relations.map(\.name))
                }
                for relation in relations {
                    for column in relation.columns where column.isListed {
                        let value = try expression(.column(table: relation.name, name: column.name), scope)
                        texts.append("\(value.sql) AS \(quoted(column.name))")
                        columns.append(column)
                    }
                }
            case .expression(let expression, let alias, let text):
                let value = try self.expression(expression, scope)
                let name = alias ?? expression.ownName ?? text
                guard named.insert(name).inserted else {
                    throw .syntax("two columns of the result are called \(name): give one another name by AS")
                }
                texts.append("\(value.sql) AS \(quoted(name.replacingZeros))")
                columns.append(
                    Column(name, value.type, nullable: value.isNullable, isSet: !value.hasNulls, words: value.words))
            }
        }
        return (texts.joined(separator: ", "), columns)
    }

    /// What is grouped by, as SQL.
    private func groups(_ core: SelectCore, _ scope: Scope) throws(QueryError) -> [String] {
        var groups: [String] = []
        for group in core.group {
            guard case .literal(.integer(let digits)) = group else {
                groups.append(Self.noOrdinal(try expression(group, scope, aliasesToo: true).sql))
                continue
            }
            guard let place = Int(digits), place >= 1, place <= core.columns.count,
                case .expression(let expression, _, _) = core.columns[place - 1]
            else { throw .syntax("GROUP BY \(digits) is no column of the result") }
            groups.append(Self.noOrdinal(try self.expression(expression, scope).sql))
        }
        return groups
    }

    /// A number that is an expression, where SQLite would take it for the place of a column.
    private static func noOrdinal(_ sql: String) -> String {
        let signs = Set("0123456789+-() ".utf8)
        return sql.utf8.allSatisfy(signs.contains) ? "coalesce(\(sql), NULL)" : sql
    }

    // MARK: FROM

    private func sources(_ items: [FromItem], _ scope: Scope) throws(QueryError) -> String {
        guard !items.isEmpty else { return "" }
        var sql = " FROM "
        for item in items {
            let (text, relation) = try source(item, scope)
            guard !scope.relations.contains(where: { $0.name == relation.name }) else {
                throw .syntax("two tables are called \(relation.name): give one an alias")
            }
            var joined = relation
            if item.join?.kind == .left { joined.columns = joined.columns.map(\.nullable) }
            let before = scope.relations
            scope.relations.append(joined)
            guard let join = item.join else {
                sql += text
                continue
            }
            sql += " \(join.kind.rawValue) \(text)"
            var condition = join.condition
            for column in join.using {
                guard let left = before.last(where: { $0.columns.contains { $0.name == column } }) else {
                    throw .syntax("there is no column \(column) to join by: USING takes one that both tables have")
                }
                let equal = Expression.binary(
                    "=", .column(table: left.name, name: column), .column(table: relation.name, name: column))
                condition = condition.map { .binary("AND", $0, equal) } ?? equal
            }
            if let condition { sql += " ON " + (try self.condition(condition, scope, [])) }
        }
        return sql
    }

    private func source(_ item: FromItem, _ scope: Scope) throws(QueryError) -> (String, Relation) {
        switch item.source {
        case .table(let name):
            let alias = item.alias ?? name
            try countTables(scope.commonSizes[name] ?? 1)
            guard let columns = scope.common[name] ?? tables[name] else {
                // Those of rewritten selects are nobody else's.
                let named = tables.keys.filter { $0 != Rollup.table && $0 != Tally.table }
                throw .unknown("table", name, among: (named + scope.common.keys).sorted())
            }
            return ("\(quoted(name)) AS \(quoted(alias))", Relation(name: alias, columns: columns))
        case .jobCounts:
            let alias = item.alias ?? "jobs"
            scope.countsAreSums = true
            return ("\(quoted(Rollup.table)) AS \(quoted(alias))", Relation(name: alias, columns: Rollup.columns))
        case .jobTallies:
            let alias = item.alias ?? "jobs"
            scope.countsAreSums = true
            scope.isTallied = true
            return ("\(quoted(Tally.table)) AS \(quoted(alias))", Relation(name: alias, columns: Tally.columns))
        case .select(let select):
            // What stands beside it in FROM is not seen from within.
            let outer = Scope(parent: scope.parent)
            outer.common = scope.common
            outer.commonSizes = scope.commonSizes
            let (sql, columns) = try self.select(select, in: outer)
            let alias = item.alias ?? "subquery \(scope.relations.count + 1)"
            return ("(\(sql)) AS \(quoted(alias))", Relation(name: alias, columns: columns))
        }
    }

    // MARK: ORDER BY and LIMIT

    func order(_ terms: [OrderTerm], _ scope: Scope) throws(QueryError) -> String {
        var texts: [String] = []
        for term in terms {
            let value = try expression(term.expression, scope, aliasesToo: true)
            texts.append(Self.order(value.sql, term, hasNulls: value.hasNulls))
        }
        return texts.joined(separator: ", ")
    }

    private func order(of select: Select, _ columns: [Column], _ scope: Scope) throws(QueryError) -> String {
        guard !select.order.isEmpty else { return "" }
        var texts: [String] = []
        for term in select.order {
            if case .literal(.integer(let digits)) = term.expression {
                guard let place = Int(digits), place >= 1, place <= columns.count else {
                    throw .syntax("ORDER BY \(digits) is no column of the result")
                }
                texts.append(Self.order(digits, term, hasNulls: !columns[place - 1].isSet))
            } else if case .column(nil, let name) = term.expression, let place = columns.firstIndex(where: { $0.name == name }) {
                texts.append(Self.order(String(place + 1), term, hasNulls: !columns[place].isSet))
            } else if select.cores.count > 1 {
                throw .syntax("ORDER BY of several selects takes columns of the result only")
            } else {
                let value = try expression(term.expression, scope, aliasesToo: true)
                texts.append(Self.order(Self.noOrdinal(value.sql), term, hasNulls: value.hasNulls))
            }
        }
        return " ORDER BY " + texts.joined(separator: ", ")
    }

    /// NULL is the largest value, unless the term says otherwise; to SQLite it is the smallest.
    private static func order(_ sql: String, _ term: OrderTerm, hasNulls: Bool) -> String {
        let direction = term.descends ? " DESC" : ""
        guard hasNulls else { return sql + direction }
        return sql + direction + (term.nullsFirst ?? term.descends ? " NULLS FIRST" : " NULLS LAST")
    }

    private func limit(of select: Select, _ scope: Scope) throws(QueryError) -> String {
        guard select.limit != nil || select.offset != nil else { return "" }
        let limit = try select.limit.map { limit throws(QueryError) in try count(limit, "LIMIT", scope) } ?? -1
        let offset = try select.offset.map { offset throws(QueryError) in try count(offset, "OFFSET", scope) } ?? 0
        return " LIMIT \(limit)" + (offset > 0 ? " OFFSET \(offset)" : "")
    }

    private func count(_ expression: Expression, _ clause: String, _ scope: Scope) throws(QueryError) -> Int64 {
        switch expression {
        case .literal(.integer(let digits)):
            if let count = Int64(digits), count >= -1 { return count }
        case .parameter(let number):
            switch try parameter(number) {
            case .integer(let count) where count >= 0: return count
            case .unsigned(let count): return Int64(clamping: count)
            default: break
            }
        default: break
        }
        throw .syntax("\(clause) takes a number from 0 on")
    }
}

extension Expression {
    /// What a result column is called that has no alias; nil: as it is written.
    fileprivate var ownName: String? {
        switch self {
        case .column(_, let name): name
        case .call(let call) where call.name == "count" && call.isStar && call.window == nil: "count(*)"
        default: nil
        }
    }
}

extension String {
    fileprivate var replacingZeros: String { utf8.contains(0) ? String(filter { $0 != "\0" }) : self }
}
