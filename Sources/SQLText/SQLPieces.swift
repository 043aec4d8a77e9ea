/// A statement in pieces, as far as one needs them who types it: where it ends, which names it has. Never wrong about what is
/// within quotes or a comment; the server alone understands the rest.
package struct SQLPieces: Sendable {
    package enum Kind: Sendable {
        case word
        /// In single quotes.
        case text
        /// In double quotes.
        case name
        case comment
        case blank
        case symbol
    }

    package struct Piece: Sendable {
        package let kind: Kind
        package let range: Range<Int>
        /// Quotes or a comment that do not end.
        package let isOpen: Bool
    }

    package let bytes: [UInt8]
    package private(set) var pieces: [Piece] = []

    package init(_ text: String) {
        bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let (kind, end, isOpen) = piece(at: start)
            pieces.append(Piece(kind: kind, range: start..<end, isOpen: isOpen))
            start = end
        }
    }

    package func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
    package func text(_ piece: Piece) -> String { text(piece.range) }

    /// The words and symbols, without blanks and comments.
    package var meaning: [Piece] { pieces.filter { $0.kind != .blank && $0.kind != .comment } }

    package var isBlank: Bool { meaning.isEmpty }

    /// On one line: comments left out, blanks that are several as one. What is in quotes stays.
    package var oneLine: String {
        var line = ""
        for piece in pieces {
            if piece.kind != .blank && piece.kind != .comment {
                line += text(piece)
            } else if !line.isEmpty, !line.hasSuffix(" ") {
                line += " "
            }
        }
        return line.hasSuffix(" ") ? String(line.dropLast()) : line
    }

    /// The first `;`, which ends a statement, or `\`, which begins a command.
    package var firstEnd: Piece? {
        pieces.first { $0.kind == .symbol && [.semicolon, .backslash].contains(bytes[$0.range.lowerBound]) }
    }

    private func piece(at start: Int) -> (Kind, end: Int, isOpen: Bool) {
        let next = start + 1 < bytes.count ? bytes[start + 1] : 0
        switch bytes[start] {
        case UInt8(ascii: "'"): return quoted(.text, from: start)
        case UInt8(ascii: "\""): return quoted(.name, from: start)
        case UInt8(ascii: "-") where next == UInt8(ascii: "-"):
            return (.comment, end(from: start) { $0 != UInt8(ascii: "\n") }, false)
        case UInt8(ascii: "/") where next == UInt8(ascii: "*"): return comment(from: start)
        case let byte where Self.isBlank(byte): return (.blank, end(from: start, while: Self.isBlank), false)
        case let byte where Self.isWord(byte): return (.word, end(from: start, while: Self.isWord), false)
        default: return (.symbol, start + 1, false)
        }
    }

    private func end(from start: Int, while goesOn: (UInt8) -> Bool) -> Int {
        bytes[start...].firstIndex { !goesOn($0) } ?? bytes.count
    }

    /// A quote that is doubled is two quoted texts beside each other here, which comes to the same.
    private func quoted(_ kind: Kind, from start: Int) -> (Kind, Int, Bool) {
        guard let end = bytes[(start + 1)...].firstIndex(of: bytes[start]) else { return (kind, bytes.count, true) }
        return (kind, end + 1, false)
    }

    private func comment(from start: Int) -> (Kind, Int, Bool) {
        var place = start + 2
        while place + 1 < bytes.count {
            if bytes[place] == UInt8(ascii: "*"), bytes[place + 1] == UInt8(ascii: "/") { return (.comment, place + 2, false) }
            place += 1
        }
        return (.comment, bytes.count, true)
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "$"), 0x80...:
            true
        default: false
        }
    }
}

extension UInt8 {
    fileprivate static let semicolon = UInt8(ascii: ";")
    fileprivate static let backslash = UInt8(ascii: "\\")
}
