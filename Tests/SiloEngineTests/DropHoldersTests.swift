import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct DropHoldersTests {
    private static let other = Tenant("other")

    @Test("14.105: every slot of the tenant is free, those that wait start, and what runs goes on without")
    func drop() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c", "d", "e"] { try await bench.enqueue(id, limits: [slots("x", 2), slots("y", 2)]) }
        let a = try await bench.leaseOne()
        #expect(try await bench.places("a", "b", "c") == [.running, .ready, .waiting])
        #expect(try await bench.dropHolders() == 4)
        #expect(try await bench.held("x") == 2, "two that waited")
        #expect(try await bench.places("a", "b", "c", "d", "e") == [.running, .ready, .ready, .ready, .waiting])
        try await bench.heartbeat(a)
        // A hold from before frees nothing.
        try await bench.succeed(a)
        #expect(try await bench.held("x") == 2)
        #expect(try await bench.place("e") == .waiting)
        try await bench.cancel("b")
        #expect(try await bench.place("e") == .waiting)
        #expect(try await bench.runAll(5) == ["c", "d", "e"])
        try await bench.finish()
    }

    @Test("14.105: other tenants keep theirs; where nothing is held nothing is dropped")
    func others() async throws {
        let bench = try await Bench.open()
        #expect(try await bench.dropHolders() == 0)
        try await bench.enqueue("a", tenant: Self.other, limits: [slots("x", 1)])
        let rows = bench.memory.rows
        #expect(try await bench.dropHolders() == 0)
        #expect(bench.memory.rows == rows)
        #expect(try await bench.held("x", tenant: Self.other) == 1)
        #expect(try await bench.dropHolders(Self.other) == 1)
        #expect(try await bench.dropHolders(Self.other) == 0)
        try await bench.finish()
    }

    @Test("a drop holds after a crash, also for limits that were not in memory", arguments: [false, true])
    func crash(isTiny: Bool) async throws {
        var bench = try await Bench.open { if isTiny { tiny(&$0) } }
        for key in ["x", "y", "z"] { for id in ["a", "b"] { try await bench.enqueue("\(key)\(id)", limits: [slots(key, 1)]) } }
        let tasks = try await bench.lease(10)
        #expect(tasks.count == 3)
        bench = try await bench.crash()
        #expect(try await bench.dropHolders() == 3)
        try await bench.settle()
        bench = try await bench.crash()
        try await bench.settle()
        let next = try await bench.lease(10)
        #expect(next.map(\.job.id).sorted() == ["xb", "yb", "zb"])
        try await bench.succeed(tasks)
        for key in ["x", "y", "z"] { #expect(try await bench.held(key) == 1) }
        try await bench.succeed(next)
        for key in ["x", "y", "z"] { #expect(try await bench.held(key) == nil) }
        try await bench.finish()
    }

    @Test("a retry of an attempt whose slots were dropped takes slots anew")
    func retry() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", retries: 1, limits: [slots("x", 1)])
        let a = try await bench.leaseOne()
        _ = try await bench.dropHolders()
        try await bench.enqueue("b", limits: [slots("x", 1)])
        try await bench.fail(a)
        try await bench.pass(2000)
        #expect(try await bench.places("a", "b") == [.waiting, .ready])
        #expect(try await bench.runAll() == ["b", "a"])
        #expect(try await bench.held("x") == nil)
        try await bench.finish()
    }

    @Test("holds from before a drop free nothing by expiry, give-back, cancel or lease by name")
    func voidHolds() async throws {
        let bench = try await Bench.open()
        for id in ["expires", "back", "cancelled", "named"] { try await bench.enqueue(id, limits: [slots("x", 4)]) }
        let tasks = try await bench.lease(3)
        #expect(try await bench.dropHolders() == 4)
        try await bench.enqueue("new", limits: [slots("x", 1)])
        try await bench.enqueue("waits", limits: [slots("x", 1)])
        let back = try #require(tasks.first { $0.job.id == "back" })
        try await bench.giveBack([back])
        try await bench.cancel("back")
        try await bench.cancel("cancelled")
        try await bench.leaseJob("named")
        #expect(try await bench.held("x") == 1)
        try await bench.pass(10_000)
        #expect(bench.shard.counts.leases == 0)
        #expect(try await bench.held("x") == 1)
        #expect(try await bench.places("new", "waits") == [.ready, .waiting])
        #expect(try await bench.runAll() == ["new", "waits"])
        try await bench.finish()
    }

    @Test("dropping again and again lets no more in than there are slots each time")
    func again() async throws {
        let bench = try await Bench.open()
        for index in 0..<9 { try await bench.enqueue("\(index)", limits: [slots("x", 2)]) }
        for round in 1...3 {
            #expect(try await bench.dropHolders() == 2)
            #expect(try await bench.held("x") == 2, "round \(round)")
        }
        #expect(try await bench.waitingCount() == 1)
        // Those that were let in before a drop and not leased are let in anew when their turn comes.
        let tasks = try await bench.lease(10)
        #expect(tasks.map(\.job.id) == ["6", "7"])
        #expect(try await bench.held("x") == 2)
        try await bench.succeed(tasks)
        #expect(try await bench.runAll() == ["0", "1", "2", "3", "4", "5", "8"])
        #expect(try await bench.held("x") == nil)
        try await bench.finish()
    }

    @Test("a floating limit keeps its value when its holders are dropped, and promised hits stay promised")
    func floatingAndRate() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [floating("f", 1), rate("k", 2)]) }
        let leased = try await bench.leased(1)
        try await bench.report(leased.refreshes[0], .success(newMax: 1))
        #expect(try await bench.dropHolders() == 1)
        #expect(try await bench.floatingState("f")?.lastRefreshedAtMs == bench.now.milliseconds)
        #expect(try await bench.place("b") == .ready)
        #expect(try await bench.bucket("k")?.used == 1)
        #expect(try await bench.bucket("k")?.reserved == 1)
        try await bench.cancel("b")
        #expect(try await bench.bucket("k")?.reserved == 0)
        try await bench.finish()
    }

    @Test("wherever the store fails, slots are dropped all or not at all", arguments: 0..<6)
    func storeFails(calls: Int) async throws {
        var bench = try await Bench.open(nil, tiny)
        for key in ["x", "y"] { for id in ["a", "b"] { try await bench.enqueue("\(key)\(id)", limits: [slots(key, 1)]) } }
        let tasks = try await bench.lease(10)
        bench.store.set { $0.callsLeft = calls }
        let refused = try await refusal { _ = try await bench.dropHolders() }
        bench = try await bench.crash()
        try await bench.settle()
        #expect(bench.violations == [])
        let waiting = try await bench.waitingCount()
        #expect(waiting == 0 || waiting == 2)
        if refused == nil { #expect(waiting == 0) }
        try await bench.succeed(tasks)
        try await bench.settle()
        #expect(try await bench.runAll().sorted() == ["xb", "yb"])
        #expect(try await bench.held("x") == nil)
        try await bench.finish()
    }

    @Test("a drop counts the holders of more limits than a page of rows, in memory or not, each once")
    func manyLimits() async throws {
        let bench = try await Bench.open { $0.idleLimitsMax = 100 }
        let jobs = (0..<1500).map { index in
            Enqueue(tenant: Bench.tenant, id: JobID("\(index)"), limits: [slots("k\(index)", 1)], taskGroup: "g")
        }
        _ = try await bench.shard.run(Each(jobs))
        #expect(bench.shard.counts.limits < 1000)
        #expect(try await bench.dropHolders() == 1500)
        #expect(try await bench.dropHolders() == 0)
        try await bench.finish()
    }
}
