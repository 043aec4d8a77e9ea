private import CXXHash

/// A 128-bit hash of some bytes (XXH3): short enough for a key, long enough that two contents do not meet by accident.
public struct Hash128: Hashable, Sendable, Comparable {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public init(of bytes: Bytes) {
        let hash = bytes.withUnsafeBytes { cxxhash_xxh3_128($0.baseAddress, $0.count) }
        self.init(high: hash.high, low: hash.low)
    }

    public static func < (left: Hash128, right: Hash128) -> Bool { (left.high, left.low) < (right.high, right.low) }
}
