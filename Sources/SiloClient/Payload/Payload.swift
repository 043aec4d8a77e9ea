public import Foundation

/// What travels with a job: its input, its result, or the data of its failure. Opaque bytes to Silo; by custom a MessagePack
/// document, so that clients in other languages can read it.
public struct Payload: Equatable, Sendable {
    public let bytes: [UInt8]

    public init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    public static let empty = Payload(bytes: [])

    /// The MessagePack document of a value. `Data` travels as base 64.
    public init(_ value: some Encodable) throws {
        let json = try JSONEncoder().encode(value)
        bytes = try MessagePack(json: json).bytes
    }

    /// The value that was encoded. A `Date` is read from what this library writes, and from the timestamps of others. Throws
    /// `.undecodable`.
    public func decode<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value {
        do {
            let decoder = JSONDecoder()
            decoder.dateDecodingStrategy = .custom(Self.date)
            return try decoder.decode(type, from: json())
        } catch let error as ClientError {
            throw error
        } catch {
            throw ClientError.undecodable("the payload is no \(type): \(error)")
        }
    }

    private static func date(_ decoder: any Decoder) throws -> Date {
        let value = try decoder.singleValueContainer()
        if let seconds = try? value.decode(Double.self) { return Date(timeIntervalSinceReferenceDate: seconds) }
        let text = try value.decode(String.self)
        let fractional = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        guard let date = (try? Date(text, strategy: .iso8601)) ?? (try? Date(text, strategy: fractional)) else {
            throw DecodingError.dataCorruptedError(in: value, debugDescription: "\(text) is no date")
        }
        return date
    }

    /// The document as JSON. No bytes at all count as null.
    public func json(_ options: JSONSerialization.WritingOptions = []) throws -> Data {
        guard let document = bytes.isEmpty ? .null : MessagePack(bytes) else {
            throw ClientError.undecodable("the payload is no MessagePack document")
        }
        return try JSONSerialization.data(
            withJSONObject: document.jsonValue, options: options.union([.fragmentsAllowed, .sortedKeys]))
    }
}
