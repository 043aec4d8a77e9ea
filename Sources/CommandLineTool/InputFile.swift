import Foundation

/// Reads what a command line names, and says in the system's words why it cannot.
public enum InputFile {
    /// Larger than anything that a program of this package is given.
    public static let bytesMax = 1 << 30

    public struct Unreadable: Error, CustomStringConvertible {
        public let description: String
    }

    /// - Parameters:
    ///   - name: the option or operand that names the file.
    ///   - bytesMax: no more is read.
    /// - Throws: when it cannot be read, or is larger.
    public static func read(_ path: String, as name: String, bytesMax: Int = bytesMax) throws(Unreadable) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw unreadable("\(name): cannot read \(path)") }
        defer { close(file) }
        return try read(file, "\(name): cannot read \(path)", bytesMax)
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
