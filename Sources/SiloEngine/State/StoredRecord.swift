import Protobuf
import SiloCore
import SiloStore

extension Message {
    /// Reads a stored record. What cannot be read is corruption: the storage engine checks its blocks.
    init(stored bytes: Bytes) throws(StoreError) {
        do {
            try self.init(serializedBytes: bytes)
        } catch {
            throw .corrupt("a stored \(Self.self) cannot be read: \(error)")
        }
    }
}
