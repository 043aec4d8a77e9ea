import CSlateDB
import Dispatch
import Glibc
import Synchronization

/// How an acknowledged write is on the disk, and not only in the kernel's memory.
public enum Durability: String, Sendable {
    /// Each log flush syncs the log's new files before the answer. Folders of other files are marked synchronous, so that a
    /// log file is never gone before what replaces it is on the disk.
    case logFileSync = "log file sync"
    /// The file system is synced after each log flush, before the answer.
    case fileSystemSync = "file system sync"
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
    /// The newest log file that is known to be on the disk; nil: the whole file system is synced instead.
    private let lastSynced: Mutex<UInt64?>
    /// Syncing blocks, so not on a thread of the cooperative pool.
    private let queue = DispatchQueue(label: "slatedb.sync")

    let durability: Durability

    // linux/fs.h
    private static let getFlags: UInt = 0x8008_6601
    private static let setFlags: UInt = 0x4008_6602
    private static let synchronous: Int = 0x0000_0008
    private static let synchronousFolders: Int = 0x0001_0000

    /// Makes the folders of the database `path` below `root` and sees to it that writes in them are durable.
    init(_ root: String, _ path: String, wanted: Durability?) throws(StorageError) {
        var folder = root
        for part in path.split(separator: "/") {
            folder += "/" + part
            try Self.make(folder)
        }
        for name in ["wal", "manifest", "compacted", "compactions", "gc"] { try Self.make("\(folder)/\(name)") }
        self.folder = folder
        var marked = wanted != .fileSystemSync
        for name in ["manifest", "compacted", "compactions", "gc"] where marked {
            marked = try Self.mark("\(folder)/\(name)", true)
        }
        if marked { _ = try Self.mark("\(folder)/wal", false) }
        durability = marked ? .logFileSync : .fileSystemSync
        lastSynced = Mutex(marked ? Self.newestLogFile(folder) : nil)
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

    /// On return all that the log was given before the call is on the disk.
    func sync() async throws(StorageError) {
        try await onThread(of: queue) { () throws(StorageError) in try self.syncNow() }
    }

    private func syncNow() throws(StorageError) {
        guard let last = lastSynced.withLock({ $0 }) else { return try Self.syncFileSystem(folder) }
        // Log files are numbered without gaps, and the last to come is the last in number.
        var next = last + 1
        while try Self.syncFile("\(folder)/wal/\(Self.logFile(next))") { next += 1 }
        guard next > last + 1 else {
            // Nothing new under the expected name: whatever the reason, sync what there is.
            // What comes meanwhile is left to the next call.
            let newest = Self.newestLogFile(folder)
            try Self.syncFileSystem(folder)
            return lastSynced.withLock { $0 = max(last, newest) }
        }
        _ = try Self.syncFile("\(folder)/wal")
        lastSynced.withLock { $0 = next - 1 }
    }

    /// False when there is no such file.
    private static func syncFile(_ path: String) throws(StorageError) -> Bool {
        let file = Glibc.open(path, O_RDONLY)
        if file < 0, errno == ENOENT { return false }
        guard file >= 0, fsync(file) == 0 else {
            let text = String(cString: strerror(errno))
            if file >= 0 { Glibc.close(file) }
            throw .unavailable("cannot sync \(path): \(text)")
        }
        Glibc.close(file)
        return true
    }

    private static func syncFileSystem(_ folder: String) throws(StorageError) {
        let file = Glibc.open(folder, O_RDONLY | O_DIRECTORY)
        guard file >= 0 else { throw .unavailable("cannot sync \(folder): \(String(cString: strerror(errno)))") }
        defer { Glibc.close(file) }
        guard syncfs(file) == 0 else { throw .unavailable("cannot sync \(folder): \(String(cString: strerror(errno)))") }
    }

    /// Twenty decimal digits.
    private static func logFile(_ number: UInt64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 20 - digits.count)) + digits + ".sst"
    }

    private static func newestLogFile(_ folder: String) -> UInt64 {
        fileNames("\(folder)/wal").compactMap { UInt64($0.dropLast(4)) }.max() ?? 0
    }

    /// The names in a folder that end in `.sst`.
    static func fileNames(_ folder: String) -> [String] {
        guard let list = opendir(folder) else { return [] }
        defer { closedir(list) }
        var names: [String] = []
        while let entry = readdir(list) {
            // An entry is as long as its name: reading the whole field would run past the end of the last one.
            guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { return names }
            let name = String(cString: (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: CChar.self))
            if name.hasSuffix(".sst") { names.append(name) }
        }
        return names
    }
}
