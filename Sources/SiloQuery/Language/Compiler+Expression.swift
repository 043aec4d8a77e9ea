import SiloCore

/// An expression in SQLite's SQL. It stands in parentheses wherever it could be torn apart.
struct Typed {
    let sql: String
    let type: ColumnType
    var isNullable = true
    /// A column that is never NULL all the same.
    var isSet = false
    /// See `Column`.
    var words: FixedWords?

    /// Where NULL would stand makes a difference to its order.
    var hasNulls: Bool { isNullable && !isSet }
}

extension Compiler {
    /// - Parameter aliasesToo: names may be those of the select list as well.
    func expression(_ expression: Expression, _ scope: Scope, aliasesToo: Bool = false) throws(QueryError) -> Typed {
        try countStep()
        if let groups = scope.groups, !groups.isEmpty, !scope.isFree, !expression.isAggregated {
            let plain = try scope.freely { () throws(QueryError) in try written(expression, scope, aliasesToo) }
            try countBytes(plain.sql)
            if groups.contains(ExactText(plain.sql)) { return plain }
        }
        let typed = try written(expression, scope, aliasesToo)
        try countBytes(typed.sql)
        return typed
    }

    private func written(_ expression: Expression, _ scope: Scope, _ aliasesToo: Bool) throws(QueryError) -> Typed {
        switch expression {
        case .literal(let literal): return try value(literal)
        case .parameter(let number): return try placeholder(number)
        case .column(let table, let name): return try column(table, name, scope, aliasesToo)
        case .unary(let sign, let operand): return try unary(sign, try self.expression(operand, scope, aliasesToo: aliasesToo))
        case .binary(let name, let left, let right): return try binary(name, left, right, scope, aliasesToo)
        case .isNull(let operand, let negated):
            let operand = try self.expression(operand, scope, aliasesToo: aliasesToo)
            return Typed(sql: "(\(operand.sql) IS \(negated ? "NOT " : "")NULL)", type: .boolean, isNullable: false)
        case .between(let operand, let low, let high, let negated):
            let both = Expression.binary("AND", .binary(">=", operand, low), .binary("<=", operand, high))
            return try self.expression(negated ? .unary("NOT", both) : both, scope, aliasesToo: aliasesToo)
        case .inList(let operand, let items, let negated): return try membership(operand, items, negated, scope, aliasesToo)
        case .inSelect(let operand, let select, let negated):
            let operand = try self.expression(operand, scope, aliasesToo: aliasesToo)
            let (sql, columns) = try self.select(select, in: scope)
            guard columns.count == 1 else { throw .syntax("the select of IN has \(columns.count) columns") }
            return Typed(sql: "(\(operand.sql) \(negated ? "NOT " : "")IN (\(sql)))", type: .boolean)
        case .like(let operand, let pattern, let escape, let negated, let ignoresCase):
            return try like(operand, pattern, escape, negated: negated, ignoresCase: ignoresCase, scope, aliasesToo)
        case .call(let call): return try self.call(call, scope, aliasesToo)
        case .cast(let operand, let type): return cast(try self.expression(operand, scope, aliasesToo: aliasesToo), to: type)
        case .choice(let operand, let arms, let otherwise): return try choice(operand, arms, otherwise, scope, aliasesToo)
        case .exists(let select):
            return Typed(sql: "EXISTS (\(try self.select(select, in: scope).sql))", type: .boolean, isNullable: false)
        case .subquery(let select):
            let (sql, columns) = try self.select(select, in: scope)
            guard columns.count == 1, let column = columns.first else {
                throw .syntax("a select in the place of a value has \(columns.count) columns")
            }
            return Typed(sql: "(\(sql))", type: column.type)
        case .element(let map, let key):
            let map = try self.expression(map, scope, aliasesToo: aliasesToo)
            guard map.type == .map else { throw .syntax("[ ] takes a value out of a map such as metadata") }
            return Typed(
                sql: "silo_value(\(map.sql), \(try self.expression(key, scope, aliasesToo: aliasesToo).sql))", type: .utf8)
        }
    }

