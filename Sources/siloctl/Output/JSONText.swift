import Foundation
import Protobuf
import SiloClient

/// A JSON document as text. Foundation writes dictionaries only, in which names that Unicode holds equal are one; a `TextMap`
/// and a MessagePack document keep them apart.
struct JSONText {
    /// Each value on a line of its own.
    let isPretty: Bool

    /// - Parameter value: a dictionary, a `TextMap` of texts, a MessagePack document, an array, a text, a number, a truth value
    ///   or `NSNull`.
    func text(of value: Any) throws -> String { try text(of: value, indent: "") }

    private func text(of value: Any, indent: String) throws -> String {
        let inner = indent + (isPretty ? "  " : "")
        switch value {
        case let map as TextMap<String>:
            return try block("{", map.map { try member($0.key, $0.value, inner) }, "}", indent)
        case let document as MessagePack:
            return switch document {
            case .map(let entries): try block("{", entries.map { try member($0.key.keyText, $0.value, inner) }, "}", indent)
            case .array(let items): try text(of: items, indent: indent)
            default: try text(of: document.jsonValue, indent: indent)
            }
        case let object as [String: Any]:
            let names = object.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            return try block("{", names.map { try member($0, object[$0] ?? NSNull(), inner) }, "}", indent)
        case let items as [Any]:
            return try block("[", items.map { try text(of: $0, indent: inner) }, "]", indent)
        default:
            let data = try JSONSerialization.data(withJSONObject: value, options: [.fragmentsAllowed, .withoutEscapingSlashes])
            return String(decoding: data, as: UTF8.self)
        }
    }

    private func member(_ name: String, _ value: Any, _ indent: String) throws -> String {
        try text(of: name, indent: indent) + (isPretty ? " : " : ":") + text(of: value, indent: indent)
    }

    private func block(_ begin: String, _ parts: [String], _ end: String, _ indent: String) -> String {
        guard isPretty, !parts.isEmpty else { return begin + parts.joined(separator: ",") + end }
        return "\(begin)\n" + parts.map { "\(indent)  \($0)" }.joined(separator: ",\n") + "\n\(indent)\(end)"
    }
}
