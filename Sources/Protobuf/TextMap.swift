/// A map of the schema whose keys are texts.
///
/// Keys are told apart by their bytes, as on the wire. In a `Dictionary` they would not be: Swift's own `String` takes different
/// bytes for the same text where Unicode does, and of two such keys one would vanish in silence.
///
/// Its entries come in the order of their keys' bytes.
public struct TextMap<Value> {
    @usableFromInline var values: [ExactText: Value] = [:]

    @inlinable
    public init() {}

    @inlinable
    public var count: Int { values.count }
    @inlinable
    public var isEmpty: Bool { values.isEmpty }

    /// The value of `key`; nil takes the entry away.
    @inlinable
    public subscript(key: String) -> Value? {
        get { values[ExactText(key)] }
        set { values[ExactText(key)] = newValue }
    }

    public var keys: [String] { map(\.key) }

    /// The same keys with other values.
    public func mapValues<Other>(_ transform: (Value) throws -> Other) rethrows -> TextMap<Other> {
        var result = TextMap<Other>()
        result.values = try values.mapValues(transform)
        return result
    }
}

extension TextMap: Sequence {
    @inlinable
    public func makeIterator() -> IndexingIterator<[(key: String, value: Value)]> {
        guard !values.isEmpty else { return [].makeIterator() }
        return values.sorted { $0.key < $1.key }.map { (key: $0.key.text, value: $0.value) }.makeIterator()
    }

    @inlinable
    public var underestimatedCount: Int { count }
}

extension TextMap: ExpressibleByDictionaryLiteral {
    /// Of equal keys the last one counts, as on the wire.
    @inlinable
    public init(dictionaryLiteral entries: (String, Value)...) {
        for (key, value) in entries { self[key] = value }
    }

    public init(_ entries: some Sequence<(key: String, value: Value)>) {
        for (key, value) in entries { self[key] = value }
    }
}

extension TextMap: Equatable where Value: Equatable {}
extension TextMap: Sendable where Value: Sendable {}

extension TextMap: CustomStringConvertible {
    public var description: String { "[" + map { "\($0.debugDescription): \($1)" }.joined(separator: ", ") + "]" }
}

/// A text that equals another when their bytes do.
@usableFromInline
struct ExactText: Hashable, Comparable, Sendable {
    @usableFromInline let text: String

    @inlinable
    init(_ text: String) { self.text = text }

    @inlinable
    static func == (left: Self, right: Self) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    @inlinable
    static func < (left: Self, right: Self) -> Bool { left.text.utf8.lexicographicallyPrecedes(right.text.utf8) }

    @inlinable
    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(0xff as UInt8)
    }
}
