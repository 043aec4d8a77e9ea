import Foundation

/// A line of an audit log, read.
package struct AuditEntry: Sendable, Equatable {
    package struct Field: Sendable, Equatable {
        package let name: String
        package let value: String
    }
    /// As they stand in the line, but for what tells an audit line from others.
    package let fields: [Field]
    /// As it stands there: such texts are in the order of their times.
    let time: String

    /// Nil: it is none, or is broken.
    package init?(line: some Collection<UInt8>) {
        guard let fields = AuditLineReader.fields(of: line), fields.first == Field(name: "log", value: "audit"),
            let time = fields.first(where: { $0.name == "time" })?.value, AuditTime.milliseconds(time) != nil
        else { return nil }
        self.fields = Array(fields.dropFirst())
        self.time = time
    }

    package subscript(name: String) -> String? { fields.first { $0.name == name }?.value }

    /// Since the Unix epoch.
    package var milliseconds: Int64 { AuditTime.milliseconds(time) ?? 0 }
}

/// Reads what `AuditLine` writes: an object of texts in JSON. The order of its fields counts, which other readers do not keep.
enum AuditLineReader {
    private static let fieldsMax = 64

    static func fields(of line: some Collection<UInt8>) -> [AuditEntry.Field]? {
        var rest = Array(line)[...]
        guard rest.popFirst() == UInt8(ascii: "{") else { return nil }
        var fields: [AuditEntry.Field] = []
        while fields.count < fieldsMax {
            guard let name = text(&rest), rest.popFirst() == UInt8(ascii: ":"), let value = text(&rest) else { return nil }
            fields.append(AuditEntry.Field(name: name, value: value))
            switch rest.popFirst() {
            case UInt8(ascii: ","): continue
            case UInt8(ascii: "}"): return rest.isEmpty ? fields : nil
            default: return nil
            }
        }
        return nil
    }

    private static func text(_ rest: inout ArraySlice<UInt8>) -> String? {
        guard rest.popFirst() == UInt8(ascii: "\"") else { return nil }
        var units: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return String(validating: units, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let scalar = escaped(&rest) else { return nil }
                units += Array(String(scalar).utf8)
            case 0..<0x20: return nil
            default: units.append(byte)
            }
        }
        return nil
    }

    private static func escaped(_ rest: inout ArraySlice<UInt8>) -> Unicode.Scalar? {
        switch rest.popFirst() {
        case UInt8(ascii: "\""): "\""
        case UInt8(ascii: "\\"): "\\"
        case UInt8(ascii: "/"): "/"
        case UInt8(ascii: "b"): "\u{8}"
        case UInt8(ascii: "f"): "\u{c}"
        case UInt8(ascii: "n"): "\n"
        case UInt8(ascii: "r"): "\r"
        case UInt8(ascii: "t"): "\t"
        case UInt8(ascii: "u"): scalar(&rest)
        default: nil
        }
    }

    /// Of four digits, or of two times four for what UTF-16 needs two units for.
    private static func scalar(_ rest: inout ArraySlice<UInt8>) -> Unicode.Scalar? {
        guard let first = digits(&rest) else { return nil }
        guard UTF16.isLeadSurrogate(first) else { return Unicode.Scalar(first) }
        guard rest.popFirst() == UInt8(ascii: "\\"), rest.popFirst() == UInt8(ascii: "u"), let second = digits(&rest),
            UTF16.isTrailSurrogate(second)
        else { return nil }
        return Unicode.Scalar(0x10000 + (UInt32(first) - 0xd800) << 10 + (UInt32(second) - 0xdc00))
    }

    private static func digits(_ rest: inout ArraySlice<UInt8>) -> UInt16? {
        guard rest.count >= 4 else { return nil }
        defer { rest = rest.dropFirst(4) }
        let text = String(decoding: rest.prefix(4), as: UTF8.self)
        return text.utf8.contains(UInt8(ascii: "+")) ? nil : UInt16(text, radix: 16)
    }
}

/// The times of audit lines.
enum AuditTime {
    /// Of the year 9999.
    private static let secondsMax: Int64 = 253_402_300_799

    /// What a line of that moment has.
    static func text(_ milliseconds: Int64) -> String {
        let clamped = min(max(0, milliseconds), secondsMax * 1000 + 999)
        return AuditLine.time(timespec(tv_sec: Int(clamped / 1000), tv_nsec: Int(clamped % 1000) * 1_000_000))
    }

    /// Since the Unix epoch; nil: it is not such a time.
    static func milliseconds(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        let form = Array("0000-00-00T00:00:00.000Z".utf8)
        guard bytes.count == form.count else { return nil }
        for (byte, wanted) in zip(bytes, form) {
            let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            guard wanted == UInt8(ascii: "0") ? isDigit : byte == wanted else { return nil }
        }
        func number(_ range: Range<Int>) -> Int32 { bytes[range].reduce(0) { $0 * 10 + Int32($1 - UInt8(ascii: "0")) } }
        var parts = tm()
        (parts.tm_year, parts.tm_mon, parts.tm_mday) = (number(0..<4) - 1900, number(5..<7) - 1, number(8..<10))
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (number(11..<13), number(14..<16), number(17..<19))
        return Int64(timegm(&parts)) * 1000 + Int64(number(20..<23))
    }
}