    private func value(_ literal: Literal) throws(QueryError) -> Typed {
        switch literal {
        case .null: return Typed(sql: "NULL", type: .null)
        case .boolean(let value): return Typed(sql: value ? "TRUE" : "FALSE", type: .boolean, isNullable: false)
        case .integer(let digits):
            let isLarge = Int64(digits) == nil
            return Typed(sql: digits + (isLarge ? ".0" : ""), type: isLarge ? .float64 : .int64, isNullable: false)
        case .real(let digits): return Typed(sql: digits, type: .float64, isNullable: false)
        case .text(let text): return Typed(sql: quotedText(text), type: .utf8, isNullable: false)
        case .blob(let bytes): return Typed(sql: quotedBlob(bytes), type: .binary, isNullable: false)
        }
    }

    /// Short values are written out, so that the planner sees them; others are bound.
    private func placeholder(_ number: Int) throws(QueryError) -> Typed {
        let value = try parameter(number)
        let isNullable = value == .null
        switch value {
        case .null: return Typed(sql: "NULL", type: .null)
        case .boolean(let value): return Typed(sql: value ? "TRUE" : "FALSE", type: .boolean, isNullable: false)
        case .integer(let value) where value > Int64.min:
            return Typed(sql: value < 0 ? "(\(value))" : "\(value)", type: .int64, isNullable: false)
        case .text(let text) where text.utf8.count <= 256:
            return Typed(sql: quotedText(text), type: .utf8, isNullable: false)
        default:
            use(number, value)
            return Typed(sql: "$\(number)", type: value.type, isNullable: isNullable)
        }
    }

    /// The text that an expression is, whatever the rows; nil: it is none.
    private func constantText(_ expression: Expression) throws(QueryError) -> String? {
        switch expression {
        case .literal(.text(let text)): return text
        case .parameter(let number):
            if case .text(let text) = try parameter(number) { return text }
            return nil
        default: return nil
        }
    }

    private func column(_ table: String?, _ name: String, _ scope: Scope, _ aliasesToo: Bool) throws(QueryError) -> Typed {
        let isKnown = scope.relations.contains { relation in
            (table == nil || table == relation.name) && relation.columns.contains { $0.name == name }
        }
        if table == nil, !isKnown, let aliased = scope.aliases[name], aliasesToo || scope.groups != nil {
            // Within itself it names a column of a select around this one, if anything.
            if scope.expanding.insert(name).inserted {
                defer { scope.expanding.remove(name) }
                return try expression(aliased, scope)
            }
        }
        let found = try scope.column(
            table, name, isQuoted: quotedNames.contains(name), others: aliasesToo ? scope.aliases.keys.sorted() : [])
        return Typed(
            sql: found.sql, type: found.column.type, isNullable: found.column.isNullable, isSet: found.column.isSet,
            words: found.column.words)
    }

    private func unary(_ sign: String, _ operand: Typed) throws(QueryError) -> Typed {
        if sign == "NOT" { return Typed(sql: "(NOT \(try truth(operand)))", type: .boolean, isNullable: operand.isNullable) }
        let number = try number(operand, of: "the sign \(sign)")
        let type: ColumnType = number.type == .float64 ? .float64 : .int64
        return Typed(sql: "(\(sign)\(number.sql))", type: type, isNullable: operand.isNullable)
    }

    /// What stands where a number must: SQLite would take 0 for anything else.
    private func number(_ value: Typed, of what: String) throws(QueryError) -> Typed {
        switch value.type {
        case .utf8, .map, .list, .binary: throw .syntax("\(what) takes numbers, and \(value.type.noun) is none: use CAST")
        case .json: Typed(sql: "silo_to_double(\(value.sql))", type: .float64)
        default: value
        }
    }

    /// What stands where a truth value must. A number is one as well.
    func truth(_ value: Typed) throws(QueryError) -> String {
        switch value.type {
        case .utf8, .map, .list, .binary: throw .syntax("\(value.type.noun) is no truth value: compare it with something")
        case .json: "silo_to_boolean(\(value.sql))"
        default: value.sql
        }
    }

