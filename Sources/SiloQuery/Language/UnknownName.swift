import SiloCore

extension QueryError {
    /// For a name that there is not: it tells the one that was meant, where one is near.
    /// - Parameters:
    ///   - kind: `table`, `column` or `function`.
    ///   - isQuoted: it may have been meant as a text, which stands in single quotes.
    static func unknown(_ kind: String, _ name: String, among names: [String], isQuoted: Bool = false) -> QueryError {
        let same = names.first { $0.lowercased().hasSameBytes(as: name.lowercased()) }
        let near = same ?? Nearest.name(to: name, among: names)
        let text = isQuoted ? "the text \(quotedText(String(name.prefix(textLengthMax))))" : nil
        var hint = [near, text].compactMap { $0 }.joined(separator: ", or ")
        if !hint.isEmpty { hint = "; did you mean \(hint)?" }
        if isQuoted { hint += " Texts stand in single quotes" }
        return .syntax("there is no \(kind) \(name)\(hint)")
    }

    private static let textLengthMax = 40
}
