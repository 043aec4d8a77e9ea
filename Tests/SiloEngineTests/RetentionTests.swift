import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct RetentionTests {
    private static let settings = Retention(succeededMilliseconds: 10_000, failedMilliseconds: 500_000)

    @Test("J38: all of a job goes at once, after the time set for its outcome and the minute in which it ended", arguments: [
        (Stage.succeeded, 10_000), (.succeededAfterCancel, 10_000), (.failed, 500_000), (.cancelled, 500_000),
        (.cancelledInBackoff, 500_000), (.cancelledByWorker, 500_000), (.cancelledByWorkerMarked, 500_000),
        (.failedAfterCancel, 500_000),
    ] as [(Stage, Int64)])
    func goes(stage: Stage, kept: Int64) async throws {
        let bench = try await Bench.kept(Self.settings)
        try await stage.reach(bench)
        try await bench.keepHouse(untilEndedNowIs: kept, early: 1)
        #expect(try await bench.state("a") == stage.state)
        #expect(bench.violations == [], "J39: until then all is there")
        try await bench.keepHouse()
        #expect(bench.tenantRows == [])
        #expect(bench.shard.counts.total == 0)
        #expect(bench.shard.counts.completed == 0)
        #expect(bench.shard.sweptCount == 1)
        try await bench.enqueue("a")
        #expect(try await bench.drain(1) == ["a"])
        try await bench.finish()
    }

    @Test("J38: metadata and earlier attempts go too; nothing of a live job goes", arguments: [true, false])
    func attempts(succeeds: Bool) async throws {
        let bench = try await Bench.kept(Self.settings)
        try await bench.enqueue("a", retries: 2, metadata: ["k": "v"])
        for _ in 0..<2 {
            try await bench.fail(bench.leaseOne())
            try await bench.keepHouse(after: 1 << 30)
        }
        #expect(bench.violations == [], "live rows stay")
        #expect(try await bench.attempts("a").count == 2)
        let last = try await bench.leaseOne()
        if succeeds { try await bench.succeed(last) } else { try await bench.fail(last) }
        #expect(try await bench.attempts("a").map(\.outcome) == [.failed, .failed, succeeds ? .succeeded : .failed], "J39")
        try await bench.keepHouse(untilEndedNowIs: succeeds ? 10_000 : 500_000)
        #expect(bench.tenantRows == [])
        try await bench.finish()
    }

    @Test("J38: a restarted job lives on, and goes after its next end")
    func restart() async throws {
        let bench = try await Bench.kept(Self.settings)
        try await bench.enqueue("a", retries: 1, metadata: ["k": "v"])
        try await bench.fail(bench.leaseOne())
        try await bench.pass(2000)
        try await bench.fail(bench.leaseOne())
        try await bench.keepHouse(untilEndedNowIs: 500_000, early: 1)
        try await bench.restart("a")
        try await bench.keepHouse(after: 1 << 30)
        #expect(bench.violations == [])
        #expect(try await bench.attempts("a").map(\.number) == [1, 2])
        let third = try await bench.leaseOne()
        #expect(third.attempt == 3)
        try await bench.succeed(third)
        try await bench.keepHouse(untilEndedNowIs: 10_000)
        #expect(bench.tenantRows == [])
        try await bench.finish()
    }

    @Test("a job's own time goes before the settings, to the millisecond", arguments: [Self.settings, Retention()])
    func ownTime(retention: Retention) async throws {
        let bench = try await Bench.kept(retention)
        for (id, time) in [("short", Int64(2000)), ("long", 1 << 40)] {
            try await bench.enqueue(id, metadata: ["k": id], retain: time)
            try await bench.succeed(bench.leaseOne())
        }
        try await bench.keepHouse(after: 2000 - 2 * Bench.housekeeping)
        #expect(try await bench.state("short") == .succeeded)
        #expect(bench.violations == [])
        try await bench.keepHouse()
        #expect(try await bench.state("short") == nil)
        try await bench.keepHouse(after: 1 << 30)
        #expect(try await bench.state("long") == .succeeded)
        #expect(bench.violations == [], "it is found among the finished ones, though its minute is swept")
        try await bench.keepHouse(after: 1 << 40)
        #expect(bench.shard.counts.total == 0)
        #expect(bench.memory.rowsLeft == [])
        try await bench.finish()
    }

    @Test("a job's own time begins anew when it has run again", arguments: [false, true])
    func ownTimeAfterRestart(deletes: Bool) async throws {
        let bench = try await Bench.kept()
        try await bench.enqueue("a", retain: 5000)
        try await bench.fail(bench.leaseOne())
        if deletes {
            try await bench.delete("a")
            #expect(bench.memory.rowsLeft == [])
            return try await bench.finish()
        }
        try await bench.pass(3000)
        try await bench.restart("a")
        try await bench.keepHouse(after: 10_000)
        try await bench.fail(bench.leaseOne())
        try await bench.keepHouse(after: 3000)
        #expect(try await bench.state("a") == .failed)
        #expect(bench.violations == [])
        try await bench.keepHouse(after: 2000)
        #expect(bench.memory.rowsLeft == [])
        try await bench.finish()
    }

    @Test("settings that change count for what has finished before, also after a crash", arguments: [false, true])
    func settingsChange(crashes: Bool) async throws {
        var bench = try await Bench.kept()
        try await bench.enqueue("a")
        try await bench.succeed(bench.leaseOne())
        try await bench.keepHouse(after: 1 << 40)
        #expect(try await bench.state("a") == .succeeded, "off")
        if crashes { bench = try await bench.crash() }
        var settings = EngineSettings()
        settings.retention = Self.settings
        bench.shard.change(settings.changeable)
        try await bench.keepHouse()
        #expect(bench.tenantRows == [])
        try await bench.finish()
    }

    @Test("a wall clock that jumps ahead is believed after an hour only; one that is set back keeps what there is")
    func clockSteps() async throws {
        let bench = try await Bench.kept(Self.settings)
        try await bench.enqueue("a")
        try await bench.fail(bench.leaseOne())
        bench.clock.step(milliseconds: 1 << 40)
        try await bench.keepHouse()
        try await bench.keepHouse(after: 300_000)
        #expect(try await bench.state("a") == .failed, "there is time to set it right")
        bench.clock.step(milliseconds: -(1 << 40))
        try await bench.keepHouse()
        bench.clock.step(milliseconds: 1 << 40)
        try await bench.keepHouse()
        try await bench.keepHouse(after: 3_600_000)
        #expect(bench.tenantRows == [])
        try await bench.enqueue("b")
        try await bench.fail(bench.leaseOne())
        bench.clock.step(milliseconds: -(1 << 39))
        try await bench.keepHouse(after: 1 << 30)
        #expect(try await bench.state("b") == .failed)
        try await bench.finish()
    }

    @Test("nor is it believed by a shard that was opened meanwhile")
    func clockStepsBeforeOpening() async throws {
        var bench = try await Bench.kept(Self.settings)
        let dates = RetentionClock(bench.clock)
        try await bench.enqueue("a")
        try await bench.fail(bench.leaseOne())
        bench.clock.step(milliseconds: 1 << 40)
        try await bench.shard.close()
        bench = try await bench.reopen(dates)
        try await bench.keepHouse()
        try await bench.keepHouse(after: 300_000)
        #expect(try await bench.state("a") == .failed, "there is time to set it right")
        try await bench.keepHouse(after: 3_600_000)
        #expect(bench.tenantRows == [])
        try await bench.finish()
    }

    @Test("a second jump ahead has an hour of its own, also after a step back that leaves the clock ahead", arguments: [
        [(0, 120_000), (59, 2_592_000_000)], [(0, 2_592_000_000), (30, -2_592_000_000 + 120_000), (59, 2_592_000_000)],
    ] as [[(minute: Int64, step: Int64)]])
    func laterJumps(steps: [(minute: Int64, step: Int64)]) throws {
        let minute: Int64 = 60_000
        var wall: Int64 = 1_800_000_000_000
        var date = RetentionDate(Moment(wall: Timestamp(wall), steady: Timestamp(0)))
        let begun = wall
        for now in 0..<Int64(200) {
            for step in steps where step.minute == now { wall += step.step }
            let shown = date.date(at: Moment(wall: Timestamp(wall + now * minute), steady: Timestamp(now * minute)))
            let isBelieved = now >= (steps.last?.minute ?? 0) + 60
            #expect(shown == Timestamp((isBelieved ? wall : begun) + now * minute), "minute \(now)")
        }
    }

    @Test("an import into a minute that was swept goes too")
    func lateImport() async throws {
        let bench = try await Bench.kept(Self.settings)
        let time = bench.now
        for round in 0..<3 {
            var attempt = StorageV1.Attempt()
            attempt.outcome = .succeeded
            attempt.startedAtMs = time.milliseconds
            attempt.finishedAtMs = time.milliseconds
            let state = try await bench.shard.run(
                Import(tenant: Bench.tenant, id: JobID("i\(round)"), taskGroup: "g", attempts: [attempt]))
            #expect(state == .succeeded)
            #expect(bench.violations == [])
            try await bench.keepHouse(after: 100_000)
            #expect(bench.tenantRows == [], "round \(round)")
        }
        try await bench.finish()
    }

    @Test("very many go in steps, of several tenants and groups, and the directory counts what is left")
    func many() async throws {
        let bench = try await Bench.kept(Retention(succeededMilliseconds: 10_000)) { $0.idleQueuesMax = 1 }
        let tenants = (0..<7).map { Tenant("t\($0)") }
        for index in 0..<700 {
            try await bench.enqueue("j\(index)", tenant: tenants[index % 7], group: index % 2 == 0 ? "g" : "h")
        }
        try await bench.enqueue("stays", group: "g")
        let tasks = try await bench.lease(400) + (try await bench.lease(400, group: "h"))
        for task in tasks { try await bench.report(task, .success(result: [])) }
        try await bench.enqueue("waits", tenant: tenants[0], after: 1 << 40)
        #expect(bench.shard.counts.completed == 701)
        try await bench.keepHouse(untilEndedNowIs: 10_000)
        #expect(bench.shard.sweptCount == 701)
        #expect(bench.shard.counts.total == 1)
        #expect(bench.violations == [])
        let again = try await bench.crash()
        #expect(again.shard.counts.total == 1)
        try await again.finish()
    }

    @Test("a step ends early when more than a bound is in it, and goes on from there")
    func steps() async throws {
        let bench = try await Bench.kept(Retention(succeededMilliseconds: 10_000))
        for index in 0..<600 { try await bench.enqueue("j\(index)") }
        for task in try await bench.lease(600) { try await bench.report(task, .success(result: [])) }
        let before = bench.turns.value
        try await bench.keepHouse(untilEndedNowIs: 10_000)
        #expect(bench.turns.value - before >= 3, "\(SweepFinished.rowsMax) rows a step")
        #expect(bench.tenantRows == [])
        try await bench.finish()
    }

    @Test("jobs that finished when their rows among finished ones said nothing go too")
    func rowsThatSayNothing() async throws {
        let bench = try await Bench.kept(Self.settings)
        try await bench.enqueue("a", retries: 1, metadata: ["k": "v"])
        try await bench.fail(bench.leaseOne())
        try await bench.pass(2000)
        try await bench.fail(bench.leaseOne())
        let row = try #require(bench.tenantRows.first { $0.key[2] == 0x44 })
        try await bench.memory.write([Write(key: row.key, value: [])])
        try await bench.keepHouse(untilEndedNowIs: 500_000)
        #expect(bench.tenantRows == [])
        try await bench.finish()
    }
}
