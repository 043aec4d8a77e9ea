import SiloCore
import SiloStore
import SiloTesting
import Synchronization
import Testing

@testable import SiloEngine

/// A shard goes on on a machine whose clock is an hour behind that of the one before.
@Suite(.timeLimit(.minutes(10))) struct ClockTests {
    private static let hour: Int64 = 3_600_000
    private static let start = Timestamp(1_700_000_000_000)

    private func ahead(lease: Int64 = 10_000) async throws -> Bench {
        try await Bench.open(at: Self.start + Self.hour) { $0.leaseMilliseconds = lease }
    }
    private func moved(_ bench: Bench) async throws -> Bench { try await bench.crash(at: Self.start) }

    @Test("a lease ends ten seconds after the shard was opened, and so does one of a refresh")
    func leases() async throws {
        var bench = try await ahead()
        for id in ["a", "b", "c"] { try await bench.enqueue(id, retries: 1, limits: [floating("f", 1)]) }
        let leased = try await bench.leased(5)
        #expect(leased.tasks.count == 1 && leased.refreshes.count == 1)
        bench = try await moved(bench)
        try await bench.pass(9999)
        #expect(try await bench.state("a") == .running)
        #expect(try await bench.leased(5).isEmpty)
        try await bench.pass(1)
        #expect(try await bench.state("a") == .scheduled)
        let again = try await bench.leased(5)
        #expect(again.tasks.map(\.job.id) == ["b"] && again.refreshes.count == 1)
        try await bench.finish()
    }

    @Test(
        "a bucket that is used up has room again after its own time, not an hour later",
        arguments: ["token", "leaky", "calendar"])
    func buckets(kind: String) async throws {
        let limit = switch kind {
        case "token": rate("k", 1)
        case "leaky": rate("k", 1, leaky: true)
        default: rate("k", 1, per: CalendarPeriod.minute.rawValue, behavior: RateBehavior.calendar)
        }
        var bench = try await ahead()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [limit]) }
        try await bench.succeed(bench.lease(5))
        #expect(try await bench.places("a", "b") == [.finished, .waiting])
        bench = try await moved(bench)
        try await bench.enqueue("c", limits: [limit])
        #expect(try await bench.lease(5).isEmpty)
        try await bench.pass(60_000)
        // "c" came later but has the earlier start, by the clock that counts now.
        #expect(try await bench.drain(5) == ["c"])
        try await bench.pass(60_000)
        #expect(try await bench.drain(5) == ["b"])
        try await bench.finish()
    }

    @Test("a floating limit is refreshed in its interval, and after its backoff when that failed", arguments: [false, true])
    func refreshes(fails: Bool) async throws {
        var bench = try await ahead()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [floating("f", 1, every: 5000)]) }
        let leased = try await bench.leased(5)
        try await bench.succeed(leased.tasks)
        _ = try await bench.drain(5)
        try await bench.report(leased.refreshes[0], fails ? .failure : .success(newMax: 1))
        bench = try await moved(bench)
        for id in ["c", "d"] { try await bench.enqueue(id, limits: [floating("f", 1, every: 5000)]) }
        try await bench.pass(fails ? 999 : 4999)
        #expect(try await bench.leased(5).refreshes.isEmpty)
        try await bench.pass(1)
        #expect(try await bench.leased(5).refreshes.count == 1)
        try await bench.shard.close()
    }

    @Test("a refresh that waits for its time does not wait an hour")
    func plannedRefreshes() async throws {
        var bench = try await ahead(lease: 1_000_000)
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [floating("f", 1)]) }
        try await bench.report(try #require(bench.leased(5).refreshes.first), .failure)
        bench = try await moved(bench)
        try await bench.settle()
        try await bench.pass(999)
        #expect(try await bench.leased(5).refreshes.isEmpty)
        try await bench.pass(1)
        #expect(try await bench.leased(5).refreshes.count == 1)
        try await bench.shard.close()
    }

    @Test("a refresh that waits for a worker is to be had at once")
    func offeredRefreshes() async throws {
        var bench = try await ahead(lease: 1_000_000)
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [floating("f", 1)]) }
        bench = try await moved(bench)
        try await bench.settle()
        #expect(try await bench.leased(5).refreshes.count == 1)
        try await bench.shard.close()
    }

    @Test(
        "a retry in backoff comes after its own wait, and so does one on a machine whose clock is ahead, at the latest",
        arguments: [-1, 0, 1] as [Int64])
    func retries(hours: Int64) async throws {
        var bench = try await Bench.open()
        try await bench.enqueue("a", retries: 1)
        try await bench.fail(bench.leaseOne())
        try await bench.pass(500)
        try await bench.enqueue("later", after: 60_000)
        bench = try await bench.crash(at: bench.now + hours * Self.hour)
        try await bench.poke()
        if hours <= 0 {
            // How long it was under way before the crash is not known where the clock shows less.
            let left: Int64 = hours == 0 ? 1500 : 2000
            #expect(try await bench.nextStart("a") == bench.now + left)
            try await bench.pass(left - 1)
            #expect(try await bench.drain(1) == [])
            try await bench.pass(1)
        }
        #expect(try await bench.drain(1) == ["a"])
        try await bench.shard.close()
    }

    @Test("a question to an external limiter that got no answer is asked again after its own time")
    func questions() async throws {
        let limiter = Limiter()
        var bench = try await Bench.open(at: Self.start + Self.hour, asking: limiter)
        try await bench.enqueue("a", limits: [rate("k", 1)])
        try await bench.until("it is asked") { limiter.asked == 1 }
        bench = try await moved(bench)
        try await bench.pass(14_999)
        #expect(limiter.asked == 1)
        try await bench.pass(1)
        try await bench.until("it is asked again") { limiter.asked == 2 }
        try await bench.shard.close()
    }

    @Test("what was put right is written: opening the shard again and again puts nothing off")
    func again() async throws {
        var bench = try await ahead()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [rate("k", 1)]) }
        try await bench.succeed(bench.lease(5))
        var now = Self.start
        for _ in 0..<7 {
            bench = try await bench.crash(at: now)
            try await bench.settle()
            try await bench.pass(9000)
            now = bench.now
        }
        #expect(try await bench.drain(5) == ["b"])
        try await bench.finish()
    }

    @Test("a job whose time has come is not sent back to wait for it, and is found where it stands")
    func timers() async throws {
        var bench = try await ahead()
        let limit = rate("k", 1, per: 1000, retries: 9, backoff: 300, maxBackoff: 300)
        try await bench.enqueue("holds", limits: [slots("x", 1)])
        try await bench.enqueue("uses", limits: [limit])
        let tasks = try await bench.lease(5)
        try await bench.enqueue("late", limits: [slots("x", 1), limit])
        bench = try await moved(bench)
        try await bench.succeed(try #require(tasks.first { $0.job.id == "holds" }))
        // It was put off by this clock, and its start is by the other.
        try await bench.settle()
        #expect(try await bench.place("late") == .timer)
        try await bench.pass(300)
        #expect(try await bench.place("late") == .timer)
        #expect(bench.violations == [])
        for _ in 0..<4 { try await bench.pass(300) }
        #expect(try await bench.drain(5) == ["late"])
        try await bench.finish()
    }
}

/// An external limiter that counts what it is asked, and never answers.
private final class Limiter: RateLimiter {
    private let count = Mutex(0)
    var asked: Int { count.withLock { $0 } }
    func check(_ check: RateCheck, completion: @escaping @Sendable (RateAnswer) -> Void) { count.withLock { $0 += 1 } }
}
