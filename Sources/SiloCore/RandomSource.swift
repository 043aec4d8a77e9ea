private import Glibc
import Synchronization

/// Where chance comes from: identifiers and jitter. Made once in `main`; a test passes one with a seed.
public protocol RandomSource: Sendable {
    func next() -> UInt64
}

/// The operating system's randomness, asked for in pieces: one system call serves many numbers.
public final class SystemRandom: RandomSource {
    private let pool = Mutex<[UInt64]>([])
    /// `getentropy` gives up to 256 bytes at once.
    private static let poolSize = 32

    public init() {}

    public func next() -> UInt64 {
        pool.withLock { pool in
            if let number = pool.popLast() { return number }
            pool = [UInt64](repeating: 0, count: Self.poolSize)
            let isFilled = pool.withUnsafeMutableBytes { getentropy($0.baseAddress, $0.count) == 0 }
            // It does not fail on a system that is up; if ever, the standard generator asks by another way.
            return (isFilled ? pool.popLast() : nil) ?? UInt64.random(in: .min ... .max)
        }
    }
}
