extension Parser {
    mutating func expression() throws(QueryError) -> Expression {
        try nested { parser throws(QueryError) in try parser.binary(above: 0) }
    }

    /// Operators by how tightly they bind; those on one line bind alike, from left to right.
    private static let strengths: [String: Int] = [
        "or": 1, "and": 2,
        "=": 4, "==": 4, "<>": 4, "!=": 4, "is": 4, "in": 4, "like": 4, "ilike": 4, "between": 4, "not": 4,
        "<": 5, "<=": 5, ">": 5, ">=": 5,
        "&": 6, "|": 6, "<<": 6, ">>": 6, "+": 7, "-": 7, "*": 8, "/": 8, "%": 8, "||": 9, "->": 9, "->>": 9,
    ]
    private static let notStrength = 3

    private var operatorName: String? {
        switch token {
        case .symbol(let symbol): symbol
        case .word(let word): word
        default: nil
        }
    }

    private mutating func binary(above strength: Int) throws(QueryError) -> Expression {
        var left = try prefix()
        var links = 0
        while let name = operatorName, let own = Self.strengths[name], own > strength {
            links += 1
            guard links <= Self.depthMax else {
                throw .syntax("it has more than \(Self.depthMax) operators in a row: write IN, or put some in parentheses")
            }
            left = try continued(left, name, own)
        }
        return left
    }

    private mutating func continued(_ left: Expression, _ name: String, _ own: Int) throws(QueryError) -> Expression {
        switch name {
        case "is": return try comparedByIs(left)
        case "not", "in", "like", "ilike", "between":
            let negated = takes("not")
            return try matched(left, negated: negated, own)
        default:
            advance()
            let right = try nested { parser throws(QueryError) in try parser.binary(above: own) }
            return .binary(name == "==" ? "=" : name == "!=" ? "<>" : name.uppercased(), left, right)
        }
    }

    private mutating func comparedByIs(_ left: Expression) throws(QueryError) -> Expression {
        advance()
        let negated = takes("not")
        if takes("null") { return .isNull(left, negated: negated) }
        if takes("distinct", "from") {
            return .binary(negated ? "IS" : "IS NOT", left, try binary(above: 5))
        }
        return .binary(negated ? "IS NOT" : "IS", left, try binary(above: 5))
    }

    private mutating func matched(_ left: Expression, negated: Bool, _ own: Int) throws(QueryError) -> Expression {
        if takes("in") { return try membership(of: left, negated: negated) }
        if takes("between") {
            let low = try binary(above: own)
            try expect("and")
            return .between(left, low, try binary(above: own), negated: negated)
        }
        let ignoresCase = takes("ilike")
        guard ignoresCase || takes("like") else { throw unexpected("IN, LIKE, ILIKE or BETWEEN was expected") }
        let pattern = try binary(above: own)
        let escape = takes("escape") ? try binary(above: own) : nil
        return .like(left, pattern: pattern, escape: escape, negated: negated, ignoresCase: ignoresCase)
    }

    private mutating func membership(of left: Expression, negated: Bool) throws(QueryError) -> Expression {
        try expect(symbol: "(")
        defer { _ = takes(symbol: ")") }
        if isAt("select") || isAt("with") || isAt("values") {
            let select = try select()
            guard token == .symbol(")") else { throw unexpected(") was expected") }
            return .inSelect(left, select, negated: negated)
        }
        let items = try list { parser throws(QueryError) in try parser.expression() }
        guard token == .symbol(")") else { throw unexpected(") was expected") }
        return .inList(left, items, negated: negated)
    }

    private mutating func prefix() throws(QueryError) -> Expression {
        if takes("not") {
            let operand = try nested { parser throws(QueryError) in try parser.binary(above: Self.notStrength) }
            return .unary("NOT", operand)
        }
        for sign in ["-", "+", "~"] where takes(symbol: sign) {
            return .unary(sign, try nested { parser throws(QueryError) in try parser.prefix() })
        }
        var operand = try primary()
        while takes(symbol: "[") {
            operand = .element(operand, try expression())
            try expect(symbol: "]")
        }
        return operand
    }

    private mutating func primary() throws(QueryError) -> Expression {
        let first = token
        switch first {
        case .text(let text): return literal(.text(text))
        case .blob(let bytes): return literal(.blob(bytes))
        case .integer(let digits): return literal(.integer(digits))
        case .real(let digits): return literal(.real(digits))
        case .parameter(let number):
            advance()
            return .parameter(number)
        case .symbol("("): return try parenthesised()
        case .symbol("?"), .symbol(":"), .symbol("@"):
            throw .parameter("\(first.shown) is no placeholder: they are $1, $2 and so on")
        case .quoted: return try column()
        case .word(let word): return try wordExpression(word)
        default: throw unexpected("an expression was expected")
        }
    }

