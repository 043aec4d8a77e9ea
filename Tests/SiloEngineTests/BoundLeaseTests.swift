import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloEngine

/// Workers that may take the tasks of some tenants alone.
@Suite(.timeLimit(.minutes(10))) struct BoundLeaseTests {
    private let answers = Answers()

    private func backlog(_ bench: Bench, _ tenant: String, _ count: Int) async throws {
        let jobs = (0..<count).map { Enqueue(tenant: Tenant(tenant), id: JobID("\(tenant)\($0)"), taskGroup: "g") }
        _ = try await bench.shard.run(EnqueueAll(jobs))
    }

    private func served(_ bench: Bench, _ count: Int, _ tenants: String?) async throws -> String {
        let own = tenants.map { Set($0.map { Tenant("\($0)") }) }
        return try await bench.leased(count, tenants: own).tasks.map(\.tenant.name).joined()
    }

    @Test("it gets its tenants' tasks alone, in turns")
    func turns() async throws {
        let bench = try await Bench.open { $0.quantum = 2 }
        for tenant in ["a", "b", "c", "d"] { try await backlog(bench, tenant, 6) }
        #expect(try await served(bench, 10, "bd") == "bbddbbddbb")
        #expect(try await served(bench, 10, "bd") == "dd")
        #expect(try await served(bench, 10, "b") == "")
        #expect(try await served(bench, 20, nil) == "aaccaaccaacc")
        try await bench.finish()
    }

    @Test("what it takes counts as its tenant's turn among all")
    func accounting() async throws {
        let bench = try await Bench.open { $0.quantum = 2 }
        for tenant in ["a", "b", "c"] { try await backlog(bench, tenant, 20) }
        var shared = ""
        for _ in 0..<6 {
            _ = try await served(bench, 2, "b")
            shared += try await served(bench, 4, nil)
        }
        // Of 36 tasks each tenant had a third.
        #expect(shared.filter { $0 == "b" }.isEmpty)
        #expect(shared.filter { $0 == "a" }.count == 12)
        try await bench.finish()
    }

    @Test("places that it left do not pile up behind a tenant whom nobody serves")
    func places() {
        var group = ReadyGroup(quantum: 1)
        func queue(_ name: String) -> Queue {
            var counts = StorageV1.QueueCounts()
            counts.ready = 1
            return Queue(Queue.ID(tenant: Tenant(name), group: "g"), counts: counts)
        }
        let (front, own) = (queue("front"), queue("own"))
        group.activate(front)
        group.activate(own)
        for _ in 0..<10_000 {
            own.deficit -= 1
            group.endTurn(of: own)
        }
        #expect(group.placesHeld < 200)
        #expect(group.next() === front)
    }

    @Test("it waits for its tenants' work, and keeps nobody from theirs")
    func waiting() async throws {
        let bench = try await Bench.open()
        try await answers.wait("bound", bench, tenants: ["a", "b"])
        try await answers.wait("any", bench)
        try await bench.enqueue("other", tenant: Tenant("c"))
        try await answers.expect(["any: other"])
        try await answers.wait("any", bench)
        // Who can take nothing else goes first, though it came later.
        try await answers.wait("late", bench, tenants: ["b"])
        try await bench.enqueue("one", tenant: Tenant("b"))
        try await bench.enqueue("two", tenant: Tenant("b"))
        try await bench.enqueue("three", tenant: Tenant("a"))
        try await answers.expect(["any: other", "bound: one", "late: two", "any: three"])
        #expect(bench.shard.counts.waitingWorkers == 0)
        try await bench.finish()
    }

    @Test("of one that was served nothing is left at its other tenants, nor of one that is gone or was let go in time")
    func leavings() async throws {
        let bench = try await Bench.open()
        for round in 0..<300 {
            try await answers.wait("w", bench, tenants: ["a", "b", "c", "d"])
            try await bench.enqueue("\(round)", tenant: Tenant("a"))
            try await answers.until(round + 1)
        }
        for _ in 0..<200 {
            let pending = try await answers.wait("gone", bench, tenants: ["b", "c"])
            pending.abandon()
        }
        try await answers.wait("short", bench, 1000, tenants: ["c", "d"])
        try await bench.pass(2000)
        try await answers.until(301)
        #expect(answers.all.last == "short: ")
        try await answers.wait("last", bench, tenants: ["d"])
        try await bench.enqueue("end", tenant: Tenant("d"))
        try await answers.until(302)
        #expect(answers.all.last == "last: end")
        try await bench.finish()
    }

    @Test("it is asked for new values of its own tenants' floating limits alone")
    func refreshes() async throws {
        let bench = try await Bench.open()
        let limits = [floating("f", 1)]
        for tenant in ["a", "b"] {
            for _ in 0..<2 { try await bench.enqueue(tenant: Tenant(tenant), limits: limits) }
        }
        let others = try await bench.leased(9, tenants: [Tenant("b")])
        #expect(others.refreshes.map(\.tenant.name) == ["b"] && others.tasks.map(\.tenant.name) == ["b"])
        let own = try await bench.leased(9, tenants: [Tenant("a"), Tenant("x")])
        #expect(own.refreshes.map(\.tenant.name) == ["a"] && own.tasks.map(\.tenant.name) == ["a"])
        try await bench.finish()
    }

    @Test("a paused tenant's workers wait until it goes on")
    func pauses() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", tenant: Tenant("a"))
        _ = try await bench.pause(.tenant(Tenant("a")))
        #expect(try await served(bench, 1, "a") == "")
        try await answers.wait("w", bench, tenants: ["a"])
        _ = try await bench.resume(.tenant(Tenant("a")))
        try await answers.expect(["w: a"])
        try await bench.finish()
    }
}
