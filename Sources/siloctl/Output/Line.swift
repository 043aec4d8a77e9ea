import CommandLineTool

/// A line for people: texts, each plain or in a style. Much of it was written by others: it is made printable as it comes in.
struct Line: Sendable, ExpressibleByStringInterpolation {
    /// What a text means; a terminal shows it as a colour.
    enum Style: String, Sendable {
        case heading = "1"
        case quiet = "2"
        case bad = "31"
        case good = "32"
        case busy = "33"
    }
    private var parts: [(text: String, style: Style?)] = []

    init(_ text: String, _ style: Style? = nil) { parts = [(text.printable, style)] }
    init(stringLiteral text: String) { self.init(text) }
    init(stringInterpolation: StringInterpolation) { parts = stringInterpolation.line.parts }

    struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var line = Line("")
        init(literalCapacity: Int, interpolationCount: Int) {}
        mutating func appendLiteral(_ text: String) { line.parts.append((text.printable, nil)) }
        mutating func appendInterpolation(_ value: some CustomStringConvertible, _ style: Style? = nil) {
            line.parts.append((value.description.printable, style))
        }
        mutating func appendInterpolation(_ other: Line) { line.parts += other.parts }
    }

    static func + (left: Line, right: Line) -> Line {
        var sum = left
        sum.parts += right.parts
        return sum
    }

    /// How many columns of a terminal it takes.
    var width: Int { parts.reduce(0) { $0 + $1.text.columns } }

    func text(isColored: Bool) -> String {
        parts.map { text, style in
            guard isColored, let style, !text.isEmpty else { return text }
            return "\u{1b}[\(style.rawValue)m\(text)\u{1b}[0m"
        }.joined()
    }

    /// Its beginning, with `…` where something is left out.
    func cut(to width: Int) -> Line {
        guard self.width > width else { return self }
        var (line, left) = (Line(""), width - 1)
        for part in parts where left > 0 {
            let text = part.text.cut(toColumns: left)
            line.parts.append((text, part.style))
            left -= text.columns
            if text.count < part.text.count { break }
        }
        return line + "…"
    }

    /// With spaces behind it, or before it.
    func padded(to width: Int, onTheLeft: Bool = false) -> Line {
        let space = Line(String(repeating: " ", count: max(0, width - self.width)))
        return onTheLeft ? space + self : self + space
    }
}

extension Character {
    /// How many columns of a terminal it takes: two for the scripts of East Asia and for pictures
    /// (https://www.unicode.org/reports/tr11/), none for a mark that stands alone.
    var columns: Int {
        guard let first = unicodeScalars.first else { return 0 }
        switch first.value {
        case ..<0x300: return 1
        case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f,
            0xff00...0xff60, 0xffe0...0xffe6, 0x1f300...0x1f64f, 0x1f680...0x1f6ff, 0x1f900...0x1f9ff, 0x20000...0x3fffd:
            return 2
        default:
            if first.properties.isEmojiPresentation { return 2 }
            return [.nonspacingMark, .enclosingMark, .format].contains(first.properties.generalCategory) ? 0 : 1
        }
    }
}

extension String {
    /// How many columns of a terminal it takes.
    var columns: Int { reduce(0) { $0 + $1.columns } }

    /// Its beginning that fits, by whole characters.
    func cut(toColumns max: Int) -> String {
        var left = max
        return String(prefix { character in
            left -= character.columns
            return left >= 0
        })
    }
}
