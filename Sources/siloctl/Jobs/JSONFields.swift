import Protobuf
import SiloAPI
import SiloClient

/// The fields of a JSON object, taken one by one. What is wrong, missing or not known is told with its place.
struct JSONFields {
    private let place: String
    private var rest = TextMap<MessagePack>()
    private var known: [String] = []

    /// - Parameter place: of the object, for people.
    init(_ value: MessagePack, at place: String) throws(Failure) {
        guard case .map(let entries) = value else { throw Failure("\(place) must be an object") }
        self.place = place
        for case (.text(let name), let value) in entries { rest[name] = value }
    }

    /// Refuses fields that nobody took.
    func finish() throws(Failure) {
        guard let name = rest.keys.first else { return }
        throw Failure("\(place) has an unknown field \(name); it may have \(known.joined(separator: ", "))")
    }

    /// The place of a field.
    func at(_ name: String) -> String { "\(place), \(name)" }

    private mutating func take(_ name: String) -> MessagePack? {
        known.append(name)
        defer { rest[name] = nil }
        return rest[name]
    }

    /// The value of a field; null counts as none.
    mutating func value(_ name: String) -> MessagePack? {
        let value = take(name)
        return value == .null ? nil : value
    }

    private mutating func value<Value>(
        _ name: String, _ what: String, _ convert: (MessagePack) -> Value?
    ) throws(Failure) -> Value? {
        guard let value = value(name) else { return nil }
        guard let converted = convert(value) else { throw Failure("\(at(name)) must be \(what)") }
        return converted
    }

    mutating func text(_ name: String) throws(Failure) -> String? {
        try value(name, "a text") { if case .text(let text) = $0 { text } else { nil } }
    }

    mutating func needed(_ name: String) throws(Failure) -> String {
        guard let text = try text(name), !text.isEmpty else { throw Failure("\(place) needs \(name)") }
        return text
    }

    /// - Parameter range: what there is a use for; nil: all that the type holds.
    mutating func integer<Number: FixedWidthInteger>(
        _ name: String, default number: Number, in range: ClosedRange<Number>? = nil
    ) throws(Failure) -> Number {
        let range = range ?? .min ... .max
        return try value(name, "a whole number from \(range.lowerBound) to \(range.upperBound)") { value in
            let number: Number? =
                switch value {
                case .integer(let integer): Number(exactly: integer)
                case .unsigned(let integer): Number(exactly: integer)
                // 5.0 is whole.
                case .float(let float): Number(exactly: float)
                default: nil
                }
            return number.flatMap { range.contains($0) ? $0 : nil }
        } ?? number
    }

    mutating func fraction(_ name: String, default number: Double) throws(Failure) -> Double {
        try value(name, "a number") { value in
            switch value {
            case .integer(let integer): Double(integer)
            case .unsigned(let integer): Double(integer)
            case .float(let float): float
            default: nil
            }
        } ?? number
    }

    mutating func bool(_ name: String, default bool: Bool) throws(Failure) -> Bool {
        try value(name, "true or false") { if case .bool(let bool) = $0 { bool } else { nil } } ?? bool
    }

    mutating func list(_ name: String) throws(Failure) -> [MessagePack] {
        try value(name, "an array") { if case .array(let items) = $0 { items } else { nil } } ?? []
    }

    mutating func texts(_ name: String) throws(Failure) -> TextMap<String> {
        try value(name, "an object of texts") { value in
            guard case .map(let entries) = value else { return nil }
            var texts = TextMap<String>()
            for entry in entries {
                guard case (.text(let key), .text(let text)) = entry else { return nil }
                texts[key] = text
            }
            return texts
        } ?? TextMap()
    }

    /// The MessagePack document of any JSON value; none for an absent field.
    mutating func document(_ name: String) -> SiloV1.SerializedBytes? { take(name).map { SiloV1.SerializedBytes($0.bytes) } }
}
