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
        guard let document = MessagePack(json: json) else { throw ClientError.undecodable("the value has no JSON form") }
        bytes = document.bytes
    }

    /// The value that was encoded. Throws `.undecodable`.
    public func decode<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: json())
        } catch let error as ClientError {
            throw error
        } catch {
            throw ClientError.undecodable("the payload is no \(type): \(error)")
        }
    }

    /// The document as JSON. No bytes at all count as null.
    public func json(_ options: JSONSerialization.WritingOptions = []) throws -> Data {
        guard let document = bytes.isEmpty ? .null : MessagePack(bytes) else {
            throw ClientError.undecodable("the payload is no MessagePack document")
        }
        return try JSONSerialization.data(withJSONObject: document.jsonValue, options: options.union([.fragmentsAllowed, .sortedKeys]))
    }
}
