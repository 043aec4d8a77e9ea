import Glibc

/// The log of a database on local disk after the machine lost power: its last files may be empty or cut short, and SlateDB
/// then refuses to open. Such files were never acknowledged, so they are set aside, beside the log, and kept.
///
/// Only the newest files are looked at, and only until the first whole one: a torn file before a whole one is damage of
/// another kind, and is left for somebody to look at.
struct TornLog {
    let folder: String

    /// Sets torn files at the log's end aside. Returns their names.
    @discardableResult
    func setAside() throws(StorageError) -> [String] {
        var torn: [String] = []
        for name in LocalFolder.fileNames(folder).sorted(by: >) {
            guard isTorn("\(folder)/\(name)") else { break }
            let target = "\(folder)/../torn"
            mkdir(target, 0o755)
            guard rename("\(folder)/\(name)", "\(target)/\(name)") == 0 else {
                throw .unavailable("cannot set the torn log file \(name) aside: \(String(cString: strerror(errno)))")
            }
            torn.append(name)
        }
        return torn
    }

    /// A sorted file ends with the offset of its metadata (8 bytes, big-endian) and the format's version (2 bytes); a file
    /// whose end says anything impossible was cut short.
    private func isTorn(_ path: String) -> Bool {
        guard let file = fopen(path, "rb") else { return false }
        defer { fclose(file) }
        guard fseek(file, 0, SEEK_END) == 0 else { return false }
        let size = ftell(file)
        guard size >= 10 else { return true }
        var tail = [UInt8](repeating: 0, count: 10)
        guard fseek(file, size - 10, SEEK_SET) == 0, fread(&tail, 1, 10, file) == 10 else { return false }
        let offset = tail[0..<8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let version = UInt16(tail[8]) << 8 | UInt16(tail[9])
        return version == 0 || version > 64 || offset == 0 || offset >= UInt64(size - 10)
    }
}
