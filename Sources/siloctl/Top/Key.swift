/// A key of the terminal.
enum Key: Equatable, Sendable {
    case character(Character)
    case up, down, left, right, pageUp, pageDown, home, end
    case enter, escape, backspace, tab, backTab
}

/// Makes keys of the bytes that a terminal sends, which may come in pieces.
struct KeyReader {
    private var bytes: [UInt8] = []
    private static let escape: UInt8 = 0x1b
    /// No key is longer: what is was not typed.
    private static let bytesMax = 32

    mutating func keys(_ more: [UInt8]) -> [Key] {
        bytes += more
        var keys: [Key] = []
        while let (key, length) = next() {
            bytes.removeFirst(length)
            if let key { keys.append(key) }
        }
        if bytes.count > Self.bytesMax { bytes = [] }
        return keys
    }

    /// The first key and how many bytes it has; nil: it has not come whole. One that means nothing here is nil.
    private func next() -> (key: Key?, length: Int)? {
        guard let first = bytes.first else { return nil }
        switch first {
        case Self.escape: return escaped()
        case 0x0d, 0x0a: return (.enter, 1)
        case 0x7f, 0x08: return (.backspace, 1)
        case 0x09: return (.tab, 1)
        case ..<0x20: return (nil, 1)
        default: return character(first)
        }
    }

    private func character(_ first: UInt8) -> (Key?, Int)? {
        let length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1
        guard bytes.count >= length else { return nil }
        let text = String(validating: bytes[..<length], as: UTF8.self)
        return (text.flatMap(\.first).map { .character($0) }, length)
    }

    private func escaped() -> (Key?, Int)? {
        // The key itself comes alone.
        guard bytes.count > 1 else { return (.escape, 1) }
        guard [UInt8(ascii: "["), UInt8(ascii: "O")].contains(bytes[1]) else { return (.escape, 1) }
        guard let end = bytes.dropFirst(2).firstIndex(where: { (0x40...0x7e).contains($0) }) else { return nil }
        let key: Key? =
            switch String(decoding: bytes[2...end], as: UTF8.self) {
            case "A": .up
            case "B": .down
            case "C": .right
            case "D": .left
            case "H", "1~", "7~": .home
            case "F", "4~", "8~": .end
            case "5~": .pageUp
            case "6~": .pageDown
            case "Z": .backTab
            default: nil
            }
        return (key, end + 1)
    }
}
