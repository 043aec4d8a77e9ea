import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Synchronization
import Testing

/// What all workers and clients of a shard were told, whichever process told them.
private final class Record: Sendable {
    struct Told: Sendable {
        var enqueued: Set<JobKey> = []
        /// Jobs whose success was acknowledged.
        var succeeded: Set<JobKey> = []
        var leases: [TaskID: Given] = [:]
        var problems: [String] = []
        /// Workers that have turns left.
        var working = 0
    }
    private let state = Mutex(Told())
    var told: Told { state.withLock { $0 } }
    func change(_ body: (inout Told) -> Void) { state.withLock { body(&$0) } }
}

/// Many clients and workers at once against one shard, which crashes under them and is opened again.
private struct Crowd {
    let seed: UInt64
    let record = Record()
    let clock = ManualClock()

    func run() async throws {
        let random = SeededRandom(seed: seed)
        var settings = EngineSettings()
        // An attempt that nobody heard of would be given to another.
        settings.unheardLeasesMax = 0
        settings.windowMax = 1 + random.below(8)
        settings.pageRows = 1 + random.below(4)
        settings.windowBytesMax = (4 + random.below(20)) * 700
        settings.turnJobsMax = 1 + random.below(16)
        var memory = MemoryStore()
        for life in 0..<4 {
            let store = FaultyStore(memory)
            let shard = try await Shard.open(store, settings: settings, clock: clock, random: random)
            await serve(shard, store, memory, life, random)
            _ = try? await shard.close()
            memory = memory.crash()
            try check(memory)
        }
        try await drain(memory, random)
    }

