import CSlateDB
import Dispatch
import Glibc
import Synchronization

/// How an acknowledged write is on the disk, and not only in the kernel's memory.
public enum Durability: String, Sendable {
    /// It was synced to a log on local disk before the answer.
    case logSync = "log sync"
    /// The file system was synced before the answer.
    case fileSystemSync = "file system sync"
    /// Its files lie in folders that are marked synchronous: each was on the disk when SlateDB went on.
    case synchronousFolders = "synchronous folders"
    /// The object store answers when it has it.
    case objectStore = "object store"
    /// Nothing survives the process.
    case memory
}

/// Runs what blocks on a thread of its own, and not on one of Swift's few.
func onThread<Value: Sendable>(
    of queue: DispatchQueue = .global(), _ body: @escaping @Sendable () throws(StorageError) -> Value
) async throws(StorageError) -> Value {
    let result: Result<Value, StorageError> = await withCheckedContinuation { continuation in
        queue.async { continuation.resume(returning: Result { () throws(StorageError) in try body() }) }
    }
    return try result.get()
}

/// The folder of a database on local disk, which SlateDB itself never syncs.
final class LocalFolder: Sendable {
    private let folder: String
    /// Syncing blocks, so not on a thread of the cooperative pool.
    private let queue = DispatchQueue(label: "slatedb.sync")

    let durability: Durability

    // linux/fs.h
    private static let getFlags: UInt = 0x8008_6601
    private static let setFlags: UInt = 0x4008_6602
    private static let synchronous: Int = 0x0000_0008
    private static let synchronousFolders: Int = 0x0001_0000

    /// Makes the folders of the database `path` below `root` and sees to it that files in them are durable: a file of one kind
    /// replaces others, which are deleted then, so it must be on the disk first.
    /// - Parameters:
    ///   - hasLog: the database keeps a log, which would be slow in a folder that is synchronous; so the file system is synced.
    ///   - marks: whether folders are marked where they can be.
    init(_ root: String, _ path: String, hasLog: Bool, marks: Bool) throws(StorageError) {
        var folder = root
        for part in path.split(separator: "/") {
            folder += "/" + part
            try Self.make(folder)
        }
        for name in ["wal", "manifest", "compacted", "compactions", "gc"] { try Self.make("\(folder)/\(name)") }
        self.folder = folder
        var marked = marks
        for name in ["manifest", "compacted", "compactions", "gc"] where marked {
            marked = try Self.mark("\(folder)/\(name)", true)
        }
        if marked { _ = try Self.mark("\(folder)/wal", false) }
        durability = marked && !hasLog ? .synchronousFolders : .fileSystemSync
        try Self.syncFileSystem(folder)
    }

    private static func make(_ folder: String) throws(StorageError) {
        guard mkdir(folder, 0o700) != 0, errno != EEXIST else { return }
        throw .unavailable("cannot make the folder \(folder): \(String(cString: strerror(errno)))")
    }

    /// Sets or clears a folder's mark. False when the file system has no such marks.
    private static func mark(_ folder: String, _ isSynchronous: Bool) throws(StorageError) -> Bool {
        let file = Glibc.open(folder, O_RDONLY | O_DIRECTORY)
        guard file >= 0 else {
            throw .unavailable("cannot open the folder \(folder): \(String(cString: strerror(errno)))")
        }
        defer { Glibc.close(file) }
        var flags = 0
        guard ioctl(file, getFlags, &flags) == 0 else { return false }
        let bits = synchronous | synchronousFolders
        var wanted = isSynchronous ? flags | bits : flags & ~bits
        guard wanted != flags else { return true }
        return ioctl(file, setFlags, &wanted) == 0
    }

    /// On return all that SlateDB wrote before the call is on the disk.
    func sync() async throws(StorageError) {
        guard durability == .fileSystemSync else { return }
        try await onThread(of: queue) { () throws(StorageError) in try Self.syncFileSystem(self.folder) }
    }

    private static func syncFileSystem(_ folder: String) throws(StorageError) {
        let file = Glibc.open(folder, O_RDONLY | O_DIRECTORY)
        guard file >= 0 else { throw .unavailable("cannot sync \(folder): \(String(cString: strerror(errno)))") }
        defer { Glibc.close(file) }
        guard syncfs(file) == 0 else { throw .unavailable("cannot sync \(folder): \(String(cString: strerror(errno)))") }
    }
}
