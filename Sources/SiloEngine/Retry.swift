import SiloCore
import SiloStore

extension StorageV1.RetryPolicy {
    /// When the next attempt starts after attempt `number` of this run failed at `failure`; nil when no retry is left
    /// (spec/jobs.md 6.5).
    ///
    /// The wait is initial * factor^number, times [1, 2) when randomized, then capped. Equal inputs give equal waits.
    func nextStart(after failure: Timestamp, attempt number: UInt32) -> Timestamp? {
        guard number <= retryCount else { return nil }
        var wait = saturated(Double(initialIntervalMs) * power(backoffFactor, number))
        if randomizeInterval {
            var seed = UInt64(bitPattern: failure.milliseconds) ^ UInt64(number) << 32
            seed = seed &* 6_364_136_223_846_793_005 &+ 1
            wait = saturated(Double(wait) * (1 + Double(seed >> 32) / Double(UInt32.max)))
        }
        return failure + max(0, min(wait, maxIntervalMs))
    }
}

/// The nearest whole number, half away from zero; what does not fit saturates, and what is no number counts as 0.
func saturated(_ value: Double) -> Int64 {
    guard !value.isNaN else { return 0 }
    let rounded = value.rounded(.toNearestOrAwayFromZero)
    return Int64(exactly: rounded) ?? (rounded < 0 ? .min : .max)
}

func power(_ base: Double, _ exponent: UInt32) -> Double {
    var result = 1.0
    var square = base
    var exponent = exponent
    while exponent > 0 {
        if exponent & 1 == 1 { result *= square }
        square *= square
        exponent >>= 1
    }
    return result
}
