import Protobuf
import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

@Suite(.timeLimit(.minutes(10))) struct EnqueueTests {
    @Test("J18: a new job is scheduled for attempt 1, and nothing else is said of it")
    func stored() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", priority: 7, retries: 3, payload: [1, 2], metadata: ["k": "v"])
        let job = try #require(try await bench.job("a"))
        #expect(job.state == .scheduled)
        #expect(job.attempt == 1)
        #expect(job.nextStart(at: bench.clock.moment) == bench.now)
        #expect(job.changedAt == bench.now)
        #expect(job.cancelledAt == nil)
        #expect((job.status, job.lease) == (nil, nil))
        #expect(job.job.payload == [1, 2])
        #expect(job.job.priority == 7)
        #expect(job.job.enqueueTimeMs == 0, "kept as the caller sent it")
        #expect(try await bench.job("b") == nil, "no job, no status")
        try await bench.finish()
    }

    @Test("J30: metadata rows are the job's metadata, and go with it")
    func metadata() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", metadata: ["k": "v", "": "", "n\0l": "ü"])
        #expect(bench.violations == [])
        try await bench.cancel("a")
        try await bench.delete("a")
        #expect(bench.memory.rowsLeft == [], "nothing is left of it")
        try await bench.finish()
    }

    @Test("J30: metadata keys are bytes: what Unicode holds equal has rows of its own")
    func metadataKeysAreBytes() async throws {
        let bench = try await Bench.open()
        let metadata: TextMap = ["\u{E9}": "one", "e\u{301}": "two", "\u{C5}": "", "\u{212B}": ""]
        try await bench.enqueue("a", metadata: metadata)
        #expect(bench.violations == [])
        let keys = TenantKeys(Bench.tenant)
        let rows = metadata.map { keys.metadata($0.key, $0.value, JobID("a")) }
        #expect(Set(rows).count == 4)
        #expect(bench.memory.rows.filter { rows.contains($0.key) }.count == 4)
        #expect(try #require(try await bench.job("a")).job.metadata == metadata)
        try await bench.cancel("a")
        try await bench.delete("a")
        #expect(bench.memory.rowsLeft == [], "nothing is left of it")
        try await bench.finish()
    }

    @Test("a job with thousands of attempts is deleted without reading one of them")
    func deletesUnread() async throws {
        let bench = try await Bench.open()
        let attempts = (0..<3000).map { number in
            var attempt = StorageV1.Attempt()
            attempt.outcome = .failed
            attempt.finishedAtMs = Int64(number)
            return attempt
        }
        #expect(
            try await bench.shard.run(Import(tenant: Bench.tenant, id: JobID("a"), taskGroup: "g", attempts: attempts)) == .failed
        )
        #expect(bench.violations == [])
        // Its job, its status and whether it has a lease; the batch, and the log.
        bench.store.set { $0.callsLeft = 5 }
        try await bench.delete("a")
        bench.store.set { $0.callsLeft = nil }
        #expect(bench.memory.rowsLeft == [], "nothing is left of it")
        try await bench.finish()
    }

    @Test("J32: of many enqueues with one id exactly one wins; the rest change nothing")
    func duplicates() async throws {
        let bench = try await Bench.open()
        let won = await withTaskGroup(of: Result<Int, SiloError>.self) { group in
            for index in 0..<50 {
                group.addTask {
                    do {
                        try await bench.enqueue("a", priority: UInt32(index), payload: [UInt8(index)])
                        return .success(index)
                    } catch {
                        return .failure(error as? SiloError ?? .unavailable("\(error)"))
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let winners = won.compactMap { try? $0.get() }
        #expect(winners.count == 1)
        #expect(won.filter { $0 == .failure(.jobAlreadyExists(JobID("a"))) }.count == 49)
        let task = try await bench.leaseOne()
        #expect(task.job.payload == [UInt8(winners[0])])
        #expect(task.job.priority == UInt32(winners[0]))
        #expect(try await bench.lease(10).isEmpty, "no extra task")
        try await bench.finish()
    }

    @Test("J19: an id belongs to its tenant alone")
    func tenants() async throws {
        let bench = try await Bench.open()
        // The last two are equivalent in Unicode, and two tenants all the same.
        let tenants = ["x", "y", "caf\u{e9}", "cafe\u{301}"].map { Tenant($0) }
        for (index, tenant) in tenants.enumerated() {
            try await bench.enqueue("a", tenant: tenant, payload: [UInt8(index)])
        }
        for (index, tenant) in tenants.enumerated() {
            #expect(try await bench.job("a", tenant: tenant)?.job.payload == [UInt8(index)])
        }
        let tasks = try await bench.lease(10)
        #expect(tasks.count == 4)
        for task in tasks { try await bench.succeed(task) }
        try await bench.finish()
    }

    @Test("J19: a job without an id gets a UUID of its own, whose order is that of the dates of enqueue")
    func generatedIDs() async throws {
        let bench = try await Bench.open()
        var ids: Set<JobID> = []
        var last = ""
        for _ in 0..<20 {
            let id = try await bench.enqueue()
            #expect(ids.insert(id).inserted)
            #expect(id.text > last)
            #expect(UUID(id.text)?.text.dropFirst(14).first == "7")
            last = id.text
            bench.clock.advance(milliseconds: 1)
        }
        try await bench.finish()
    }

    @Test("R2: hundreds of enqueues at once all succeed and are all counted")
    func many() async throws {
        let bench = try await Bench.open { $0.turnJobsMax = 16 }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<400 { group.addTask { try await bench.enqueue("job \(index)") } }
            try await group.waitForAll()
        }
        #expect(bench.shard.counts.total == 400)
        #expect(Set(try await bench.drain(1000)).count == 400)
        try await bench.finish()
    }

    @Test("EnqueueAll stores all or none")
    func all() async throws {
        let bench = try await Bench.open()
        func job(_ id: String) -> Enqueue { Enqueue(tenant: Bench.tenant, id: JobID(id), metadata: ["k": id], taskGroup: "g") }
        #expect(try await bench.shard.run(EnqueueAll([job("a"), job("b")])).map(\.text) == ["a", "b"])
        for refused in [[job("c"), job("a")], [job("d"), job("d")]] {
            let error = try await refusal { _ = try await bench.shard.run(EnqueueAll(refused)) }
            #expect(error == refused[1].id.map { .jobAlreadyExists($0) })
        }
        #expect(try await bench.drain(10) == ["a", "b"])
        try await bench.finish()
    }

    @Test("a batch stores each on its own")
    func each() async throws {
        let bench = try await Bench.open()
        let jobs = ["a", "a", "b"].map { Enqueue(tenant: Bench.tenant, id: JobID($0), taskGroup: "g") }
        let results = try await bench.shard.run(Each(jobs))
        #expect(results == [.success(JobID("a")), .failure(.jobAlreadyExists(JobID("a"))), .success(JobID("b"))])
        #expect(try await bench.drain(10) == ["a", "b"])
        try await bench.finish()
    }

    @Test("a start time at the edge of what a number holds neither traps nor runs early", arguments: [
        (Int64.max, false), (Int64.max - 1, false), (Int64.min, true), (-1, true), (0, true), (1, true),
    ])
    func edges(start: Int64, isReady: Bool) async throws {
        let bench = try await Bench.open()
        _ = try await bench.shard.run(
            Enqueue(tenant: Bench.tenant, id: JobID("a"), priority: .max, startAtMs: start, taskGroup: "g")
        )
        #expect(try await bench.drain(1) == (isReady ? ["a"] : []))
        let again = try await bench.crash()
        try await again.poke()
        try await again.finish()
    }
}
