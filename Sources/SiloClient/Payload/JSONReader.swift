import Foundation
import Protobuf

/// Reads a JSON document (RFC 8259) as the MessagePack one with the same value. Foundation's reader is of no use for it: it makes
/// one name of those that Unicode holds equal, and other numbers of large ones.
struct JSONReader {
    /// What is wrong, for people.
    struct Mistake: Error, Equatable {
        let text: String
    }

    /// The outermost value is the first level.
    private static let levelsMax = 32

    private let bytes: UnsafeRawBufferPointer
    private var index = 0

    private init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// - Throws: when it is no JSON document in UTF-8, is nested deeper than 32 levels, which is as deep as msgpack-c reads, or
    ///   holds a number that 64 bits do not.
    static func read(_ bytes: some ContiguousBytes) throws(Mistake) -> MessagePack {
        let result: Result<MessagePack, Mistake> = bytes.withUnsafeBytes { bytes in
            var reader = JSONReader(bytes)
            return Result { () throws(Mistake) in try reader.document() }
        }
        return try result.get()
    }

    private mutating func document() throws(Mistake) -> MessagePack {
        // A byte order mark is no part of the text.
        if bytes.starts(with: [0xef, 0xbb, 0xbf]) { index = 3 }
        let value = try value(Self.levelsMax)
        skipSpace()
        guard index == bytes.count else { throw unexpected() }
        return value
    }

    // MARK: Values

    private mutating func value(_ levels: Int) throws(Mistake) -> MessagePack {
        guard levels > 0 else { throw Mistake(text: "it is nested deeper than \(Self.levelsMax) levels") }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return .map(try object(levels - 1))
        case UInt8(ascii: "["): return .array(try array(levels - 1))
        case UInt8(ascii: "\""): return .text(try text())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(_ word: StaticString, _ value: MessagePack) throws(Mistake) -> MessagePack {
        for offset in 0..<word.utf8CodeUnitCount {
            guard take(word.utf8Start[offset]) else { throw unexpected() }
        }
        return value
    }

    private mutating func array(_ levels: Int) throws(Mistake) -> [MessagePack] {
        var items: [MessagePack] = []
        index += 1
        skipSpace()
        if take(UInt8(ascii: "]")) { return items }
        repeat {
            items.append(try value(levels))
            skipSpace()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw unexpected() }
        return items
    }

    /// Names are one when their bytes are; the last value counts.
    private mutating func object(_ levels: Int) throws(Mistake) -> [(key: MessagePack, value: MessagePack)] {
        var members = TextMap<MessagePack>()
        index += 1
        skipSpace()
        if take(UInt8(ascii: "}")) { return [] }
        repeat {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw unexpected() }
            let name = try text()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw unexpected() }
            members[name] = try value(levels)
            skipSpace()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw unexpected() }
        return members.map { (.text($0.key), $0.value) }
    }

    // MARK: Numbers

    private mutating func number() throws(Mistake) -> MessagePack {
        let start = index
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try digits() }
        var isWhole = true
        if take(UInt8(ascii: ".")) {
            isWhole = false
            try digits()
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isWhole = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        guard isWhole else {
            guard let number = Double(text), number.isFinite else {
                throw Mistake(text: "no 64-bit floating-point number holds \(text)")
            }
            return .float(number)
        }
        if let number = Int64(text) { return .integer(number) }
        guard let number = UInt64(text) else {
            throw Mistake(text: "the whole number \(text) does not lie between -2^63 and 2^64 - 1; write it as a text, in quotes")
        }
        return .unsigned(number)
    }

    private mutating func digits() throws(Mistake) {
        guard isDigit(next) else { throw unexpected() }
        while isDigit(next) { index += 1 }
    }

    private func isDigit(_ byte: UInt8?) -> Bool { byte.map { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? false }

    // MARK: Texts

    private mutating func text() throws(Mistake) -> String {
        let start = index
        var content: [UInt8] = []
        index += 1
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                index += 1
                guard let text = String(validating: content, as: UTF8.self) else {
                    throw Mistake(text: "the text at byte \(start + 1) is no UTF-8")
                }
                return text
            case UInt8(ascii: "\\"):
                index += 1
                content += String(try escape()).utf8
            case 0..<0x20: throw unexpected()
            default:
                content.append(byte)
                index += 1
            }
        }
        throw unexpected()
    }

    /// What follows a backslash.
    private mutating func escape() throws(Mistake) -> Unicode.Scalar {
        guard let letter = next else { throw unexpected() }
        let scalar: Unicode.Scalar
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scalar = Unicode.Scalar(letter)
        case UInt8(ascii: "b"): scalar = "\u{8}"
        case UInt8(ascii: "f"): scalar = "\u{c}"
        case UInt8(ascii: "n"): scalar = "\n"
        case UInt8(ascii: "r"): scalar = "\r"
        case UInt8(ascii: "t"): scalar = "\t"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default: throw unexpected()
        }
        index += 1
        return scalar
    }

    /// `uXXXX`; what lies above 16 bits takes two of them.
    private mutating func unicodeEscape() throws(Mistake) -> Unicode.Scalar {
        let start = index
        let first = try codeUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xdc00, take(UInt8(ascii: "\\")), next == UInt8(ascii: "u") else { throw halfPair(start) }
        let second = try codeUnit()
        guard (0xdc00...0xdfff).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
        else { throw halfPair(start) }
        return scalar
    }

    private mutating func codeUnit() throws(Mistake) -> UInt32 {
        index += 1
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = next, let value = Character(Unicode.Scalar(digit)).hexDigitValue else { throw unexpected() }
            unit = unit << 4 | UInt32(value)
            index += 1
        }
        return unit
    }

    private func halfPair(_ start: Int) -> Mistake { Mistake(text: "the escape at byte \(start) is half of a surrogate pair") }

    // MARK: Bytes

    private var next: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        index += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { index += 1 }
    }

    private func unexpected() -> Mistake {
        guard let byte = next else { return Mistake(text: "it ends too early") }
        let what = (0x21...0x7e).contains(byte) ? "\(Character(Unicode.Scalar(byte)))" : "a byte \(byte)"
        return Mistake(text: "\(what) is not expected, at byte \(index + 1)")
    }
}
