import Foundation
import Protobuf
import SiloAPI
import SiloClient

/// The fields of a JSON object, taken one by one. What is wrong, missing or not known is told with its place.
struct JSONFields {
    private let place: String
    private var rest: [String: Any]
    private var known: [String] = []

    /// - Parameter place: of the object, for people.
    init(_ value: Any, at place: String) throws(Failure) {
        guard let object = value as? [String: Any] else { throw Failure("\(place) must be an object") }
        self.place = place
        rest = object
    }

    /// Refuses fields that nobody took.
    func finish() throws(Failure) {
        guard let name = rest.keys.min() else { return }
        throw Failure("\(place) has an unknown field \(name); it may have \(known.joined(separator: ", "))")
    }

    /// The place of a field.
    func at(_ name: String) -> String { "\(place), \(name)" }

    /// The value of a field; null counts as none.
    mutating func value(_ name: String) -> Any? {
        known.append(name)
        let value = rest.removeValue(forKey: name)
        return value is NSNull ? nil : value
    }

    private mutating func value<Value>(_ name: String, _ what: String, _ convert: (Any) -> Value?) throws(Failure) -> Value? {
        guard let value = value(name) else { return nil }
        guard let converted = convert(value) else { throw Failure("\(at(name)) must be \(what)") }
        return converted
    }

    mutating func text(_ name: String) throws(Failure) -> String? { try value(name, "a text") { $0 as? String } }

    mutating func needed(_ name: String) throws(Failure) -> String {
        guard let text = try text(name), !text.isEmpty else { throw Failure("\(place) needs \(name)") }
        return text
    }

    mutating func integer<Number: FixedWidthInteger>(_ name: String, default number: Number) throws(Failure) -> Number {
        try value(name, "a whole number from \(Number.min) to \(Number.max)") { value in
            Self.isBool(value) ? nil : (value as? Int64).flatMap(Number.init(exactly:))
        } ?? number
    }

    mutating func fraction(_ name: String, default number: Double) throws(Failure) -> Double {
        try value(name, "a number") { Self.isBool($0) ? nil : ($0 as? NSNumber)?.doubleValue } ?? number
    }

    mutating func bool(_ name: String, default bool: Bool) throws(Failure) -> Bool {
        try value(name, "true or false") { Self.isBool($0) ? $0 as? Bool : nil } ?? bool
    }

    mutating func list(_ name: String) throws(Failure) -> [Any] { try value(name, "an array") { $0 as? [Any] } ?? [] }

    mutating func texts(_ name: String) throws(Failure) -> TextMap<String> {
        let texts = try value(name, "an object of texts") { $0 as? [String: String] } ?? [:]
        return TextMap(texts.lazy.map { (key: $0.key, value: $0.value) })
    }

    /// The MessagePack document of any JSON value; none for an absent field.
    mutating func document(_ name: String) throws(Failure) -> SiloV1.SerializedBytes? {
        known.append(name)
        guard let value = rest.removeValue(forKey: name) else { return nil }
        guard let json = try? JSONSerialization.data(withJSONObject: value, options: .fragmentsAllowed),
            let document = try? MessagePack(json: json)
        else { throw Failure("\(at(name)) has no MessagePack form") }
        return SiloV1.SerializedBytes(document.bytes)
    }

    /// JSON's true and false are numbers to Foundation.
    private static func isBool(_ value: Any) -> Bool {
        guard let number = value as? NSNumber else { return false }
        return ["c", "B"].contains(String(cString: number.objCType))
    }
}
