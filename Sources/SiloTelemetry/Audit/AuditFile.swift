import Foundation

/// A file of an audit log: the one that is written, or one that was renamed by whoever rotates logs.
struct AuditFile: Equatable {
    let path: String
    /// What stays when it is renamed.
    let number: UInt64
    let size: Int
    fileprivate let changedAt: Int64

    private init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        self.path = path
        number = UInt64(status.st_ino)
        size = Int(status.st_size)
        changedAt = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
    }

    private static let packed = [".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z"]
    /// Of rotated files, the newest.
    private static let filesMax = 1000

    /// The files of a log, the newest first: `audit.log`, and what begins with `audit.log.` or `audit.log-`.
    /// - Returns: those, and how many are compressed, which nobody reads here.
    static func all(of path: String) -> (files: [AuditFile], packed: Int) {
        let folder = (path as NSString).deletingLastPathComponent
        let name = (path as NSString).lastPathComponent
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.isEmpty ? "." : folder)) ?? []
        let rotated = names.filter { $0.hasPrefix(name + ".") || $0.hasPrefix(name + "-") }
        let readable = rotated.filter { name in !packed.contains { name.hasSuffix($0) } }
        let older = readable.compactMap { AuditFile((folder as NSString).appendingPathComponent($0)) }.sorted { left, right in
            left.changedAt != right.changedAt ? left.changedAt > right.changedAt : left.path < right.path
        }
        return ([AuditFile(path)].compactMap { $0 } + older.prefix(filesMax), rotated.count - readable.count)
    }
}

/// A file that is read in blocks.
final class AuditFileReader {
    private let descriptor: Int32
    let size: Int

    /// Nil: it cannot be opened, or is another than it was.
    init?(_ file: AuditFile) {
        let descriptor = open(file.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        var status = stat()
        guard fstat(descriptor, &status) == 0, UInt64(status.st_ino) == file.number else {
            close(descriptor)
            return nil
        }
        self.descriptor = descriptor
        size = Int(status.st_size)
    }

    deinit { close(descriptor) }

    /// Fewer bytes than asked for where the file ends.
    func read(at offset: Int, _ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let read = bytes.withUnsafeMutableBytes { bytes in
                let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[done...])
                return pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
            }
            if read < 0, errno == EINTR { continue }
            guard read > 0 else { break }
            done += read
        }
        bytes.removeLast(count - done)
        return bytes
    }

    /// Where the lines begin that are of `time` or later, by a few short reads: lines are in the order of their times.
    func place(before time: String, _ budget: inout Int) throws -> Int {
        var (low, high, found) = (0, size, size)
        while high - low > Self.probeBytes {
            let middle = low + (high - low) / 2
            let block = try read(at: middle, Self.probeBytes)
            budget -= block.count
            guard let (start, entry) = Self.firstEntry(of: block) else {
                // Nothing to go by: the lower part is searched, which costs no more than reading it.
                high = middle
                continue
            }
            if entry.time < time {
                low = middle
            } else {
                (high, found) = (middle, middle + start)
            }
        }
        return found
    }

    private static let probeBytes = 16 << 10

    /// The first whole line of a block that is an entry, and where it begins.
    private static func firstEntry(of block: [UInt8]) -> (start: Int, entry: AuditEntry)? {
        guard let end = block.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        var start = end + 1
        while let next = block[start...].firstIndex(of: UInt8(ascii: "\n")) {
            if let entry = AuditEntry(line: block[start..<next]) { return (start, entry) }
            start = next + 1
        }
        return nil
    }
}
