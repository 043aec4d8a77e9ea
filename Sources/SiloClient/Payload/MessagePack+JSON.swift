public import Foundation

extension MessagePack {
    /// The value of a JSON document. The names of an object come in the order of their UTF-8; of those that are equal byte for
    /// byte the last one counts.
    /// - Throws: `.undecodable` when it is none in UTF-8, is nested deeper than 32 levels, or has a number that 64 bits do not
    ///   hold: it would become another one.
    public init(json: Data) throws(ClientError) {
        do throws(JSONReader.Mistake) { self = try JSONReader.read(json) } catch {
            throw .undecodable("not a JSON document that can be stored: \(error.text)")
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

    /// The name that stands for this key in JSON.
    package var keyText: String {
        if case .text(let text) = self { text } else { "\(jsonValue)" }
    }
}
