extension String {
    /// The text without anything that a terminal would act on, or that would make it look like another: control characters (C0,
    /// DEL, C1), those that end a line, and those that turn the direction of writing come as JSON writes them, such as `\u001b`.
    /// What others wrote goes to a terminal in this form only.
    public var printable: String { escaped(Self.isUnprintable) }

    /// The same for a text of several lines, which stay.
    public var printableLines: String {
        split(separator: "\n", omittingEmptySubsequences: false).map { String($0).printable }.joined(separator: "\n")
    }

    /// The same for a JSON document, whose texts have no C0 controls, and whose layout stays.
    public var printableJSON: String { escaped { !$0.isASCII && Self.isUnprintable($0) || $0 == "\u{7f}" } }

    private func escaped(_ isEscaped: (Unicode.Scalar) -> Bool) -> String {
        guard unicodeScalars.contains(where: isEscaped) else { return self }
        var text = ""
        for scalar in unicodeScalars {
            if isEscaped(scalar) { text += Self.escape(scalar) } else { text.unicodeScalars.append(scalar) }
        }
        return text
    }

    private static func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f..<0xa0: true
        // Arabic letter mark, direction marks, embeddings and overrides, isolates.
        case 0x61c, 0x200e, 0x200f, 0x202a...0x202e, 0x2066...0x2069: true
        // Line and paragraph separators.
        case 0x2028, 0x2029: true
        default: false
        }
    }

    /// All that are escaped have four hexadecimal digits.
    private static func escape(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        default:
            let digits = String(scalar.value, radix: 16)
            return "\\u" + String(repeating: "0", count: Swift.max(0, 4 - digits.count)) + digits
        }
    }
}
