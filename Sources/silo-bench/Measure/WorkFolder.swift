import CommandLineTool
import Foundation
import SiloCore
import SiloStore
import SlateDB

/// A fresh folder on a disk, or one that the user named; only a fresh one is removed.
struct WorkFolder: Sendable {
    let path: String
    private let isOurs: Bool

    /// - Parameter named: used as it is.
    init(_ named: String?) throws {
        if let named {
            path = URL(fileURLWithPath: named).standardizedFileURL.path
            isOurs = false
        } else {
            path = try Self.fresh(in: nil)
            isOurs = true
        }
        try Self.make(path)
    }

    /// A fresh folder in `parent`; nil: in `.build` here when there is one, else in the folder for temporary files.
    init(in parent: String?) throws {
        path = try Self.fresh(in: parent)
        isOurs = true
        try Self.make(path)
    }

    private static func make(_ path: String) throws {
        do { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) } catch {
            throw Failure("--data: cannot make the folder \(SystemReason(error)?.description ?? "\(path)")")
        }
    }

    private static func fresh(in parent: String?) throws -> String {
        var isFolder: ObjCBool = false
        let build = FileManager.default.currentDirectoryPath + "/.build"
        let hasBuild = FileManager.default.fileExists(atPath: build, isDirectory: &isFolder) && isFolder.boolValue
        let parent = parent ?? (hasBuild ? build : NSTemporaryDirectory())
        let path = URL(fileURLWithPath: parent).standardizedFileURL.path
        return "\(path)/silo-bench-\(ProcessInfo.processInfo.processIdentifier)-\(UInt32.random(in: 0 ... .max))"
    }

    func remove() {
        if isOurs { try? FileManager.default.removeItem(atPath: path) }
    }

    /// Opens a store of this folder as a server with one shard does.
    func store(_ name: String, _ budget: LogBudget = LogBudget()) async throws -> LoggedStore {
        var place = LogPlace(name, try FolderLogDisk("\(path)/\(name)-log"), try LogThread(), in: .system)
        place.helper = try LogThread()
        place.durability = .logSync
        return try await LoggedStore.open(
            SlateStore(try await database(name, hasLog: false), flushing: .sortedFiles), place, budget)
    }

    /// Opens a database of this folder with a log of SlateDB's own, as in a bucket.
    func slateStore(_ name: String) async throws -> any KeyValueStore { SlateStore(try await database(name, hasLog: true)) }

    private func database(_ name: String, hasLog: Bool) async throws -> Database {
        var options = OpenOptions()
        options.hasLog = hasLog
        options.blockCacheBytes = 192 << 20
        options.metadataCacheBytes = 64 << 20
        return try await Database.open(name, in: .local(path), options)
    }
}
