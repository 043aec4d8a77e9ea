import Foundation

/// Where an audit log is written: a file of its own, or a stream that somebody else keeps, such as the journal.
public enum AuditPlace: Hashable, Sendable, CustomStringConvertible {
    case file(String)
    case standardOutput
    case standardError

    /// `stdout` or `-`, `stderr`, or the path of a file; one of those names is written `./stderr`.
    public init(_ text: String) {
        switch text {
        case "stdout", "-": self = .standardOutput
        case "stderr": self = .standardError
        default: self = .file(text)
        }
    }

    public var description: String {
        switch self {
        case .file(let path): path
        case .standardOutput: "standard output"
        case .standardError: "standard error"
        }
    }

    /// The stream of the process that it is; nil: a file.
    var stream: Int32? {
        switch self {
        case .file: nil
        case .standardOutput: STDOUT_FILENO
        case .standardError: STDERR_FILENO
        }
    }

    /// It is a file whose last line has no end.
    var endsWithinLine: Bool {
        guard case .file(let path) = self else { return false }
        let descriptor = Glibc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var (status, last) = (stat(), UInt8(0))
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size > 0 else { return false }
        return pread(descriptor, &last, 1, status.st_size - 1) == 1 && last != UInt8(ascii: "\n")
    }

    /// A descriptor of it, to be closed: a file is made when there is none, for its owner alone, and what is in it stays.
    func open() throws(AuditLog.Failure) -> Int32 {
        let descriptor =
            switch self {
            case .file(let path): Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
            case .standardOutput: fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
            case .standardError: fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)
            }
        guard descriptor >= 0 else { throw AuditLog.Failure("cannot write \(self): \(String(cString: strerror(errno)))") }
        return descriptor
    }
}
