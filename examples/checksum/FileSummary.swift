import CCrypto
import Foundation

/// What a worker computes of a file: the result of a job.
struct FileSummary: Codable, Sendable {
    let path: String
    let sha256: String
    let bytes: Int
    let lines: Int
    /// The attempt that computed it, from 1, and how long it took.
    let attempt: Int
    let milliseconds: Double

    /// Reads the file in pieces, so that a large one costs no memory.
    static func of(_ path: String, attempt: Int) throws -> FileSummary {
        let begun = ContinuousClock.now
        guard let file = FileHandle(forReadingAtPath: path) else {
            throw RunFailure("cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { try? file.close() }
        guard let digest = EVP_MD_CTX_new() else { throw RunFailure("there is no memory for a digest") }
        defer { EVP_MD_CTX_free(digest) }
        EVP_DigestInit_ex(digest, EVP_sha256(), nil)
        var bytes = 0
        var lines = 0
        while let piece = try file.read(upToCount: 1 << 20), !piece.isEmpty {
            bytes += piece.count
            lines += piece.withUnsafeBytes { buffer in
                EVP_DigestUpdate(digest, buffer.baseAddress, buffer.count)
                return buffer.reduce(0) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
            }
        }
        var hash = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var count: UInt32 = 0
        EVP_DigestFinal_ex(digest, &hash, &count)
        let took = begun.duration(to: .now).components
        return FileSummary(
            path: path, sha256: hash.prefix(Int(count)).map { String(format: "%02x", $0) }.joined(), bytes: bytes, lines: lines,
            attempt: attempt, milliseconds: Double(took.seconds) * 1000 + Double(took.attoseconds) / 1e15
        )
    }
}

/// What a job is asked for.
struct FileRequest: Codable, Sendable {
    let path: String
}
