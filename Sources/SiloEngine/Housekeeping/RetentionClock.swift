public import SiloCore
import Synchronization

/// Tells a process the date by which it is judged whose time is over. It outlives the shards that are opened meanwhile: a wall
/// clock that was set forwards is no more to be believed by one that is opened after.
public final class RetentionClock: Sendable {
    private let clock: any Clock
    private let date: Mutex<RetentionDate>

    /// - Parameter clock: of the machine; what it shows now is believed.
    public init(_ clock: any Clock) {
        self.clock = clock
        date = Mutex(RetentionDate(clock.moment))
    }

    var now: Timestamp { date.withLock { $0.date(at: clock.moment) } }
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
