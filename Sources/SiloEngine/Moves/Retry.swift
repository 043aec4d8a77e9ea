import SiloCore
import SiloStore

extension StorageV1.RetryPolicy {
    /// How long the job waits for its next attempt after this one failed, in milliseconds; nil when no retry is left
    /// (spec/jobs.md 6.5).
    ///
    /// The wait is initial * factor^number, times [1, 2) when randomized, capped. Jitter follows from the tenant, the job and the
    /// attempt: jobs that fail together come back apart, and whoever asks again gets the same answer. Where jitter would go past
    /// the cap the wait is somewhere in the upper half of what the cap allows, for else all jobs that reach it would meet there.
    func wait(after attempt: StorageV1.Attempt, of job: JobReference) -> Int64? {
        guard attempt.relativeNumber <= retryCount else { return nil }
        let cap = max(0, maxIntervalMs)
        let wait = max(0, saturated(Double(initialIntervalMs) * power(backoffFactor, attempt.relativeNumber)))
        guard randomizeInterval else { return min(wait, cap) }
        let chance = Hash128(of: Bytes("\(job.tenant)/\(job.id)/\(attempt.number)".utf8))
        let spread = saturated(Double(wait) * (1 + chance.high.share))
        return spread <= cap ? spread : cap - cap / 2 + saturated((Double(cap / 2) * chance.low.share).rounded(.down))
    }
}

extension UInt64 {
    /// Where it lies among all numbers: in [0, 1).
    fileprivate var share: Double { Double(self >> 11) / Double(UInt64(1) << 53) }
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
