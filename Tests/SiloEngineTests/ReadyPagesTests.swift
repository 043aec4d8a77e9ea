import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Synchronization
import TestSupport
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct ReadyPagesTests {
    private let clock = ManualClock()

    /// Tenants of one slice, in no order of their keys.
    private static func neighbours(_ count: Int) -> [Tenant] {
        let slice = Slice(of: Tenant("t").hash)
        return Array((0...).lazy.map { Tenant("t\($0)") }.filter { Slice(of: $0.hash) == slice }.prefix(count))
    }

    private func fill(_ tenants: [Tenant], _ jobsEach: Int, payload: Int = 0) async throws -> MemoryStore {
        let bench = try await Bench.open()
        for index in 0..<jobsEach {
            let jobs = tenants.map {
                Enqueue(tenant: $0, id: JobID("\(index)"), payload: Bytes(repeating: 7, count: payload), taskGroup: "g")
            }
            _ = try await bench.shard.run(EnqueueAll(jobs))
        }
        try await bench.shard.close()
        return bench.memory.crash()
    }

    private func open(
        _ store: any KeyValueStore, budgets: MemoryBudgets? = nil, _ settings: EngineSettings
    ) async throws -> Shard {
        try await Shard.open(store, settings: settings, clock: clock, random: SeededRandom(seed: 1), budgets: budgets)
    }

    private func lease(_ shard: Shard, _ count: Int) async throws -> [LeasedTask] {
        try await shard.lease(Lease(worker: "w", group: "g", taskCountMax: count)).tasks
    }

    @Test("one page of ready rows fills many windows, and each tenant's jobs come once and in order", arguments: [1, 50])
    func onePage(step: Int) async throws {
        let tenants = Self.neighbours(60)
        let store = CountingStore(try await fill(tenants, 4))
        let shard = try await open(store, EngineSettings())
        var got: [Tenant: [String]] = [:]
        var left = 240
        while left > 0 {
            let tasks = try await lease(shard, step)
            try #require(!tasks.isEmpty)
            left -= tasks.count
            for task in tasks { got[task.tenant, default: []].append(task.job.id) }
        }
        #expect(got.count == 60 && got.values.allSatisfy { $0 == ["0", "1", "2", "3"] })
        #expect(store.readyPages == 1)
        try await shard.close()
    }

    @Test("a page that is cut short is read on, and no tenant has two turns in a round")
    func rounds() async throws {
        let tenants = Self.neighbours(30)
        let store = CountingStore(try await fill(tenants, 12))
        var settings = EngineSettings()
        settings.pageRows = 50
        settings.quantum = 4
        let shard = try await open(store, settings)
        var got: [Tenant: Int] = [:]
        for round in 1...3 {
            for _ in 0..<30 * 4 { for task in try await lease(shard, 1) { got[task.tenant, default: 0] += 1 } }
            #expect(got.count == 30 && got.values.allSatisfy { $0 == 4 * round }, "round \(round)")
        }
        #expect(store.readyPages <= 30, "rather than one for each tenant in each round: \(store.readyPages)")
        try await shard.close()
    }

    @Test("the next page of a deep queue is read while there is still some of the page before")
    func nextPage() async throws {
        let counting = CountingStore(try await fill(Self.neighbours(1), 40))
        let store = FaultyStore(counting)
        var settings = EngineSettings()
        settings.pageRows = 10
        let shard = try await open(store, settings)
        #expect(try await lease(shard, 5).count == 5)
        try await counting.changes.wait { counting.readyPages == 2 }
        store.set { $0.failReads = true }
        #expect(try await lease(shard, 40).count == 15, "what was left, and the page that was read ahead")
        store.set { $0.failReads = false }
        clock.advance(milliseconds: 1000)
        #expect(try await lease(shard, 40).count == 20)
        try await shard.close()
    }

    @Test("the page of the neighbours that come next is read while those before have their turns, wherever a page ends")
    func nextNeighbours() async throws {
        let counting = CountingStore(try await fill(Self.neighbours(30), 4))
        let store = FaultyStore(counting)
        var settings = EngineSettings()
        settings.pageRows = 42
        let shard = try await open(store, settings)
        #expect(try await lease(shard, 1).count == 1)
        try await counting.changes.wait { counting.readyPages == 2 }
        store.set { $0.failReads = true }
        #expect(try await lease(shard, 200).count == 83, "both pages")
        #expect(counting.readyPages == 2)
        store.set { $0.failReads = false }
        clock.advance(milliseconds: 1000)
        #expect(try await lease(shard, 200).count == 36)
        #expect(counting.readyPages == 3)
        try await shard.close()
    }

    @Test("a shard is closed though the store does not answer a read ahead")
    func closing() async throws {
        let store = FaultyStore(try await fill(Self.neighbours(1), 40))
        var settings = EngineSettings()
        settings.pageRows = 10
        let shard = try await open(store, settings)
        #expect(try await lease(shard, 4).count == 4)
        store.set { $0.holdReads = true }
        #expect(try await lease(shard, 1).count == 1)
        try await store.changes.wait { store.heldCount == 1 }
        try await shard.close()
        store.set { $0.holdReads = false }
    }

    @Test("each page of many deep queues is read once, whoever has turns")
    func deepQueues() async throws {
        let tenants = Self.neighbours(24)
        let store = CountingStore(try await fill(tenants, 40))
        var settings = EngineSettings()
        settings.pageRows = 10
        settings.quantum = 2
        let shard = try await open(store, settings)
        var got: [Tenant: Int] = [:]
        for _ in 0..<24 * 40 { for task in try await lease(shard, 1) { got[task.tenant, default: 0] += 1 } }
        #expect(got.count == 24 && got.values.allSatisfy { $0 == 40 })
        #expect(store.readyPages <= 24 * 40 / 10 + 24, "\(store.readyPages)")
        try await shard.close()
    }

    @Test("a newcomer goes before all who had work when the shard was opened, and before those who were read ahead")
    func newcomer() async throws {
        let store = try await fill(Self.neighbours(60), 4)
        let shard = try await open(store, EngineSettings())
        #expect(try await lease(shard, 1).count == 1)
        _ = try await shard.run(Enqueue(tenant: Tenant("new"), id: JobID("a"), taskGroup: "g"))
        #expect(try await lease(shard, 1).map(\.tenant.name) == ["new"])
        try await shard.close()
    }

    @Test("what a batch adds and takes away is neither passed over nor given twice", arguments: [1, 2, 3, 4] as [UInt64])
    func unwritten(seed: UInt64) async throws {
        let random = SeededRandom(seed: seed)
        let tenants = Self.neighbours(8)
        let bench = try await Bench.open { settings in
            settings.windowMax = 3
            settings.pageRows = 2 + random.below(12)
            settings.quantum = 1 + random.below(3)
            settings.windowBytesMax = random.below(30) * 700
        }
        var waiting: [Tenant: [String]] = [:]
        for round in 0..<250 {
            let leased = Mutex<[(Tenant, String)]>([])
            try await bench.together {
                for step in 0..<(1 + random.below(6)) {
                    let tenant = tenants[random.below(tenants.count)]
                    if random.chance(65) {
                        let priority = UInt32(random.below(3))
                        let id = "\(priority) \(1000 * (1000 + round) + step)"
                        bench.shard.submit(Enqueue(tenant: tenant, id: JobID(id), priority: priority, taskGroup: "g")) { _ in }
                        waiting[tenant, default: []].append(id)
                    } else if let ids = waiting[tenant], !ids.isEmpty {
                        let id = ids[random.below(ids.count)]
                        waiting[tenant]?.removeAll { $0 == id }
                        bench.shard.submit(Cancel(tenant: tenant, id: JobID(id))) { _ in }
                    }
                }
                bench.shard.lease(Lease(worker: "w", group: "g", taskCountMax: random.below(12))) { result in
                    guard case .success(let answer) = result else { return }
                    leased.withLock { $0 = answer.tasks.map { ($0.tenant, $0.job.id) } }
                }
            }
            try await bench.poke()
            for (tenant, id) in leased.withLock({ $0 }) {
                #expect(waiting[tenant]?.min() == id, "round \(round)")
                waiting[tenant]?.removeAll { $0 == id }
            }
        }
        let rest = try await bench.lease(10_000)
        for tenant in tenants {
            #expect(rest.filter { $0.tenant == tenant }.map(\.job.id) == waiting[tenant, default: []].sorted())
        }
        try await bench.finish()
    }

    @Test("H2: a neighbour's row that cannot be read waits for its own turn, and is set aside there")
    func unreadable() async throws {
        let tenants = Self.neighbours(6)
        let store = try await fill(tenants, 3)
        let keys = TenantKeys(tenants[2])
        let row = try #require(try await store.scan(from: keys.ready.start, to: keys.ready.end, limit: 1).first)
        try await store.write([Write(key: row.key, value: [0xff])])
        let bench = try await Bench.open(store)
        #expect(try await bench.lease(100).count == 17)
        #expect(bench.memory.rowsSetAside.count == 1)
        #expect(bench.violations.filter { $0.contains("J31") } == [], "what was set aside is not counted")
        try await bench.shard.close()
    }

    @Test("windows of all shards of a server share their memory, also those that are filled together")
    func shards() async throws {
        let tenants = Self.neighbours(40)
        var settings = EngineSettings()
        settings.windowBytesMax = 64 << 10
        let budgets = MemoryBudgets(settings)
        var shards: [Shard] = []
        for _ in 0..<3 {
            shards.append(try await open(try await fill(tenants, 4, payload: 2000), budgets: budgets, settings))
        }
        var got: [Int] = [0, 0, 0]
        for _ in 0..<16 {
            for (index, shard) in shards.enumerated() {
                got[index] += try await lease(shard, 10).count
                // A shard may keep the window that it is at, and a 64th of the bound.
                let besides = shards.count * (4 * 2700 + settings.windowBytesMax / 64)
                #expect(budgets.windows.held <= settings.windowBytesMax + besides)
            }
        }
        #expect(got == [160, 160, 160])
        for shard in shards { try await shard.close() }
    }

    // MARK: Which queues are read together

    private func memory(_ tenants: [Tenant], ready: UInt64) -> (memory: ShardMemory, queues: [Queue]) {
        let memory = ShardMemory(settings: EngineSettings(), windows: MemoryBudget(1 << 20))
        for tenant in tenants {
            var counts = StorageV1.QueueCounts()
            counts.ready = ready
            let queue = Queue(Queue.ID(tenant: tenant, group: "g"), counts: counts)
            memory.add(queue)
            memory.resume(queue)
        }
        _ = memory.nextQueue(in: "g")
        return (memory, memory.queues.values.sorted { QueueByKey($0) < QueueByKey($1) })
    }

    private func run(_ memory: ShardMemory, from queue: Queue) -> [String] {
        ReadyRun(from: queue, in: memory).queues.map(\.id.tenant.name)
    }

    @Test("a run goes as far as one page does, and stays in its slice")
    func runs() {
        let other = (0...).lazy.map { Tenant("other \($0)") }.prefix(50)
        let (memory, queues) = memory(Self.neighbours(40) + other, ready: 20)
        let mine = queues.filter { $0.keys.slice == Slice(of: Tenant("t").hash) }
        #expect(run(memory, from: mine[0]) == mine[0..<26].map(\.id.tenant.name))
        #expect(ReadyRun(from: mine[0], in: memory).limit == 512)
        #expect(run(memory, from: mine[30]) == mine[30...].map(\.id.tenant.name))
        #expect(ReadyRun(from: mine[38], in: memory).limit == (mine.count - 38) * 20 + 1)
    }

    @Test("who has rows in memory, had its turn or is paused is passed over while that is cheap")
    func passedOver() {
        let (memory, queues) = memory(Self.neighbours(12), ready: 20)
        queues[2].hasUnwrittenRows = true
        queues[4].isPaused = true
        queues[5].ready = Window(frontier: nil)
        #expect(run(memory, from: queues[0]) == [0, 1, 3, 6, 7, 8, 9, 10, 11].map { queues[$0].id.tenant.name })
        queues[2].counts.ready = 1000
        #expect(run(memory, from: queues[0]) == [0, 1].map { queues[$0].id.tenant.name })
    }

    @Test("nobody reads over very many rows that a neighbour's workers took lately")
    func deleted() {
        let (memory, queues) = memory(Self.neighbours(6), ready: 20)
        for _ in 0..<1000 { memory.windows.noteTaken(from: queues[3]) }
        #expect(run(memory, from: queues[0]) == queues[0..<3].map(\.id.tenant.name))
        for _ in 0..<TakenRows.period { memory.windows.noteTaken(from: queues[0]) }
        #expect(run(memory, from: queues[0]) == queues.map(\.id.tenant.name), "they are gone from the store by now")
    }

    // MARK: Which windows are let go

    private func load(_ queue: Queue, in memory: ShardMemory) {
        let task = PendingTask(Position(order: 1, arrival: 0, job: JobID("a")), StorageV1.Task())
        memory.windows.change(.ready(queue)) { $0.load([task], next: nil) }
    }

    @Test("the window that is let go is that of the queue whose next turn is farthest")
    func farthest() {
        let memory = ShardMemory(settings: EngineSettings(), windows: MemoryBudget(640 * 3))
        let queues = ["a", "b", "c", "d", "e"].map {
            Queue(Queue.ID(tenant: Tenant($0), group: "g"), counts: StorageV1.QueueCounts())
        }
        for _ in 0..<3 {
            for queue in queues {
                if queue.heldRows == 0 { load(queue, in: memory) }
                memory.windows.turnEnded(of: queue)
            }
            memory.windows.shrink(keeping: queues[0])
            #expect(queues.filter { $0.heldRows > 0 }.map(\.id.tenant.name) == ["a", "b", "c"])
        }
    }

    @Test("rows that lay unused for more than a round are let go before those of queues that have turns")
    func unused() {
        let memory = ShardMemory(settings: EngineSettings(), windows: MemoryBudget(640 * 3))
        let queues = ["idle", "a", "b", "c"].map {
            Queue(Queue.ID(tenant: Tenant($0), group: "g"), counts: StorageV1.QueueCounts())
        }
        load(queues[0], in: memory)
        for _ in 0..<2 {
            for queue in queues[1...2] {
                if queue.heldRows == 0 { load(queue, in: memory) }
                memory.windows.turnEnded(of: queue)
            }
        }
        load(queues[3], in: memory)
        memory.windows.shrink(keeping: queues[3])
        #expect(queues.filter { $0.heldRows > 0 }.map(\.id.tenant.name) == ["a", "b", "c"])
    }
}
