import Glibc

/// Files at the end of a local database's log that were set aside. After the machine lost power the last files may be empty or
/// cut short, and SlateDB then refuses to open. Such files were never acknowledged: an answer waits until its file is on the
/// disk.
///
/// Only the newest files are looked at, and only until the first whole one: a torn file before a whole one is damage of
/// another kind, and is left for somebody to look at. A file of no bytes is how SlateDB fences the writer before off: it says
/// nothing of what is torn, and SlateDB reads it as one without rows, also when power loss left it so.
public struct TornLog: Equatable, Sendable {
    /// The release of SlateDB whose files `condition` was tried on. Another one may end its files otherwise, and whole files
    /// would be taken for torn: when the release changes, the test of this file has to pass with it first.
    public static let triedRelease = "0.17.0"

    /// Names of the files, newest first.
    public let files: [String]
    /// The folder where they are now.
    public let folder: String

    /// Sets torn files at the log's end aside, beside the log. On return that is on the disk.
    /// - Parameters:
    ///   - database: the database's folder.
    ///   - tell: is told what was set aside, if anything was, also when the rest could not be.
    static func setAside(in database: String, _ tell: (TornLog) -> Void) throws(StorageError) {
        let log = "\(database)/wal"
        let target = "\(database)/torn"
        var moved: [String] = []
        defer { if !moved.isEmpty { tell(TornLog(files: moved, folder: target)) } }
        for name in LocalFolder.fileNames(log).sorted(by: >) {
            switch condition(of: "\(log)/\(name)") {
            case .empty: continue
            case .whole: return try sync(moved.isEmpty ? [] : [target, log, database])
            case .torn: break
            }
            mkdir(target, 0o700)
            guard rename("\(log)/\(name)", "\(target)/\(name)") == 0 else {
                throw .unavailable("cannot set the torn log file \(name) aside: \(String(cString: strerror(errno)))")
            }
            moved.append(name)
        }
        try sync(moved.isEmpty ? [] : [target, log, database])
    }

    private static func sync(_ folders: [String]) throws(StorageError) {
        for folder in folders {
            let file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            defer { if file >= 0 { close(file) } }
            guard file >= 0, fsync(file) == 0 else {
                throw .unavailable("cannot sync the folder \(folder): \(String(cString: strerror(errno)))")
            }
        }
    }

    enum Condition: Equatable {
        case whole, empty, torn
    }

    /// A sorted file ends with the offset of its metadata (8 bytes, big-endian) and the format's version (2 bytes); a file
    /// whose end says anything impossible was cut short.
    static func condition(of path: String) -> Condition {
        guard let file = fopen(path, "rb") else { return .whole }
        defer { fclose(file) }
        guard fseek(file, 0, SEEK_END) == 0 else { return .whole }
        let size = ftell(file)
        guard size > 0 else { return .empty }
        guard size >= 10 else { return .torn }
        var tail = [UInt8](repeating: 0, count: 10)
        guard fseek(file, size - 10, SEEK_SET) == 0, fread(&tail, 1, 10, file) == 10 else { return .whole }
        let offset = tail[0..<8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let version = UInt16(tail[8]) << 8 | UInt16(tail[9])
        let isPossible = version > 0 && version <= 64 && offset > 0 && offset < UInt64(size - 10)
        return isPossible ? .whole : .torn
    }
}