    /// Numbers from left to right, as SQLite reads them too.
    private static let chains: [Set<String>] = [["+", "-"], ["*", "/", "%"]]
    private static let comparisons: Set<String> = ["=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT"]

    private func binary(
        _ name: String, _ left: Expression, _ right: Expression, _ scope: Scope, _ aliasesToo: Bool
    ) throws(QueryError) -> Typed {
        if name == "=" {
            if let test = try metadataTest(left, right, scope) { return test }
            if let test = try metadataTest(right, left, scope) { return test }
        }
        var (first, second) = (
            try expression(left, scope, aliasesToo: aliasesToo), try expression(right, scope, aliasesToo: aliasesToo)
        )
        let isNullable = first.isNullable || second.isNullable
        switch name {
        case "AND":
            let (before, after) = (
                Self.flat(left, try truth(first), in: ["AND"]), Self.flat(right, try truth(second), in: ["AND"])
            )
            return Typed(sql: "(\(before) AND \(after))", type: .boolean, isNullable: isNullable)
        case "OR":
            // Without a sign before it, wherever it came to stand in a WHERE, SQLite would scan once for each side, and tell rows
            // by numbers that they do not have. Of a chain of them the whole needs it.
            let (before, after) = (
                Self.flat(left, try truth(first), in: ["OR"]), Self.flat(right, try truth(second), in: ["OR"])
            )
            return Typed(sql: "(+(\(before) OR \(after)))", type: .boolean, isNullable: isNullable)
        case _ where Self.comparisons.contains(name):
            (first, second) = (try word(first, left, beside: second), try word(second, right, beside: first))
            let (low, high) = try comparable(first, left, second, right)
            return Typed(sql: "(\(low) \(name) \(high))", type: .boolean, isNullable: isNullable && !name.hasPrefix("IS"))
        case "||":
            return Typed(sql: "(\(Self.flat(left, first.sql, in: [name])) || \(second.sql))", type: .utf8, isNullable: isNullable)
        case "->", "->>":
            return Typed(sql: "(\(first.sql) \(name) \(second.sql))", type: name == "->" ? .utf8 : .json)
        default:
            (first, second) = (try number(first, of: name), try number(second, of: name))
            let isReal = first.type == .float64 || second.type == .float64
            // SQLite would leave out what is behind the point.
            guard name != "%" || !isReal else { throw .syntax("% takes whole numbers: use CAST") }
            // A division by zero is NULL, and so may be what overflows.
            let before = Self.flat(left, first.sql, in: Self.chains.first { $0.contains(name) } ?? [])
            return Typed(sql: "(\(before) \(name) \(second.sql))", type: isReal ? .float64 : .int64)
        }
    }

    /// One side of an operator. Where it goes on with a chain of such operators, the chain stays flat, for SQLite's parser bears
    /// few parentheses within one another.
    private static func flat(_ side: Expression, _ sql: String, in chain: Set<String>) -> Substring {
        guard case .binary(let name, _, _) = side, chain.contains(name) else { return sql[...] }
        return name == "OR" ? sql.dropFirst("(+(".count).dropLast("))".count) : sql.dropFirst().dropLast()
    }

    /// A constant that is compared with fixed words, as they are shown: so every way to find rows knows it.
    private func word(_ value: Typed, _ expression: Expression, beside other: Typed) throws(QueryError) -> Typed {
        guard let words = other.words, let text = try constantText(expression) else { return value }
        guard let word = words.shown(text) else {
            note(words.mistake(text))
            return value
        }
        return Typed(sql: quotedText(word), type: .utf8, isNullable: false)
    }

    /// Two sides as they are compared: a text with a text, a number with a number. What a document holds and is no number is
    /// neither equal to one nor less or greater.
    private func comparable(
        _ first: Typed, _ left: Expression, _ second: Typed, _ right: Expression
    ) throws(QueryError) -> (String, String) {
        if first.type.isNumber, second.type == .json { return (first.sql, "silo_json_number(\(second.sql))") }
        if second.type.isNumber, first.type == .json { return ("silo_json_number(\(first.sql))", second.sql) }
        func isMixed(_ number: Typed, _ text: Typed) -> Bool { number.type.isNumber && text.type == .utf8 }
        if isMixed(first, second) { return (first.sql, try number(second, right, beside: first)) }
        if isMixed(second, first) { return (try number(first, left, beside: second), second.sql) }
        return (first.sql, second.sql)
    }

