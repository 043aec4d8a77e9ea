import SiloCore

/// How long finished jobs are kept that do not say it themselves. Nil keeps them for ever.
public struct Retention: Sendable, Equatable {
    /// In milliseconds, from when the job succeeded.
    public var succeededMilliseconds: Int64?
    /// The same for failed and cancelled jobs.
    public var failedMilliseconds: Int64?

    public init(succeededMilliseconds: Int64? = nil, failedMilliseconds: Int64? = nil) {
        self.succeededMilliseconds = succeededMilliseconds
        self.failedMilliseconds = failedMilliseconds
    }

    /// The last time of which what an index lists goes at a date; nil: nothing does.
    func horizon(of index: RetainedIndex, at date: Timestamp) -> Timestamp? {
        switch index {
        case .keptUntil: date
        case .ended(_, RetainedIndex.succeeded): succeededMilliseconds.map { date + -$0 }
        case .ended: failedMilliseconds.map { date + -$0 }
        }
    }
}
