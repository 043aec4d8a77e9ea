/// Understands one statement: SELECT, WITH, VALUES or EXPLAIN of one. There is no grammar for anything else.
struct Parser {
    private let source: [UInt8]
    private let tokens: [PlacedToken]
    private var position = 0
    private var depth = 0
    private var quotedNames: Set<String> = []

    /// Expressions and selects within one another. SQLite takes twice as many.
    static let depthMax = 400

    struct Statement {
        let select: Select
        let isExplain: Bool
        /// Names that stand in double quotes somewhere in it.
        let quotedNames: Set<String>
    }

    static func statement(_ text: String) throws(QueryError) -> Statement {
        let source = Array(text.utf8)
        var parser = Parser(source: source, tokens: try Tokenizer.tokens(of: source))
        let isExplain = parser.takes("explain")
        let select = try parser.select()
        _ = parser.takes(symbol: ";")
        guard parser.token == .end else { throw parser.unexpected("one statement ends") }
        return Statement(select: select, isExplain: isExplain, quotedNames: parser.quotedNames)
    }

    /// A whole text that is one expression.
    static func condition(_ text: String) throws(QueryError) -> Expression {
        let source = Array(text.utf8)
        var parser = Parser(source: source, tokens: try Tokenizer.tokens(of: source))
        let condition = try parser.expression()
        guard parser.token == .end else { throw parser.unexpected("one condition ends") }
        return condition
    }

    private init(source: [UInt8], tokens: [PlacedToken]) {
        self.source = source
        self.tokens = tokens
    }

    // MARK: Tokens

    var token: Token { tokens[position].token }

    func token(_ ahead: Int) -> Token { tokens[min(position + ahead, tokens.count - 1)].token }

    mutating func advance() { position = min(position + 1, tokens.count - 1) }

    var offset: Int { tokens[position].start }

    /// What the statement says from an offset up to the token before this one.
    func text(from start: Int) -> String {
        let end = position > 0 ? tokens[position - 1].end : start
        return String(decoding: source[start..<max(start, end)], as: UTF8.self)
    }

    func unexpected(_ expected: String) -> QueryError {
        .syntax("\(token.shown) stands where \(expected), at byte \(offset)")
    }

    func isAt(_ words: String...) -> Bool {
        words.enumerated().allSatisfy { token($0.offset) == .word($0.element) }
    }

    mutating func takes(_ words: String...) -> Bool {
        guard words.enumerated().allSatisfy({ token($0.offset) == .word($0.element) }) else { return false }
        for _ in words { advance() }
        return true
    }

    mutating func takes(symbol: String) -> Bool {
        guard token == .symbol(symbol) else { return false }
        advance()
        return true
    }

    mutating func expect(_ word: String) throws(QueryError) {
        guard takes(word) else { throw unexpected("\(word.uppercased()) was expected") }
    }

    mutating func expect(symbol: String) throws(QueryError) {
        guard takes(symbol: symbol) else { throw unexpected("\(symbol) was expected") }
    }

    /// A name that is no keyword, or one in quotes.
    mutating func name(_ what: String) throws(QueryError) -> String {
        switch token {
        case .word(let word) where !Keywords.reserved.contains(word):
            advance()
            return word
        case .quoted(let name):
            advance()
            quotedNames.insert(name)
            return name
        default: throw unexpected("\(what) was expected")
        }
    }

    /// Runs `body` one level deeper.
    mutating func nested<T>(_ body: (inout Parser) throws(QueryError) -> T) throws(QueryError) -> T {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthMax else { throw .syntax("it is nested more than \(Self.depthMax) deep") }
        return try body(&self)
    }

    /// One or more, between commas.
    mutating func list<T>(_ item: (inout Parser) throws(QueryError) -> T) throws(QueryError) -> [T] {
        var items = [try item(&self)]
        while takes(symbol: ",") { items.append(try item(&self)) }
        return items
    }
}

enum Keywords {
    /// Words that are no names unless they are quoted.
    static let reserved: Set<String> = [
        "select", "from", "where", "group", "having", "order", "limit", "offset", "union", "intersect", "except", "join", "on",
        "using", "inner", "left", "right", "full", "outer", "cross", "natural", "as", "and", "or", "not", "in", "is", "null",
        "like", "ilike", "between", "case", "when", "then", "else", "end", "distinct", "all", "values", "with", "by", "cast",
        "exists", "true", "false", "asc", "desc", "escape", "explain", "insert", "update", "delete", "create", "drop", "alter",
        "attach", "pragma", "set", "returning", "into", "window", "over", "filter", "collate", "table",
    ]
}
