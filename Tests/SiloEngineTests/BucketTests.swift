import Foundation
import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

extension Moment {
    /// Both clocks show the same.
    init(_ milliseconds: Int64) { self.init(wall: Timestamp(milliseconds), steady: Timestamp(milliseconds)) }

    static func + (moment: Moment, milliseconds: Int64) -> Moment {
        Moment(wall: moment.wall + milliseconds, steady: moment.steady + milliseconds)
    }
}

/// A bucket by the book: it remembers every start and counts them anew each time, in whole numbers.
private struct Model {
    let rate: StorageV1.RateLimit
    var reserved: Int64 = 0
    var starts: [(at: Int64, hits: Int64)] = []

    var isLeaky: Bool { rate.algorithm == 1 }
    var room: Int64 { isLeaky && rate.burst > 0 ? rate.burst : rate.limit }

    /// What is used at a time: hits, in parts of one `duration`th for a leaky bucket.
    func level(at time: Int64) -> Int64 {
        var level: Int64 = 0
        var last = starts.first?.at ?? 0
        var windowEnd: Int64?
        // One that did not start after all opens no window.
        for start in starts where start.hits > 0 {
            if isLeaky {
                level = max(0, level - rate.limit * (start.at - last)) + start.hits * rate.durationMs
                last = start.at
            } else {
                if windowEnd.map({ start.at >= $0 }) ?? true {
                    windowEnd = start.at + rate.durationMs
                    level = 0
                }
                level += start.hits
            }
        }
        if isLeaky { return max(0, level - rate.limit * (time - last)) }
        return windowEnd.map { time >= $0 } ?? true ? 0 : level
    }

    func hasRoom(at time: Int64) -> Bool {
        let unit = isLeaky ? rate.durationMs : 1
        return level(at: time) + (reserved + Int64(rate.hits)) * unit <= room * unit
    }

    /// When there is room first, looking at every millisecond; nil when there is none for long.
    func dueAt(from now: Int64) -> Int64? {
        (now...now + 3 * rate.durationMs * max(1, room)).first { hasRoom(at: $0) }
    }
}

