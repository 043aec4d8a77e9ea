import SiloCore
import SiloStore

/// The state of a rate limit: what is used of it, and what is promised to jobs that are ready and have not started.
///
/// A hit counts when its attempt starts. Until then it is reserved, so that a worker who comes late does not find more jobs
/// ready than may start. The two kinds are those of spec/limits.md 8:
/// - a token bucket is a window of time that opens with its first hit, or the running calendar period, and has room for
///   `limit` hits;
/// - a leaky bucket has room for `burst` hits and loses `limit` of them in each `duration`, evenly.
struct Bucket: Equatable {
    private(set) var record: StorageV1.Bucket

    init(_ record: StorageV1.Bucket) {
        self.record = record
    }

    /// Nothing is used or promised, as far as the row says.
    var isEmpty: Bool { record.used == 0 && record.reserved == 0 }

    /// What is used and promised, in whole hits.
    var hits: UInt64 { UInt64(clamping: Int64(min(record.used.rounded(.up), 1e15))) + min(record.reserved, 1 << 60) }

    /// When the row says nothing any more, by the wall clock that the store drops it by; nil when that depends on more than time.
    /// It stays for longer than a clock is likely to be set ahead: a row that goes too early would give its hits out again.
    func expiresAt(_ now: Moment) -> Timestamp? {
        guard record.reserved == 0, record.windowEndsMs > 0 else { return nil }
        return windowEnds.date(at: now) + Self.rowKeptMilliseconds
    }

    static let rowKeptMilliseconds: Int64 = 86_400_000

    static let tokenBucket: UInt32 = 0
    static let leakyBucket: UInt32 = 1

    /// Brings the state to `now`, and to the kind that a limit asks for.
    /// - Returns: whether a window of time has ended.
    @discardableResult
    mutating func pass(to now: Moment, _ rate: StorageV1.RateLimit) -> Bool {
        var isOver = false
        if record.algorithm != rate.algorithm {
            record.algorithm = rate.algorithm
            empty(at: now)
        }
        if record.algorithm == Self.leakyBucket {
            let leaked = Double(max(0, now.steady - Timestamp(record.changedAtMs))) * rate.hitsPerMillisecond(at: now.wall)
            record.used = max(0, record.used - leaked)
        } else if record.windowEndsMs > 0, windowEnds.hasCome(by: now) {
            empty(at: now)
            isOver = true
        }
        record.changedAtMs = now.steady.milliseconds
        return isOver
    }

    /// The wall clock shows less than it did when the window opened.
    func isAhead(of now: Timestamp) -> Bool { record.calendarFromMs > now.milliseconds }

    /// A calendar window goes with the wall clock. When that shows less than it did when the window opened, it was set back: what
    /// was used then counts in the period that runs now, so that no window lasts longer than it should and none is lost.
    mutating func setBack(to now: Timestamp, _ rate: StorageV1.RateLimit) {
        let back = Timestamp(record.calendarFromMs) - now
        guard isAhead(of: now) else { return }
        let end = rate.isCalendar ? now + rate.windowMilliseconds(at: now) : Timestamp(record.windowEndsMs) + -back
        record.windowEndsMs = max(1, min(record.windowEndsMs, end.milliseconds))
        record.calendarFromMs = max(1, now.milliseconds)
    }

    /// When the window ends: at a date if it is one of the calendar's.
    private var windowEnds: Due {
        Due(axis: record.calendarFromMs > 0 ? .wall : .steady, at: Timestamp(record.windowEndsMs))
    }

    /// Whether an attempt may be promised its hits now. The state must be at `now`.
    func hasRoom(_ rate: StorageV1.RateLimit) -> Bool {
        rate.hits <= 0 || record.used + Double(record.reserved) + Double(rate.hits) <= rate.room + 1e-6
    }

    /// When there will be room if nothing starts or is promised meanwhile; nil when time alone does not make any.
    /// - Parameter hitsAhead: what those ask who go before.
    func dueAt(_ rate: StorageV1.RateLimit, hitsAhead: Double = 0, now: Moment) -> Due? {
        let hits = Double(rate.hits) + hitsAhead
        if record.algorithm == Self.leakyBucket {
            guard Double(rate.hits) + Double(record.reserved) <= rate.room else { return nil }
            let excess = hits + record.used + Double(record.reserved) - rate.room
            let wait = (excess / rate.hitsPerMillisecond(at: now.wall) - 1e-6).rounded(.up)
            return .delay(until: now.steady + Int64(max(0, min(wait, 1e15))))
        }
        let first = rate.room - record.used - Double(record.reserved)
        if hits <= first { return .delay(until: now.steady) }
        guard record.windowEndsMs > 0, Double(rate.hits) + Double(record.reserved) <= rate.room else { return nil }
        // Those before it fill whole windows.
        let windows = max(0, ((hits - max(0, first)) / rate.room).rounded(.up) - 1)
        let more = Int64(min(windows * Double(rate.windowMilliseconds(at: now.wall)), 1e15))
        return Due(axis: windowEnds.axis, at: windowEnds.at + more)
    }

