import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct RateLimitTests {
    /// A bench whose leases outlast every test, with `count` jobs of one rate limit, named by number.
    private func bench(_ count: Int, _ limit: StorageV1.Limit, _ change: (inout EngineSettings) -> Void = { _ in }) async throws
        -> Bench
    {
        let bench = try await Bench.open {
            $0.leaseMilliseconds = 100_000_000_000
            change(&$0)
        }
        try await add(count, limit, to: bench)
        return bench
    }

    private func add(_ count: Int, _ limit: StorageV1.Limit, to bench: Bench, from first: Int = 100) async throws {
        for index in 0..<count { try await bench.enqueue("\(first + index)", limits: [limit]) }
    }

    // MARK: Token buckets

    @Test("14.87 14.88 14.90: as many start as a window allows, and the next when it has passed, to the millisecond")
    func window() async throws {
        let bench = try await bench(6, rate("k", 2, per: 1000))
        try await bench.succeed(bench.lease(10))
        #expect(try await bench.places("101", "102") == [.finished, .waiting])
        try await bench.pass(999)
        #expect(try await bench.lease(10).isEmpty)
        try await bench.pass(1)
        #expect(try await bench.places("102", "103", "104") == [.ready, .ready, .waiting])
        // Their window opens with the first start, not when they got ready.
        try await bench.pass(700)
        let tasks = try await bench.lease(10)
        #expect(tasks.map(\.job.id) == ["102", "103"])
        try await bench.succeed(tasks)
        try await bench.pass(999)
        #expect(try await bench.lease(10).isEmpty)
        try await bench.pass(1)
        #expect(try await bench.drain(10) == ["104", "105"])
        try await bench.finish()
    }

    @Test("with no worker for an hour no more jobs get ready than may start at once")
    func reservation() async throws {
        let bench = try await bench(20, rate("k", 3, per: 1000))
        for _ in 0..<60 { try await bench.pass(60_000) }
        #expect(try await bench.waitingCount() == 17)
        #expect(try await bench.bucket("k")?.reserved == 3)
        let tasks = try await bench.lease(20)
        #expect(tasks.count == 3)
        #expect(try await bench.bucket("k")?.used == 3)
        #expect(try await bench.bucket("k")?.reserved == 0)
        try await bench.succeed(tasks)
        try await bench.finish()
    }

    @Test("starts never exceed the limit in a window, whenever workers come", arguments: [1, 2, 3] as [UInt64], [false, true])
    func neverTooMany(seed: UInt64, isTiny: Bool) async throws {
        let random = SeededRandom(seed: seed)
        var bench = try await bench(0, rate("k", 3, per: 1000)) { if isTiny { tiny(&$0) } }
        var windows: [(opened: Timestamp, starts: Int)] = []
        for step in 0..<150 {
            if random.chance(60) { try await bench.enqueue("\(step)", limits: [rate("k", 3, per: 1000)]) }
            if random.chance(20) { _ = try await refusal { try await bench.cancel("\(random.below(step + 1))") } }
            if random.chance(10) { bench = try await bench.crash() }
            let tasks = try await bench.lease(random.below(4))
            for _ in tasks {
                if windows.last.map({ bench.now - $0.opened >= 1000 }) ?? true { windows.append((bench.now, 0)) }
                windows[windows.count - 1].starts += 1
            }
            try await bench.succeed(tasks)
            try await bench.settle(3)
            try await bench.pass(Int64(random.below(400)))
        }
        #expect(windows.map(\.starts).max() == 3)
        #expect(windows.count > 5)
        #expect(bench.violations == [])
        for _ in 0..<60 {
            try await bench.pass(1000)
            try await bench.settle(4)
            try await bench.succeed(bench.lease(10))
        }
        #expect(try await bench.waitingCount() == 0)
        try await bench.finish()
    }

    @Test("14.95: a job uses as many hits as it says; one of several goes before those of one that came later")
    func hits() async throws {
        let bench = try await bench(2, rate("k", 5, hits: 3))
        try await bench.enqueue("one", limits: [rate("k", 5)])
        #expect(try await bench.places("100", "101", "one") == [.ready, .waiting, .waiting])
        try await bench.succeed(bench.leaseOne())
        try await bench.pass(60_000)
        #expect(try await bench.drain(5) == ["101", "one"])
        try await bench.finish()
    }

    @Test("a job of no hits starts at once, though the bucket is used up")
    func noHits() async throws {
        let bench = try await bench(1, rate("k", 1))
        try await bench.succeed(bench.leaseOne())
        try await bench.enqueue("looks", limits: [rate("k", 1, hits: 0)])
        #expect(try await bench.drain(5) == ["looks"])
        try await bench.finish()
    }

    @Test("14.95: keys have buckets of their own, and so have tenants")
    func keys() async throws {
        let bench = try await bench(1, rate("k", 1))
        try await bench.enqueue("other", limits: [rate("other", 1)])
        try await bench.enqueue("100", tenant: Tenant("other"), limits: [rate("k", 1)])
        try await bench.enqueue("waits", limits: [rate("k", 1)])
        #expect(try await bench.lease(10).count == 3)
        #expect(try await bench.place("waits") == .waiting)
        try await bench.finish()
    }

    // MARK: Leaky buckets

    @Test("a leaky bucket lets a burst start at once, and then one at a time, each when it is due")
    func leaky() async throws {
        let bench = try await bench(5, rate("k", 2, per: 1000, leaky: true, burst: 3))
        try await bench.succeed(bench.lease(10))
        #expect(try await bench.places("102", "103") == [.finished, .waiting])
        for id in ["103", "104"] {
            try await bench.pass(499)
            #expect(try await bench.lease(10).isEmpty)
            try await bench.pass(1)
            let tasks = try await bench.lease(10)
            #expect(tasks.map(\.job.id) == [id])
            try await bench.succeed(tasks)
        }
        try await bench.finish()
    }

    @Test("a leaky bucket that leaks a fraction in a millisecond has room exactly when a whole hit has leaked")
    func leakyFraction() async throws {
        let bench = try await bench(3, rate("k", 3, per: 1000, leaky: true, burst: 1))
        try await bench.succeed(bench.leaseOne())
        try await bench.pass(333)
        #expect(try await bench.lease(10).isEmpty)
        try await bench.pass(1)
        let second = try await bench.lease(10)
        #expect(second.map(\.job.id) == ["101"])
        try await bench.succeed(second)
        try await bench.finish()
    }

    @Test("without a burst a leaky bucket has room for its limit")
    func noBurst() async throws {
        let bench = try await bench(4, rate("k", 2, per: 1000, leaky: true))
        let tasks = try await bench.lease(10)
        #expect(tasks.count == 2)
        try await bench.succeed(tasks)
        try await bench.pass(500)
        #expect(try await bench.drain(10) == ["102"])
        try await bench.finish()
    }

    @Test("with no worker a leaky bucket promises no more than it has room for")
    func leakyReservation() async throws {
        let bench = try await bench(9, rate("k", 2, per: 1000, leaky: true, burst: 4))
        for _ in 0..<10 { try await bench.pass(100_000) }
        #expect(try await bench.waitingCount() == 5)
        #expect(try await bench.lease(20).count == 4)
        try await bench.finish()
    }

    // MARK: Behaviour

    @Test("a job that resets the bucket starts at once though it is used up, and leaves the rest to others")
    func reset() async throws {
        let bench = try await bench(2, rate("k", 2))
        try await bench.succeed(bench.lease(10))
        try await bench.enqueue("reset", limits: [rate("k", 2, behavior: RateBehavior.resetRemaining)])
        try await add(2, rate("k", 2), to: bench, from: 102)
        #expect(try await bench.places("reset", "102", "103") == [.ready, .ready, .waiting])
        try await bench.succeed(bench.lease(10))
        try await bench.pass(60_000)
        #expect(try await bench.drain(10) == ["103"])
        try await bench.finish()
    }

    @Test("a refused job that drains the bucket leaves nothing in it for smaller ones")
    func drain() async throws {
        let bench = try await bench(1, rate("k", 5, hits: 3))
        try await bench.succeed(bench.leaseOne())
        try await bench.enqueue("drains", limits: [rate("k", 5, hits: 3, behavior: RateBehavior.drainOverLimit)])
        #expect(try await bench.bucket("k")?.used == 5)
        try await bench.cancel("drains")
        try await bench.enqueue("one", limits: [rate("k", 5)])
        #expect(try await bench.place("one") == .waiting)
        try await bench.pass(60_000)
        #expect(try await bench.drain(5) == ["one"])
        try await bench.finish()
    }

    @Test("draining takes from a leaky bucket what has leaked since it was used last, too")
    func drainLeaky() async throws {
        let bench = try await bench(1, rate("k", 10, per: 10_000, hits: 9, leaky: true))
        try await bench.succeed(bench.leaseOne())
        try await bench.pass(3000)
        let drains = rate("k", 10, per: 10_000, hits: 5, leaky: true, behavior: RateBehavior.drainOverLimit)
        try await bench.enqueue("drains", limits: [drains])
        try await bench.cancel("drains")
        try await bench.enqueue("one", limits: [rate("k", 10, per: 10_000, leaky: true)])
        #expect(try await bench.place("one") == .waiting)
        try await bench.shard.close()
    }

    @Test("a job with a bound on its retries drains the bucket as well")
    func drainAndRetry() async throws {
        let bench = try await bench(1, rate("k", 5, hits: 3))
        try await bench.succeed(bench.leaseOne())
        try await bench.enqueue("drains", limits: [rate("k", 5, hits: 3, behavior: RateBehavior.drainOverLimit, retries: 2)])
        try await bench.enqueue("one", limits: [rate("k", 5)])
        #expect(try await bench.place("one") == .waiting)
        try await bench.shard.close()
    }

    @Test("a calendar window ends with its period, whenever in it the first job started", arguments: CalendarPeriod.allCases)
    func calendar(period: CalendarPeriod) async throws {
        let limit = rate("k", 1, per: period.rawValue, behavior: RateBehavior.calendar)
        let bench = try await bench(2, limit)
        try await bench.succeed(bench.leaseOne())
        let left = period.end(after: bench.now) - bench.now
        #expect(left > 0)
        try await bench.pass(left - 1)
        #expect(try await bench.place("101") == .waiting)
        try await bench.pass(1)
        #expect(try await bench.drain(5) == ["101"])
        try await bench.finish()
    }

    // MARK: Jobs with a bound on their retries

    @Test("14.92: a job that is refused comes back after its backoff, which doubles, up to its bound")
    func backoff() async throws {
        let bench = try await bench(1, rate("k", 1, per: 3_600_000))
        try await bench.succeed(bench.leaseOne())
        try await bench.enqueue("r", limits: [rate("k", 1, per: 3_600_000, retries: 9, backoff: 1000, maxBackoff: 5000)])
        for wait: Int64 in [1000, 2000, 4000, 5000, 5000] {
            let due = try #require(try await bench.nextStart("r"))
            #expect(due - bench.now == wait)
            #expect(try await bench.place("r") == .timer)
            try await bench.pass(wait)
        }
        try await bench.cancel("r")
        try await bench.finish()
    }

    @Test("a job comes back when the bucket has room, if that is sooner than its longest backoff")
    func backAtReset() async throws {
        let bench = try await bench(1, rate("k", 1, per: 20_000))
        try await bench.succeed(bench.leaseOne())
        try await bench.pass(5000)
        try await bench.enqueue("r", limits: [rate("k", 1, per: 20_000, retries: 1, backoff: 100, maxBackoff: 15_001)])
        try await bench.enqueue("s", limits: [rate("k", 1, per: 20_000, retries: 1, backoff: 100, maxBackoff: 15_000)])
        #expect(try await bench.nextStart("r") == bench.now + 15_000)
        #expect(try await bench.nextStart("s") == bench.now + 100)
        try await bench.pass(100)
        #expect(try await bench.state("s") == .failed)
        try await bench.pass(14_899)
        #expect(try await bench.place("r") == .timer)
        try await bench.pass(1)
        #expect(try await bench.drain(5) == ["r"])
        try await bench.finish()
    }

    @Test("14.93: a job that was refused once more than it would retry fails with RATE_LIMITED", arguments: [0, 100])
    func exhausted(backoff: Int64) async throws {
        let bench = try await bench(1, rate("k", 1, per: 3_600_000))
        try await bench.succeed(bench.leaseOne())
        let limit = rate("k", 1, per: 3_600_000, retries: 3, backoff: backoff, maxBackoff: 100)
        try await bench.enqueue("r", retries: 5, limits: [slots("x", 1), limit])
        for _ in 0..<2 { try await bench.pass(100) }
        if backoff > 0 { #expect(try await bench.state("r") == .scheduled) }
        try await bench.pass(100)
        try await bench.settle()
        #expect(try await bench.state("r") == .failed)
        let attempts = try await bench.attempts("r")
        #expect(attempts.map(\.errorCode) == ["RATE_LIMITED"])
        #expect(try await bench.held("x") == nil)
        // It may be restarted, and is asked anew as often.
        try await bench.restart("r")
        for _ in 0..<2 { try await bench.pass(100) }
        if backoff > 0 { #expect(try await bench.state("r") == .scheduled) }
        try await bench.pass(100)
        try await bench.settle()
        #expect(try await bench.attempts("r").map(\.errorCode) == ["RATE_LIMITED", "RATE_LIMITED"])
        try await bench.finish()
    }

    @Test("while a job comes back on its own timer it holds no slot")
    func putOffHoldsNothing() async throws {
        let bench = try await bench(1, rate("k", 1))
        try await bench.succeed(bench.leaseOne())
        try await bench.enqueue("r", limits: [slots("x", 1), rate("k", 1, retries: 9)])
        #expect(try await bench.place("r") == .timer)
        #expect(try await bench.held("x") == nil)
        try await bench.enqueue("s", limits: [slots("x", 1)])
        #expect(try await bench.place("s") == .ready)
        try await bench.cancel("r")
        try await bench.finish()
    }

    @Test("14.91: a job that was refused and then let in counts its refusals from nothing at its next attempt")
    func countsAnew() async throws {
        let bench = try await bench(1, rate("k", 1, per: 1000))
        try await bench.succeed(bench.leaseOne())
        try await bench.enqueue("r", retries: 1, limits: [rate("k", 1, per: 1000, retries: 1, backoff: 1, maxBackoff: 2000)])
        try await bench.pass(1000)
        try await bench.fail(bench.leaseOne())
        try await bench.pass(2000)
        // The second attempt may be refused once, like the first.
        let task = try await bench.leaseOne()
        #expect(task.attempt == 2)
        try await bench.succeed(task)
        try await bench.finish()
    }

    @Test("jobs put off again and again through small windows each come back once")
    func putOffPaged() async throws {
        let bench = try await Bench.open { settings in
            settings.windowMax = 1
            settings.pageRows = 1
        }
        try await bench.enqueue("first", limits: [rate("k", 10, per: 3_600_000, hits: 10)])
        try await bench.succeed(bench.leaseOne())
        try await bench.enqueue("crashes", retries: 1)
        _ = try await bench.leaseOne()
        let ids = ["p1", "p2", "p3", "p4"]
        for id in ids { try await bench.enqueue(id, limits: [rate("k", 10, per: 3_600_000, retries: 9, backoff: 10_000)]) }
        // A lease expires, whose retry is written in the batch that puts the others off again.
        try await bench.pass(10_000)
        #expect(bench.violations == [])
        try await bench.enqueue("reset", limits: [rate("k", 10, per: 3_600_000, hits: 0, behavior: RateBehavior.resetRemaining)])
        try await bench.pass(20_000)
        #expect(bench.violations == [])
        #expect(try await bench.drain(10).sorted() == ["crashes"] + ids + ["reset"])
        try await bench.finish()
    }

    // MARK: With slots

    @Test("14.87 14.89 14.34: slots and rate limits in any order are taken together or not at all", arguments: [false, true])
    func withSlots(rateFirst: Bool) async throws {
        let bench = try await Bench.open { $0.leaseMilliseconds = 1_000_000 }
        let limits = rateFirst ? [rate("k", 1), slots("x", 1), slots("y", 1)] : [slots("x", 1), slots("y", 1), rate("k", 1)]
        for id in ["a", "b"] { try await bench.enqueue(id, limits: limits) }
        #expect(try await bench.places("a", "b") == [.ready, .waiting])
        let a = try await bench.leaseOne()
        try await bench.pass(60_000)
        #expect(try await bench.place("b") == .waiting)
        #expect(try await bench.bucket("k")?.reserved ?? 0 == 0, "its hits are not promised while it has no slot")
        try await bench.succeed(a)
        #expect(try await bench.place("b") == .ready)
        let b = try await bench.leaseOne()
        try await bench.enqueue("c", limits: limits)
        try await bench.succeed(b)
        #expect(try await bench.place("c") == .waiting)
        #expect(try await bench.held("x") == nil, "it waits for the rate limit and holds no slot")
        try await bench.pass(60_000)
        #expect(try await bench.drain(5) == ["c"])
        try await bench.finish()
    }

    @Test("two rate limits are promised together: the tighter one decides")
    func two() async throws {
        let bench = try await Bench.open()
        for index in 0..<4 { try await bench.enqueue("\(index)", limits: [rate("a", 3, per: 1000), rate("b", 1, per: 5000)]) }
        #expect(try await bench.bucket("a")?.reserved == 1)
        let first = try await bench.lease(5)
        #expect(first.count == 1)
        #expect(try await bench.bucket("a")?.used == 1)
        try await bench.succeed(first)
        try await bench.pass(4999)
        #expect(try await bench.lease(5).isEmpty)
        try await bench.pass(1)
        #expect(try await bench.lease(5).count == 1)
        try await bench.finish()
    }

    // MARK: Promises given up

    @Test("14.94 L28: a ready job that is cancelled gives its promised hits to the next, at once")
    func cancelReady() async throws {
        let bench = try await bench(3, rate("k", 1))
        #expect(try await bench.places("100", "101") == [.ready, .waiting])
        try await bench.cancel("100")
        #expect(try await bench.places("101", "102") == [.ready, .waiting])
        try await bench.cancel("101")
        try await bench.cancel("102")
        #expect(try await bench.bucket("k") == nil)
        try await bench.finish()
    }

    @Test("a cancelled job that has started has used its hits")
    func cancelRunning() async throws {
        let bench = try await bench(2, rate("k", 1))
        let task = try await bench.leaseOne()
        try await bench.cancel("100")
        try await bench.report(task, .cancelled)
        #expect(try await bench.place("101") == .waiting)
        try await bench.cancel("101")
        try await bench.finish()
    }

    @Test("leasing one job by name gives up its promised hits and uses none")
    func leaseByName() async throws {
        let bench = try await bench(2, rate("k", 1))
        try await bench.leaseJob("100")
        #expect(try await bench.place("101") == .ready)
        #expect(try await bench.bucket("k")?.used == 0)
        try await bench.finish()
    }

    @Test("a task given back has its hits promised again, and starts without using more")
    func givenBack() async throws {
        let bench = try await bench(3, rate("k", 2))
        let tasks = try await bench.lease(10)
        try await bench.giveBack(tasks)
        #expect(try await bench.bucket("k")?.used == 0)
        #expect(try await bench.bucket("k")?.reserved == 2)
        #expect(try await bench.place("102") == .waiting)
        #expect(try await bench.lease(10).map(\.job.id) == ["100", "101"])
        #expect(try await bench.bucket("k")?.used == 2)
        try await bench.finish()
    }

    @Test("a task given back after its window has passed takes its start from no later window", arguments: [false, true])
    func givenBackLate(leaky: Bool) async throws {
        let limit = leaky ? rate("k", 2, per: 2000, leaky: true) : rate("k", 2, per: 2000)
        let bench = try await bench(6, limit)
        let first = try await bench.lease(10)
        #expect(first.count == 2)
        try await bench.pass(2000)
        let second = try await bench.lease(10)
        #expect(second.count == 2)
        try await bench.giveBack(first)
        // Two have started in this window.
        #expect(try await bench.lease(10).isEmpty)
        try await bench.shard.close()
    }

    @Test("a task with a bound on its retries that is given back is not refused for it: it comes before those who wait")
    func givenBackBeforeOthers() async throws {
        let bench = try await bench(1, rate("k", 1, per: 3_600_000, retries: 1))
        let task = try await bench.leaseOne()
        try await bench.enqueue("waits", limits: [rate("k", 1, per: 3_600_000)])
        try await bench.giveBack([task])
        let places = try await bench.places("100", "waits")
        for _ in 0..<3 { try await bench.pass(10_000) }
        let state = try await bench.state("100")
        #expect(places == [.ready, .waiting])
        #expect(state == .scheduled)
        try await bench.shard.close()
    }

    @Test("a task given back whose bucket is used up comes back as soon as its policy says, and is not counted as refused")
    func givenBackWithoutRoom() async throws {
        let limit = rate("k", 1, per: 3_600_000, retries: 1, backoff: 0, maxBackoff: 1000)
        let bench = try await bench(1, limit)
        let task = try await bench.leaseOne()
        for _ in 0..<360 {
            try await bench.pass(10_000)
            _ = try? await bench.heartbeat(task)
        }
        try await bench.enqueue("other", limits: [limit])
        _ = try await bench.lease(5)
        try await bench.giveBack([task])
        let stored = try #require(try await bench.job("100"))
        #expect(stored.state == .scheduled)
        #expect(stored.nextStart(at: bench.clock.moment) == bench.now + 100)
        try await bench.pass(99)
        #expect(try await bench.state("100") == .scheduled)
        try await bench.shard.close()
    }

    @Test("a job that would come back at once leaves time to others when it was refused very often")
    func hasty() async throws {
        let bench = try await bench(1, rate("k", 1, per: 3_600_000))
        try await bench.enqueue("hasty", limits: [rate("k", 1, per: 3_600_000, retries: 12, backoff: 0, maxBackoff: 0)])
        try await bench.settle(20)
        #expect(try await bench.nextStart("hasty") == bench.now + 100)
        try await bench.pass(100)
        #expect(try await bench.nextStart("hasty") == bench.now + 100)
        try await bench.pass(100)
        #expect(try await bench.attempts("hasty").map(\.errorCode) == ["RATE_LIMITED"])
        try await bench.finish()
    }

    @Test("a task given back in a later calendar period takes nothing from that period")
    func givenBackCalendar() async throws {
        let bench = try await bench(3, rate("k", 1, per: CalendarPeriod.hour.rawValue, behavior: RateBehavior.calendar))
        let first = try await bench.lease(5)
        try await bench.pass(CalendarPeriod.hour.end(after: bench.now) - bench.now)
        let second = try await bench.lease(5)
        #expect((first + second).map(\.job.id) == ["100", "101"])
        try await bench.giveBack(first)
        #expect(try await bench.lease(5).isEmpty)
        try await bench.giveBack(second)
        #expect(try await bench.lease(5).map(\.job.id) == ["100"])
        #expect(try await bench.place("101") == .waiting)
        try await bench.finish()
    }

    @Test("L5: each retry uses hits anew, and waits for them")
    func retry() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", retries: 1, limits: [rate("k", 1, per: 5000)])
        try await bench.fail(bench.leaseOne())
        try await bench.pass(2000)
        #expect(try await bench.place("a") == .waiting)
        try await bench.pass(2999)
        #expect(try await bench.lease(1).isEmpty)
        try await bench.pass(1)
        #expect(try await bench.leaseOne().attempt == 2)
        try await bench.finish()
    }

    @Test("restart and expedite obey rate limits")
    func restartAndExpedite() async throws {
        let bench = try await bench(1, rate("k", 1))
        try await bench.enqueue("later", after: 600_000, limits: [rate("k", 1)])
        try await bench.enqueue("again", limits: [rate("k", 1)])
        try await bench.cancel("again")
        try await bench.succeed(bench.leaseOne())
        try await bench.expedite("later")
        try await bench.restart("again")
        #expect(try await bench.places("later", "again") == [.waiting, .waiting])
        try await bench.pass(60_000)
        #expect(try await bench.lease(5).count == 1)
        try await bench.cancel("later")
        _ = try await refusal { try await bench.cancel("again") }
        try await bench.finish()
    }

    @Test("a job put off by a rate limit may be expedited, and is asked again at once")
    func expeditePutOff() async throws {
        let bench = try await bench(1, rate("k", 1))
        try await bench.enqueue("r", limits: [rate("k", 1, retries: 3, backoff: 20_000)])
        #expect(try await bench.place("r") == .timer)
        try await bench.cancel("100")
        try await bench.expedite("r")
        #expect(try await bench.drain(5) == ["r"])
        try await bench.finish()
    }

    // MARK: Crashes and faults

    @Test("promises, used hits and due times survive a crash at any point", arguments: [false, true])
    func crash(isTiny: Bool) async throws {
        var bench = try await bench(5, rate("k", 2, per: 1000)) { if isTiny { tiny(&$0) } }
        bench = try await bench.crash()
        #expect(try await bench.places("100", "101", "102") == [.ready, .ready, .waiting])
        let tasks = try await bench.lease(10)
        #expect(tasks.count == 2)
        try await bench.succeed(tasks)
        bench = try await bench.crash()
        try await bench.settle()
        #expect(try await bench.lease(10).isEmpty)
        try await bench.pass(999)
        bench = try await bench.crash()
        try await bench.settle()
        #expect(try await bench.lease(10).isEmpty)
        try await bench.pass(1)
        try await bench.settle()
        #expect(try await bench.drain(10) == ["102", "103"])
        try await bench.finish()
    }

    @Test("a crash while a job waits for its backoff keeps its due time and its count of refusals")
    func crashPutOff() async throws {
        var bench = try await bench(1, rate("k", 1, per: 3_600_000))
        try await bench.succeed(bench.leaseOne())
        try await bench.enqueue("r", limits: [rate("k", 1, per: 3_600_000, retries: 2, backoff: 1000)])
        for wait: Int64 in [1000, 2000] {
            bench = try await bench.crash()
            try await bench.pass(wait - 1)
            #expect(try await bench.place("r") == .timer)
            #expect(try await bench.nextStart("r") == bench.now + 1)
            try await bench.pass(1)
        }
        #expect(try await bench.state("r") == .failed)
        try await bench.finish()
    }

    @Test("wherever the store fails, no hit is promised twice and none is lost")
    func storeFails() async throws {
        for calls in 0..<10 {
            var bench = try await bench(4, rate("k", 2, per: 1000))
            bench.store.set { $0.callsLeft = calls }
            _ = try await refusal { _ = try await bench.lease(1) }
            _ = try await refusal { try await bench.cancel("101") }
            bench = try await bench.crash()
            #expect(bench.violations == [], "after \(calls) calls")
            _ = try await bench.lease(10)
            #expect(bench.shard.counts.leases == 2, "after \(calls) calls")
            #expect(bench.violations == [], "after \(calls) calls")
            try await bench.pass(1000)
            _ = try await bench.lease(10)
            #expect(bench.shard.counts.leases == (try await bench.state("101") == .cancelled ? 3 : 4), "after \(calls) calls")
            try await bench.shard.close()
        }
    }

    @Test("a job too large to be copied into its task uses hits and gives them up as a small one does")
    func large() async throws {
        let bench = try await Bench.open()
        let payload = Bytes(repeating: 1, count: 10_000)
        for id in ["a", "b", "c"] { try await bench.enqueue(id, payload: payload, limits: [rate("k", 1, per: 1000)]) }
        try await bench.cancel("a")
        let b = try await bench.leaseOne()
        #expect(b.job.payload == payload)
        try await bench.giveBack([b])
        #expect(try await bench.drain(5) == ["b"])
        try await bench.pass(1000)
        #expect(try await bench.drain(5) == ["c"])
        try await bench.shard.close()
    }

    @Test("of the jobs of one call those that come first go first, though a later one would find room")
    func oneCall() async throws {
        let bench = try await bench(1, rate("k", 3, hits: 2))
        let jobs = [newJob("200", limits: [rate("k", 3, hits: 2)]), newJob("201", limits: [rate("k", 3)])]
        _ = try await bench.shard.run(Each(jobs))
        #expect(try await bench.places("100", "200", "201") == [.ready, .waiting, .waiting])
        try await bench.finish()
    }

    @Test("a batch that is refused promises nothing and drains nothing")
    func refusedBatch() async throws {
        let bench = try await bench(2, rate("k", 4, hits: 2))
        try await bench.succeed(bench.leaseOne())
        let rows = bench.memory.rows
        let drains = rate("k", 4, hits: 3, behavior: RateBehavior.drainOverLimit)
        let jobs = [newJob("a", limits: [rate("new", 1)]), newJob("b", limits: [drains]), newJob("101", limits: [])]
        #expect(try await refusal { _ = try await bench.shard.run(EnqueueAll(jobs)) } != nil)
        #expect(bench.memory.rows == rows)
        try await bench.cancel("101")
        try await bench.enqueue("two", limits: [rate("k", 4, hits: 2)])
        #expect(try await bench.place("two") == .ready)
        try await bench.finish()
    }
}
