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

    /// How much of what is done in marked folders the file system makes durable by itself.
    private enum Marks: Int {
        case none
        /// The content of files. Names follow later, in the order in which they were made.
        case content
        case contentAndNames
    }

    // linux/fs.h, linux/magic.h
    private static let getFlags: UInt = 0x8008_6601
    private static let setFlags: UInt = 0x4008_6602
    private static let synchronous: Int = 0x0000_0008
    private static let synchronousFolders: Int = 0x0001_0000
    private static let ext4 = 0xef53

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
        let sorted = ["manifest", "compacted", "compactions", "gc"].map { "\(folder)/\($0)" }
        let marked = marks ? try Self.mark(sorted) : .none
        if marked != .none { try Self.unmark("\(folder)/wal") }
        durability = marked == .contentAndNames && !hasLog ? .synchronousFolders : .fileSystemSync
        try Self.syncFileSystem(folder)
    }

    private static func make(_ folder: String) throws(StorageError) {
        guard mkdir(folder, 0o700) != 0, errno != EEXIST else { return }
        throw .unavailable("cannot make the folder \(folder): \(String(cString: strerror(errno)))")
    }

    private static func mark(_ folders: [String]) throws(StorageError) -> Marks {
        var least = Marks.contentAndNames
        for folder in folders {
            let marks = try open(folder) { file in
                // Others take the mark for names and do not heed it, or refuse both because of it.
                let isExt4 = cslatedb_file_system(file) == ext4
                if isExt4, set(file, synchronous | synchronousFolders) { return Marks.contentAndNames }
                return set(file, synchronous) ? .content : .none
            }
            if marks.rawValue < least.rawValue { least = marks }
        }
        return least
    }

    private static func unmark(_ folder: String) throws(StorageError) {
        _ = try open(folder) { file in set(file, 0) }
    }

    private static func open<Value>(_ folder: String, _ body: (Int32) -> Value) throws(StorageError) -> Value {
        let file = Glibc.open(folder, O_RDONLY | O_DIRECTORY)
        guard file >= 0 else {
            throw .unavailable("cannot open the folder \(folder): \(String(cString: strerror(errno)))")
        }
        defer { Glibc.close(file) }
        return body(file)
    }

    /// Gives a folder these marks and no other. False when the file system has no such marks.
    private static func set(_ file: Int32, _ marks: Int) -> Bool {
        var flags = 0
        guard ioctl(file, getFlags, &flags) == 0 else { return false }
        var wanted = flags & ~(synchronous | synchronousFolders) | marks
        guard wanted != flags else { return true }
        return ioctl(file, setFlags, &wanted) == 0 && ioctl(file, getFlags, &flags) == 0 && flags == wanted
    }

    /// On return all that SlateDB wrote before the call is on the disk.
    func sync() async throws(StorageError) {
        guard durability == .fileSystemSync else { return }
        try await onThread(of: queue) { () throws(StorageError) in try Self.syncFileSystem(self.folder) }
    }

    private static func syncFileSystem(_ folder: String) throws(StorageError) {
        let error = try open(folder) { file in syncfs(file) == 0 ? nil : errno }
        if let error { throw .unavailable("cannot sync \(folder): \(String(cString: strerror(error)))") }
    }
}
