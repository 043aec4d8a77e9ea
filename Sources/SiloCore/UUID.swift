/// A 128-bit universally unique identifier (RFC 9562), kept as two big-endian halves.
public struct UUID: Hashable, Sendable, Comparable {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Sixteen bytes in network order; nil for any other count.
    public init?(bytes: Bytes) {
        guard bytes.count == 16 else { return nil }
        func half(_ part: ArraySlice<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
        self.init(high: half(bytes[0..<8]), low: half(bytes[8..<16]))
    }

    /// Reads any standard text form, in either case: hyphenated, 32 hex digits, braced or `urn:uuid:` (spec/api.md 2.1).
    public init?(_ text: String) {
        var digits = Substring(text)
        if digits.hasPrefix("urn:uuid:") || digits.hasPrefix("URN:UUID:") {
            digits = digits.dropFirst(9)
        } else if digits.hasPrefix("{"), digits.hasSuffix("}") {
            digits = digits.dropFirst().dropLast()
        }
        var utf8 = Array(digits.utf8)
        if utf8.count == 36 {
            let hyphens = [23, 18, 13, 8]
            guard hyphens.allSatisfy({ utf8[$0] == UInt8(ascii: "-") }) else { return nil }
            for index in hyphens { utf8.remove(at: index) }
        }
        guard utf8.count == 32 else { return nil }
        var halves: (UInt64, UInt64) = (0, 0)
        for (index, digit) in utf8.enumerated() {
            guard let value = Self.hexValue(digit) else { return nil }
            if index < 16 { halves.0 = halves.0 << 4 | value } else { halves.1 = halves.1 << 4 | value }
        }
        self.init(high: halves.0, low: halves.1)
    }

    /// A random identifier, version 4.
    public static func random(from source: any RandomSource) -> UUID {
        UUID(
            high: source.next() & 0xffff_ffff_ffff_0fff | 0x4000,
            low: source.next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
        )
    }

    /// An identifier whose order is that of the milliseconds in which they were made, and random within one: version 7. Rows that
    /// begin with such are neighbours of those that were made with them.
    public static func ordered(at now: Timestamp, from source: any RandomSource) -> UUID {
        UUID(
            high: UInt64(truncatingIfNeeded: now.milliseconds) << 16 | source.next() & 0x0fff | 0x7000,
            low: source.next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
        )
    }

    public var bytes: Bytes {
        var result = Bytes()
        result.reserveCapacity(16)
        for half in [high, low] {
            for shift in stride(from: UInt64(56), through: 0, by: -8) { result.append(UInt8(truncatingIfNeeded: half >> shift)) }
        }
        return result
    }

    /// Lower case, hyphenated.
    public var text: String {
        String(unsafeUninitializedCapacity: 36) { buffer in
            var position = 0
            for digit in 0..<32 {
                if digit == 8 || digit == 12 || digit == 16 || digit == 20 {
                    buffer[position] = UInt8(ascii: "-")
                    position += 1
                }
                let half = digit < 16 ? high : low
                let nibble = UInt8(truncatingIfNeeded: half >> UInt64(60 - (digit % 16) * 4)) & 0xf
                buffer[position] = nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
                position += 1
            }
            return 36
        }
    }

    public static func < (left: UUID, right: UUID) -> Bool { (left.high, left.low) < (right.high, right.low) }

    private static func hexValue(_ digit: UInt8) -> UInt64? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(digit - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(digit - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(digit - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}

extension UUID: CustomStringConvertible {
    public var description: String { text }
}