    /// A text that is compared with a number.
    private func number(_ text: Typed, _ expression: Expression, beside number: Typed) throws(QueryError) -> String {
        guard let constant = try constantText(expression) else { return "silo_to_number(\(text.sql))" }
        if Int64(constant) != nil { return constant }
        guard let real = Double(constant), real.isFinite else { throw .syntax("'\(constant.prefix(40))' is no number") }
        return "\(real)"
    }

    private func membership(
        _ operand: Expression, _ items: [Expression], _ negated: Bool, _ scope: Scope, _ aliasesToo: Bool
    ) throws(QueryError) -> Typed {
        let left = try expression(operand, scope, aliasesToo: aliasesToo)
        var values: [Typed] = []
        for item in items {
            values.append(try word(expression(item, scope, aliasesToo: aliasesToo), item, beside: left))
        }
        var texts: [String] = []
        for (value, item) in zip(values, items) { texts.append(try comparable(left, operand, value, item).1) }
        let isAmongNumbers = left.type == .json && values.allSatisfy(\.type.isNumber)
        let sought = isAmongNumbers ? "silo_json_number(\(left.sql))" : left.sql
        return Typed(sql: "(\(sought) \(negated ? "NOT " : "")IN (\(texts.joined(separator: ", "))))", type: .boolean)
    }

    private func choice(
        _ operand: Expression?, _ arms: [(when: Expression, then: Expression)], _ otherwise: Expression?, _ scope: Scope,
        _ aliasesToo: Bool
    ) throws(QueryError) -> Typed {
        let chosen = try operand.map { operand throws(QueryError) in try expression(operand, scope, aliasesToo: aliasesToo) }
        var sql = "CASE" + (chosen.map { " \($0.sql)" } ?? "")
        var type = ColumnType.null
        for (when, then) in arms {
            let value = try expression(then, scope, aliasesToo: aliasesToo)
            let test = try expression(when, scope, aliasesToo: aliasesToo)
            let tested = if let chosen { try word(test, when, beside: chosen).sql } else { try truth(test) }
            sql += " WHEN \(tested) THEN \(value.sql)"
            type = type.common(with: value.type)
        }
        if let otherwise {
            let value = try expression(otherwise, scope, aliasesToo: aliasesToo)
            sql += " ELSE \(value.sql)"
            type = type.common(with: value.type)
        }
        return Typed(sql: "(\(sql) END)", type: type)
    }

    /// A cast that cannot be done is an error; SQLite would make it 0.
    private func cast(_ operand: Typed, to type: ColumnType) -> Typed {
        let sql: String
        switch type {
        case _ where type == operand.type: sql = operand.sql
        case .utf8 where operand.type == .boolean: sql = "silo_boolean_text(\(operand.sql))"
        case .utf8 where operand.type == .map: sql = "silo_map_text(\(operand.sql))"
        case .utf8 where operand.type == .list: sql = "silo_list_text(\(operand.sql))"
        case .utf8: sql = "CAST(\(operand.sql) AS TEXT)"
        case .binary: sql = "CAST(\(operand.sql) AS BLOB)"
        case .float64: sql = operand.type.isInteger ? "CAST(\(operand.sql) AS REAL)" : "silo_to_double(\(operand.sql))"
        case .boolean: sql = "silo_to_boolean(\(operand.sql))"
        default:
            sql = "silo_to_integer(\(operand.sql), \(literal(type.bounds.lowerBound)), \(type.bounds.upperBound))"
        }
        return Typed(sql: sql, type: type, isNullable: operand.isNullable)
    }

    /// The lowest number of all cannot be written at once: it would be one that is too large, and a sign.
    private func literal(_ number: Int64) -> String { number == .min ? "(\(Int64.min + 1) - 1)" : "\(number)" }

