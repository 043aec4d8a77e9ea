/// A protobuf message: a Swift value that the generator wrote (`scripts/generate-protobuf`).
///
/// Fields the reader does not know are kept and written back, so that records and requests of a newer schema pass
/// through unharmed.
public protocol Message: Equatable, Sendable {
    /// The full name in the schema, such as `silo.v1.EnqueueRequest`.
    static var messageName: String { get }

    init()

    /// The encoded fields that this schema does not name, in the order they came.
    var unknownFields: UnknownFields { get set }

    /// Reads fields until the reader is at its end. A field that comes twice follows the rules of the wire format: the
    /// last scalar stays, messages merge, lists grow.
    mutating func merge(from reader: inout Reader) throws(DecodingError)

    /// Writes the fields from the last to the first: see `Writer`.
    func write(to writer: inout Writer)
}

extension Message {
    /// Decodes one message that fills `bytes`.
    /// - Parameter nestedMax: nested messages and map entries that it may have, all together.
    @inlinable
    public init(decoding bytes: UnsafeRawBufferPointer, nestedMax: Int = .max) throws(DecodingError) {
        self.init()
        var reader = Reader(bytes, nestedMax: nestedMax)
        try merge(from: &reader)
    }

    /// Decodes one message that fills `bytes`.
    @inlinable
    public init(serializedBytes bytes: [UInt8]) throws(DecodingError) {
        self = try bytes.withUnsafeBufferPointer { buffer throws(DecodingError) in
            try Self(decoding: UnsafeRawBufferPointer(buffer))
        }
    }

    /// The wire format of this message. Map entries are in key order, so equal messages give equal bytes.
    @inlinable
    public func serializedBytes() -> [UInt8] {
        var writer = Writer()
        write(to: &writer)
        return writer.bytes()
    }
}

/// An enumeration of the schema. Open: a number that this schema does not name is kept.
public protocol Enumeration: RawRepresentable, Hashable, Sendable where RawValue == Int32 {
    init(rawValue: Int32)
}

/// Encoded fields that a schema does not name.
public struct UnknownFields: Equatable, Sendable {
    public internal(set) var bytes: [UInt8] = []

    @inlinable public init() {}
}

/// Holds a message that contains its own type, which a Swift value cannot do in place.
public final class Indirect<Value: Message>: Equatable, Sendable {
    public let value: Value

    public init(_ value: Value) { self.value = value }

    public static func == (a: Indirect, b: Indirect) -> Bool { a.value == b.value }
}

/// One RPC of a service: its path and its message types.
public struct Method<Request: Message, Response: Message>: Sendable {
    /// `/package.Service/Name`.
    public let path: String

    @inlinable public init(path: String) { self.path = path }
}
