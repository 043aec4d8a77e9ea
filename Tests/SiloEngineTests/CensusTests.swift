import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloEngine

/// What memory tells of tenants, limits and leases.
@Suite(.timeLimit(.minutes(10))) struct CensusTests {
    @Test("tenants come by what is asked for, page after page, each once")
    func tenants() async throws {
        let bench = try await Bench.open()
        for number in 0..<30 {
            let tenant = Tenant("tenant-\(number)")
            for job in 0...(number % 7) { try await bench.enqueue("\(job)", tenant: tenant, group: job % 2 == 0 ? "g" : "h") }
        }
        var seen: [String] = []
        var backlogs: [Int64] = []
        var after: CensusPlace?
        repeat {
            let page = try await bench.shard.run(TenantCensus(.backlog, after: after, countMax: 4))
            #expect(page.matching == 30)
            seen += page.entries.map(\.tenant.name)
            backlogs += page.entries.map { $0.value(.backlog) }
            after = page.isLast ? nil : page.entries.last.map { CensusPlace(value: $0.value(.backlog), name: $0.tenant.name) }
        } while after != nil
        #expect(seen.count == 30 && Set(seen).count == 30)
        #expect(backlogs == backlogs.sorted(by: >) && backlogs.first == 7)
        let named = try await bench.shard.run(TenantCensus(.backlog, nameContains: "-1", countMax: 50))
        #expect(named.entries.count == 11 && named.isLast)
        let own = try await bench.shard.run(
            TenantCensus(.backlog, countMax: 50, tenants: [Tenant("tenant-6")], groups: [TaskGroup("h")]))
        #expect(own.entries.map { $0.value(.backlog) } == [3])
        try await bench.finish()
    }

    @Test("names that look alike are two, however they are listed")
    func alike() async throws {
        let bench = try await Bench.open()
        let names = ["\u{e9}", "e\u{301}", "z"]
        for name in names { try await bench.enqueue(name, tenant: Tenant(name), limits: [slots(name, 1)]) }
        for name in names { try await bench.enqueue(name, limits: [slots(name, 1)]) }
        var (tenants, limits) = ([String](), [String]())
        var place: CensusPlace?
        repeat {
            let page = try await bench.shard.run(TenantCensus(.failures, after: place, countMax: 1))
            tenants += page.entries.map(\.tenant.name)
            place = page.isLast ? nil : page.entries.last.map { CensusPlace(value: 0, name: $0.tenant.name) }
        } while place != nil
        repeat {
            let page = try await bench.shard.run(LimitCensus(.refusals, after: place, countMax: 1, tenants: [Bench.tenant]))
            limits += page.entries.map(\.key)
            place = page.isLast ? nil : page.entries.last.map { CensusPlace(value: 0, name: $0.name.text) }
        } while place != nil
        #expect(Set(tenants.map { ExactText($0) }).isSuperset(of: names.map { ExactText($0) }))
        #expect(limits.count == 3 && Set(limits.map { ExactText($0) }) == Set(names.map { ExactText($0) }))
        for name in names {
            let one = try await bench.shard.run(LimitCensus(.held, key: name, countMax: 9, tenants: [Bench.tenant]))
            #expect(one.entries.map { ExactText($0.key) } == [ExactText(name)])
        }
        try await bench.finish()
    }

    @Test("very many tenants are looked at in many turns, in which others are served; those that stay are told once")
    func steps() async throws {
        let bench = try await Bench.open()
        let tenants = (0..<10_000).map { Tenant("tenant-\($0)") }
        let jobs = tenants.map { Enqueue(tenant: $0, id: JobID("a"), taskGroup: "g") }
        #expect(try await bench.shard.run(Each(jobs)).allSatisfy { (try? $0.get()) != nil })
        let before = bench.turns.value
        #expect(try await bench.shard.run(TenantCensus(.backlog, countMax: 1)).matching == tenants.count)
        #expect(bench.turns.value - before >= tenants.count / PendingWalk<TenantCensus>.lookedAtMax)
        async let page = bench.shard.run(TenantCensus(.backlog, countMax: 50_000))
        // Tenants come, each as long as the walk goes on, and go again.
        for number in 0..<20 {
            try await bench.enqueue("b", tenant: Tenant("other-\(number)"), group: "h")
            if number % 2 == 0 { try await bench.succeed(bench.leaseOne(group: "h")) }
        }
        let names = try await page.entries.map(\.tenant.name)
        #expect(Set(names).count == names.count && Set(names).isSuperset(of: tenants.map(\.name)))
        #expect(try await page.matching == names.count)
        try await bench.finish()
    }

    @Test("whoever asks while the walk goes on does not wait for its end")
    func behindOthers() async throws {
        let bench = try await Bench.open()
        let keys = (0..<3000).map { "key-\($0)" }
        let jobs = keys.map { Enqueue(tenant: Bench.tenant, id: JobID($0), limits: [slots($0, 1)], taskGroup: "g") }
        #expect(try await bench.shard.run(Each(jobs)).allSatisfy { (try? $0.get()) != nil })
        let answers = Box<String>()
        try await bench.together {
            bench.shard.submit(LimitCensus(.held, countMax: 5000)) { result in
                answers.add("census \((try? result.get().entries.map(\.key).sorted()) == keys.sorted())")
            }
            bench.shard.submit(Enqueue(tenant: Bench.tenant, id: JobID("new"), taskGroup: "h")) { _ in answers.add("job") }
        }
        try await answers.until(2)
        #expect(answers.all == ["job", "census true"])
        try await bench.finish()
    }

    @Test("a walk in steps of one finds what a walk of one step does, where queues of a tenant are split between steps")
    func small() async throws {
        let memory = ShardMemory(settings: EngineSettings(), windows: MemoryBudget(1 << 20))
        for number in 0..<40 {
            for group in ["g", "h", "i"] {
                var counts = StorageV1.QueueCounts()
                counts.ready = UInt64(number % 9)
                memory.add(Queue(Queue.ID(tenant: Tenant("tenant-\(number)"), group: TaskGroup(group)), counts: counts))
            }
            memory.limits.add(Bench.tenant, SlotLimit(Bench.tenant, LimitKey("key-\(number)"), held(number), drops: 0))
        }
        let view = View(of: Transaction(
            store: MemoryStore(clock: ManualClock()), memory: memory, clock: ManualClock(), random: SeededRandom(seed: 1)))
        var whole = TenantCensus(.backlog, countMax: 10)
        let all = whole.step(view, countMax: 1000)
        let expected = try #require(all)
        var (census, steps) = (TenantCensus(.backlog, countMax: 10), 1)
        var page = census.step(view, countMax: 1)
        while page == nil { (page, steps) = (census.step(view, countMax: 1), steps + 1) }
        #expect(steps == 121 && page?.matching == 35 && expected.matching == 35)
        #expect(page?.entries.map(\.tenant) == expected.entries.map(\.tenant) && page?.entries.first?.jobs.ready == 24)

        var limits = LimitCensus(.held, countMax: 50)
        var found = limits.step(view, countMax: 1)
        while found == nil { found = limits.step(view, countMax: 1) }
        #expect(found?.entries.map(\.held) == (1..<40).reversed().map { UInt64($0) })
    }

    @Test("of one tenant its own limits alone are looked at, and each of them")
    func ofOneTenant() async throws {
        let bench = try await Bench.open()
        for tenant in ["a", "b", "c"] {
            for key in 0..<3 { try await bench.enqueue("\(key)", tenant: Tenant(tenant), limits: [slots("key-\(key)", 1)]) }
            try await bench.enqueue("r", tenant: Tenant(tenant), limits: [rate("key-1", 5)])
        }
        for tenant in ["a", "b", "c"] {
            let page = try await bench.shard.run(LimitCensus(.held, countMax: 9, tenants: [Tenant(tenant)]))
            #expect(page.entries.map(\.key) == ["key-0", "key-1", "key-2", "rate/key-1"] && page.isLast)
            #expect(page.entries.allSatisfy { $0.tenant.name == tenant })
        }
        #expect(try await bench.shard.run(LimitCensus(.held, countMax: 20)).matching == 12)
        #expect(try await bench.shard.run(LimitCensus(.held, keyContains: "y-1", countMax: 20)).matching == 6)
        try await bench.finish()
    }

    @Test("leases are walked over in steps; those that stay are told once, whatever comes and goes meanwhile")
    func leaseSteps() throws {
        let memory = ShardMemory(settings: EngineSettings(), windows: MemoryBudget(1 << 20))
        let queue = Queue(Queue.ID(tenant: Bench.tenant, group: TaskGroup("g")), counts: StorageV1.QueueCounts())
        let random = SeededRandom(seed: 3)
        func lease(_ number: Int, of worker: String) -> LiveLease {
            var record = StorageV1.Lease()
            record.workerId = worker
            record.startedAtMs = Int64(1000 - number)
            let lease = LiveLease(
                taskID: TaskID(.random(from: random)), job: JobID("\(number)"), queue: queue, record: record)
            memory.addLease(lease)
            return lease
        }
        let staying = (0..<900).map { lease($0, of: "w\($0 % 3)") }
        var going = (0..<100).map { lease(10_000 + $0, of: "gone") }
        let view = View(of: Transaction(
            store: MemoryStore(clock: ManualClock()), memory: memory, clock: ManualClock(), random: random))
        var census = LeaseCensus(worker: "w0")
        var (everybody, steps) = (LeaseCensus(), 0)
        var (sums, own): ([ExactText: LeaseCensus.Sum]?, [ExactText: LeaseCensus.Sum]?)
        while sums == nil || own == nil {
            if sums == nil { sums = everybody.step(view, countMax: 10) }
            if own == nil { own = census.step(view, countMax: 10) }
            steps += 1
            if let next = going.popLast() { memory.removeLease(next) }
            _ = lease(20_000 + steps, of: "new")
        }
        #expect(steps >= 100)
        for worker in ["w0", "w1", "w2"] as [ExactText] { #expect(sums?[worker]?.count == 300) }
        #expect(sums?["w0"]?.oldest == Timestamp(103) && sums?["w0"]?.held.isEmpty == true)
        #expect(own?.count == 1 && own?["w0"]?.count == 300)
        #expect(own?["w0"]?.held.map(\.job.text) == (0..<LeaseCensus.heldMax).map { "\(897 - 3 * $0)" })
        for lease in staying { memory.removeLease(lease) }
        #expect(memory.leaseSlots.count == memory.leases.count)
    }

    @Test("a text is found wherever it stands in another", arguments: [
        ("abc", "abc", true), ("abc", "c", true), ("abc", "a", true), ("abc", "ac", false), ("aab", "ab", true), ("", "a", false),
        ("abc", "abcd", false), ("Straße", "ße", true), ("ABC", "b", false), ("a", "", true),
    ])
    func text(text: String, wanted: String, isIn: Bool) { #expect(TextSearch(wanted).isIn(text) == isIn) }

    private func held(_ count: Int) -> StorageV1.Slots {
        var record = StorageV1.Slots()
        record.held = UInt64(count)
        return record
    }

    @Test("who waits at limits are all who wait", arguments: [1, 2, 3] as [UInt64])
    func waiting(seed: UInt64) async throws {
        let bench = try await Bench.open()
        let random = SeededRandom(seed: seed)
        let keys = ["a", "b", "c"]
        for step in 0..<300 {
            if random.chance(60) {
                let limits = keys.filter { _ in random.chance(50) }.map { slots($0, UInt32(1 + random.below(2))) }
                try await bench.enqueue("\(step)", limits: limits)
            } else if random.chance(50), let task = try await bench.lease(1).first {
                try await bench.succeed(task)
            } else {
                _ = try? await bench.cancel("\(random.below(step + 1))")
            }
            let limits = try await bench.shard.run(LimitCensus(.waiting, countMax: 10)).entries
            let waiting = try await bench.shard.run(TenantCensus(.backlog, countMax: 1)).entries.first?.jobs.waiting ?? 0
            #expect(limits.reduce(0) { $0 + Int64($1.waiting) } == waiting, "step \(step)")
        }
        try await bench.finish()
    }

    @Test("what ended and failed is counted for a minute, what is kept for as long as it is")
    func lately() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id) }
        try await bench.succeed(bench.leaseOne())
        try await bench.fail(bench.leaseOne())
        let entry = try await bench.shard.run(TenantCensus(.rate, countMax: 5)).entries.first
        #expect(entry?.ended == 2 && entry?.failed == 1 && entry?.value(.failures) == 1)
        try await bench.pass(121_000)
        let later = try await bench.shard.run(TenantCensus(.failures, countMax: 5)).entries.first
        #expect(later?.ended == 0 && later?.failed == 0 && later?.value(.failures) == 1)
        try await bench.finish()
    }

    @Test("a limit tells its maximum, who waits, how often it said no, and that it is paused")
    func limits() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c"] { _ = try await bench.shard.run(newJob(id, limits: [slots("key", 1)])) }
        _ = try await bench.shard.run(newJob("d", limits: [slots("other", 9)]))
        let page = try await bench.shard.run(LimitCensus(.waiting, countMax: 5))
        let limit = page.entries.first
        #expect(page.entries.map(\.key) == ["key", "other"] && page.isLast)
        #expect(limit?.held == 1 && limit?.waiting == 2 && limit?.maximum == 1 && limit?.refusals ?? 0 >= 2)
        #expect(limit?.isPaused == false)
        try await bench.pause(.limit(LimitKey("key"), of: Bench.tenant))
        let alone = try await bench.shard.run(LimitCensus(.held, key: "key", countMax: 1))
        #expect(alone.entries.first?.isPaused == true && alone.matching == 1)
        #expect(try await bench.shard.run(LimitCensus(.held, countMax: 5, tenants: [Tenant("other")])).entries.isEmpty)
        try await bench.finish()
    }

    @Test("of each limit whoever is first says since when it waits, for which one row is read")
    func oldestWaits() async throws {
        let bench = try await Bench.open()
        let own = [slots("key", 1)]
        var since: [String: Timestamp] = [:]
        for (id, priority, limits) in [
            ("held", 50, own), ("second", 50, own), ("last", 50, own), ("first", 1, own + [slots("other", 9)]),
            ("free", 50, [slots("third", 9)]),
        ] {
            since[id] = bench.now
            _ = try await bench.shard.run(newJob(id, priority: UInt32(priority), limits: limits))
            try await bench.pass(1000)
        }
        func oldest() async throws -> [String: Timestamp?] {
            let page = try await bench.shard.run(LimitCensus(.waiting, findsFirst: true, countMax: 5))
            let reader = CountedScans(inner: bench.store)
            var found: [String: Timestamp] = [:]
            for entry in page.entries { found[entry.key] = try await entry.lines?.first(1, reader).first?.since }
            #expect(Set(page.entries.map(\.key)).isSuperset(of: ["key", "third"]) && reader.rows.value == 1)
            return found
        }
        #expect(try await oldest() == ["key": since["first"]])
        _ = try await bench.cancel("first")
        #expect(try await oldest() == ["key": since["second"]])
        #expect(try await bench.shard.run(LimitCensus(.waiting, countMax: 5)).entries.allSatisfy { $0.lines == nil })
        try await bench.finish()
    }

    @Test("a full rate limit says when it has room")
    func rates() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { _ = try await bench.shard.run(newJob(id, limits: [rate("r", 1)])) }
        _ = try await bench.leaseOne()
        let limit = try await bench.shard.run(LimitCensus(.held, countMax: 5)).entries.first
        #expect(limit?.kind == .rate && limit?.held == 1 && limit?.maximum == 1 && limit?.waiting == 1)
        #expect(limit?.nextRoom == bench.now + 60_000 && limit?.windowMilliseconds == 60_000)
        try await bench.finish()
    }

    @Test("leases are counted by worker, and those of one are told")
    func leases() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c"] { try await bench.enqueue(id) }
        let start = bench.now
        _ = try await bench.lease(2, worker: "first")
        try await bench.pass(1000)
        _ = try await bench.lease(1, worker: "second")
        let sums = try await bench.shard.run(LeaseCensus())
        #expect(sums.mapValues(\.count) == ["first": 2, "second": 1] && sums["first"]?.oldest == start)
        let own = try await bench.shard.run(LeaseCensus(worker: "first"))
        #expect(own.count == 1 && own["first"]?.held.map(\.job.text) == ["a", "b"])
        try await bench.finish()
    }
}

/// Counts the rows that scans bring.
private struct CountedScans: StoreReader {
    let inner: any StoreReader
    let rows = Tally()

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? { try await inner.get(key) }

    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        let found = try await inner.scan(from: start, to: end, limit: limit)
        rows.add(found.count)
        return found
    }
}