    /// Promises an attempt its hits.
    mutating func reserve(_ rate: StorageV1.RateLimit, at now: Moment) {
        if rate.behavior & RateBehavior.resetRemaining != 0 { empty(at: now) }
        record.reserved += UInt64(max(0, rate.hits))
    }

    /// The attempt will not start.
    mutating func unreserve(_ rate: StorageV1.RateLimit) {
        record.reserved -= min(record.reserved, UInt64(max(0, rate.hits)))
    }

    /// The attempt starts: its promised hits are used.
    mutating func use(_ rate: StorageV1.RateLimit, at now: Moment) {
        guard rate.hits > 0 else { return }
        unreserve(rate)
        pass(to: now, rate)
        record.used += Double(rate.hits)
        if record.algorithm == Self.leakyBucket {
            noteWhenEmpty(rate, now.wall)
        } else if record.windowEndsMs == 0 {
            let axis: Axis = rate.isCalendar ? .wall : .steady
            record.windowEndsMs = (now[axis] + rate.windowMilliseconds(at: now.wall)).milliseconds
            record.calendarFromMs = rate.isCalendar ? max(1, now.wall.milliseconds) : 0
        }
    }

    /// The attempt that started at `start` did not run after all: those of its hits that still count are not used any more.
    mutating func refund(_ rate: StorageV1.RateLimit, startedAt start: Moment, now: Moment) {
        pass(to: now, rate)
        let hits = Double(max(0, rate.hits))
        if record.algorithm == Self.leakyBucket {
            let leaked = Double(max(0, now.steady - start.steady)) * rate.hitsPerMillisecond(at: now.wall)
            record.used = max(0, record.used - max(0, hits - leaked))
        } else if record.windowEndsMs > 0, start[windowEnds.axis] >= windowEnds.at + -rate.windowLength(at: now.wall) {
            record.used = max(0, record.used - hits)
            // Nobody has started in it: as its row says nothing, so must memory.
            if record.used == 0 { empty(at: now) }
        }
    }

    /// Uses up what is left, as a refused hit does that asks for it. False when nothing was left.
    mutating func drain(_ rate: StorageV1.RateLimit, at now: Moment) -> Bool {
        let all = max(0, rate.room - Double(record.reserved))
        guard record.used < all, record.algorithm == Self.leakyBucket || record.windowEndsMs > 0 else { return false }
        record.used = all
        if record.algorithm == Self.leakyBucket { noteWhenEmpty(rate, now.wall) }
        return true
    }

    /// Of a leaky bucket: its row says nothing any more from then on.
    private mutating func noteWhenEmpty(_ rate: StorageV1.RateLimit, _ now: Timestamp) {
        let wait = record.used / rate.hitsPerMillisecond(at: now)
        let end = (Timestamp(record.changedAtMs) + saturated(min(wait, 1e15).rounded(.up))).milliseconds
        // A job of a slower limit may have used it before.
        record.windowEndsMs = max(record.windowEndsMs, end)
    }

    private mutating func empty(at now: Moment) {
        record.used = 0
        record.windowEndsMs = 0
        record.calendarFromMs = 0
        record.changedAtMs = now.steady.milliseconds
    }
}

/// Bits of a rate limit's behaviour that mean something here; the others are about how Gubernator's nodes talk.
enum RateBehavior {
    static let calendar: Int32 = 4
    static let resetRemaining: Int32 = 8
    static let drainOverLimit: Int32 = 16
}

extension StorageV1.RateLimit {
    /// Hits that the bucket has room for.
    var room: Double { Double(algorithm == Bucket.leakyBucket && burst > 0 ? burst : limit) }

    /// The calendar period that is its window; nil when that is a length of time.
    private var period: CalendarPeriod? { behavior & RateBehavior.calendar == 0 ? nil : CalendarPeriod(rawValue: durationMs) }
    var isCalendar: Bool { period != nil }

    /// How long from `now` to the end of a window that opens now; the running calendar period where that is asked for.
    func windowMilliseconds(at now: Timestamp) -> Int64 {
        guard let period else { return durationMs }
        return period.end(after: now) - now
    }

    /// How long a whole window is, in milliseconds.
    func windowLength(at now: Timestamp) -> Int64 {
        guard let period else { return durationMs }
        return period.end(after: now) - period.start(of: now)
    }

    func hitsPerMillisecond(at now: Timestamp) -> Double { Double(limit) / Double(max(1, windowLength(at: now))) }
}
