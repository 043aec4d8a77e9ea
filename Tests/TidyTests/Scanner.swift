/// Tells code from comments and string literals, well enough for this package.
struct Scanner {
    private let text: [UInt8]
    private var position = 0
    private var output: [UInt8] = []

    init(_ text: String) { self.text = Array(text.utf8) }

    /// The text with spaces in place of comments and literals, line by line as it was.
    mutating func blanked() -> String {
        output.reserveCapacity(text.count)
        let begins = Array("/\"#".utf8)
        while position < text.count {
            if !begins.contains(text[position]) {
                keep()
            } else if starts(with: "//") {
                blank { $0.text[$0.position] == UInt8(ascii: "\n") }
            } else if starts(with: "/*") {
                skipBlockComment()
            } else if let hashes = literalHashes {
                skipLiteral(hashes: hashes)
            } else {
                keep()
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    private func starts(with word: String) -> Bool { text[position...].starts(with: word.utf8) }

    private mutating func keep() {
        output.append(text[position])
        position += 1
    }

    private mutating func blank(_ count: Int = 1) {
        for byte in text[position..<min(text.count, position + count)] {
            output.append(byte == UInt8(ascii: "\n") ? byte : UInt8(ascii: " "))
        }
        position = min(text.count, position + count)
    }

    private mutating func blank(until isOver: (Self) -> Bool) {
        while position < text.count, !isOver(self) { blank() }
    }

    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            if starts(with: "/*") {
                depth += 1
                blank(2)
            } else if starts(with: "*/") {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && position < text.count
    }

    /// How many `#` stand before the quote that begins here; nil when no literal does.
    private var literalHashes: Int? {
        let hashes = text[position...].prefix { $0 == UInt8(ascii: "#") }.count
        let quote = position + hashes
        return quote < text.count && text[quote] == UInt8(ascii: "\"") ? hashes : nil
    }

    /// What is interpolated counts as code, for it is.
    private mutating func skipLiteral(hashes: Int) {
        let marks = String(repeating: "#", count: hashes)
        blank(hashes)
        let quote = starts(with: "\"\"\"") ? "\"\"\"" : "\""
        keep()
        blank(quote.utf8.count - 1)
        while position < text.count, !starts(with: quote + marks) {
            if starts(with: "\\\(marks)(") {
                blank(1 + hashes)
                keepInterpolation()
            } else {
                blank(starts(with: "\\\(marks)") ? 2 + hashes : 1)
            }
        }
        blank(quote.utf8.count - 1)
        if position < text.count { keep() }
        blank(hashes)
    }

    /// From one parenthesis to the one that closes it.
    private mutating func keepInterpolation() {
        var depth = 0
        repeat {
            if let hashes = literalHashes {
                skipLiteral(hashes: hashes)
                continue
            }
            if text[position] == UInt8(ascii: "(") { depth += 1 }
            if text[position] == UInt8(ascii: ")") { depth -= 1 }
            keep()
        } while depth > 0 && position < text.count
    }
}
