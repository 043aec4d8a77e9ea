import Synchronization

/// How much one caller may ask for: so many requests and so many bytes a second, on average.
///
/// Each is a bucket with room for one second. A call is taken while there is anything in it and pays afterwards for what it
/// brought, so that a batch of thousands is taken and those after it wait until it is paid for.
public final class Allowance: Sendable {
    /// What is allowed; nil: as much as it likes.
    public struct Limits: Hashable, Sendable {
        public var requestsPerSecond: Int?
        public var bytesPerSecond: Int?

        public init(requestsPerSecond: Int? = nil, bytesPerSecond: Int? = nil) {
            self.requestsPerSecond = requestsPerSecond
            self.bytesPerSecond = bytesPerSecond
        }

        public var isUnlimited: Bool { requestsPerSecond == nil && bytesPerSecond == nil }
    }

    public let limits: Limits
    private let buckets: Mutex<(requests: Bucket, bytes: Bucket)>

    public init(_ limits: Limits) {
        self.limits = limits
        buckets = Mutex((Bucket(limits.requestsPerSecond), Bucket(limits.bytesPerSecond)))
    }

    /// Asks for one call.
    /// - Parameter steady: of a clock that never goes back.
    /// - Returns: milliseconds until it may be asked for again; nil: it is taken, and paid for.
    public func take(at steady: Timestamp) -> Int64? {
        buckets.withLock { buckets in
            let wait = max(buckets.requests.wait(at: steady), buckets.bytes.wait(at: steady))
            guard wait == 0 else { return wait }
            buckets.requests.pay(1)
            return nil
        }
    }

    /// Pays for what a call brought: calls that are never refused, entries of a batch after the first, bytes.
    public func pay(requests: Int, bytes: Int, at steady: Timestamp) {
        buckets.withLock { buckets in
            buckets.requests.fill(at: steady)
            buckets.bytes.fill(at: steady)
            buckets.requests.pay(requests)
            buckets.bytes.pay(bytes)
        }
    }

    private struct Bucket {
        /// A debt is forgotten past so many seconds of the rate: nobody is shut out for longer.
        static let debtSecondsMax = 60.0

        /// A second; nil: there is no bound.
        let rate: Double?
        var level: Double
        var filledAt: Timestamp?

        init(_ rate: Int?) {
            self.rate = rate.map(Double.init)
            level = self.rate ?? 0
        }

        mutating func fill(at steady: Timestamp) {
            guard let rate else { return }
            if let filledAt, steady > filledAt { level = min(rate, level + Double(steady - filledAt) / 1000 * rate) }
            filledAt = max(filledAt ?? steady, steady)
        }

        /// Milliseconds until one request or byte is in it.
        mutating func wait(at steady: Timestamp) -> Int64 {
            guard let rate else { return 0 }
            fill(at: steady)
            return level >= 1 ? 0 : Int64(((1 - level) / rate * 1000).rounded(.up))
        }

        mutating func pay(_ amount: Int) {
            guard let rate else { return }
            level = max(level - Double(amount), -Self.debtSecondsMax * rate)
        }
    }
}
