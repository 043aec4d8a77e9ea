import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct FairnessTests {
    private func backlog(_ bench: Bench, _ tenant: String, _ count: Int) async throws {
        let name = Tenant(tenant)
        let jobs = (0..<count).map { Enqueue(tenant: name, id: JobID("\(tenant)\($0)"), taskGroup: "g") }
        _ = try await bench.shard.run(EnqueueAll(jobs))
    }

    private func tenants(_ tasks: [LeasedTask]) -> [String] { tasks.map(\.tenant.name) }

    @Test("tenants with backlogs take turns of one quantum")
    func turns() async throws {
        let bench = try await Bench.open { $0.quantum = 3 }
        for tenant in ["a", "b", "c"] { try await backlog(bench, tenant, 100) }
        let served = tenants(try await bench.lease(180))
        for start in stride(from: 0, to: 180, by: 9) {
            #expect(Set(served[start..<start + 9]) == ["a", "b", "c"])
        }
        #expect(served[0..<9].map { $0 } == ["a", "a", "a", "b", "b", "b", "c", "c", "c"])
        for tenant in ["a", "b", "c"] { #expect(served.filter { $0 == tenant }.count == 60) }
        try await bench.finish()
    }

    @Test("turns are kept across calls of one task each")
    func smallCalls() async throws {
        let bench = try await Bench.open { $0.quantum = 2 }
        for tenant in ["a", "b"] { try await backlog(bench, tenant, 20) }
        var served = ""
        for _ in 0..<12 { served += tenants(try await bench.lease(1))[0] }
        #expect(served == "aabbaabbaabb")
        try await bench.finish()
    }

    @Test("a new tenant's first job goes before another's backlog of 100,000")
    func newcomer() async throws {
        // Only what a lease reads: the ready rows, with the job inside, and their count.
        let store = MemoryStore()
        let tenant = Tenant("big")
        var task = StorageV1.Task()
        task.attempt = 1
        task.job = StorageV1.Job()
        var counts = StorageV1.QueueCounts()
        counts.ready = 100_000
        let value = task.serializedBytes()
        let keys = TenantKeys(tenant)
        var slices = SliceSet()
        slices.insert(keys.slice)
        var rows = [
            Write(key: ShardKeys.slices, value: slices.stored),
            Write(key: ShardKeys.queue(tenant, "g"), value: counts.serializedBytes()),
        ]
        rows += (0..<100_000).map {
            Write(key: keys.ready("g", Position(order: UInt64($0), arrival: 0, job: JobID("job\($0)"))), value: value)
        }
        try await store.write(rows)
        let bench = try await Bench.open(store)
        _ = try await bench.lease(20)
        try await backlog(bench, "small", 1)
        #expect(tenants(try await bench.lease(1)) == ["small"])
        #expect(tenants(try await bench.lease(8)) == Array(repeating: "big", count: 8))
        try await bench.shard.close()
    }

    @Test("a tenant that trickles does not win over one that has a backlog")
    func trickle() async throws {
        let bench = try await Bench.open { $0.quantum = 4 }
        try await backlog(bench, "big", 400)
        var served: [String: Int] = [:]
        for index in 0..<200 {
            try await bench.enqueue("drop \(index)", tenant: Tenant("drop"))
            for task in try await bench.lease(2) { served[task.tenant.name, default: 0] += 1 }
        }
        #expect(served["drop", default: 0] >= 190, "what it trickles is served soon")
        #expect(served["big", default: 0] >= 190, "and the backlog moves on")
        try await bench.shard.close()
    }

    @Test("nobody starves: ever new tenants do not keep an old one waiting for ever")
    func noStarvation() async throws {
        let bench = try await Bench.open { $0.quantum = 2 }
        try await backlog(bench, "old", 50)
        _ = try await bench.lease(4)
        var old = 0
        // Twenty tenants bring a job each, again and again; one job is served for each that comes.
        for round in 0..<10 {
            for tenant in 0..<20 {
                try await bench.enqueue("\(round)", tenant: Tenant("new \(tenant)"))
                old += tenants(try await bench.lease(1)).filter { $0 == "old" }.count
            }
        }
        #expect(old > 0)
        try await bench.shard.close()
    }

    @Test("where one tenant alone has work it gets every turn")
    func alone() async throws {
        let bench = try await Bench.open { $0.quantum = 3 }
        try await backlog(bench, "a", 3)
        try await backlog(bench, "b", 100)
        #expect(tenants(try await bench.lease(103)).filter { $0 == "b" }.count == 100)
        try await bench.finish()
    }

    @Test("a tenant whose ready jobs are cancelled passes its turn on")
    func emptied() async throws {
        let bench = try await Bench.open { $0.quantum = 2 }
        for tenant in ["a", "b"] { try await backlog(bench, tenant, 4) }
        #expect(tenants(try await bench.lease(1)) == ["a"])
        for id in 1..<4 { try await bench.shard.run(Cancel(tenant: Tenant("a"), id: JobID("a\(id)"))) }
        #expect(tenants(try await bench.lease(10)) == ["b", "b", "b", "b"])
        try await backlog(bench, "c", 1)
        #expect(tenants(try await bench.lease(10)) == ["c"])
        try await bench.finish()
    }

    @Test("J25: priority orders within a tenant, not between tenants; old jobs of low priority are not starved by new ones")
    func priority() async throws {
        let bench = try await Bench.open { $0.quantum = 1 }
        try await bench.enqueue("low", tenant: Tenant("a"), priority: 99)
        try await bench.enqueue("high", tenant: Tenant("b"), priority: 0)
        #expect(try await bench.drain(2) == ["low", "high"])

        try await bench.enqueue("patient", priority: 99)
        var rounds = 0
        while rounds < 200 {
            try await bench.enqueue("urgent \(rounds)", priority: 0)
            if try await bench.drain(1) == ["patient"] { break }
            rounds += 1
            try await bench.pass(60_000)
        }
        #expect(rounds == 99, "99 steps of a minute each")
        try await bench.shard.close()
    }
}
