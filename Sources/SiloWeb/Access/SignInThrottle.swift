import SiloCore
import Synchronization

/// How often an address may show a token that is not good. A good one is never refused for the bad ones of others, except where
/// so many addresses try that they are counted together.
final class SignInThrottle: Sendable {
    private struct Bucket {
        var tries: Double
        var filledAt: Timestamp
    }
    private let buckets = Mutex<[String: Bucket]>([:])

    /// At once, and one more each six seconds.
    static let triesMax = 10.0
    private static let refillMilliseconds = 6000.0
    /// Addresses that are told apart.
    private static let addressesMax = 4096

    /// - Returns: nil when it may try now, else for how many seconds not.
    func secondsToWait(_ address: String, at now: Timestamp) -> Int? {
        let level = buckets.withLock { Self.level($0[Self.key(address, in: $0)], at: now) }
        return level >= 1 ? nil : max(1, Int(((1 - level) * Self.refillMilliseconds / 1000).rounded(.up)))
    }

    /// It showed a token that is not good.
    func failed(_ address: String, at now: Timestamp) {
        buckets.withLock { buckets in
            if buckets.count >= Self.addressesMax { buckets = buckets.filter { Self.level($0.value, at: now) < Self.triesMax } }
            let key = Self.key(address, in: buckets)
            buckets[key] = Bucket(tries: max(0, Self.level(buckets[key], at: now) - 1), filledAt: now)
        }
    }

    private static func key(_ address: String, in buckets: [String: Bucket]) -> String {
        buckets.count < addressesMax || buckets[address] != nil ? address : "others"
    }

    private static func level(_ bucket: Bucket?, at now: Timestamp) -> Double {
        guard let bucket else { return triesMax }
        return min(triesMax, bucket.tries + Double(now - bucket.filledAt) / refillMilliseconds)
    }
}
