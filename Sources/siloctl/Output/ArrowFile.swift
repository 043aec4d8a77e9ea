import CommandLineTool
import Foundation

/// Where an export goes. A file has its name only when it is whole: what reads Arrow does not see that the end is missing.
final class ArrowFile {
    private let path: String
    /// What becomes the file; nil: it is written to directly, as a pipe is.
    private let draft: String?
    private let handle: FileHandle

    /// Only its owner reads it: there may be payloads in it.
    /// - Parameter path: `-` is the standard output.
    init(_ path: String) throws {
        self.path = path
        guard path != "-" else {
            guard isatty(STDOUT_FILENO) == 0 else {
                throw Failure("Arrow is not for a terminal: redirect the output, or name a file")
            }
            draft = nil
            handle = .standardOutput
            return
        }
        var status = stat()
        let isSpecial = stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
        draft = isSpecial ? nil : path + ".partial"
        let descriptor = open(draft ?? path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure("--arrow: cannot write \(path): \(String(cString: strerror(errno)))") }
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    func write(_ bytes: some Sequence<UInt8>) throws {
        do { try handle.write(contentsOf: Data(bytes)) } catch {
            throw Failure("cannot write \(path): \(SystemReason(error)?.description ?? "\(error)")")
        }
    }

    /// It is whole.
    func keep() throws {
        guard let draft else { return }
        guard rename(draft, path) == 0 else { throw Failure("cannot write \(path): \(String(cString: strerror(errno)))") }
    }

    /// It will not be whole. A file that was there before stays as it was.
    func discard() {
        if let draft { unlink(draft) }
    }
}
