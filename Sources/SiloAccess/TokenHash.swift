import CCrypto

/// SHA-256 of a token. What a server keeps, so that nobody who reads its files can call it.
///
/// One round is enough, and cheap enough for every call: a token has 256 bits of chance, which nobody guesses however fast. Slow
/// hashes are for passwords, which people choose.
public struct TokenHash: Hashable, Sendable, CustomStringConvertible {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    public static let prefix = "sha256:"
    private static let byteCount = 32

    /// The hash of a token as it was sent.
    public init(of token: some Collection<UInt8>) {
        self = Array(token).withUnsafeBytes { TokenHash(of: $0) }
    }

    /// The same of bytes that the caller keeps.
    public init(of token: UnsafeRawBufferPointer) {
        var digest: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        let isMade = withUnsafeMutableBytes(of: &digest) { digest in
            EVP_Digest(token.baseAddress, token.count, digest.baseAddress, nil, sha256, nil) == 1
        }
        if !isMade {
            // Without the algorithm nothing is the hash of anything, and nobody is let in.
            func random() -> UInt64 { .random(in: .min ... .max) }
            digest = (random(), random(), random(), random())
        }
        words = (digest.0.bigEndian, digest.1.bigEndian, digest.2.bigEndian, digest.3.bigEndian)
    }

    /// `sha256:` and 64 hex digits; nil for anything else.
    public init?(_ text: String) {
        let digits = text.dropFirst(Self.prefix.count).utf8.map { $0 }
        guard text.hasPrefix(Self.prefix), digits.count == 2 * Self.byteCount else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Self.nibble(digits[index]), let low = Self.nibble(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        words = Self.words(bytes)
    }

    public var description: String {
        Self.prefix + [words.0, words.1, words.2, words.3].map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    /// Takes as long whatever differs.
    public static func == (left: TokenHash, right: TokenHash) -> Bool {
        (left.words.0 ^ right.words.0) | (left.words.1 ^ right.words.1) | (left.words.2 ^ right.words.2)
            | (left.words.3 ^ right.words.3) == 0
    }

    /// The words are as good as random, and Swift's own hashing is seeded.
    public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }

    private static func words(_ bytes: [UInt8]) -> (UInt64, UInt64, UInt64, UInt64) {
        func word(_ index: Int) -> UInt64 { bytes[8 * index..<8 * index + 8].reduce(0) { $0 << 8 | UInt64($1) } }
        return (word(0), word(1), word(2), word(3))
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}

/// Looked up once, which takes as long as a hash.
///
/// `nonisolated(unsafe)`: a constant of the library, which any thread may use.
private nonisolated(unsafe) let sha256 = EVP_MD_fetch(nil, "SHA256", nil)
