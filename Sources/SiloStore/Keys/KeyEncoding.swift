import SiloCore

/// Builds keys whose byte order is the order of their parts.
struct KeyEncoder {
    var bytes: Bytes

    init(_ prefix: Bytes = [], reserving capacity: Int = 64) {
        bytes = Bytes()
        bytes.reserveCapacity(prefix.count + capacity)
        bytes.append(contentsOf: prefix)
    }

    mutating func append(_ byte: UInt8) {
        bytes.append(byte)
    }

    mutating func append(_ number: UInt64) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ number: UInt32) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// UTF-8 with 0x00 written as 0x00 0xFF, ended by 0x00 0x01, so that a text sorts before every longer one.
    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            if utf8.contains(0) {
                for byte in utf8 {
                    bytes.append(byte)
                    if byte == 0 { bytes.append(0xff) }
                }
            } else {
                bytes.append(contentsOf: utf8)
            }
        }
        bytes.append(0)
        bytes.append(1)
    }
}

/// Takes keys apart again. Every read gives nil at a malformed key.
struct KeyDecoder {
    private let bytes: Bytes
    private var position: Int

    init(_ bytes: Bytes, after prefixCount: Int = 0) {
        self.bytes = bytes
        position = prefixCount
    }

    mutating func byte() -> UInt8? {
        guard position < bytes.count else { return nil }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func uint64() -> UInt64? {
        guard position + 8 <= bytes.count else { return nil }
        defer { position += 8 }
        return bytes[position..<position + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func uint32() -> UInt32? {
        guard position + 4 <= bytes.count else { return nil }
        defer { position += 4 }
        return bytes[position..<position + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    mutating func text() -> String? {
        // What stands before a 0 of the text itself, which hardly any has.
        var beginning = Bytes()
        while position < bytes.count, let end = bytes[position...].firstIndex(of: 0), end + 1 < bytes.count {
            let part = bytes[position..<end]
            position = end + 2
            switch bytes[end + 1] {
            case 1 where beginning.isEmpty: return String(validating: part, as: UTF8.self)
            case 1: return String(validating: beginning + part, as: UTF8.self)
            case 0xff: beginning += part + [0]
            default: return nil
            }
        }
        return nil
    }
}
