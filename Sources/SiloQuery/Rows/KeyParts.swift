import SiloCore
import SiloStore

/// A text within the bytes of a key.
struct KeyText: Sendable {
    let start: Int
    let end: Int
    /// It holds zero bytes, which are written as two.
    let isEscaped: Bool

    static let none = KeyText(start: 0, end: 0, isEscaped: false)

    func bytes(in key: Bytes) -> Bytes {
        guard isEscaped else { return Bytes(key[start..<end]) }
        var bytes = Bytes()
        var index = start
        while index < end {
            bytes.append(key[index])
            index += key[index] == 0 ? 2 : 1
        }
        return bytes
    }

    func append(to text: inout Bytes, in key: Bytes) {
        if isEscaped { text += bytes(in: key) } else { text.append(contentsOf: key[start..<end]) }
    }

    func string(in key: Bytes) -> String { String(decoding: bytes(in: key), as: UTF8.self) }
}

/// Reads the parts of a key one after another. Nil: the key is malformed.
struct KeyReader {
    let key: Bytes
    private(set) var position: Int

    /// Behind the slice and the family.
    static let headBytes = 3

    init(_ key: Bytes, at position: Int = KeyReader.headBytes) {
        self.key = key
        self.position = position
    }

    mutating func byte() -> UInt8? {
        guard position < key.count else { return nil }
        defer { position += 1 }
        return key[position]
    }

    mutating func number() -> UInt64? {
        guard position + 8 <= key.count else { return nil }
        var number: UInt64 = 0
        for index in position..<position + 8 { number = number << 8 | UInt64(key[index]) }
        position += 8
        return number
    }

    mutating func number32() -> UInt32? {
        guard position + 4 <= key.count else { return nil }
        var number: UInt32 = 0
        for index in position..<position + 4 { number = number << 8 | UInt32(key[index]) }
        position += 4
        return number
    }

    mutating func text() -> KeyText? {
        let start = position
        var isEscaped = false
        let count = key.count
        while position + 1 < count {
            guard key[position] == 0 else {
                position += 1
                continue
            }
            if key[position + 1] == 1 {
                defer { position += 2 }
                return KeyText(start: start, end: position, isEscaped: isEscaped)
            }
            isEscaped = true
            position += 2
        }
        return nil
    }

    /// The hash of the tenant, and its name.
    mutating func tenant() -> KeyText? { number() == nil ? nil : text() }

    mutating func string() -> String? { text().map { $0.string(in: key) } }
}
