public import SiloCore

/// Names the line of a tenant's jobs that wait with the same limits: a hash of what the limits ask for.
///
/// Should two lists of limits ever meet in one hash, their jobs stand in one line; each is still asked for its own limits.
public struct LineID: Hashable, Sendable {
    public let hash: Hash128

    public init(_ hash: Hash128) { self.hash = hash }

    /// - Parameter limits: of a job, in its order. What does not decide whether the job may start, such as the metadata of a
    ///   floating limit, does not count.
    public init(of limits: [StorageV1.Limit]) {
        var key = KeyEncoder()
        for limit in limits {
            switch limit.kind {
            case .concurrency(let slots):
                key.append(UInt8(1))
                key.append(slots.key)
                key.append(slots.maxConcurrency)
            case .floating(let floating):
                key.append(UInt8(2))
                key.append(floating.key)
            case .rate(let rate):
                key.append(UInt8(3))
                key.append(rate.name)
                key.append(rate.uniqueKey)
                for number in [
                    rate.limit, rate.durationMs, Int64(rate.hits), rate.burst, Int64(rate.behavior), Int64(rate.algorithm),
                ] {
                    key.append(UInt64(bitPattern: number))
                }
            case nil: break
            }
        }
        hash = Hash128(of: key.bytes)
    }
}