    // MARK: LIKE and metadata

    private func like(
        _ operand: Expression, _ pattern: Expression, _ escape: Expression?, negated: Bool, ignoresCase: Bool, _ scope: Scope,
        _ aliasesToo: Bool
    ) throws(QueryError) -> Typed {
        let not = negated ? "NOT " : ""
        if !negated, !ignoresCase, escape == nil, let text = try constantText(pattern), let prefix = text.prefixOfPattern,
            let (map, key) = try metadataValue(operand, scope)
        {
            return Typed(sql: "silo_prefix(\(map), \(quotedText(metadataPair(key, prefix))))", type: .boolean)
        }
        let value = try expression(operand, scope, aliasesToo: aliasesToo)
        let shape = try expression(pattern, scope, aliasesToo: aliasesToo)
        let mark = try escape.map { escape throws(QueryError) -> String in try expression(escape, scope).sql }
        if ignoresCase {
            let call = "silo_ilike(\(shape.sql), \(value.sql)\(mark.map { ", \($0)" } ?? ""))"
            return Typed(sql: negated ? "(NOT \(call))" : call, type: .boolean)
        }
        return Typed(sql: "(\(value.sql) \(not)LIKE \(shape.sql)\(mark.map { " ESCAPE \($0)" } ?? ""))", type: .boolean)
    }

    /// `array_any_value(element_at(metadata, 'key')) = 'value'`
    private func metadataTest(_ left: Expression, _ right: Expression, _ scope: Scope) throws(QueryError) -> Typed? {
        guard let value = try constantText(right), let (map, key) = try metadataValue(left, scope) else { return nil }
        return Typed(sql: "silo_has(\(map), \(quotedText(metadataPair(key, value))))", type: .boolean)
    }

    /// The map and the key of `array_any_value(element_at(metadata, 'key'))`, or of `metadata['key']`.
    private func metadataValue(_ expression: Expression, _ scope: Scope) throws(QueryError) -> (String, String)? {
        if case .element(let map, let key) = expression { return try metadataElement(map, key, scope) }
        guard case .call(let call) = expression, Functions.all[call.name]?.name == "silo_any_value",
            let list = call.arguments.first
        else { return nil }
        return try metadataList(list, scope)
    }

    /// The map and the key of `element_at(metadata, 'key')`.
    private func metadataList(_ expression: Expression, _ scope: Scope) throws(QueryError) -> (String, String)? {
        guard case .call(let call) = expression, Functions.all[call.name]?.name == "silo_element", call.arguments.count == 2
        else { return nil }
        return try metadataElement(call.arguments[0], call.arguments[1], scope)
    }

    private func metadataElement(
        _ map: Expression, _ key: Expression, _ scope: Scope
    ) throws(QueryError) -> (String, String)? {
        guard case .column = map, let key = try constantText(key) else { return nil }
        let map = try expression(map, scope)
        return map.type == .map ? (map.sql, key) : nil
    }

    /// What of a call is answered by the index of metadata.
    private func metadataCall(_ call: Call, _ scope: Scope) throws(QueryError) -> Typed? {
        guard call.arguments.count == 2, let value = try constantText(call.arguments[1]) else { return nil }
        switch Functions.all[call.name]?.name {
        case "silo_contains":
            guard let (map, key) = try metadataList(call.arguments[0], scope) else { return nil }
            return Typed(sql: "silo_has(\(map), \(quotedText(metadataPair(key, value))))", type: .boolean)
        case "silo_starts_with":
            guard let (map, key) = try metadataValue(call.arguments[0], scope) else { return nil }
            return Typed(sql: "silo_prefix(\(map), \(quotedText(metadataPair(key, value))))", type: .boolean)
        default: return nil
        }
    }

    // MARK: Calls

