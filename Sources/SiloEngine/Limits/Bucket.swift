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

    /// When the row says nothing any more; nil when that depends on more than time.
    var expiresAt: Timestamp? {
        guard record.reserved == 0, record.windowEndsMs > 0 else { return nil }
        return Timestamp(record.windowEndsMs) + 60_000
    }

    static let tokenBucket: UInt32 = 0
    static let leakyBucket: UInt32 = 1

    /// Of a bucket that was just read: the clock may show less than it showed on the machine that wrote it. Then the times that
    /// were noted go back as far.
    mutating func wind(to now: Timestamp, _ rate: StorageV1.RateLimit) {
        let back = Timestamp(record.changedAtMs) - now
        guard back > 0 else { return }
        record.changedAtMs = now.milliseconds
        guard record.windowEndsMs > 0 else { return }
        let isCalendar = rate.isCalendar && record.algorithm == Self.tokenBucket
        let end = isCalendar ? now + rate.windowMilliseconds(at: now) : Timestamp(record.windowEndsMs) + -back
        record.windowEndsMs = max(1, min(record.windowEndsMs, end.milliseconds))
    }

    /// Brings the state to `now`, and to the kind that a limit asks for.
    mutating func pass(to now: Timestamp, _ rate: StorageV1.RateLimit) {
        if record.algorithm != rate.algorithm {
            record.algorithm = rate.algorithm
            empty(at: now)
        }
        if record.algorithm == Self.leakyBucket {
            let leaked = Double(max(0, now - Timestamp(record.changedAtMs))) * rate.hitsPerMillisecond(at: now)
            record.used = max(0, record.used - leaked)
        } else if record.windowEndsMs > 0, record.windowEndsMs <= now.milliseconds {
            Probe.windowPassed.reached()
            empty(at: now)
        }
        record.changedAtMs = now.milliseconds
    }

    /// Whether an attempt may be promised its hits now. The state must be at `now`.
    func hasRoom(_ rate: StorageV1.RateLimit) -> Bool {
        rate.hits <= 0 || record.used + Double(record.reserved) + Double(rate.hits) <= rate.room + 1e-6
    }

    /// When there will be room if nothing starts or is promised meanwhile; nil when time alone does not make any.
    /// - Parameter hitsAhead: what those ask who go before.
    func dueAt(_ rate: StorageV1.RateLimit, hitsAhead: Double = 0, now: Timestamp) -> Timestamp? {
        let hits = Double(rate.hits) + hitsAhead
        if record.algorithm == Self.leakyBucket {
            guard Double(rate.hits) + Double(record.reserved) <= rate.room else { return nil }
            let excess = hits + record.used + Double(record.reserved) - rate.room
            let wait = (excess / rate.hitsPerMillisecond(at: now) - 1e-6).rounded(.up)
            return now + Int64(max(0, min(wait, 1e15)))
        }
        let first = rate.room - record.used - Double(record.reserved)
        if hits <= first { return now }
        guard record.windowEndsMs > 0, Double(rate.hits) + Double(record.reserved) <= rate.room else { return nil }
        // Those before it fill whole windows.
        let windows = max(0, ((hits - max(0, first)) / rate.room).rounded(.up) - 1)
        return Timestamp(record.windowEndsMs) + Int64(min(windows * Double(rate.windowMilliseconds(at: now)), 1e15))
    }

    /// Promises an attempt its hits.
    mutating func reserve(_ rate: StorageV1.RateLimit, at now: Timestamp) {
        if rate.behavior & RateBehavior.resetRemaining != 0 { empty(at: now) }
        record.reserved += UInt64(max(0, rate.hits))
    }

    /// The attempt will not start.
    mutating func unreserve(_ rate: StorageV1.RateLimit) {
        record.reserved -= min(record.reserved, UInt64(max(0, rate.hits)))
    }

    /// The attempt starts: its promised hits are used.
    mutating func use(_ rate: StorageV1.RateLimit, at now: Timestamp) {
        guard rate.hits > 0 else { return }
        unreserve(rate)
        pass(to: now, rate)
        record.used += Double(rate.hits)
        if record.algorithm == Self.leakyBucket {
            noteWhenEmpty(rate)
        } else if record.windowEndsMs == 0 {
            record.windowEndsMs = (now + rate.windowMilliseconds(at: now)).milliseconds
        }
    }

    /// The attempt that started at `start` did not run after all: those of its hits that still count are not used any more.
    mutating func refund(_ rate: StorageV1.RateLimit, startedAt start: Timestamp, now: Timestamp) {
        Probe.hitsGivenBack.reached()
        pass(to: now, rate)
        let hits = Double(max(0, rate.hits))
        if record.algorithm == Self.leakyBucket {
            record.used = max(0, record.used - max(0, hits - Double(max(0, now - start)) * rate.hitsPerMillisecond(at: now)))
        } else if record.windowEndsMs > 0, start >= Timestamp(record.windowEndsMs) + -rate.windowLength(at: now) {
            record.used = max(0, record.used - hits)
            // Nobody has started in it: as its row says nothing, so must memory.
            if record.used == 0 { empty(at: now) }
        }
    }

    /// Uses up what is left, as a refused hit does that asks for it. False when nothing was left.
    mutating func drain(_ rate: StorageV1.RateLimit) -> Bool {
        let all = max(0, rate.room - Double(record.reserved))
        guard record.used < all, record.algorithm == Self.leakyBucket || record.windowEndsMs > 0 else { return false }
        record.used = all
        if record.algorithm == Self.leakyBucket { noteWhenEmpty(rate) }
        Probe.bucketDrained.reached()
        return true
    }

    /// Of a leaky bucket: its row says nothing any more from then on.
    private mutating func noteWhenEmpty(_ rate: StorageV1.RateLimit) {
        let wait = record.used / rate.hitsPerMillisecond(at: Timestamp(record.changedAtMs))
        let end = (Timestamp(record.changedAtMs) + saturated(min(wait, 1e15).rounded(.up))).milliseconds
        // A job of a slower limit may have used it before.
        record.windowEndsMs = max(record.windowEndsMs, end)
    }

    private mutating func empty(at now: Timestamp) {
        record.used = 0
        record.windowEndsMs = 0
        record.changedAtMs = now.milliseconds
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
