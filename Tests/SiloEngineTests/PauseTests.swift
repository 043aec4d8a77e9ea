import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct PauseTests {
    private static let other = Tenant("other")
    private static let x = PauseTarget.limit(LimitKey("x"), of: Bench.tenant)

    /// Jobs of two tenants in two groups: their names say where they are.
    private func bench() async throws -> Bench {
        let bench = try await Bench.open()
        for tenant in [Bench.tenant, Self.other] {
            for group in ["g", "h"] { try await bench.enqueue("\(tenant.name) \(group)", tenant: tenant, group: group) }
        }
        return bench
    }

    private func all(_ bench: Bench) async throws -> [String] {
        (try await bench.drain(10, group: "g") + bench.drain(10, group: "h")).sorted()
    }

    @Test(
        "nothing of what is paused starts, everything else does, and resuming lets it",
        arguments: [
            (PauseTarget.tenant(Bench.tenant), ["acme g", "acme h"]),
            (.group(TaskGroup("g"), of: Bench.tenant), ["acme g"]),
            (.group(TaskGroup("g"), of: nil), ["acme g", "other g"]),
        ])
    func paused(target: PauseTarget, names: [String]) async throws {
        for crashes in [false, true] {
            var bench = try await bench()
            try await bench.pause(target)
            if crashes { bench = try await bench.crash() }
            let everything = ["acme g", "acme h", "other g", "other h"]
            #expect(try await all(bench) == everything.filter { !names.contains($0) })
            try await bench.enqueue("new", group: "g")
            #expect(try await bench.lease(5).isEmpty)
            if crashes { bench = try await bench.crash() }
            #expect(try await bench.resume(target))
            if crashes { bench = try await bench.crash() }
            #expect(try await all(bench) == (names + ["new"]).sorted())
            try await bench.finish()
        }
    }

    @Test("what runs goes on, and its retry waits")
    func running() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, retries: 1) }
        let tasks = try await bench.lease(5)
        try await bench.pause(.tenant(Bench.tenant))
        try await bench.heartbeat(tasks[0])
        try await bench.succeed(tasks[0])
        try await bench.fail(tasks[1])
        try await bench.pass(2000)
        #expect(try await bench.lease(5).isEmpty)
        try await bench.resume(.tenant(Bench.tenant))
        #expect(try await bench.drain(5) == ["b"])
        try await bench.finish()
    }

    @Test("two pauses of the same jobs: both must be taken back")
    func overlapping() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a")
        let targets: [PauseTarget] = [
            .tenant(Bench.tenant), .group(TaskGroup("g"), of: nil), .group(TaskGroup("g"), of: Bench.tenant),
        ]
        for target in targets { try await bench.pause(target) }
        for target in targets {
            #expect(try await bench.lease(5).isEmpty)
            try await bench.resume(target)
        }
        #expect(try await bench.drain(5) == ["a"])
        try await bench.finish()
    }

    @Test("pausing twice changes the reason only; resuming twice says so")
    func twice() async throws {
        let bench = try await Bench.open()
        #expect(try await !bench.pause(Self.x))
        let since = bench.now.milliseconds
        try await bench.pass(1000)
        #expect(try await bench.shard.run(Pause(Self.x, reason: "other")))
        let pauses = try await bench.shard.run(ListPauses())
        #expect(pauses.count == 1)
        #expect(pauses[Self.x]?.reason == "other")
        #expect(pauses[Self.x]?.sinceMs == since)
        #expect(try await bench.resume(Self.x))
        #expect(try await !bench.resume(Self.x))
        #expect(try await bench.shard.run(ListPauses()).isEmpty)
        try await bench.finish()
    }

    @Test("a shard takes a bounded number of pauses, and still changes those it has")
    func bounded() async throws {
        let bench = try await Bench.open { $0.pausesMax = 2 }
        let targets = ["a", "b", "c"].map { PauseTarget.limit(LimitKey($0), of: Bench.tenant) }
        for target in targets.prefix(2) { try await bench.pause(target) }
        let refused = try await refusal { try await bench.pause(targets[2]) }
        guard case .exhausted = refused else {
            Issue.record("\(String(describing: refused))")
            return
        }
        #expect(try await bench.pause(targets[0]))
        try await bench.resume(targets[0])
        #expect(try await !bench.pause(targets[2]))
        try await bench.finish()
    }

    @Test("a waiting worker is woken when what it waits for is resumed")
    func wakes() async throws {
        let bench = try await Bench.open()
        try await bench.pause(.tenant(Bench.tenant))
        try await bench.enqueue("a")
        async let waiting = bench.lease(1, wait: 60_000)
        try await bench.until("it waits") { bench.shard.counts.waitingWorkers == 1 }
        try await bench.resume(.tenant(Bench.tenant))
        #expect(try await waiting.map(\.job.id) == ["a"])
        try await bench.finish()
    }

    // MARK: Limits

    @Test("a paused limit lets nobody in: not newcomers, not those who wait, not those who were ready", arguments: [false, true])
    func limit(crashes: Bool) async throws {
        var bench = try await Bench.open()
        func crash() async throws {
            guard crashes else { return }
            bench = try await bench.crash()
            try await bench.settle()
        }
        for id in ["a", "b", "c"] { try await bench.enqueue(id, limits: [slots("x", 2)]) }
        let a = try await bench.leaseOne()
        try await bench.pause(Self.x)
        try await crash()
        try await bench.enqueue("d", limits: [slots("x", 2)])
        try await bench.enqueue("free", limits: [slots("y", 1)])
        #expect(try await bench.drain(5) == ["free"])
        // Its turn came: it gave its slot up and stands in line, at its old place.
        #expect(try await bench.places("b", "c", "d") == [.waiting, .waiting, .waiting])
        #expect(try await bench.held("x") == 1)
        try await crash()
        try await bench.succeed(a)
        #expect(try await bench.held("x") == nil)
        #expect(try await bench.lease(5).isEmpty)
        try await crash()
        try await bench.resume(Self.x)
        try await crash()
        #expect(try await bench.runAll() == ["b", "c", "d"])
        try await bench.finish()
    }

    @Test("a worker that waits gets what stands behind any number of jobs that a pause turns back", arguments: [1, 512])
    func turnsBackMany(atOnce: Int) async throws {
        let bench = try await Bench.open(nil) { $0.turnedBackMax = atOnce }
        for index in 0..<9 { try await bench.enqueue("\(index)", limits: [slots("x", 9)]) }
        try await bench.enqueue("free", priority: 99)
        try await bench.pause(.limit(LimitKey("x"), of: Bench.tenant))
        let found = Box<[String]>()
        bench.shard.lease(Lease(worker: "w", group: "g", taskCountMax: 1), waitMilliseconds: 60_000) { result in
            found.add((try? result.get().tasks.map(\.job.id)) ?? [])
        }
        try await found.until(1)
        #expect(found.all == [["free"]])
        #expect(try await bench.waitingCount() == 9)
        try await bench.shard.close()
    }

    @Test("a ready job that a pause turns back gives up its other slots and its promised hits")
    func turnedBack() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", limits: [slots("x", 1), slots("y", 1), rate("k", 1)])
        try await bench.pause(Self.x)
        try await bench.enqueue("b", limits: [slots("y", 1), rate("k", 1)])
        #expect(try await bench.drain(5) == [])
        #expect(try await bench.places("a", "b") == [.waiting, .ready])
        let b = try await bench.leaseOne()
        try await bench.resume(Self.x)
        #expect(try await bench.place("a") == .waiting)
        try await bench.succeed(b)
        try await bench.pass(60_000)
        #expect(try await bench.drain(5) == ["a"])
        try await bench.finish()
    }

    @Test("a paused limit of one tenant is not paused for another")
    func otherTenant() async throws {
        let bench = try await Bench.open()
        try await bench.pause(Self.x)
        try await bench.enqueue("mine", limits: [slots("x", 1)])
        try await bench.enqueue("theirs", tenant: Self.other, limits: [slots("x", 1)])
        #expect(try await bench.drain(5) == ["theirs"])
        try await bench.finish()
    }

    @Test("a job that waits at a paused limit can be cancelled, and nothing of it is left")
    func cancel() async throws {
        let bench = try await Bench.open()
        try await bench.pause(Self.x)
        try await bench.enqueue("a", limits: [slots("x", 1)])
        try await bench.cancel("a")
        #expect(try await bench.waitingCount() == 0)
        try await bench.resume(Self.x)
        #expect(try await bench.lease(5).isEmpty)
        try await bench.finish()
    }

    @Test("many jobs that wait at a paused limit all start when it is resumed, with little memory too", arguments: [false, true])
    func many(isTiny: Bool) async throws {
        var bench = try await Bench.open { if isTiny { tiny(&$0) } }
        try await bench.pause(Self.x)
        for index in 100..<140 {
            try await bench.enqueue("\(index)", limits: [slots("x", 3)] + (index % 2 == 0 ? [slots("y", 1)] : []))
        }
        bench = try await bench.crash()
        #expect(try await bench.lease(5).isEmpty)
        try await bench.resume(Self.x)
        try await bench.settle()
        #expect(try await bench.runAll(5).sorted() == (100..<140).map(String.init))
        try await bench.finish()
    }

    @Test("a paused floating limit starts nobody, and its value still changes")
    func floatingLimit() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [floating("x", 1)]) }
        try await bench.pause(Self.x)
        let leased = try await bench.leased(5)
        #expect(leased.tasks.isEmpty)
        try await bench.report(try #require(leased.refreshes.first), .success(newMax: 2))
        #expect(try await bench.lease(5).isEmpty)
        try await bench.resume(Self.x)
        #expect(try await bench.drain(5) == ["a", "b"])
        try await bench.finish()
    }

    @Test("leasing one job by name goes past a pause")
    func leaseByName() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", limits: [slots("x", 1)])
        try await bench.pause(Self.x)
        try await bench.pause(.tenant(Bench.tenant))
        #expect(try await bench.leaseJob("a").job.id == "a")
        try await bench.finish()
    }

    @Test("jobs of a paused group get ready and hold their slots; cancelled, they give them to other groups")
    func groupHolds() async throws {
        let bench = try await Bench.open()
        try await bench.pause(.group(TaskGroup("paused"), of: Bench.tenant))
        try await bench.enqueue("a", group: "paused", limits: [slots("x", 1)])
        try await bench.enqueue("b", limits: [slots("x", 1)])
        #expect(try await bench.places("a", "b") == [.ready, .waiting])
        #expect(try await bench.lease(5, group: "paused").isEmpty)
        try await bench.cancel("a")
        #expect(try await bench.drain(5) == ["b"])
        try await bench.finish()
    }

    @Test("a pause is durable when it is answered, or was not taken", arguments: [0, 1, 2])
    func storeFails(calls: Int) async throws {
        var bench = try await Bench.open()
        try await bench.enqueue("a", limits: [slots("x", 1)])
        bench.store.set { $0.callsLeft = calls }
        let refused = try await refusal { try await bench.pause(Self.x) }
        bench = try await bench.crash()
        let isPaused = try await bench.shard.run(ListPauses())[Self.x] != nil
        #expect(isPaused || refused != nil)
        #expect(try await bench.lease(5).isEmpty == isPaused)
        try await bench.finish()
    }
}
