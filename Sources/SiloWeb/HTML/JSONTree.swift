/// A value as JSON that can be folded: its text is JSON as it stands, with what cannot be seen written as escapes.
///
/// What is long or has very many values is cut off, and says so.
struct JSONTree {
    private var left: Int
    private(set) var isCut = false
    private static let textMax = 4096

    /// - Parameter charactersMax: of the whole, roughly.
    init(charactersMax: Int = 24_000) { left = charactersMax }

    mutating func html(_ value: MessagePack) -> HTML { html(value, 0) }

    private mutating func html(_ value: MessagePack, _ depth: Int) -> HTML {
        guard left > 0 else {
            isCut = true
            return "<span class=\"cut\">…</span>"
        }
        left -= 16
        switch value {
        case .null: return word("null")
        case .bool(let value): return word(value ? "true" : "false")
        case .int(let number): return numeral(String(number))
        case .uint(let number): return numeral(String(number))
        case .double(let number): return number.isFinite ? numeral("\(number)") : text("\(number)")
        case .text(let string): return text(string)
        case .bytes(let bytes): return self.bytes(bytes, "base16:")
        case .other(let type, let bytes): return self.bytes(bytes, "extension \(type):")
        case .array(let values):
            guard !values.isEmpty else { return "[]" }
            return fold("[", "]", values.count, depth) { tree, index in tree.html(values[index], depth + 1) }
        case .map(let pairs):
            guard !pairs.isEmpty else { return "{}" }
            return fold("{", "}", pairs.count, depth) { tree, index in
                let key = tree.key(pairs[index].key)
                return "\(key): \(tree.html(pairs[index].value, depth + 1))"
            }
        }
    }

    private mutating func fold(
        _ open: HTML, _ close: HTML, _ count: Int, _ depth: Int, _ entry: (inout JSONTree, Int) -> HTML
    ) -> HTML {
        var entries: HTML = .empty
        for index in 0..<count {
            guard left > 0 else {
                isCut = true
                entries += "<li><span class=\"cut\">…</span></li>"
                break
            }
            let comma: HTML = index + 1 < count ? "," : ""
            entries += "<li>\(entry(&self, index))\(comma)</li>"
        }
        // Deep ones are folded at first, and large ones far down.
        let isOpen: HTML = .when(depth < 4 && (depth < 2 || count <= 50), " open")
        return """
            <details\(isOpen)><summary>\(open)<span class="count" data-count="\(count)"></span></summary><ul>\(entries)</ul>\
            \(close)</details>
            """
    }

    private mutating func key(_ key: MessagePack) -> HTML {
        let name: String
        switch key {
        case .text(let text): name = text
        case .int(let number): name = String(number)
        case .uint(let number): name = String(number)
        case .bool(let value): name = String(value)
        default: name = "?"
        }
        return "<span class=\"key\">\(quoted(name, cut: false))</span>"
    }

    private func word(_ word: String) -> HTML { "<span class=\"word\">\(word)</span>" }
    private func numeral(_ text: String) -> HTML { "<span class=\"num\">\(text)</span>" }
    private mutating func text(_ text: String, isCut: Bool = false) -> HTML {
        "<span class=\"str\">\(quoted(text, cut: isCut))</span>"
    }

    private mutating func bytes(_ bytes: [UInt8], _ kind: String) -> HTML {
        text(kind + Hex.digits(bytes.prefix(Self.textMax / 2)), isCut: bytes.count > Self.textMax / 2)
    }

    private mutating func quoted(_ text: String, cut: Bool) -> HTML {
        let (escaped, isWhole) = Self.escaped(text, charactersMax: max(16, min(Self.textMax, left)))
        left -= escaped.count
        guard cut || !isWhole else { return "\"\(escaped)\"" }
        isCut = true
        return "\"\(escaped)<span class=\"cut\">…</span>\""
    }

    private static func escaped(_ text: String, charactersMax: Int) -> (String, isWhole: Bool) {
        var result = ""
        var count = 0
        for scalar in text.unicodeScalars {
            if count >= charactersMax { return (result, false) }
            count += 1
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            default:
                let shown = Name.visible(String(scalar))
                guard shown.unicodeScalars.count > 1 else {
                    result.unicodeScalars.append(scalar)
                    continue
                }
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            }
        }
        return (result, true)
    }
}

enum Hex {
    static func digits(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes { text += digits(byte) }
        return text
    }

    static func digits(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }

    /// Lines of 16 bytes: where they begin, their digits, and what of them are letters.
    static func dump(_ bytes: ArraySlice<UInt8>) -> String {
        var lines = ""
        var rest = bytes
        while !rest.isEmpty {
            let line = rest.prefix(16)
            let offset = String(line.startIndex - bytes.startIndex, radix: 16)
            let groups = line.map(digits).joined(separator: " ")
            let letters = String(decoding: line.map { (0x20..<0x7f).contains($0) ? $0 : UInt8(ascii: ".") }, as: UTF8.self)
            lines += String(repeating: "0", count: max(0, 6 - offset.count)) + offset + "  " + groups
            lines += String(repeating: " ", count: 3 * (16 - line.count) + 2) + letters + "\n"
            rest = rest.dropFirst(16)
        }
        return lines
    }
}
