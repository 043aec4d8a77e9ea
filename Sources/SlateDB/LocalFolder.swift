import CDurableFiles
import Glibc

/// How an acknowledged write is on the disk, and not only in the kernel's memory.
public enum Durability: String, Sendable {
    /// It was synced to a log on local disk before the answer.
    case logSync = "log sync"
    /// Each file was synced before it got its name, and its folder after that.
    case syncedFiles = "synced files"
    /// The object store answers when it has it.
    case objectStore = "object store"
    /// Nothing survives the process.
    case memory
}

/// The folders of a database on local disk.
enum LocalFolder {
    /// Makes the folders of the database `path` below `root`.
    ///
    /// SlateDB itself never syncs; this program does it in its stead, when SlateDB gives a file its name (`CDurableFiles`).
    /// A file replaces others, which are deleted then, so without that nothing is opened.
    static func make(_ root: String, _ path: String) throws(StorageError) {
        guard durable_files_are_in_force() else {
            throw .unavailable("this program was linked so that its local files are not synced: rename is not its own")
        }
        var folder = root
        for part in path.split(separator: "/") {
            folder += "/" + part
            try make(folder)
        }
        for name in ["wal", "manifest", "compacted", "compactions", "gc"] { try make("\(folder)/\(name)") }
    }

    private static func make(_ folder: String) throws(StorageError) {
        guard mkdir(folder, 0o700) != 0, errno != EEXIST else { return }
        throw .unavailable("cannot make the folder \(folder): \(String(cString: strerror(errno)))")
    }
}