@Suite(.timeLimit(.minutes(10))) struct BucketTests {
    private static let kinds = [
        rateLimit("k", 3, per: 50), rateLimit("k", 5, per: 40, hits: 2), rateLimit("k", 1, per: 7),
        rateLimit("k", 3, per: 50, leaky: true), rateLimit("k", 2, per: 30, hits: 2, leaky: true, burst: 5),
        rateLimit("k", 7, per: 3, leaky: true, burst: 2), rateLimit("k", 1, per: 13, leaky: true),
    ]

    @Test("room and due times are those of a model that counts every start, through random lives", arguments: kinds.indices)
    func model(kind: Int) {
        let rate = Self.kinds[kind]
        for seed in 0..<40 as Range<UInt64> {
            let random = SeededRandom(seed: seed)
            var bucket = Bucket(StorageV1.Bucket())
            var model = Model(rate: rate)
            var now: Int64 = 1_000_000
            var started = 0
            for step in 0..<120 {
                if random.chance(50) { now += Int64(random.below(Int(rate.durationMs))) }
                var passed = bucket
                passed.pass(to: Moment(now), rate)
                let hasRoom = model.hasRoom(at: now)
                guard passed.hasRoom(rate) == hasRoom else {
                    Issue.record("seed \(seed), step \(step): room \(!hasRoom), the model says \(hasRoom)")
                    return
                }
                if !hasRoom {
                    let due = passed.dueAt(rate, now: Moment(now))?.at.milliseconds
                    // A window that is not open opens with a start: time alone makes no room.
                    let expected = model.dueAt(from: now)
                    guard due == expected else {
                        Issue.record("seed \(seed), step \(step): due \(due ?? -1), the model says \(expected ?? -1)")
                        return
                    }
                }
                switch random.below(5) {
                case 0 where hasRoom, 1 where hasRoom:
                    bucket = passed
                    bucket.reserve(rate, at: Moment(now))
                    model.reserved += Int64(rate.hits)
                case 2 where model.reserved > 0, 3 where model.reserved > 0:
                    bucket.use(rate, at: Moment(now))
                    model.reserved -= Int64(rate.hits)
                    model.starts.append((now, Int64(rate.hits)))
                    started += 1
                    // It did not start after all, in the same moment.
                    if random.chance(20) {
                        bucket.refund(rate, startedAt: Moment(now), now: Moment(now))
                        bucket.reserve(rate, at: Moment(now))
                        let hits = Int64(rate.hits)
                        model.reserved += hits
                        model.starts[model.starts.count - 1].hits -= hits
                    }
                case 4 where model.reserved > 0:
                    bucket.unreserve(rate)
                    model.reserved -= Int64(rate.hits)
                default: break
                }
                #expect(bucket.record.reserved == UInt64(model.reserved))
            }
            #expect(started > 3)
        }
    }

    @Test("starts in a window never exceed the limit, whenever promised hits are used", arguments: [1, 2, 3, 4] as [UInt64])
    func neverExceeds(seed: UInt64) {
        let rate = rateLimit("k", 4, per: 100)
        let random = SeededRandom(seed: seed)
        var bucket = Bucket(StorageV1.Bucket())
        var now = Moment(5)
        var windows: [(opened: Moment, starts: Int)] = []
        for _ in 0..<3000 {
            now = now + Int64(random.below(30))
            bucket.pass(to: now, rate)
            if bucket.hasRoom(rate), random.chance(80) { bucket.reserve(rate, at: now) }
            guard bucket.record.reserved > 0, random.chance(40) else { continue }
            bucket.use(rate, at: now)
            if windows.last.map({ now.steady - $0.opened.steady >= 100 }) ?? true { windows.append((now, 0)) }
            windows[windows.count - 1].starts += 1
        }
        #expect(windows.map(\.starts).max() == 4)
        #expect(windows.count > 100)
    }

    @Test("14.95: hits of several are counted as several, and none at all need no room")
    func hits() {
        let now = Moment(1000)
        let three = rateLimit("k", 5, hits: 3)
        var bucket = Bucket(StorageV1.Bucket())
        bucket.reserve(three, at: now)
        #expect(!bucket.hasRoom(three))
        #expect(bucket.hasRoom(rateLimit("k", 5, hits: 2)))
        #expect(bucket.hasRoom(rateLimit("k", 0, hits: 0)))
        bucket.use(three, at: now)
        #expect(bucket.record.used == 3)
        #expect(bucket.record.reserved == 0)
    }

    @Test("hits that a limit can never allow have no due time", arguments: [false, true])
    func never(leaky: Bool) {
        var bucket = Bucket(StorageV1.Bucket())
        let now = Moment(1000)
        let rate = rateLimit("k", 3, hits: 4, leaky: leaky)
        bucket.pass(to: now, rate)
        #expect(!bucket.hasRoom(rate))
        #expect(bucket.dueAt(rate, now: now) == nil)
    }

    @Test("a job that starts all anew has what was used forgotten, but not what is promised")
    func reset() {
        let now = Moment(1000)
        let plain = rateLimit("k", 3)
        var bucket = Bucket(StorageV1.Bucket())
        for _ in 0..<3 { bucket.reserve(plain, at: now) }
        bucket.use(plain, at: now)
        bucket.use(plain, at: now)
        bucket.reserve(rateLimit("k", 3, behavior: RateBehavior.resetRemaining), at: now)
        #expect(bucket.record.used == 0)
        #expect(bucket.record.reserved == 2)
        #expect(bucket.record.windowEndsMs == 0)
        #expect(bucket.hasRoom(plain))
    }

    @Test("draining uses up what is neither used nor promised, once")
    func drain() {
        let now = Moment(1000)
        let rate = rateLimit("k", 10, behavior: RateBehavior.drainOverLimit)
        var bucket = Bucket(StorageV1.Bucket())
        let untouched = bucket.drain(rate, at: now)
        #expect(!untouched, "no window is open")
        for _ in 0..<4 { bucket.reserve(rate, at: now) }
        bucket.use(rate, at: now)
        let first = bucket.drain(rate, at: now)
        let second = bucket.drain(rate, at: now)
        #expect(first)
        #expect(!second)
        #expect(bucket.record.used == 7)
        #expect(bucket.record.reserved == 3)
        bucket.pass(to: now + 60_000, rate)
        #expect(bucket.record.used == 0)
    }

    @Test("a limit of another kind begins its bucket anew")
    func otherKind() {
        let now = Moment(1000)
        var bucket = Bucket(StorageV1.Bucket())
        let token = rateLimit("k", 1)
        bucket.reserve(token, at: now)
        bucket.use(token, at: now)
        #expect(!bucket.hasRoom(token))
        let leaky = rateLimit("k", 1, leaky: true)
        bucket.pass(to: now, leaky)
        #expect(bucket.hasRoom(leaky))
    }

    @Test("a row says nothing any more once its window has passed; one with promises stays")
    func expires() {
        let now = Moment(1000)
        let rate = rateLimit("k", 2)
        var bucket = Bucket(StorageV1.Bucket())
        #expect(bucket.isEmpty)
        bucket.reserve(rate, at: now)
        #expect(bucket.expiresAt(now) == nil)
        #expect(!bucket.isEmpty)
        bucket.use(rate, at: now)
        let expires = bucket.expiresAt(now)
        #expect(expires.map { $0 >= now.wall + 60_000 } ?? false)
        bucket.reserve(rate, at: now)
        #expect(bucket.expiresAt(now) == nil)
    }

    @Test("a window in which nobody has started after all is none: the next start opens another")
    func refundedWindow() {
        let now = Moment(1_000_000)
        let rate = rateLimit("k", 2)
        var bucket = Bucket(StorageV1.Bucket())
        bucket.reserve(rate, at: now)
        bucket.use(rate, at: now)
        bucket.refund(rate, startedAt: now, now: now + 10)
        #expect(bucket.isEmpty && bucket.expiresAt(now) == nil)
        bucket.reserve(rate, at: now + 50_000)
        bucket.use(rate, at: now + 50_000)
        #expect(bucket.record.windowEndsMs == (now + 110_000).steady.milliseconds)
        // One that is still used stays as it is.
        bucket.reserve(rate, at: now + 60_000)
        bucket.use(rate, at: now + 60_000)
        bucket.refund(rate, startedAt: now + 60_000, now: now + 60_010)
        #expect(bucket.record.used == 1 && bucket.record.windowEndsMs == (now + 110_000).steady.milliseconds)
    }

    @Test("the row of a leaky bucket says nothing any more once all has leaked, at the pace of the slowest that used it")
    func leakyExpires() {
        let now = Moment(1_000_000)
        let (slow, fast) = (
            rateLimit("k", 1, per: 600_000, leaky: true, burst: 5), rateLimit("k", 600, per: 600_000, leaky: true, burst: 5)
        )
        var bucket = Bucket(StorageV1.Bucket())
        for rate in [slow, fast] {
            bucket.pass(to: now, rate)
            bucket.reserve(rate, at: now)
            #expect(bucket.expiresAt(now) == nil)
            bucket.use(rate, at: now)
            #expect(bucket.expiresAt(now).map { $0 >= now.wall + 660_000 } ?? false)
        }
        bucket.pass(to: now + 1_200_000, slow)
        #expect(bucket.isEmpty)
    }

    @Test("counts never go below nothing, and extreme numbers stop nobody")
    func extremes() {
        var bucket = Bucket(StorageV1.Bucket())
        let now = Moment(1000)
        bucket.unreserve(rateLimit("k", 1))
        #expect(bucket.record.reserved == 0)
        bucket.refund(rateLimit("k", 1), startedAt: now, now: now)
        #expect(bucket.record.used == 0)
        for leaky in [false, true] {
            for rate in [
                rateLimit("k", 0, leaky: leaky), rateLimit("k", .max, per: .max, hits: .max, leaky: leaky),
                rateLimit("k", -1, per: -1, hits: -1, leaky: leaky), rateLimit("k", 0, per: 0, hits: 3, leaky: leaky, burst: 3),
                rateLimit("k", 1, per: .min, hits: .min, leaky: leaky, behavior: .max),
            ] {
                bucket.pass(to: now, rate)
                _ = bucket.hasRoom(rate)
                _ = bucket.dueAt(rate, now: now)
                _ = bucket.dueAt(rate, now: Moment(.max))
                bucket.reserve(rate, at: now)
                bucket.use(rate, at: now)
                bucket.pass(to: Moment(.max), rate)
                _ = bucket.drain(rate, at: now)
                #expect(bucket.record.used >= 0)
            }
        }
    }
}

