import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

/// What ExplainJob says where the numbers alone would mislead (docs/limits.md, "Why does my job not start").
@Suite(.timeLimit(.minutes(10))) struct ExplainTests {
    @Test("a free slot that is kept for another job is not called held, and gives no estimate")
    func keptSlot() async throws {
        let (bench, _) = try await Bench.withKeptSlot()
        let found = try await bench.explain("a1")
        let obstacle = try #require(found.obstacles.first { $0.key == "A" })
        #expect(obstacle.text.contains("keeps its free slot for a job that needs others besides"), "\(obstacle.text)")
        #expect(obstacle.inUse == 0 && obstacle.max == 1 && found.estimatedStart == nil)
        // The job that it is kept for lacks only what is held.
        let both = try await bench.explain("both")
        #expect(both.obstacles.filter { $0.kind == .concurrency }.map(\.key) == ["B"])
        #expect(both.obstacles[0].text.contains("has no free slot"))
        try await bench.shard.close()
    }

    @Test("a job at a bucket is due no sooner than one before it that allows less")
    func earlierJobAllowsLess() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("first", limits: [rate("r", 1, per: 60_000)])
        _ = try await bench.lease(5)
        let start = bench.clock.now
        try await bench.pass(1)
        try await bench.enqueue("strict", limits: [rate("r", 1, per: 60_000)])
        try await bench.pass(1)
        try await bench.enqueue("lax", limits: [rate("r", 5, per: 60_000)])
        for id in ["strict", "lax"] {
            let found = try await bench.explain(id)
            #expect(found.obstacles.first { $0.kind == .rate }?.until == start + 60_000, "\(id): \(found.summary)")
        }
        try await bench.shard.close()
    }

    @Test("those before a job count with their own hits, and in the order in which they start")
    func hitsAhead() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("first", limits: [rate("r", 10, per: 60_000, hits: 10)])
        _ = try await bench.lease(5)
        let end = bench.now + 60_000
        // One moment, so the order of arrival decides: one goes before them, one behind.
        try await bench.enqueue("a", limits: [rate("r", 10, per: 60_000, hits: 2)])
        for index in 1...8 { try await bench.enqueue("b\(index)", limits: [rate("r", 10, per: 60_000)]) }
        try await bench.enqueue("c", limits: [rate("r", 10, per: 60_000, hits: 3)])
        for (id, ahead, until) in [("a", 0, end), ("b8", 8, end), ("c", 9, end + 60_000)] {
            let obstacle = try #require(try await bench.explain(id).obstacles.first { $0.kind == .rate })
            #expect(obstacle.ahead == UInt64(ahead), "\(id)")
            #expect(obstacle.until == until, "\(id)")
        }
        try await bench.shard.close()
    }

    @Test("that no worker asks comes before the jobs that wait for one too")
    func noWorker() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c"] { try await bench.enqueue(id) }
        let found = try await bench.explain("c")
        #expect(found.obstacles.map(\.kind) == [.noWorker, .readyQueue])
        #expect(found.summary.hasPrefix("It waits: no worker asks for task group g"), "\(found.summary)")
        try await bench.finish()
    }

    @Test("a ready job whose slot was dropped says so, and what it lacks then")
    func lostSlot() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [slots("x", 1), slots("y", 9)]) }
        #expect(try await bench.dropHolders(key: "x") == 1)
        let found = try await bench.explain("a")
        #expect(found.obstacles.map(\.kind) == [.noWorker, .concurrency])
        #expect(found.obstacles.map(\.blocksNow) == [true, false], "it is a worker that it waits for")
        #expect(found.obstacles.last?.key == "x" && found.obstacles.last?.holders.map(\.job.text) == ["b"])
        #expect(found.obstacles.last?.text == """
            its slot was dropped, and limit x has no free slot: 1 of 1 slots held (1 ready but not taken by a worker); \
            it is first in line
            """)
        #expect(try await bench.explain("b").obstacles.map(\.kind) == [.noWorker, .readyQueue])

        try await bench.cancel("b")
        let now = try await bench.explain("a")
        #expect(now.obstacles.last?.text == "its slot of limit x was dropped; it takes another when its turn comes")
        #expect(try await bench.lease(5).map(\.job.id) == ["a"])
        try await bench.finish()
    }

    @Test("of other tenants it is told only where there are some")
    func othersTakeTurns() async throws {
        let bench = try await Bench.open()
        for (tenant, text) in [
            (Tenant.none, "1 job is ready before it"),
            (Bench.tenant, "1 job of its tenant is ready before it; other tenants take turns with them"),
        ] {
            for id in ["a", "b"] { try await bench.enqueue(id, tenant: tenant) }
            #expect(try await bench.explain("b", of: tenant).obstacles.last?.text == text)
        }
        try await bench.finish()
    }

    @Test("a shard that nobody serves explains its jobs as it did, and lists its pauses; its rows stay as they are")
    func unserved() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("holder", limits: [slots("one", 1)])
        _ = try await bench.lease(5)
        let ids = ["first", "second", "other", "rated", "strict", "ready", "later", "holder"]
        for id in ["first", "second"] { try await bench.enqueue(id, limits: [slots("one", 1)]) }
        try await bench.enqueue("other", limits: [slots("one", 1), slots("two", 1)])
        for id in ["used", "rated"] { try await bench.enqueue(id, group: "r", limits: [rate("r", 1)]) }
        try await bench.enqueue("strict", group: "r", limits: [rate("r", 1, hits: 1), slots("two", 1)])
        for id in ["before", "ready"] { try await bench.enqueue(id, group: "paused") }
        try await bench.enqueue("later", after: 60_000, limits: [slots("one", 1)])
        let target = PauseTarget.group(TaskGroup("paused"), of: Bench.tenant)
        _ = try await bench.shard.run(Pause(target, reason: "why"))
        var before: [String: Explanation] = [:]
        for id in ids { before[id] = try await bench.explain(id) }
        try await bench.shard.close()

        let rows = bench.memory.rows
        let unserved = try await UnservedShard(bench.memory.crash(clock: bench.clock), clock: bench.clock)
        #expect(try await unserved.pauses()[target]?.reason == "why")
        for id in ids {
            let now = try await unserved.run(Explain(tenant: Bench.tenant, id: JobID(id))).explanation(unserved.reader)
            let shape = { (found: Explanation) in
                // Nobody can ask a shard that is not served.
                found.obstacles.filter { $0.kind != .noWorker }.map {
                    "\($0.kind) \($0.key) \($0.inUse)/\($0.max) ahead \($0.ahead) until \($0.until?.description ?? "") "
                        + "\($0.blocksNow) \($0.holders.map(\.job.text))"
                }
            }
            #expect(shape(now) == before[id].map(shape), "\(id)")
        }
        #expect(try await refusal {
            _ = try await unserved.run(Explain(tenant: Bench.tenant, id: JobID("nobody")))
        } == .jobNotFound)
        #expect(bench.memory.rows == rows)
    }

    @Test("explaining begins no floating limit")
    func beginsNothing() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("later", after: 60_000, limits: [floating("f", 1)])
        #expect(try await bench.explain("later").obstacles.map(\.kind) == [.timer, .noWorker])
        try await bench.poke()
        #expect(try await bench.floatingState("f") == nil)
        try await bench.finish()
    }

    @Test("a job that asks again says how often it was refused")
    func refusedOnce() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("first", limits: [rate("r", 1, per: 60_000)])
        _ = try await bench.lease(5)
        try await bench.enqueue("again", limits: [rate("r", 1, per: 60_000, retries: 5)])
        let text = try await bench.explain("again").summary
        #expect(text.contains("a rate limit had no room 1 time; it asks again in"), "\(text)")
        try await bench.shard.close()
    }
}

extension Bench {
    fileprivate func explain(_ id: String, of tenant: Tenant = Bench.tenant) async throws -> Explanation {
        let findings = try await shard.run(Explain(tenant: tenant, id: JobID(id)))
        return try await findings.explanation(try await shard.snapshot())
    }
}
