import Foundation
import SiloAccess

/// Files that others change while the server runs, looked at now and then.
///
/// What is being written is not read: a change counts when two looks have found the same.
struct WatchedFile {
    /// How a file was found.
    private struct Stamp: Equatable {
        let file: UInt64
        let size: Int
        let seconds: Int
        let nanoseconds: Int
    }
    private let paths: [String]
    /// As they were last read, whatever came of it; nil: one of them is not there.
    private var read: [Stamp?]
    private var last: [Stamp?]

    /// - Parameter paths: that are read together. They are taken to be read now, or soon.
    init(_ paths: [String]) {
        self.paths = paths
        read = paths.map(Self.stamp)
        last = read
    }

    /// Whether they are to be read anew.
    mutating func look() -> Bool {
        let now = paths.map(Self.stamp)
        defer { last = now }
        guard now != read, now == last else { return false }
        read = now
        return true
    }

    private static func stamp(of path: String) -> Stamp? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Stamp(
            file: UInt64(status.st_ino), size: status.st_size, seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec
        )
    }

    /// - Throws: `StartError` when it cannot be read, is too large, or changes meanwhile.
    static func read(_ path: String) throws -> [UInt8] {
        let before = stamp(of: path)
        let bytes: Data
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? file.close() }
            bytes = try file.read(upToCount: TokensFile.bytesMax + 1) ?? Data()
        } catch {
            throw StartError("cannot read \(path)", because: error)
        }
        guard bytes.count <= TokensFile.bytesMax else {
            throw StartError("\(path) is too large: it may have \(TokensFile.bytesMax) bytes")
        }
        guard stamp(of: path) == before else { throw StartError("\(path) is being written") }
        return [UInt8](bytes)
    }
}
