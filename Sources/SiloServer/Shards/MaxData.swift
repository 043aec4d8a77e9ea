/// How much data there may be before new jobs are refused.
public enum MaxData: Equatable, Sendable {
    /// A disk keeps a tenth of itself free, 1 GiB at most; a bucket has no bound.
    case standard
    /// As many bytes, and what a disk keeps free by the standard.
    case bytes(UInt64)
    /// The disk is as full as that; 1 to 99.
    case percent(Int)
    case off

    /// Bytes of a disk that are kept free.
    func reserve(ofDisk total: UInt64) -> UInt64 {
        switch self {
        case .standard, .bytes: min(1 << 30, total / 10)
        case .percent(let most): total / 100 * UInt64(100 - most)
        case .off: 0
        }
    }

    /// Bytes that the data may have; nil: as many as there is room for.
    var bytesMax: UInt64? { if case .bytes(let bytes) = self { bytes } else { nil } }
}
