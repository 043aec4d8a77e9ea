import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloEngine

/// What memory keeps has a bound, and falls again after a peak.
@Suite(.timeLimit(.minutes(10))) struct MemoryBoundTests {
    @Test("B2: names of task groups that workers ask for are remembered up to a bound")
    func polls() {
        let polls = Polls(groupsMax: 100)
        for index in 0..<10_000 {
            polls.note(TaskGroup("g\(index)"), tasks: 0, at: Timestamp(Int64(index)))
            polls.note("busy", tasks: 1, at: Timestamp(Int64(index)))
        }
        #expect(polls.count <= 200)
        #expect(polls["g9999"] != nil)
        #expect(polls["busy"]?.last == Timestamp(9999))
        #expect(polls["busy"]?.leases.gap != nil)
        #expect(polls["g0"] == nil)
    }

    @Test("B5: workers that went away while they waited hold no memory, nor an alarm")
    func abandoned() async throws {
        let bench = try await Bench.open()
        let answers = Answers()
        weak var held: Held?
        do {
            let object = Held()
            held = object
            let gone = bench.shard.lease(Lease(worker: "w", group: "g", taskCountMax: 1), waitMilliseconds: 60_000) { _ in
                object.touch()
            }
            try await bench.until("it waits") { bench.shard.counts.waitingWorkers == 1 }
            gone.abandon()
        }
        #expect(held == nil, "what the caller left is let go at once")
        for _ in 0..<500 {
            let gone = bench.shard.lease(Lease(worker: "w", group: "g", taskCountMax: 1), waitMilliseconds: 60_000) { _ in }
            try await bench.poke()
            gone.abandon()
        }
        try await answers.wait("ann", bench)
        #expect(bench.shard.counts.waitingWorkers == 1)
        #expect(bench.shard.counts.waiterEntries < 300)
        try await bench.enqueue("a")
        try await answers.expect(["ann: a"])
        try await bench.finish()
    }

    private final class Held: Sendable { func touch() {} }

    @Test("B9: after a peak of busy queues and limits memory holds no more of them than before")
    func floors() async throws {
        let bench = try await Bench.open { $0.idleQueuesMax = 10; $0.idleLimitsMax = 10 }
        for round in 0..<3 {
            for index in 0..<500 { try await bench.enqueue("\(round)", tenant: Tenant("t\(index)"), limits: [slots("x", 1)]) }
            #expect(bench.shard.counts.queues >= 500)
            for task in try await bench.lease(500) { try await bench.succeed(task) }
            try await bench.poke()
            #expect(bench.shard.counts.queues <= 10)
            #expect(bench.shard.counts.limits <= 10)
        }
        try await bench.finish()
    }

    @Test("B8: forgetting idle queues changes nobody's share")
    func sweepsAreFair() async throws {
        let bench = try await Bench.open { $0.idleQueuesMax = 0; $0.quantum = 2 }
        for tenant in ["a", "b", "c"] {
            for index in 0..<200 { try await bench.enqueue("\(index)", tenant: Tenant(tenant)) }
        }
        var shares: [String: Int] = [:]
        for round in 0..<150 {
            // Others come, are served and forgotten.
            try await bench.enqueue("once", tenant: Tenant("t\(round)"))
            for task in try await bench.lease(3) {
                shares[task.tenant.name, default: 0] += 1
                try await bench.succeed(task)
            }
        }
        let (low, high) = (["a", "b", "c"].map { shares[$0] ?? 0 }.min() ?? 0, ["a", "b", "c"].map { shares[$0] ?? 0 }.max() ?? 0)
        #expect(high - low <= 4, "\(shares.filter { $0.key.count == 1 })")
        try await bench.finish()
    }

    @Test("B8: looking whether a queue may be forgotten takes no turn", arguments: [1, 2, 3])
    func forgetting(quantum: Int) throws {
        let queues = ["a", "b", "c"].map { name -> Queue in
            let queue = Queue(Queue.ID(tenant: Tenant(name), group: "g"), counts: StorageV1.QueueCounts())
            queue.counts.ready = 1000
            return queue
        }
        var group = ReadyGroup(quantum: quantum)
        for queue in queues { group.activate(queue) }
        var turns: [String: Int] = [:]
        for round in 0..<1000 {
            if round % 7 == 0 {
                let gone = Queue(Queue.ID(tenant: Tenant("gone \(round)"), group: "g"), counts: StorageV1.QueueCounts())
                gone.counts.ready = 1
                group.activate(gone)
                gone.counts.ready = 0
                group.forget(gone)
            }
            let next = group.next()
            let queue = try #require(next)
            queue.deficit -= 1
            turns[queue.id.tenant.name, default: 0] += 1
        }
        #expect(turns.count == 3)
        #expect((turns.values.max() ?? 0) - (turns.values.min() ?? 0) <= quantum)
    }

    @Test("windows of all shards of a server share their memory, by bytes")
    func windows() async throws {
        var settings = EngineSettings()
        settings.windowBytesMax = 64 << 10
        let budgets = MemoryBudgets(settings)
        var shards: [Shard] = []
        for seed in 0..<3 {
            let shard = try await Shard.open(
                MemoryStore(), settings: settings, clock: ManualClock(), random: SeededRandom(seed: UInt64(seed)),
                budgets: budgets)
            shards.append(shard)
            let jobs = (0..<200).map {
                Enqueue(tenant: Bench.tenant, id: JobID("\($0)"), payload: Bytes(repeating: 7, count: 2000), taskGroup: "g")
            }
            _ = try await shard.run(EnqueueAll(jobs))
        }
        #expect(budgets.windows.held <= (64 << 10) + 3000)
        for shard in shards {
            var left = 200
            while left > 0 {
                let tasks = try await shard.lease(Lease(worker: "w", group: "g", taskCountMax: 50)).tasks
                try #require(!tasks.isEmpty)
                left -= tasks.count
            }
            try await shard.close()
        }
        shards = []
        try await eventually("closed shards hold nothing") { budgets.windows.held == 0 }
        #expect(budgets.inHand.held == 0)
    }
}
