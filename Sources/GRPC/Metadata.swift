/// Headers or trailers of a call: pairs of key and value in order, keys in lower case and possibly repeated.
///
/// Values of keys that end in `-bin` are any bytes; others are printable ASCII.
public struct Metadata: Equatable, Sendable {
    public struct Entry: Equatable, Sendable {
        public var key: String
        public var value: [UInt8]
    }

    public private(set) var entries: [Entry] = []

    public init() {}

    public var isEmpty: Bool { entries.isEmpty }

    public mutating func append(_ key: String, _ value: String) {
        append(key, Array(value.utf8))
    }

    public mutating func append(_ key: String, _ value: [UInt8]) {
        entries.append(Entry(key: key.lowercased(), value: value))
    }

    /// The first value of `key` as text; nil when there is none.
    public subscript(key: String) -> String? {
        bytes(key).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The first value of `key`.
    public func bytes(_ key: String) -> [UInt8]? {
        entries.first { $0.key == key }?.value
    }

    /// Every value of `key`, in order.
    public func all(_ key: String) -> [[UInt8]] {
        entries.filter { $0.key == key }.map(\.value)
    }
}

extension Metadata: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, String)...) {
        for (key, value) in elements { append(key, value) }
    }
}
