import CommandLineTool
import Foundation

/// A file that holds one secret.
package struct SecretFile: Sendable {
    /// Secrets are short; anything longer is another file.
    private static let bytesMax = 4096

    /// Without the line end that editors leave.
    package let text: String
    /// Whether others than its owner may read it.
    package let isReadByOthers: Bool

    package struct Mistake: Error, CustomStringConvertible {
        package let description: String
    }

    /// - Throws: when it cannot be read, is too long or empty, or is no text.
    package init(_ path: String) throws(Mistake) {
        let bytes: [UInt8]
        do throws(InputFile.Unreadable) { bytes = try InputFile.read(path, bytesMax: Self.bytesMax) } catch {
            throw Mistake(description: error.description)
        }
        guard var text = String(validating: bytes, as: UTF8.self) else {
            throw Mistake(description: "\(path) holds no secret: it must be text")
        }
        if text.unicodeScalars.last == "\n" { text.unicodeScalars.removeLast() }
        if text.unicodeScalars.last == "\r" { text.unicodeScalars.removeLast() }
        guard !text.isEmpty else { throw Mistake(description: "\(path): the auth token is empty: name one, or none at all") }
        self.text = text
        var status = stat()
        isReadByOthers = stat(path, &status) == 0 && status.st_mode & (S_IRGRP | S_IROTH) != 0
    }

    /// What is wrong with a file; nil: nothing is.
    static func mistake(in path: String) -> String? {
        do throws(Mistake) {
            _ = try Self(path)
            return nil
        } catch { return error.description }
    }
}
