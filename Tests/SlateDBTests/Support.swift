import Foundation
import SlateDB
import TestSupport

extension TemporaryFolder {
    func store() throws -> ObjectStore { try ObjectStore.local(path) }
}

func key(_ number: Int) -> [UInt8] { Array(String(format: "key-%08d", number).utf8) }

extension Database {
    func put(_ rows: [([UInt8], [UInt8])]) async throws(StorageError) {
        var batch = WriteBatch()
        for (key, value) in rows { try batch.put(key, value) }
        try await write(batch)
    }
}
