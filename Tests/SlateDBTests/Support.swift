import Foundation
import SlateDB

/// A folder of its own for one test, gone afterwards.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("silo-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func store() throws -> ObjectStore { try ObjectStore.local(path) }

    func files(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "\(path)/\(folder)")) ?? []).sorted()
    }
}

func key(_ number: Int) -> [UInt8] { Array(String(format: "key-%08d", number).utf8) }

extension Database {
    func put(_ rows: [([UInt8], [UInt8])]) async throws(StorageError) {
        var batch = WriteBatch()
        for (key, value) in rows { try batch.put(key, value) }
        try await write(batch)
    }
}