    private func call(_ call: Call, _ scope: Scope, _ aliasesToo: Bool) throws(QueryError) -> Typed {
        guard let function = Functions.all[call.name] else {
            throw .unknown("function", call.name, among: Functions.all.keys.sorted())
        }
        let isWindow = Functions.windows.contains(call.name)
        let count = call.arguments.count
        guard function.arguments.contains(count), !call.isStar || call.name == "count",
            call.name != "count" || call.isStar == (count == 0)
        else { throw .syntax("\(call.name) does not take \(call.isStar ? "*" : "\(count) arguments")") }
        guard isWindow == (call.window != nil) || call.isAggregate else {
            throw .syntax("\(call.name) \(isWindow ? "needs" : "takes no") OVER")
        }
        guard call.isAggregate || (!call.isDistinct && call.filter == nil) else {
            throw .syntax("\(call.name) is no aggregate: it takes neither DISTINCT nor FILTER")
        }
        if let test = try metadataCall(call, scope) { return test }
        if scope.countsAreSums, Rollup.isCount(call) {
            return Typed(sql: try expression(Rollup.sum(call), scope).sql, type: .int64, isNullable: false)
        }
        if scope.isTallied, let measured = Tally.measured(call) { return try expression(measured, scope) }
        if call.isAggregate, call.window == nil {
            guard scope.groups != nil else { throw .syntax("\(call.name) is an aggregate, and has no place here") }
            guard !call.arguments.contains(where: \.isAggregated) else { throw .syntax("an aggregate stands in an aggregate") }
            return try scope.freely { () throws(QueryError) in try invocation(call, function, scope, aliasesToo) }
        }
        return try invocation(call, function, scope, aliasesToo)
    }

    private func invocation(_ call: Call, _ function: Function, _ scope: Scope, _ aliasesToo: Bool) throws(QueryError) -> Typed {
        var arguments: [Typed] = []
        for (place, argument) in call.arguments.enumerated() {
            let value = try expression(argument, scope, aliasesToo: aliasesToo)
            arguments.append(function.numbers?.contains(place) == true ? try number(value, of: call.name) : value)
        }
        let texts = arguments.map(\.sql).joined(separator: ", ")
        var sql = "\(function.name)(\(call.isDistinct ? "DISTINCT " : "")\(call.isStar ? "*" : texts))"
        if let filter = call.filter { sql += " FILTER (WHERE \(try truth(expression(filter, scope))))" }
        if let window = call.window {
            var parts: [String] = []
            if !window.partition.isEmpty {
                var keys: [String] = []
                for key in window.partition { keys.append(try expression(key, scope, aliasesToo: aliasesToo).sql) }
                parts.append("PARTITION BY \(keys.joined(separator: ", "))")
            }
            if !window.order.isEmpty { parts.append("ORDER BY \(try order(window.order, scope))") }
            if let frame = window.frame { parts.append(frame) }
            sql += " OVER (\(parts.joined(separator: " ")))"
        }
        return Typed(sql: sql, type: function.type(of: arguments.map(\.type)), isNullable: call.name != "count")
    }
}

/// A key and a value of metadata as one text, which functions of one more argument than a column can take.
func metadataPair(_ key: String, _ value: String) -> String { "\(key.utf8.count):\(key)\(value)" }

extension Function {
    func type(of arguments: [ColumnType]) -> ColumnType {
        switch result {
        case .type(let type): type
        case .argument: arguments.first ?? .null
        case .common: arguments.reduce(.null) { $0.common(with: $1) }
        case .neighbour: (arguments.first ?? .null).common(with: arguments.count > 2 ? arguments[2] : .null)
        case .sum: (arguments.first ?? .int64).sum
        }
    }
}

extension String {
    /// Of a LIKE pattern that says how a text begins and nothing else; nil: it says more.
    var prefixOfPattern: String? {
        guard utf8.last == UInt8(ascii: "%") else { return nil }
        let prefix = utf8.dropLast()
        return prefix.contains(where: \.isWildcard) ? nil : String(decoding: prefix, as: UTF8.self)
    }
}

extension UInt8 {
    /// Of LIKE: a byte of no other character has such a value, and what follows changes nothing about it.
    var isWildcard: Bool { self == UInt8(ascii: "%") || self == UInt8(ascii: "_") }
}