@Suite(.timeLimit(.minutes(10))) struct CalendarPeriodTests {
    private static let calendar: Calendar = {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = TimeZone(secondsFromGMT: 0) ?? .gmt
        calendar.firstWeekday = 2
        return calendar
    }()

    private func component(_ period: CalendarPeriod) -> Calendar.Component {
        switch period {
        case .minute: .minute
        case .hour: .hour
        case .day: .day
        case .week: .weekOfYear
        case .month: .month
        case .year: .year
        }
    }

    /// Compares both ends of the period that a moment is in with Foundation's.
    private func check(_ period: CalendarPeriod, _ moment: Int64) {
        let date = Date(timeIntervalSince1970: Double(moment) / 1000)
        guard let expected = Self.calendar.dateInterval(of: component(period), for: date) else {
            Issue.record("no period at \(moment)")
            return
        }
        let start = Int64((expected.start.timeIntervalSince1970 * 1000).rounded())
        let end = Int64((expected.end.timeIntervalSince1970 * 1000).rounded())
        #expect(period.start(of: Timestamp(moment)).milliseconds == start, "\(period) of \(moment)")
        #expect(period.end(after: Timestamp(moment)).milliseconds == end, "\(period) of \(moment)")
    }

    @Test("periods begin and end as the calendar says, in random years from 1600 to 2400", arguments: CalendarPeriod.allCases)
    func random(period: CalendarPeriod) {
        let random = SeededRandom(seed: UInt64(period.rawValue))
        for _ in 0..<1500 { check(period, random.number(in: -11_676_096_000_000...13_569_465_599_999)) }
    }

    @Test("periods meet at their borders, also round leap days and before 1970", arguments: CalendarPeriod.allCases)
    func borders(period: CalendarPeriod) throws {
        for year in [1600, 1699, 1700, 1896, 1900, 1904, 1969, 1970, 1999, 2000, 2023, 2024, 2026, 2100, 2399] {
            for (month, day) in [(1, 1), (2, 28), (2, 29), (3, 1), (12, 31)] {
                let date = try #require(Self.calendar.date(from: DateComponents(year: year, month: month, day: day)))
                let midnight = Int64(date.timeIntervalSince1970) * 1000
                for moment in [midnight - 1, midnight, midnight + 1, midnight + 86_399_999] { check(period, moment) }
            }
        }
        for moment in [-1, 0, 1] as [Int64] { check(period, moment) }
    }

    @Test("a moment lies in its period, and the next begins where it ends", arguments: CalendarPeriod.allCases)
    func adjacent(period: CalendarPeriod) {
        var moment = Timestamp(-5_000_000_000_000)
        for _ in 0..<500 {
            let end = period.end(after: moment)
            #expect(period.start(of: moment) <= moment)
            #expect(moment < end)
            #expect(period.start(of: end) == end)
            #expect(period.end(after: end + -1) == end)
            moment = end
        }
    }
}
