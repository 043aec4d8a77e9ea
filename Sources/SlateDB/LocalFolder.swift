import CSlateDB
import Dispatch
import Glibc

/// How an acknowledged write is on the disk, and not only in the kernel's memory.
public enum Durability: String, Sendable {
    /// The folder is marked synchronous: each write and rename in it returns when the disk has it.
    case synchronousFolder = "synchronous folder"
    /// The file system is synced after each log flush, before the answer.
    case fileSystemSync = "file system sync"
    /// The object store answers when it has it.
    case objectStore = "object store"
    /// Nothing survives the process.
    case memory
}

/// The folder of a store on local disk, which SlateDB itself never syncs.
///
/// Marking it synchronous keeps the order of things: SlateDB writes a file under a passing name and links it to its own,
/// so with both steps synchronous a file that can be seen is whole.
final class LocalFolder: Sendable {
    private let root: String

    init(_ root: String) { self.root = root }

    // linux/fs.h
    private static let getFlags: UInt = 0x8008_6601
    private static let setFlags: UInt = 0x4008_6602
    private static let synchronous: Int = 0x0000_0008
    private static let synchronousFolders: Int = 0x0001_0000

    /// Makes the folders of a database and sees to it that writes in them are durable. New folders inherit the mark.
    func prepare(_ path: String, wanted: Durability?) async throws(StorageError) -> Durability {
        var folder = root
        for part in path.split(separator: "/") {
            folder += "/" + part
            try make(folder)
        }
        for name in ["wal", "manifest", "compacted", "compactions", "gc"] { try make("\(folder)/\(name)") }
        guard wanted != .fileSystemSync, try mark(folder) else {
            try await sync()
            return .fileSystemSync
        }
        return .synchronousFolder
    }

    private func make(_ folder: String) throws(StorageError) {
        guard mkdir(folder, 0o755) != 0, errno != EEXIST else { return }
        throw .unavailable("cannot make the folder \(folder): \(String(cString: strerror(errno)))")
    }

    /// Marks a folder and those in it. False when the file system has no such marks.
    private func mark(_ folder: String) throws(StorageError) -> Bool {
        let file = Glibc.open(folder, O_RDONLY | O_DIRECTORY)
        guard file >= 0 else {
            throw .unavailable("cannot open the folder \(folder): \(String(cString: strerror(errno)))")
        }
        defer { Glibc.close(file) }
        var flags = 0
        guard ioctl(file, Self.getFlags, &flags) == 0 else { return false }
        let wanted = flags | Self.synchronous | Self.synchronousFolders
        if wanted != flags {
            flags = wanted
            guard ioctl(file, Self.setFlags, &flags) == 0 else { return false }
        }
        fsync(file)
        guard let list = opendir(folder) else { return true }
        defer { closedir(list) }
        while let entry = readdir(list) {
            guard entry.pointee.d_type == UInt8(DT_DIR) else { continue }
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            guard name != ".", name != ".." else { continue }
            guard try mark("\(folder)/\(name)") else { return false }
        }
        return true
    }

    /// On return all that was written to the folder's file system is on the disk.
    func sync() async throws(StorageError) {
        let root = root
        let failure: Int32 = await withCheckedContinuation { continuation in
            // Blocks, so not on a thread of the cooperative pool.
            DispatchQueue.global().async {
                let file = Glibc.open(root, O_RDONLY | O_DIRECTORY)
                guard file >= 0 else { return continuation.resume(returning: errno) }
                defer { Glibc.close(file) }
                continuation.resume(returning: syncfs(file) == 0 ? 0 : errno)
            }
        }
        guard failure == 0 else { throw .unavailable("cannot sync \(root): \(String(cString: strerror(failure)))") }
    }
}