    private mutating func literal(_ literal: Literal) -> Expression {
        advance()
        return .literal(literal)
    }

    private mutating func parenthesised() throws(QueryError) -> Expression {
        advance()
        let isSelect = isAt("select") || isAt("with") || isAt("values")
        let inner: Expression = isSelect ? .subquery(try select()) : try expression()
        try expect(symbol: ")")
        return inner
    }

    private mutating func wordExpression(_ word: String) throws(QueryError) -> Expression {
        switch word {
        case "null": return literal(.null)
        case "true": return literal(.boolean(true))
        case "false": return literal(.boolean(false))
        case "case": return try choice()
        case "cast": return try cast()
        case "exists":
            advance()
            try expect(symbol: "(")
            let select = try select()
            try expect(symbol: ")")
            return .exists(select)
        default:
            if case .symbol("(") = token(1) { return try call(word) }
            return try column()
        }
    }

    private mutating func column() throws(QueryError) -> Expression {
        var parts = [try name("a column")]
        while takes(symbol: ".") { parts.append(try name("a column")) }
        if parts.count == 3, parts[0] == "public" { parts.removeFirst() }
        guard parts.count <= 2, let name = parts.last else { throw .syntax("there is no column \(parts.joined(separator: "."))") }
        return .column(table: parts.count == 2 ? parts[0] : nil, name: name)
    }

    private mutating func choice() throws(QueryError) -> Expression {
        advance()
        let operand = isAt("when") ? nil : try expression()
        var arms: [(when: Expression, then: Expression)] = []
        while takes("when") {
            let when = try expression()
            try expect("then")
            arms.append((when, try expression()))
        }
        guard !arms.isEmpty else { throw unexpected("WHEN was expected") }
        let otherwise = takes("else") ? try expression() : nil
        try expect("end")
        return .choice(operand: operand, arms, otherwise: otherwise)
    }

    private mutating func cast() throws(QueryError) -> Expression {
        advance()
        try expect(symbol: "(")
        let operand = try expression()
        try expect("as")
        let type = try typeName()
        try expect(symbol: ")")
        return .cast(operand, type)
    }

    private mutating func typeName() throws(QueryError) -> ColumnType {
        var words: [String] = []
        while case .word(let word) = token {
            words.append(word)
            advance()
        }
        if takes(symbol: "(") {
            guard case .integer = token else { throw unexpected("a length was expected") }
            advance()
            try expect(symbol: ")")
        }
        guard let type = ColumnType(sqlName: words.joined(separator: " ")) else {
            throw .syntax("there is no type \(words.joined(separator: " ").uppercased())")
        }
        return type
    }

    private mutating func call(_ name: String) throws(QueryError) -> Expression {
        guard !Keywords.reserved.contains(name) || name == "left" || name == "right" else {
            throw unexpected("an expression was expected")
        }
        advance()
        try expect(symbol: "(")
        var call = Call(name: name, arguments: [])
        if takes(symbol: "*") {
            call.isStar = true
        } else if token != .symbol(")") {
            call.isDistinct = takes("distinct")
            call.arguments = try list { parser throws(QueryError) in try parser.expression() }
        }
        try expect(symbol: ")")
        if takes("filter") {
            try expect(symbol: "(")
            try expect("where")
            call.filter = try expression()
            try expect(symbol: ")")
        }
        if takes("over") { call.window = try window() }
        return .call(call)
    }

    private mutating func window() throws(QueryError) -> Window {
        try expect(symbol: "(")
        var window = Window()
        if takes("partition", "by") { window.partition = try list { parser throws(QueryError) in try parser.expression() } }
        if takes("order", "by") { window.order = try orderTerms() }
        if isAt("rows") || isAt("range") || isAt("groups") { window.frame = try frame() }
        try expect(symbol: ")")
        return window
    }

    private mutating func frame() throws(QueryError) -> String {
        let unit = token.shown.uppercased()
        advance()
        guard takes("between") else { return "\(unit) \(try frameBound())" }
        let start = try frameBound()
        try expect("and")
        return "\(unit) BETWEEN \(start) AND \(try frameBound())"
    }

    private mutating func frameBound() throws(QueryError) -> String {
        if takes("current", "row") { return "CURRENT ROW" }
        var bound = "UNBOUNDED"
        if case .integer(let digits) = token {
            bound = digits
            advance()
        } else {
            try expect("unbounded")
        }
        if takes("preceding") { return "\(bound) PRECEDING" }
        try expect("following")
        return "\(bound) FOLLOWING"
    }
}
