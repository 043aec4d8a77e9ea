/// A name that users chose, such as a tenant or a key, as it is shown: set apart from the text around it, so that marks which
/// turn the direction of writing turn nothing else, and with what cannot be seen made visible.
struct Name {
    private let text: String
    private static let shownMax = 120
    /// In a table such a one stays whole, but between its words.
    private static let shortMax = 20

    init(_ text: String) { self.text = text }

    var html: HTML {
        let visible = Self.visible(text)
        if visible.count <= Self.shortMax { return "<bdi class=\"name short\">\(visible)</bdi>" }
        guard visible.count > Self.shownMax else { return "<bdi class=\"name\">\(visible)</bdi>" }
        let short = visible.prefix(Self.shownMax / 2) + "…" + visible.suffix(Self.shownMax / 2)
        return "<bdi class=\"name\" title=\"\(String(visible.prefix(1024)))\">\(String(short))</bdi>"
    }

    /// With invisible characters as their numbers.
    /// - Parameter kept: one that stays as it is.
    static func visible(_ text: String, keeping kept: Unicode.Scalar? = nil) -> String {
        guard text.unicodeScalars.contains(where: isInvisible) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if isInvisible(scalar), scalar != kept {
                result += "⟨U+" + String(scalar.value, radix: 16, uppercase: true) + "⟩"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// The same of a text in lines, which it keeps.
    static func visibleLines(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { visible(String($0)) }.joined(separator: "\n")
    }

    private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned: true
        default: false
        }
    }
}
