import CommandLineTool
import Foundation

/// Files that are nobody else's business, in folders that are made for them.
enum PrivateFile {
    private static let fileMode: mode_t = 0o600
    private static let folderMode = 0o700

    /// Puts a file of this text there, complete or not at all.
    static func replace(_ path: String, with text: String) throws(Failure) {
        let fresh = "\(path).\(getpid())"
        try write(text, to: fresh, O_TRUNC, named: path)
        guard rename(fresh, path) == 0 else {
            let reason = reason
            unlink(fresh)
            throw Failure("cannot write \(path): \(reason)")
        }
    }

    static func append(_ text: String, to path: String) throws(Failure) { try write(text, to: path, O_APPEND, named: path) }

    private static func write(_ text: String, to file: String, _ flag: Int32, named path: String) throws(Failure) {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        // What goes wrong here shows when the file is opened.
        try? FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: folderMode])
        let descriptor = open(file, O_WRONLY | O_CREAT | O_CLOEXEC | flag, fileMode)
        guard descriptor >= 0 else { throw Failure("cannot write \(path): \(reason)") }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do { try handle.write(contentsOf: Data(text.utf8)) } catch {
            throw Failure("cannot write \(path): \(SystemReason(error)?.description ?? "\(error)")")
        }
    }

    private static var reason: String { String(cString: strerror(errno)) }
}
