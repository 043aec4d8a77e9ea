private import CXXHash

/// A 64-bit checksum of some bytes (XXH64). Another seed gives another one.
public enum Checksum64 {
    public static func of(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        cxxhash_xxh64(bytes.baseAddress, bytes.count, seed)
    }
}
