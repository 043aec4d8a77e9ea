/// Takes a statement apart into tokens. Comments and white space are left out.
struct Tokenizer {
    private let text: [UInt8]
    private var position = 0

    static func tokens(of text: [UInt8]) throws(QueryError) -> [PlacedToken] {
        var tokenizer = Tokenizer(text: text)
        var tokens: [PlacedToken] = []
        while true {
            let token = try tokenizer.next()
            tokens.append(token)
            if token.token == .end { return tokens }
        }
    }

    private init(text: [UInt8]) { self.text = text }

    private mutating func next() throws(QueryError) -> PlacedToken {
        try skipBlanks()
        let start = position
        let token = try token()
        return PlacedToken(token: token, start: start, end: position)
    }

    private mutating func token() throws(QueryError) -> Token {
        guard let byte = peek() else { return .end }
        switch byte {
        case UInt8(ascii: "'"): return .text(try delimited(by: byte, "a text"))
        case UInt8(ascii: "\""): return .quoted(try name())
        case UInt8(ascii: "$"): return try parameter()
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        case UInt8(ascii: "."): return Self.isDigit(peek(1)) ? try number() : symbol()
        case UInt8(ascii: "x"), UInt8(ascii: "X"):
            guard peek(1) == UInt8(ascii: "'") else { return word() }
            position += 1
            return .blob(try blob())
        case 0: throw .syntax("the statement has a NUL byte")
        default: return Self.isWordByte(byte) ? word() : symbol()
        }
    }

    private func peek(_ ahead: Int = 0) -> UInt8? {
        position + ahead < text.count ? text[position + ahead] : nil
    }

    private mutating func skipBlanks() throws(QueryError) {
        while let byte = peek() {
            if byte == 0x20 || (0x09...0x0d).contains(byte) {
                position += 1
            } else if byte == UInt8(ascii: "-"), peek(1) == byte {
                while let byte = peek(), byte != UInt8(ascii: "\n") { position += 1 }
            } else if byte == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
                try skipComment()
            } else {
                return
            }
        }
    }

    private mutating func skipComment() throws(QueryError) {
        position += 2
        while peek() != nil {
            if peek() == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") {
                position += 2
                return
            }
            position += 1
        }
        throw .syntax("a comment does not end")
    }

    private mutating func delimited(by quote: UInt8, _ what: String) throws(QueryError) -> String {
        position += 1
        var content: [UInt8] = []
        while let byte = peek() {
            position += 1
            guard byte == quote else {
                content.append(byte)
                continue
            }
            guard peek() == quote else { return String(decoding: content, as: UTF8.self) }
            content.append(quote)
            position += 1
        }
        throw .syntax("\(what) does not end")
    }

    private mutating func name() throws(QueryError) -> String {
        let name = try delimited(by: UInt8(ascii: "\""), "a quoted name")
        guard !name.isEmpty, !name.utf8.contains(0) else { throw .syntax("a quoted name is empty or has a NUL byte") }
        return name
    }

    private mutating func blob() throws(QueryError) -> [UInt8] {
        let digits = Array(try delimited(by: UInt8(ascii: "'"), "a blob").utf8)
        let values = digits.map { UInt8(hexDigit: $0) }
        guard digits.count.isMultiple(of: 2), !values.contains(nil) else {
            throw .syntax("a blob is not made of pairs of hex digits")
        }
        let known = values.compactMap { $0 }
        return stride(from: 0, to: known.count, by: 2).map { known[$0] << 4 | known[$0 + 1] }
    }

    private mutating func parameter() throws(QueryError) -> Token {
        position += 1
        let digits = takeWhile { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || Self.isWordByte($0) }
        guard let number = Int(digits), number > 0 else {
            throw .parameter("$\(digits) is no placeholder: they are $1, $2 and so on")
        }
        return .parameter(number)
    }

    private mutating func number() throws(QueryError) -> Token {
        let start = position
        var isReal = false
        skipDigits()
        if peek() == UInt8(ascii: ".") {
            isReal = true
            position += 1
            skipDigits()
        }
        if let byte = peek(), byte | 0x20 == UInt8(ascii: "e") {
            let signed = peek(1) == UInt8(ascii: "+") || peek(1) == UInt8(ascii: "-")
            if Self.isDigit(peek(signed ? 2 : 1)) {
                isReal = true
                position += signed ? 2 : 1
                skipDigits()
            }
        }
        let digits = String(decoding: text[start..<position], as: UTF8.self)
        if let byte = peek(), Self.isWordByte(byte) { throw .syntax("a number is followed by a letter: \(digits)…") }
        return isReal ? .real(digits) : .integer(digits)
    }

    private mutating func skipDigits() {
        while Self.isDigit(peek()) { position += 1 }
    }

    private mutating func word() -> Token {
        .word(takeWhile { Self.isWordByte($0) || Self.isDigit($0) }.lowercased())
    }

    private mutating func takeWhile(_ condition: (UInt8) -> Bool) -> String {
        let start = position
        while let byte = peek(), condition(byte) { position += 1 }
        return String(decoding: text[start..<position], as: UTF8.self)
    }

    private static let pairs: Set<String> = ["<=", ">=", "<>", "!=", "||", "==", "->", "<<", ">>"]

    private mutating func symbol() -> Token {
        for length in [3, 2] where position + length <= text.count {
            let symbol = String(decoding: text[position..<position + length], as: UTF8.self)
            guard symbol == "->>" || (length == 2 && Self.pairs.contains(symbol)) else { continue }
            position += length
            return .symbol(symbol)
        }
        defer { position += 1 }
        return .symbol(String(decoding: [text[position]], as: UTF8.self))
    }

    private static func isDigit(_ byte: UInt8?) -> Bool {
        byte.map { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? false
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || byte == UInt8(ascii: "_") || byte >= 0x80
    }
}

extension UInt8 {
    init?(hexDigit: UInt8) {
        switch hexDigit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self = hexDigit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self = hexDigit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self = hexDigit - UInt8(ascii: "A") + 10
        default: return nil
        }
    }
}
