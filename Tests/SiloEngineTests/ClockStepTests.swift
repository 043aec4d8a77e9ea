import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

/// The wall clock is set while a shard is served: lengths of time take as long as they should, dates come when the clock shows
/// them.
@Suite(.timeLimit(.minutes(10))) struct ClockStepTests {
    private static let steps: [Int64] = [3_600_000, -3_600_000]

    @Test("a job due in a second is due when the clock shows that second", arguments: steps)
    func date(step: Int64) async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", after: 1000)
        let date = bench.now + 1000
        bench.clock.step(milliseconds: step)
        if step > 0 {
            try await bench.poke()
        } else {
            try await bench.pass(3_600_999)
            #expect(try await bench.drain(1) == [])
            #expect(try await bench.nextStart("a") == date)
            try await bench.pass(1)
        }
        #expect(try await bench.drain(1) == ["a"])
        try await bench.finish()
    }

    @Test("the loop finds out by itself that the clock was set to a date, and past it", arguments: [1000, 3_600_000] as [Int64])
    func wakes(step: Int64) async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", after: 600_000)
        let waiting = Task { try await bench.lease(1, wait: 60_000) }
        try await bench.until("the loop sleeps") { bench.clock.sleepers.contains(bench.clock.steady + 1000) }
        bench.clock.step(milliseconds: 599_000 + step)
        bench.clock.advance(milliseconds: 1000)
        #expect(try await waiting.value.map(\.job.id) == ["a"])
        try await bench.finish()
    }

    @Test("a clock that was set forwards and back before anybody looked does no harm: the loop wakes for the date")
    func thereAndBack() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", after: 2000)
        let waiting = Task { try await bench.lease(1, wait: 60_000) }
        for _ in 0..<3 {
            try await bench.until("the loop sleeps") { !bench.clock.sleepers.isEmpty }
            bench.clock.step(milliseconds: 1500)
            bench.clock.advance(milliseconds: 100)
            bench.clock.step(milliseconds: -1500)
        }
        for _ in 0..<3 {
            try await bench.until("the loop sleeps") { !bench.clock.sleepers.isEmpty }
            bench.clock.advance(milliseconds: 1000)
        }
        #expect(try await waiting.value.map(\.job.id) == ["a"])
        try await bench.finish()
    }

    @Test("leases end after ten seconds, and are renewed by heartbeats", arguments: steps)
    func leases(step: Int64) async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id) }
        let tasks = try await bench.lease(2)
        try await bench.pass(5000)
        bench.clock.step(milliseconds: step)
        try await bench.poke()
        try await bench.heartbeat(tasks[1])
        try await bench.pass(4999)
        #expect(try await bench.state("a") == .running)
        try await bench.pass(1)
        #expect(try await bench.state("a") == .failed)
        try await bench.pass(4999)
        #expect(try await bench.state("b") == .running)
        try await bench.pass(1)
        #expect(try await bench.state("b") == .failed)
        try await bench.finish()
    }

    @Test("a worker waits for as long as it asked to", arguments: steps)
    func waits(step: Int64) async throws {
        let bench = try await Bench.open()
        let waiting = Task { try await bench.lease(1, wait: 5000) }
        try await bench.until("it waits") { bench.shard.counts.waitingWorkers == 1 }
        bench.clock.step(milliseconds: step)
        try await bench.pass(4999)
        #expect(bench.shard.counts.waitingWorkers == 1)
        try await bench.pass(1)
        #expect(try await waiting.value.isEmpty)
        try await bench.finish()
    }

    @Test("a retry comes after its backoff, and when it comes is told by the clock as it is", arguments: steps)
    func retries(step: Int64) async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", retries: 1)
        try await bench.fail(bench.leaseOne())
        try await bench.pass(500)
        bench.clock.step(milliseconds: step)
        try await bench.poke()
        #expect(try await bench.nextStart("a") == bench.now + 1500)
        try await bench.pass(1499)
        #expect(try await bench.drain(1) == [])
        #expect(bench.violations == [])
        try await bench.pass(1)
        #expect(try await bench.drain(1) == ["a"])
        try await bench.finish()
    }

    @Test("a retry can be expedited and cancelled after the clock was set", arguments: steps)
    func movedRetries(step: Int64) async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, retries: 1) }
        for task in try await bench.lease(2) { try await bench.fail(task) }
        bench.clock.step(milliseconds: step)
        try await bench.expedite("a")
        try await bench.cancel("b")
        #expect(try await bench.nextStart("b") == bench.now + 2000)
        #expect(try await bench.drain(2) == ["a"])
        try await bench.finish()
    }

    @Test(
        "windows of rate limits last as long as they should, with jobs that wait and with jobs that are put off",
        arguments: steps, [false, true])
    func windows(step: Int64, leaky: Bool) async throws {
        let bench = try await Bench.open()
        let limit = rate("k", 1, leaky: leaky)
        let hasty = rate("k", 1, leaky: leaky, retries: 9, backoff: 45_000, maxBackoff: 45_000)
        try await bench.enqueue("uses", limits: [limit])
        try await bench.succeed(bench.lease(1))
        try await bench.enqueue("waits", limits: [limit])
        try await bench.enqueue("asks", limits: [hasty])
        #expect(try await bench.places("waits", "asks") == [.waiting, .timer])
        try await bench.pass(20_000)
        bench.clock.step(milliseconds: step)
        try await bench.pass(24_999)
        #expect(try await bench.job("asks")?.status?.dueMs == (bench.clock.steady + 1).milliseconds)
        try await bench.pass(1)
        #expect(try await bench.job("asks")?.status?.dueMs != bench.clock.steady.milliseconds, "it asked in vain")
        try await bench.pass(14_999)
        #expect(try await bench.drain(5) == [])
        try await bench.pass(1)
        #expect(try await bench.drain(5) == ["waits"])
        #expect(bench.violations == [])
        try await bench.shard.close()
    }

    @Test("a window that is refunded after the clock was set gives back what counts in it", arguments: steps)
    func refunds(step: Int64) async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c"] { try await bench.enqueue(id, limits: [rate("k", 2)]) }
        let tasks = try await bench.lease(5)
        bench.clock.step(milliseconds: step)
        try await bench.pass(1000)
        try await bench.giveBack([tasks[1]])
        #expect(try await bench.drain(5) == ["b"])
        #expect(try await bench.place("c") == .waiting)
        try await bench.shard.close()
    }

    @Test("a calendar window ends when the calendar says so; one whose clock was set back counts in the period that runs")
    func calendar() async throws {
        let minute = CalendarPeriod.minute
        let bench = try await Bench.open(at: minute.start(of: Timestamp(1_700_000_000_000)) + 10_000)
        let limit = rate("k", 1, per: minute.rawValue, behavior: RateBehavior.calendar)
        for id in ["a", "b", "c", "d"] { try await bench.enqueue(id, limits: [limit]) }
        #expect(try await bench.drain(5) == ["a"])
        // Forwards: a new period, at once.
        bench.clock.step(milliseconds: 3_600_000)
        try await bench.poke()
        #expect(try await bench.drain(5) == ["b"])
        // Back into a period of which nothing is known: what was used counts in it. It is found out after 50 s, and lasts 40
        // more.
        try await bench.pass(10_000)
        bench.clock.step(milliseconds: -7_200_000 + 20_000)
        try await bench.pass(39_999)
        #expect(try await bench.drain(5) == [])
        try await bench.pass(1)
        #expect(try await bench.drain(5) == [])
        try await bench.pass(40_000)
        #expect(try await bench.drain(5) == ["c"])
        try await bench.pass(60_000)
        #expect(try await bench.drain(5) == ["d"])
        try await bench.finish()
    }

    @Test("floating limits are refreshed in their interval, and their refreshes' leases end in time", arguments: steps)
    func refreshes(step: Int64) async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c"] { try await bench.enqueue(id, limits: [floating("f", 1, every: 5000)]) }
        let first = try await bench.leased(5)
        try await bench.report(first.refreshes[0], .success(newMax: 1))
        let refreshedAt = bench.now
        bench.clock.step(milliseconds: step)
        try await bench.pass(4999)
        #expect(try await bench.leased(5).refreshes.isEmpty)
        try await bench.heartbeat(first.tasks[0])
        try await bench.pass(1)
        let second = try await bench.leased(5)
        #expect(second.refreshes.count == 1)
        #expect(second.refreshes.first?.lastRefreshedAt == refreshedAt, "a date, as the clock showed it then")
        // Its worker dies.
        bench.clock.step(milliseconds: -step)
        try await bench.pass(9999)
        #expect(try await bench.leased(5).refreshes.isEmpty)
        try await bench.pass(1)
        #expect(try await bench.leased(5).refreshes.count == 1)
        try await bench.shard.close()
    }

    @Test("a failed refresh is asked for again after its backoff", arguments: steps)
    func failedRefreshes(step: Int64) async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [floating("f", 1)]) }
        try await bench.report(try #require(bench.leased(5).refreshes.first), .failure)
        bench.clock.step(milliseconds: step)
        try await bench.pass(999)
        #expect(try await bench.leased(5).refreshes.isEmpty)
        try await bench.pass(1)
        #expect(try await bench.leased(5).refreshes.count == 1)
        try await bench.shard.close()
    }

    @Test("a shard that is opened again after its clock was set goes on with what was left", arguments: steps)
    func reopened(step: Int64) async throws {
        var bench = try await Bench.open()
        try await bench.enqueue("retry", retries: 1)
        try await bench.fail(bench.leaseOne())
        for id in ["uses", "waits"] { try await bench.enqueue(id, limits: [rate("k", 1, per: 2000)]) }
        try await bench.succeed(bench.lease(1))
        bench.clock.step(milliseconds: step)
        try await bench.pass(500)
        bench = try await bench.crash()
        try await bench.settle()
        try await bench.pass(1499)
        #expect(try await bench.drain(5) == [])
        try await bench.pass(1)
        #expect(Set(try await bench.drain(5)) == ["retry", "waits"])
        try await bench.finish()
    }

    @Test("a step costs one row, however many jobs wait")
    func cost() async throws {
        let bench = try await Bench.open()
        let policy = policy(1, initial: 1_000_000)
        _ = try await bench.shard.run(Each((0..<500).map {
            Enqueue(tenant: Bench.tenant, id: JobID("retry \($0)"), retryPolicy: policy, taskGroup: "g")
        }))
        for task in try await bench.lease(500) { try await bench.fail(task) }
        for index in 0..<500 { try await bench.enqueue("date \(index)", after: 10_000_000) }
        try await bench.poke()
        let before = bench.memory.rows
        bench.clock.step(milliseconds: 3_600_000)
        try await bench.settle()
        let changed = zip(before, bench.memory.rows).filter { $0 != $1 }
        #expect(changed.map(\.0.key) == [ShardKeys.info])
        #expect(bench.memory.rows.count == before.count)
        try await bench.finish()
    }
}
