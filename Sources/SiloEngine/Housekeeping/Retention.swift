import SiloCore
import Synchronization

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

/// The date by which it is judged whose time is over: the wall clock, as far as it is to be believed.
///
/// What was deleted does not come back. So a wall clock that is set forwards is followed only when it has stayed there for an
/// hour; until then the date goes on as time passes. One that is set forwards again meanwhile has its own hour before it. One
/// that is set back is followed at once.
struct RetentionDate {
    private var ahead: Int64
    /// Since when the wall clock has been ahead of what is believed, in steady time, and how far at the least.
    private var doubt: (since: Timestamp, offset: Int64)?

    private static let stepMax: Int64 = 60_000
    private static let doubtMilliseconds: Int64 = 3_600_000

    /// - Parameter now: what both clocks show at first, which is believed.
    init(_ now: Moment) { ahead = now.wall - now.steady }

    mutating func date(at now: Moment) -> Timestamp {
        let offset = now.wall - now.steady
        if offset <= ahead + Self.stepMax {
            ahead = offset
            doubt = nil
        } else if let (since, doubted) = doubt, offset <= doubted + Self.stepMax {
            if now.steady - since >= Self.doubtMilliseconds {
                ahead = offset
                doubt = nil
            } else {
                doubt = (since, min(doubted, offset))
            }
        } else {
            doubt = (now.steady, offset)
        }
        return now.steady + ahead
    }
}
