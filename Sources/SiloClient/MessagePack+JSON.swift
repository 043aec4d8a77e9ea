public import Foundation

extension MessagePack {
    /// The value of a JSON document. Object keys come in alphabetical order.
    /// - Throws: `.undecodable` when it is none, or has a whole number that MessagePack does not hold: it would become another
    ///   one.
    public init(json: Data) throws(ClientError) {
        if let number = JSONIntegers.unfit(in: json) {
            throw .undecodable(
                "the whole number \(number) does not lie between -2^63 and 2^64 - 1; write it as a text, in quotes")
        }
        // A zero byte is a sign of another encoding than UTF-8, in which the numbers were not looked for.
        guard !json.contains(0), let value = try? JSONSerialization.jsonObject(with: json, options: .fragmentsAllowed),
            let converted = Self.lift(json: value)
        else { throw .undecodable("not a JSON document") }
        self = converted
    }

    private static func lift(json value: Any) -> MessagePack? {
        switch value {
        case is NSNull: return .null
        case let text as String: return .text(text)
        case let number as NSNumber:
            if CFGetTypeIDIsBoolean(number) { return .bool(number.boolValue) }
            if let integer = value as? Int64 { return .integer(integer) }
            if let unsigned = value as? UInt64 { return .unsigned(unsigned) }
            return .float(number.doubleValue)
        case let items as [Any]:
            let lifted = items.compactMap(lift(json:))
            return lifted.count == items.count ? .array(lifted) : nil
        case let object as [String: Any]:
            var entries: [(key: MessagePack, value: MessagePack)] = []
            for (key, value) in object.sorted(by: { $0.key < $1.key }) {
                guard let lifted = lift(json: value) else { return nil }
                entries.append((.text(key), lifted))
            }
            return .map(entries)
        default: return nil
        }
    }

    /// The same value for `JSONSerialization`. Binary becomes base 64, a timestamp its ISO 8601 form, JavaScript's `undefined`
    /// null as JavaScript itself writes it; keys that are no text, their description.
    public var jsonValue: Any {
        if let date { return date.text }
        if isUndefined { return NSNull() }
        return switch self {
        case .null: NSNull()
        case .bool(let value): value
        case .integer(let value): value
        case .unsigned(let value): value
        case .float(let value): value.isFinite ? value : NSNull()
        case .text(let text): text
        case .binary(let bytes), .extended(_, let bytes): Data(bytes).base64EncodedString()
        case .array(let items): items.map(\.jsonValue)
        case .map(let entries):
            Dictionary(entries.map { ($0.key.keyText, $0.value.jsonValue) }) { _, last in last }
        }
    }

    private var keyText: String {
        if case .text(let text) = self { text } else { "\(jsonValue)" }
    }
}

/// On Linux a JSON boolean is an `NSNumber` whose type code is that of a C char or bool.
private func CFGetTypeIDIsBoolean(_ number: NSNumber) -> Bool {
    let type = String(cString: number.objCType)
    return type == "c" || type == "B"
}
