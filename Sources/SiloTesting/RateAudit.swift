import Protobuf
import SiloCore
import SiloStore

/// Follows the starts of jobs with rate limits: never more in a window than the limit allows.
struct RateAudit {
    private struct Window {
        var used: Double = 0
        /// When a token bucket's window ends, or as of when a leaky bucket's level is.
        var time: Int64 = 0
        var lastStart: Int64 = 0
        /// The clock has been set, and there was no rest since in which the bucket must have become empty.
        var isUnknown = false
    }
    private var windows: [Bytes: Window] = [:]

    mutating func clockWasSet() {
        for name in windows.keys { windows[name]?.isUnknown = true }
    }

    /// It is dropped, and its buckets with it: if it is used anew, it begins with empty ones.
    mutating func forget(_ tenant: Bytes) {
        windows = windows.filter { !$0.key.starts(with: tenant + [0]) }
    }

    /// - Parameter ended: the lease before came to an end, and was not given back.
    mutating func check(
        _ tenant: Bytes, _ job: StorageV1.Job, _ before: StorageV1.Lease?, _ now: StorageV1.Lease?, ended: Bool
    ) -> [String] {
        guard before?.taskId != now?.taskId else { return [] }
        var found: [String] = []
        // Calendar windows and hits that reset the bucket have tests of their own.
        for rate in rateLimits(job.limits) where rate.hits > 0 && rate.behavior & (4 | 8) == 0 {
            let name =
                tenant + [0]
                + Bytes("\(rate.algorithm) \(rate.limit) \(rate.durationMs) \(rate.burst) \(rate.name)/\(rate.uniqueKey)".utf8)
            var window = windows[name] ?? Window()
            // Given back: it counts no more in the window in which it started.
            if let before, before.used, !ended, rate.algorithm == 1 || before.startedSteadyMs >= window.time - rate.durationMs {
                window.used = max(0, window.used - Double(rate.hits))
                if rate.algorithm == 0, window.used == 0 { window.time = 0 }
            }
            if let now, now.used {
                let start = now.startedSteadyMs
                let room = Double(rate.algorithm == 1 && rate.burst > 0 ? rate.burst : rate.limit)
                let rest = Int64(Double(rate.durationMs) * max(1, room / Double(rate.limit)))
                if window.isUnknown, start >= window.lastStart + rest { window = Window() }
                if rate.algorithm == 1 {
                    window.used = max(
                        0, window.used - Double(max(0, start - window.time)) * Double(rate.limit) / Double(rate.durationMs))
                    window.time = max(start, window.time)
                } else if start >= window.time {
                    window.used = 0
                    window.time = start + rate.durationMs
                }
                window.used += Double(rate.hits)
                window.lastStart = start
                if !window.isUnknown, window.used > room + 0.001 {
                    found.append("rate limit \(rate.name)/\(rate.uniqueKey): \(window.used) hits, \(room) are allowed")
                }
            }
            windows[name] = window
        }
        return found
    }
}
