/// Where chance comes from: identifiers and jitter. Made once in `main`; a test passes one with a seed.
public protocol RandomSource: Sendable {
    func next() -> UInt64
}

/// The operating system's randomness.
public struct SystemRandom: RandomSource {
    public init() {}
    public func next() -> UInt64 { UInt64.random(in: .min ... .max) }
}
