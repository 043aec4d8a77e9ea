extension Parser {
    /// A whole SELECT: common tables, cores joined by UNION and the like, order and limit.
    mutating func select() throws(QueryError) -> Select {
        try nested { parser throws(QueryError) in
            let select = Select()
            if parser.takes("with") { try parser.commonTables(of: select) }
            select.cores.append((nil, try parser.core()))
            while let compound = parser.compound() {
                select.cores.append((compound, try parser.core()))
                guard select.cores.count <= Self.compoundsMax else {
                    throw .syntax("it joins more than \(Self.compoundsMax) selects by UNION and the like")
                }
            }
            if parser.takes("order", "by") { select.order = try parser.orderTerms() }
            try parser.limits(of: select)
            return select
        }
    }

    private static let compoundsMax = 100
    private static let sourcesMax = 16

    private mutating func commonTables(of select: Select) throws(QueryError) {
        select.isRecursive = takes("recursive")
        select.tables = try list { parser throws(QueryError) in
            let name = try parser.name("the name of a common table")
            var columns: [String] = []
            if parser.takes(symbol: "(") {
                columns = try parser.list { parser throws(QueryError) in try parser.name("a column's name") }
                try parser.expect(symbol: ")")
            }
            try parser.expect("as")
            try parser.expect(symbol: "(")
            let body = try parser.select()
            try parser.expect(symbol: ")")
            return CommonTable(name: name, columns: columns, select: body)
        }
    }

    private mutating func compound() -> String? {
        if takes("union", "all") { return "UNION ALL" }
        if takes("union") { return "UNION" }
        if takes("intersect") { return "INTERSECT" }
        if takes("except") { return "EXCEPT" }
        return nil
    }

    private mutating func core() throws(QueryError) -> Core {
        if takes("values") {
            return .values(
                try list { parser throws(QueryError) in
                    try parser.expect(symbol: "(")
                    let row = try parser.list { parser throws(QueryError) in try parser.expression() }
                    try parser.expect(symbol: ")")
                    return row
                })
        }
        guard takes("select") else { throw unexpected("SELECT, WITH, VALUES or EXPLAIN was expected") }
        var core = SelectCore()
        core.isDistinct = takes("distinct")
        if !core.isDistinct { _ = takes("all") }
        core.columns = try list { parser throws(QueryError) in try parser.resultColumn() }
        if takes("from") { try sources(of: &core) }
        if takes("where") { core.condition = try expression() }
        if takes("group", "by") { core.group = try list { parser throws(QueryError) in try parser.expression() } }
        if takes("having") { core.having = try expression() }
        return .select(core)
    }

    private mutating func resultColumn() throws(QueryError) -> ResultColumn {
        if takes(symbol: "*") { return .all(table: nil) }
        if case .symbol(".") = token(1), case .symbol("*") = token(2) {
            let table = try name("a table")
            advance()
            advance()
            return .all(table: table)
        }
        let start = offset
        let expression = try expression()
        let text = text(from: start)
        return .expression(expression, alias: try alias(), text: text)
    }

    private mutating func alias() throws(QueryError) -> String? {
        if takes("as") { return try name("an alias") }
        switch token {
        case .word(let word) where !Keywords.reserved.contains(word): return try name("an alias")
        case .quoted: return try name("an alias")
        default: return nil
        }
    }

    private mutating func sources(of core: inout SelectCore) throws(QueryError) {
        core.from.append(try source(joined: nil))
        while let kind = try joinKind() {
            var item = try source(joined: FromItem.Join(kind: kind))
            if kind != .cross, var join = item.join {
                if takes("on") {
                    join.condition = try expression()
                } else if takes("using") {
                    try expect(symbol: "(")
                    join.using = try list { parser throws(QueryError) in try parser.name("a column") }
                    try expect(symbol: ")")
                }
                item = FromItem(source: item.source, alias: item.alias, join: join)
            }
            core.from.append(item)
            guard core.from.count <= Self.sourcesMax else { throw .syntax("it joins more than \(Self.sourcesMax) tables") }
        }
    }

    private mutating func joinKind() throws(QueryError) -> FromItem.Join.Kind? {
        if takes(symbol: ",") || takes("cross", "join") { return .cross }
        if takes("join") || takes("inner", "join") { return .inner }
        if takes("left", "join") || takes("left", "outer", "join") { return .left }
        if isAt("right") || isAt("full") || isAt("natural") {
            throw .syntax("\(token.shown.uppercased()) JOIN is not supported: write LEFT JOIN, or the condition")
        }
        return nil
    }

    private mutating func source(joined join: FromItem.Join?) throws(QueryError) -> FromItem {
        if takes(symbol: "(") {
            let select = try select()
            try expect(symbol: ")")
            return FromItem(source: .select(select), alias: try alias(), join: join)
        }
        var table = try name("a table")
        if takes(symbol: ".") {
            guard table == "public" else {
                throw .syntax("there is no schema \(table): tables are reached as public.jobs or jobs")
            }
            table = try name("a table")
        }
        if case .symbol("(") = token { throw .syntax("\(table) is no table: functions give none here") }
        return FromItem(source: .table(table), alias: try alias(), join: join)
    }

    mutating func orderTerms() throws(QueryError) -> [OrderTerm] {
        try list { parser throws(QueryError) in
            let expression = try parser.expression()
            let descends = parser.takes("desc")
            if !descends { _ = parser.takes("asc") }
            var nullsFirst: Bool?
            if parser.takes("nulls", "first") { nullsFirst = true }
            if parser.takes("nulls", "last") { nullsFirst = false }
            return OrderTerm(expression: expression, descends: descends, nullsFirst: nullsFirst)
        }
    }

    private mutating func limits(of select: Select) throws(QueryError) {
        while true {
            if select.limit == nil, takes("limit") {
                select.limit = takes("all") ? .literal(.integer("-1")) : try expression()
            } else if select.offset == nil, takes("offset") {
                select.offset = try expression()
                _ = takes("rows") || takes("row")
            } else {
                return
            }
        }
    }
}
