/// A piece of a page, written as a string literal. What is interpolated is escaped; there is no way to make one of any other
/// text, so nothing that a user named can become markup:
///
///     let row: HTML = "<td class=\"name\">\(tenant)</td>"
///
/// An escaped value may stand in text and in quoted attributes. Addresses are `Link`s; scripts and styles are files of their own,
/// and the content security policy lets no others run.
package struct HTML: Sendable, Equatable, ExpressibleByStringInterpolation {
    private(set) var text: String

    /// Only the compiler makes static strings, from literals.
    package init(stringLiteral literal: StaticString) { text = literal.description }
    package init(stringInterpolation: Interpolation) { text = stringInterpolation.text }

    static let empty: HTML = ""

    init(joining parts: some Sequence<HTML>) {
        text = parts.reduce(into: "") { $0 += $1.text }
    }

    static func += (left: inout HTML, right: HTML) { left.text += right.text }
    static func + (left: HTML, right: HTML) -> HTML { HTML(joining: [left, right]) }

    var bytes: [UInt8] { Array(text.utf8) }
    var isEmpty: Bool { text.isEmpty }

    /// The piece only where `condition` holds.
    static func when(_ condition: Bool, _ piece: @autoclosure () -> HTML) -> HTML { condition ? piece() : .empty }

    package struct Interpolation: StringInterpolationProtocol {
        fileprivate var text: String

        package init(literalCapacity: Int, interpolationCount: Int) {
            text = ""
            text.reserveCapacity(literalCapacity + interpolationCount * 16)
        }

        package mutating func appendLiteral(_ literal: StaticString) {
            literal.withUTF8Buffer { text += String(decoding: $0, as: UTF8.self) }
        }

        package mutating func appendInterpolation(_ value: String) { text.append(escaping: value) }
        mutating func appendInterpolation(_ value: Substring) { text.append(escaping: String(value)) }
        mutating func appendInterpolation(_ value: some BinaryInteger) { text += String(value) }
        mutating func appendInterpolation(_ piece: HTML) { text += piece.text }
        mutating func appendInterpolation(_ piece: HTML?) { if let piece { text += piece.text } }
        mutating func appendInterpolation(_ pieces: [HTML]) { for piece in pieces { text += piece.text } }
        mutating func appendInterpolation(_ link: Link) { text.append(escaping: link.text) }
    }
}

extension String {
    fileprivate mutating func append(escaping value: String) {
        for byte in value.utf8 where Self.isSpecial(byte) {
            return appendEscapingEach(value)
        }
        self += value
    }

    private mutating func appendEscapingEach(_ value: String) {
        for scalar in value.unicodeScalars {
            switch scalar {
            case "&": self += "&amp;"
            case "<": self += "&lt;"
            case ">": self += "&gt;"
            case "\"": self += "&quot;"
            case "'": self += "&#39;"
            // No document may have it, and a parser would drop it.
            case "\0": self += "\u{FFFD}"
            default: unicodeScalars.append(scalar)
            }
        }
    }

    private static func isSpecial(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "&"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\""), UInt8(ascii: "'"), 0: true
        default: false
        }
    }
}
