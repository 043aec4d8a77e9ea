import Protobuf

/// Labels of a job, or what a floating limit hands to its refresh: texts by name. Up to 16; a name has fewer than 64 characters
/// (Unicode scalars), a value fewer than 65,535 bytes of UTF-8.
///
/// Names are told apart by their bytes, which a `Dictionary` does not do: `"é"` as one character and as two are different names.
/// Entries come in the order of those bytes.
public struct JobMetadata: Equatable, Sendable, Sequence, ExpressibleByDictionaryLiteral, CustomStringConvertible {
    var message: TextMap<String> = [:]

    public init() {}

    public init(_ entries: [String: String]) {
        for (name, value) in entries { message[name] = value }
    }

    /// Of equal names the last one counts.
    public init(dictionaryLiteral entries: (String, String)...) {
        for (name, value) in entries { message[name] = value }
    }

    init(_ message: TextMap<String>) { self.message = message }

    public var count: Int { message.count }
    public var isEmpty: Bool { message.isEmpty }

    /// The value of `name`; nil takes the entry away.
    public subscript(name: String) -> String? {
        get { message[name] }
        set { message[name] = newValue }
    }

    public func makeIterator() -> AnyIterator<(name: String, value: String)> {
        var rest = message.makeIterator()
        return AnyIterator { rest.next().map { (name: $0.key, value: $0.value) } }
    }

    public var description: String { "\(message)" }
}
