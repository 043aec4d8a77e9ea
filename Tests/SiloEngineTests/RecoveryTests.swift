import Protobuf
import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct RecoveryTests {
    @Test("R20: after a crash every job stands where it stood, and goes on from there")
    func everything() async throws {
        let bench = try await Bench.open { $0.pageRows = 2; $0.windowMax = 3 }
        for index in 0..<10 {
            try await bench.enqueue("a", tenant: Tenant("t\(index)"), after: index == 3 ? 5000 : nil, retries: 3)
        }
        for index in 0..<20 { try await bench.enqueue("job \(index)", after: index % 2 == 0 ? nil : 3000) }
        let tasks = try await bench.lease(12)
        try await bench.succeed(tasks[0])
        try await bench.fail(tasks[1])
        try await bench.shard.run(Cancel(tenant: tasks[2].tenant, id: JobID(tasks[2].job.id)))
        let before = bench.memory.rows
        let counts = bench.shard.counts

        let again = try await bench.crash()
        #expect(again.memory.rows == before)
        #expect(again.shard.counts.total == counts.total)
        #expect(again.shard.counts.completed == counts.completed)
        #expect(again.shard.counts.leases == counts.leases)
        #expect(again.shard.createdAt == bench.shard.createdAt)
        // Leases go on: the worker may report, and is told of a cancel.
        #expect(try await again.heartbeat(tasks[2]) != nil)
        for task in tasks[2...] { try await again.succeed(task) }
        // So do ready jobs and timers.
        var ids: [String] = []
        for _ in 0..<4 {
            for task in try await again.lease(100) {
                ids.append(task.tenant.name + "/" + task.job.id)
                try await again.succeed(task)
            }
            try await again.pass(5000)
        }
        #expect(Set(ids).count == ids.count)
        #expect(again.shard.counts.completed == counts.total)
        try await again.finish()
    }

    @Test("recovered leases get a fresh period, then expire")
    func freshLeases() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, retries: 1) }
        let tasks = try await bench.lease(2)
        try await bench.cancel("b")
        bench.clock.advance(milliseconds: 3_600_000)
        let again = try await bench.crash()
        try await again.pass(9999)
        #expect(try await again.state("a") == .running)
        try await again.heartbeat(tasks[0])
        try await again.pass(1)
        #expect(try await again.state("a") == .running)
        #expect(try await again.state("b") == .cancelled, "J34")
        try await again.pass(9999)
        #expect(try await again.state("a") == .scheduled)
        #expect(try await again.attempts("a").map(\.errorCode) == ["WORKER_CRASHED"])
        try await again.finish()
    }

    @Test("J31: counts hold through every operation and a crash after each")
    func counts() async throws {
        var bench = try await Bench.open()
        try await bench.enqueue("a", retries: 1, metadata: ["k": "v"])
        let steps: [(Bench) async throws -> Void] = [
            { try await $0.fail($0.leaseOne()) },
            { try await $0.expedite("a") },
            { try await $0.shard.run(Release([$0.leaseOne().id])) },
            { try await $0.cancel("a") },
            { try await $0.restart("a") },
            { _ = try await $0.leaseJob("a") },
            { try await $0.pass(20_000) },
            { try await $0.restart("a") },
            { try await $0.fail($0.leaseOne()) },
            { try await $0.pass(20_000) },
            { try await $0.report($0.leaseOne(), .cancelled) },
            { try await $0.cancel("a") },
            { try await $0.delete("a") },
        ]
        for (number, step) in steps.enumerated() {
            try await step(bench)
            #expect(bench.violations == [], "step \(number)")
            let audit = ShardAudit(bench.memory.rows)
            #expect(bench.shard.counts.total == Int64(audit.total), "step \(number)")
            #expect(bench.shard.counts.completed == Int64(audit.completed), "step \(number)")
            bench = try await bench.crash()
            #expect(bench.shard.counts.total == Int64(audit.total), "step \(number), reopened")
            #expect(bench.shard.counts.completed == Int64(audit.completed), "step \(number), reopened")
        }
        #expect(bench.memory.rowsLeft == [])
        try await bench.finish()
    }

    @Test("a database of another format is refused, in words", arguments: [
        (6, "run the newer program"), (4, "run the older program that wrote it, or begin with an empty place"),
    ] as [(UInt32, String)])
    func format(version: UInt32, way: String) async throws {
        let store = MemoryStore()
        var info = StorageV1.ShardInfo()
        info.formatVersion = version
        try await store.write([Write(key: ShardKeys.info, value: info.serializedBytes())])
        await #expect(throws: StoreError.corrupt("the shard has format \(version), this program reads format 5 only: \(way)")) {
            _ = try await Bench.open(store)
        }
        #expect(store.rows.count == 1, "and is not touched")
    }

    @Test("a store that cannot be read is not opened")
    func unreadable() async throws {
        let store = FaultyStore(MemoryStore())
        store.set { $0.failReads = true }
        await #expect(throws: StoreError.unavailable("injected fault")) { _ = try await Shard.open(store) }
    }

    @Test("H2: a lease that cannot be read is set aside, and the shard opens")
    func badLease() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c"] { try await bench.enqueue(id) }
        let tasks = try await bench.lease(2)
        let key = TenantKeys(Bench.tenant).lease(JobID("a"))
        try await bench.memory.write([Write(key: key, value: [0xff])])
        try await bench.memory.flush()
        let again = try await bench.crash()
        #expect(try await again.memory.get(ShardKeys.setAside(key)) == [0xff])
        #expect(again.shard.counts.leases == 1)
        try await again.succeed(tasks[1])
        #expect(try await again.drain(10) == ["c"])
        #expect(again.violations.filter { $0.contains("J31") } == [])
        // Its job stands nowhere. Whoever looks can cancel it and restart it.
        try await again.cancel("a")
        try await again.restart("a")
        #expect(try await again.drain(10) == ["a"])
        #expect(again.violations == [])
        try await again.shard.close()
    }

    @Test("H2: a job that cannot be read refuses its own requests and nobody else's")
    func badJob() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id) }
        try await bench.memory.write([Write(key: TenantKeys(Bench.tenant).job(JobID("a")), value: [0xff])])
        for operation in [bench.cancel, bench.restart, bench.expedite, bench.delete] {
            guard case .corrupt? = try await refusal({ try await operation("a") }) else {
                Issue.record("not refused as corrupt")
                continue
            }
        }
        try await bench.cancel("b")
        try await bench.shard.close()
    }
}
