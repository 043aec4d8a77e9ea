import Foundation

/// Reads what a command line names, and says in the system's words why it cannot.
public enum InputFile {
    /// Larger than anything that a program of this package is given.
    public static let bytesMax = 1 << 30

    public struct Unreadable: Error, CustomStringConvertible {
        public let description: String
    }

    /// - Parameters:
    ///   - name: the option that names the file; nil: it is an argument by itself.
    ///   - bytesMax: no more is read.
    /// - Throws: when it cannot be read, or is larger.
    public static func read(_ path: String, as name: String? = nil, bytesMax: Int = bytesMax) throws(Unreadable) -> [UInt8] {
        let complaint = (name.map { "\($0): " } ?? "") + "cannot read \(path)"
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw unreadable(complaint) }
        defer { close(file) }
        return try read(file, complaint, bytesMax)
    }

    /// Why a file could not be read, without opening it: what comes out of a pipe is there once.
    public static func unreadableReason(_ path: String) -> String? {
        var status = stat()
        guard stat(path, &status) == 0 else { return reason("cannot read \(path)", errno) }
        if status.st_mode & S_IFMT == S_IFDIR { return reason("cannot read \(path)", EISDIR) }
        return access(path, R_OK) == 0 ? nil : reason("cannot read \(path)", errno)
    }

    /// It can be read again and again.
    public static func isOrdinary(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Why nothing could be added to a file, or why it could not be made.
    public static func unwritableReason(_ path: String) -> String? {
        var status = stat()
        if stat(path, &status) == 0 {
            if status.st_mode & S_IFMT == S_IFDIR { return reason("cannot write \(path)", EISDIR) }
            return access(path, W_OK) == 0 ? nil : reason("cannot write \(path)", errno)
        }
        guard errno == ENOENT else { return reason("cannot write \(path)", errno) }
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        return access(folder, W_OK | X_OK) == 0 ? nil : reason("cannot write \(path)", errno)
    }

    private static func reason(_ complaint: String, _ code: Int32) -> String {
        "\(complaint): \(String(cString: strerror(code)))"
    }

    /// To its end.
    public static func standardInput() throws(Unreadable) -> [UInt8] {
        try read(STDIN_FILENO, "cannot read standard input", bytesMax)
    }

    private static func read(_ file: Int32, _ complaint: String, _ bytesMax: Int) throws(Unreadable) -> [UInt8] {
        var content: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(file, &piece, piece.count)
            if count == 0 { return content }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw unreadable(complaint)
            }
            guard content.count + count <= bytesMax else {
                throw Unreadable(description: "\(complaint): it is larger than \(amount(bytesMax))")
            }
            content += piece[..<count]
        }
    }

    private static func amount(_ bytes: Int) -> String {
        bytes.isMultiple(of: 1 << 30) ? "\(bytes >> 30) GiB" : "\(bytes >> 10) KiB"
    }

    private static func unreadable(_ complaint: String) -> Unreadable {
        Unreadable(description: "\(complaint): \(String(cString: strerror(errno)))")
    }
}
