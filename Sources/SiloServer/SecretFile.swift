import Foundation

/// A file that holds one secret.
public struct SecretFile: Sendable {
    /// Secrets are short; anything longer is another file.
    private static let bytesMax = 4096

    /// Without the line end that editors leave.
    public let text: String
    /// Whether others than its owner may read it.
    public let isReadByOthers: Bool

    /// - Throws: `StartError` when it cannot be read, is too long or is no text.
    public init(_ path: String) throws {
        let bytes: Data
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? file.close() }
            var status = stat()
            isReadByOthers = fstat(file.fileDescriptor, &status) == 0 && status.st_mode & (S_IRGRP | S_IROTH) != 0
            bytes = try file.read(upToCount: Self.bytesMax + 1) ?? Data()
        } catch {
            throw StartError("cannot read \(path)", because: error)
        }
        guard bytes.count <= Self.bytesMax, var text = String(data: bytes, encoding: .utf8) else {
            throw StartError("\(path) holds no secret: it must be text of at most \(Self.bytesMax) bytes")
        }
        if text.unicodeScalars.last == "\n" { text.unicodeScalars.removeLast() }
        if text.unicodeScalars.last == "\r" { text.unicodeScalars.removeLast() }
        self.text = text
    }
}
