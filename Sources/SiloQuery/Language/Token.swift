/// A word of a statement.
enum Token: Equatable {
    /// Unquoted, folded to lower case: a keyword or a name.
    case word(String)
    /// In double quotes: always a name.
    case quoted(String)
    case text(String)
    case blob([UInt8])
    case integer(String)
    case real(String)
    /// `$1` is 1.
    case parameter(Int)
    case symbol(String)
    case end

    /// As messages show it.
    var shown: String {
        switch self {
        case .word(let word): word
        case .quoted(let name): "\"\(name)\""
        case .text(let text): "'\(text.prefix(40))'"
        case .blob: "a blob"
        case .integer(let digits), .real(let digits): digits
        case .parameter(let number): "$\(number)"
        case .symbol(let symbol): symbol
        case .end: "the end of the statement"
        }
    }
}

/// A token, and where in the statement's UTF-8 it stands.
struct PlacedToken {
    let token: Token
    let start: Int
    let end: Int
}
