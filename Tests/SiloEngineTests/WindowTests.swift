import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Synchronization
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct WindowTests {
    private func small(_ settings: inout EngineSettings) {
        settings.windowMax = 4
        settings.pageRows = 3
        settings.windowBytesMax = 6 * 700
        settings.turnJobsMax = 5
    }

    @Test("J22 J23: more jobs than memory holds come in order, each once, paged in from the store", arguments: [1, 2, 7, 100])
    func paging(step: Int) async throws {
        let bench = try await Bench.open(nil, small)
        for index in 0..<100 { try await bench.enqueue("job \(index + 100)", priority: UInt32(index * 37 % 10)) }
        #expect(bench.shard.counts.windowedTasks <= 6)
        var got: [LeasedTask] = []
        try await untilNothingIsLeft {
            let tasks = try await bench.lease(step)
            got += tasks
            return !tasks.isEmpty
        }
        #expect(got.count == 100)
        let ranked = got.map { "\($0.job.priority) \($0.job.id)" }
        #expect(ranked == ranked.sorted())
        try await bench.finish()
    }

    @Test("J22: jobs that come while others are paged in keep their order")
    func interleaved() async throws {
        let bench = try await Bench.open(nil, small)
        let random = SeededRandom(seed: 5)
        var waiting: [String] = []
        for round in 0..<300 {
            if random.chance(60) {
                let priority = random.below(5)
                let id = "\(priority) \(round + 1000)"
                try await bench.enqueue(id, priority: UInt32(priority))
                waiting.append(id)
            }
            if random.chance(20), !waiting.isEmpty { try await bench.cancel(waiting.remove(at: random.below(waiting.count))) }
            if random.chance(40) {
                let got = try await bench.drain(1 + random.below(3))
                waiting.sort()
                #expect(got == Array(waiting.prefix(got.count)), "round \(round)")
                waiting.removeFirst(got.count)
            }
        }
        waiting.sort()
        #expect(try await bench.drain(1000) == waiting)
        try await bench.finish()
    }

    @Test("many tenants' windows share a bound, and every job is still found")
    func shared() async throws {
        let bench = try await Bench.open(nil, small)
        for index in 0..<200 {
            try await bench.enqueue("job \(index)", tenant: Tenant("t\(index % 20)"), after: index % 3 == 0 ? 1000 : nil)
        }
        try await bench.pass(1000)
        #expect(bench.shard.counts.windowedTasks <= 6 + 3)
        #expect(Set(try await bench.drain(1000)).count == 200)
        try await bench.finish()
    }

    @Test("a page emptied by the batch in hand is not the end of the queue")
    func emptiedPage() async throws {
        let bench = try await Bench.open { $0.pageRows = 2; $0.windowMax = 2 }
        for index in 0..<9 { try await bench.enqueue("job \(index)") }
        #expect(try await bench.drain(2) == ["job 0", "job 1"])
        // In one batch: the next pages are cancelled, then the queue is read on.
        let got = Mutex<[String]>([])
        try await bench.together {
            for index in 2..<6 { bench.shard.submit(Cancel(tenant: Bench.tenant, id: JobID("job \(index)"))) { _ in } }
            bench.shard.lease(Lease(worker: "w", group: "g", taskCountMax: 10)) { result in
                got.withLock { $0 = (try? result.get().tasks.map(\.job.id)) ?? [] }
            }
        }
        try await bench.poke()
        #expect(got.withLock { $0 } == ["job 6", "job 7", "job 8"])
        try await bench.finish()
    }

    @Test("H2: rows that cannot be read are set aside, and hold nobody up")
    func unreadable() async throws {
        let bench = try await Bench.open { $0.pageRows = 2; $0.windowMax = 2 }
        for index in 0..<8 { try await bench.enqueue("job \(index)", after: index < 4 ? nil : 1000) }
        let keys = TenantKeys(Bench.tenant)
        for range in [keys.ready("g", from: Position(from: 0)), keys.dates("g", from: Position(from: 0))] {
            // Three of four: the first page holds nothing that can be read.
            for row in try await bench.memory.scan(from: range.start, to: range.end, limit: 3) {
                try await bench.memory.write([Write(key: row.key, value: [0xff])])
            }
        }
        try await bench.memory.flush()
        let again = try await bench.crash()
        #expect(try await again.drain(10) == ["job 3"])
        try await again.pass(1000)
        #expect(try await again.drain(10) == ["job 7"])
        #expect(again.memory.rowsSetAside.count == 6)
        #expect(again.violations.filter { $0.contains("J31") } == [], "what was set aside is not counted")
        try await again.shard.close()
    }

    @Test("a stored count that is wrong is put right, and traps nobody", arguments: [0, 9] as [UInt64])
    func wrongCount(ready: UInt64) async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c"] { try await bench.enqueue(id) }
        var counts = StorageV1.QueueCounts()
        counts.ready = ready
        try await bench.memory.write([Write(key: ShardKeys.queue(Bench.tenant, "g"), value: counts.serializedBytes())])
        try await bench.memory.flush()
        let again = try await bench.crash()
        try await again.cancel("a")
        #expect(try await again.drain(10) == (ready > 0 ? ["b", "c"] : []))
        #expect(try await again.drain(10) == [])
        try await again.shard.close()
    }

    @Test("queues in which nothing can happen are forgotten, and found again")
    func idle() async throws {
        let bench = try await Bench.open { $0.idleQueuesMax = 8 }
        for index in 0..<100 { try await bench.enqueue("a", tenant: Tenant("t\(index)")) }
        for task in try await bench.lease(100) { try await bench.succeed(task) }
        _ = try await bench.lease(1)
        for index in 50..<150 {
            try await bench.enqueue("b", tenant: Tenant("t\(index)"))
            try await bench.succeed(bench.leaseOne())
            _ = try await bench.lease(1)
        }
        #expect(bench.shard.counts.queues < 100)
        #expect(bench.shard.counts.total == 200)
        try await bench.finish()
    }

    @Test("what memory notes of a queue that fills and empties does not grow")
    func loadOrder() async throws {
        let memory = ShardMemory(settings: EngineSettings(), windows: MemoryBudget(1 << 20))
        let queue = Queue(Queue.ID(tenant: Bench.tenant, group: "g"), counts: StorageV1.QueueCounts())
        for index in 0..<100 {
            memory.addReady(PendingTask(Position(order: UInt64(index), arrival: 0, job: JobID("a")), StorageV1.Task()), to: queue)
            memory.popFirst(of: .ready(queue))
        }
        #expect(memory.windows.ownersInOrder == 1)
    }
}
