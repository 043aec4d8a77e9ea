/// Strings of a TOML text that do not end. The parser tells of them where it loses the way, which is somewhere below.
struct TOMLStrings {
    /// The text without the lines on which such strings begin, which are empty in it.
    private(set) var closed: [UInt8]
    private(set) var faults: [TOMLDocument.Fault] = []

    private static let newline = UInt8(ascii: "\n")
    private static let faultsMax = 20

    init(_ text: [UInt8]) {
        closed = text
        var (line, begin, index) = (1, 0, 0)
        while index < text.count {
            switch text[index] {
            case Self.newline:
                (line, begin) = (line + 1, index + 1)
                index += 1
            case UInt8(ascii: "#"): index = text[index...].firstIndex(of: Self.newline) ?? text.count
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                let isLong = Self.isTriple(text, at: index)
                guard let end = isLong ? Self.endOfLong(text, from: index) : Self.endOfShort(text, from: index) else {
                    let what = isLong ? "this string does not end" : "this string does not end in its line"
                    if faults.count < Self.faultsMax {
                        faults.append(.init(line: line, column: index - begin + 1, text: what, isOfAllBelow: isLong))
                    }
                    // Of a long one nothing below can be told apart.
                    let rest = isLong ? text.count : text[index...].firstIndex(of: Self.newline) ?? text.count
                    for place in begin..<rest where text[place] != Self.newline { closed[place] = UInt8(ascii: " ") }
                    index = rest
                    continue
                }
                for place in index..<end where text[place] == Self.newline { (line, begin) = (line + 1, place + 1) }
                index = end
            default: index += 1
            }
        }
    }

    private static func isTriple(_ text: [UInt8], at index: Int) -> Bool {
        index + 2 < text.count && text[index + 1] == text[index] && text[index + 2] == text[index]
    }

    /// Behind its closing quote.
    private static func endOfShort(_ text: [UInt8], from start: Int) -> Int? {
        let quote = text[start]
        var index = start + 1
        while index < text.count, text[index] != newline {
            if text[index] == quote { return index + 1 }
            index += quote == UInt8(ascii: "\"") && text[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        return nil
    }

    /// Behind its closing quotes, of which two more may belong to the string.
    private static func endOfLong(_ text: [UInt8], from start: Int) -> Int? {
        let quote = text[start]
        var index = start + 3
        while index < text.count {
            if text[index] == quote, isTriple(text, at: index) {
                index += 3
                for _ in 0..<2 where index < text.count && text[index] == quote { index += 1 }
                return index
            }
            index += quote == UInt8(ascii: "\"") && text[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        return nil
    }
}
