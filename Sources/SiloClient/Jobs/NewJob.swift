public import Foundation

/// A job to be enqueued.
public struct NewJob: Sendable {
    /// Which workers run it: those that poll this group. 1 to 64 characters.
    public var group: String
    public var payload: Payload
    /// Names the job within its tenant; nil: the client makes one. An id that exists is refused.
    public var id: String?
    /// Needed when the server has tenancy on.
    public var tenant: String?
    /// 0 to 99, 0 first.
    public var priority: UInt32 = 50
    /// Not before this time; nil: at once.
    public var startAt: Date?
    /// Nil: one attempt.
    public var retry: RetryPolicy?
    /// Conditions for starting an attempt, asked in this order. Slots of concurrency limits are held while it runs.
    public var limits: [JobLimit] = []
    /// Up to 16 labels.
    public var metadata: JobMetadata = [:]
    /// How long the job is kept after it has finished, up to 100 years; nil: as the server's settings say.
    public var retention: Duration?

    /// - Parameter payload: what the worker gets, as a MessagePack document.
    public init(_ group: String, _ payload: some Encodable) throws {
        self.init(group, payload: try Payload(payload))
    }

    public init(_ group: String, payload: Payload) {
        self.group = group
        self.payload = payload
    }
}

/// When a failed attempt is repeated.
public struct RetryPolicy: Equatable, Sendable {
    /// Attempts after the first.
    public var retries: UInt32
    /// The wait after the first failure is this times `factor`.
    public var initialInterval: Duration
    public var maxInterval: Duration
    /// Each wait is `factor` times the one before.
    public var factor: Double
    /// Makes each wait up to twice as long, by chance, so that failures do not come back together.
    public var jitter: Bool

    public init(
        retries: UInt32, initialInterval: Duration = .seconds(1), maxInterval: Duration = .seconds(60), factor: Double = 2,
        jitter: Bool = true
    ) {
        self.retries = retries
        self.initialInterval = initialInterval
        self.maxInterval = maxInterval
        self.factor = factor
        self.jitter = jitter
    }
}

extension Duration {
    /// Whole milliseconds; what does not fit saturates.
    var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000_000_000)
        return overflow || carry ? (seconds < 0 ? .min : .max) : sum
    }
}