    /// One life of the shard: everybody works until it dies, or all have had their turns.
    private func serve(_ shard: Shard, _ store: FaultyStore, _ memory: MemoryStore, _ life: Int, _ random: SeededRandom) async {
        let end = random.below(3)
        let turns = 10 + random.below(30)
        record.change { $0.working = 4 }
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    await work(shard, "worker \(life)/\(worker)", turns)
                    record.change { $0.working -= 1 }
                }
            }
            for client in 0..<4 { group.addTask { await produce(shard, client, turns) } }
            group.addTask {
                let chance = SeededRandom(seed: seed &* 31 &+ UInt64(life))
                for _ in 0..<turns {
                    clock.advance(milliseconds: Int64(chance.below(3000)))
                    await Task.yield()
                }
                switch end {
                case 0: _ = memory.crash()
                case 1: store.set { $0.callsLeft = chance.below(30) }
                default: break
                }
                // Time goes on for those who still wait for work.
                while record.told.working > 0 {
                    clock.advance(milliseconds: 100)
                    _ = await shard.look()
                    await Task.yield()
                }
            }
        }
    }

    private func produce(_ shard: Shard, _ client: Int, _ turns: Int) async {
        let random = SeededRandom(seed: seed &+ UInt64(client) &* 977 &+ UInt64(turns))
        for turn in 0..<turns {
            // Clients share names, so that enqueues collide.
            let id = "job \(random.below(60)) \(turn % 3)"
            let key = JobKey(tenant: Tenant("tenant \(random.below(3))"), id: JobID(id))
            let new = NewJob(
                key: key, group: random.chance(80) ? "g" : "h", priority: UInt32(random.below(100)),
                startAtMs: random.chance(70) ? 0 : clock.now.milliseconds + Int64(random.below(4000)),
                retries: random.chance(50) ? 2 : nil, interval: 100
            )
            let operation: Operation =
                switch random.below(10) {
                case 0: .cancel(key)
                case 1: .expedite(key)
                case 2: .restart(key)
                default: .enqueue(new)
                }
            let answer = await shard.answers([operation])[0]
            if case .enqueue = operation, answer == .done {
                record.change { if !$0.enqueued.insert(key).inserted { $0.problems.append("\(key) was enqueued twice") } }
            }
        }
    }

    private func work(_ shard: Shard, _ name: String, _ turns: Int) async {
        let random = SeededRandom(seed: seed ^ UInt64(name.utf8.reduce(0) { $0 &* 31 &+ Int($1) }))
        for _ in 0..<turns {
            let lease = Lease(worker: name, group: random.chance(80) ? "g" : "h", taskCountMax: 1 + random.below(4))
            guard let tasks = try? await shard.lease(lease, waitMilliseconds: Int64(random.below(500))).tasks else { return }
            let given = tasks.map(Given.init)
            record.change { told in
                for task in given {
                    if told.leases.values.contains(where: { $0.key == task.key && $0.attempt == task.attempt }) {
                        told.problems.append("\(task) was given twice")
                    }
                    if told.leases.updateValue(task, forKey: task.task) != nil {
                        told.problems.append("\(task.task) was used twice")
                    }
                }
            }
            for task in given {
                if random.chance(30) { _ = await shard.answers([.heartbeat(task.key.tenant, task.task, worker: name)]) }
                guard random.chance(85) else { continue }
                let kind: Operation.Kind = random.chance(60) ? .success : .failure
                // Told twice at once, as a worker does that lost the first answer: one of them counts.
                async let first = shard.answers([.report(task.key.tenant, task.task, kind)])
                async let second = shard.answers([.report(task.key.tenant, task.task, kind)])
                let taken = await (first + second).filter { $0 == .done }.count
                record.change { told in
                    if taken > 1 { told.problems.append("\(task) was reported twice") }
                    if taken == 1, kind == .success { told.succeeded.insert(task.key) }
                }
            }
        }
    }

    /// What was acknowledged is there; nothing stands in two places; the counts are the recount.
    private func check(_ memory: MemoryStore) throws {
        let told = record.told
        var problems = told.problems + ShardAudit(memory.rows).violations
        let stored = Set(memory.rows.map(\.key))
        for key in told.enqueued where !stored.contains(TenantKeys(key.tenant).job(key.id)) { problems.append("\(key) is lost") }
        for key in told.succeeded {
            let range = TenantKeys(key.tenant).finished(2)
            let isSucceeded = memory.rows.contains { row in
                range.start.lexicographicallyPrecedes(row.key) && row.key.lexicographicallyPrecedes(range.end)
                    && row.key.hasSuffix(key.id.text)
            }
            if !isSucceeded { problems.append("the success of \(key) is lost") }
        }
        if !problems.isEmpty { throw Simulation.Mismatch(description: problems.prefix(10).joined(separator: "\n")) }
    }

    /// In the end every job can be brought to its end, and none is given twice.
    private func drain(_ memory: MemoryStore, _ random: SeededRandom) async throws {
        let shard = try await Shard.open(memory, clock: clock, random: random)
        let total = shard.counts.total
        for _ in 0..<20 {
            clock.advance(milliseconds: 60_000)
            _ = await shard.look()
            for group in ["g", "h"] {
                let tasks = try await shard.lease(Lease(worker: "last", group: group, taskCountMax: 10_000)).tasks
                _ = await shard.answers(tasks.map { .report($0.tenant, $0.id, .success) })
            }
        }
        guard shard.counts.completed == total, shard.counts.leases == 0 else {
            throw Simulation.Mismatch(description: "\(shard.counts.completed) of \(total) jobs could be finished")
        }
        try await shard.close()
        try check(memory.crash())
    }
}

extension Bytes {
    /// The key ends with a text.
    fileprivate func hasSuffix(_ text: String) -> Bool { Bytes(suffix(text.utf8.count + 2)) == Bytes(text.utf8) + [0, 1] }
}

@Suite(.timeLimit(.minutes(20))) struct ConcurrencyTests {
    @Test(
        "J1 J2 J23 J28 J31 J32: a crowd at once, through crashes: nothing acknowledged is lost, none given twice, counts hold"
    )
    func crowd() async {
        await Seeds.forEach(Seeds.range(15)) { seed in try await Crowd(seed: seed).run() }
    }
}
