import Protobuf
import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite struct LeaseTests {
    @Test("J3 J21: a leased job runs, under a lease that ends in the future, and waits nowhere")
    func leased() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", priority: 9, retries: 1, payload: [5], metadata: ["k": "v"])
        let task = try await bench.leaseOne(worker: "ann")
        #expect((task.tenant, task.job.id, task.job.payload) == (Bench.tenant, "a", [5]))
        #expect((task.attempt, task.relativeAttempt, task.isLastAttempt) == (1, 1, false))
        let job = try #require(try await bench.job("a"))
        #expect(job.state == .running)
        #expect(job.nextStart(at: bench.clock.moment) == nil)
        #expect(job.lease?.workerId == "ann")
        #expect(job.lease?.taskId == task.id.uuid.bytes)
        #expect(job.lease?.expiresAtMs == (bench.now + 10_000).milliseconds)
        #expect(bench.violations == [])
        try await bench.pass(4000)
        try await bench.heartbeat(task, worker: "ann")
        #expect(try await bench.job("a")?.lease?.expiresAtMs == (bench.now + 10_000).milliseconds)
        try await bench.finish()
    }

    @Test("J1 J2 J23: however many workers lease at once, each job goes to exactly one")
    func once() async throws {
        let bench = try await Bench.open { $0.turnJobsMax = 8 }
        let tasks = try await withThrowingTaskGroup(of: [LeasedTask].self) { group in
            for index in 0..<200 {
                group.addTask {
                    try await bench.enqueue("job \(index)")
                    return []
                }
                group.addTask { try await bench.lease(3) }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        let all = tasks + (try await bench.lease(1000))
        #expect(all.count == 200)
        #expect(Set(all.map(\.job.id)).count == 200)
        #expect(Set(all.map(\.id)).count == 200)
        #expect(bench.shard.counts.leases == 200)
        try await bench.finish()
    }

    @Test("J24: no job is leased before its start")
    func notBefore() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("late", after: 5000)
        try await bench.enqueue("past", after: -5000)
        #expect(try await bench.drain(10) == ["past"])
        try await bench.pass(4999)
        #expect(try await bench.drain(10) == [])
        try await bench.pass(1)
        #expect(try await bench.drain(10) == ["late"])
        try await bench.finish()
    }

    @Test("J25: priority goes before time and both before the order of arrival; waiting raises priority")
    func order() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("old 51", priority: 51)
        try await bench.pass(59_999)
        for id in ["b", "a"] { try await bench.enqueue(id, priority: 50) }
        try await bench.enqueue("urgent", priority: 0)
        try await bench.enqueue("idle", priority: 99)
        try await bench.pass(2)
        try await bench.enqueue("new 50", priority: 50)
        // One step of priority is worth a minute of waiting: "old 51" stands between the two that came a minute later.
        #expect(try await bench.drain(10) == ["urgent", "b", "a", "old 51", "new 50", "idle"])
        try await bench.finish()
    }

    @Test("J25: what waited for its start is ranked by that start")
    func orderOfTimers() async throws {
        let bench = try await Bench.open()
        for (id, wait) in [("c", 300), ("a", 100), ("b", 200)] { try await bench.enqueue(id, after: Int64(wait)) }
        try await bench.pass(1000)
        try await bench.enqueue("d")
        #expect(try await bench.drain(10) == ["a", "b", "c", "d"])
        try await bench.finish()
    }

    @Test("J43: no row of the place that a job left stays behind")
    func noRemains() async throws {
        let bench = try await Bench.open()
        for index in 0..<20 { try await bench.enqueue("job \(index)", after: index % 2 == 0 ? nil : 10) }
        try await bench.pass(10)
        for task in try await bench.lease(100) { try await bench.succeed(task) }
        let keys = TenantKeys(Bench.tenant)
        for range in [keys.ready("g", from: Position(from: 0)), keys.dates("g", from: Position(from: 0)), keys.leases] {
            #expect(try await bench.memory.scan(from: range.start, to: range.end, limit: 10) == [])
        }
        try await bench.finish()
    }

    @Test("groups and counts: only the group asked for, no more than asked for, none for zero")
    func bounds() async throws {
        let bench = try await Bench.open()
        for index in 0..<5 { try await bench.enqueue("job \(index)", group: index == 0 ? "other" : "g") }
        #expect(try await bench.drain(0) == [])
        #expect(try await bench.drain(3) == ["job 1", "job 2", "job 3"])
        #expect(try await bench.drain(3) == ["job 4"])
        #expect(try await bench.drain(3, group: "none") == [])
        #expect(try await bench.drain(3, group: "other") == ["job 0"])
        try await bench.finish()
    }

    @Test("the last attempt says so", arguments: [(nil, true), (0, true), (1, false)] as [(UInt32?, Bool)])
    func lastAttempt(retries: UInt32?, isLast: Bool) async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", retries: retries)
        let task = try await bench.leaseOne()
        #expect(task.isLastAttempt == isLast)
        if !isLast {
            try await bench.fail(task)
            try await bench.pass(2000)
            #expect(try await bench.leaseOne().isLastAttempt)
        }
        try await bench.finish()
    }

    @Test("a job too large to copy into its task is read from its row")
    func large() async throws {
        let bench = try await Bench.open { $0.inlineJobBytesMax = 100 }
        let payload = Bytes(repeating: 7, count: 1 << 20)
        try await bench.enqueue("a", retries: 1, payload: payload)
        let task = try await bench.leaseOne()
        #expect(task.job.payload == payload)
        try await bench.fail(task)
        try await bench.pass(2000)
        #expect(try await bench.leaseOne().job.payload == payload)
        try await bench.finish()
    }

    @Test("R15 H2: a large job whose row is gone or unreadable is dropped and holds nobody up", arguments: [nil, [0xff]] as [Bytes?])
    func lostRow(row: Bytes?) async throws {
        let bench = try await Bench.open { $0.inlineJobBytesMax = 0 }
        for id in ["a", "b"] { try await bench.enqueue(id) }
        let key = TenantKeys(Bench.tenant).job(JobID("a"))
        try await bench.memory.write([Write(key: key, value: row)])
        #expect(try await bench.drain(10) == ["b"])
        #expect(try await bench.memory.get(ShardKeys.setAside(key)) == row)
        #expect(bench.violations == [])
        try await bench.finish(healed: [.jobMissing: 1])
    }

    @Test("J42: what is given back is ready again, exactly once, under the same attempt number")
    func giveBack() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c"] { try await bench.enqueue(id) }
        let tasks = try await bench.lease(3)
        try await bench.cancel("b")
        let unknown = TaskID(UUID(high: 1, low: 2))
        try await bench.shard.run(Release(tasks.map(\.id) + [tasks[0].id, unknown]))
        #expect(try await bench.state("b") == .cancelled, "cancelled meanwhile: it does not run again")
        #expect(bench.violations == [])
        let again = try await bench.lease(10)
        #expect(again.map(\.job.id) == ["a", "c"])
        #expect(again.map(\.attempt) == [1, 1])
        #expect(Set(again.map(\.id)).isDisjoint(with: tasks.map(\.id)))
        let late = try await refusal { try await bench.succeed(tasks[0]) }
        #expect(late == .leaseNotFound)
        try await bench.finish()
    }

    @Test("an answer holds as many tasks as its bytes allow: payload, metadata and limits count; one too large comes alone")
    func answerBytes() async throws {
        let bench = try await Bench.open()
        let large = String(repeating: "x", count: 4000)
        try await bench.enqueue("payload", payload: Bytes(repeating: 1, count: 4000))
        try await bench.enqueue("metadata", metadata: ["k": large])
        try await bench.enqueue("slots", limits: [slots(large, 1)])
        try await bench.enqueue("floating", limits: [floating("f", 1, metadata: ["k": large])])
        try await bench.enqueue("rate", limits: [rate(large, 1)])
        func lease(_ bytes: Int, takesOversized: Bool = true) async throws -> [String] {
            let lease = Lease(
                worker: "w", group: "g", taskCountMax: 10, answerBytesMax: bytes, takesOversized: takesOversized
            )
            return try await bench.shard.lease(lease).tasks.map(\.job.id)
        }
        #expect(try await lease(3000, takesOversized: false) == [])
        #expect(try await lease(3000) == ["payload"])
        #expect(try await lease(9200) == ["metadata", "slots"])
        #expect(try await lease(9200) == ["floating", "rate"])
        try await bench.finish()
    }

    @Test("lease-one takes a job before its time; given back it waits for that time again")
    func leaseOne() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", after: 5000)
        let task = try await bench.leaseJob("a")
        #expect((task.attempt, task.relativeAttempt) == (1, 1))
        #expect(try await bench.state("a") == .running)
        try await bench.shard.run(Release([task.id]))
        #expect(try await bench.nextStart("a") == bench.now + 5000)
        #expect(try await bench.drain(1) == [])
        try await bench.pass(5000)
        #expect(try await bench.drain(1) == ["a"])
        try await bench.finish()
    }
}
