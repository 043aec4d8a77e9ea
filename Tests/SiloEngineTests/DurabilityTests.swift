import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloEngine

/// Answers as they arrive: `name ok`, or `name` and why it was refused.
private func enqueue(_ id: String) -> Enqueue { Enqueue(tenant: Bench.tenant, id: JobID(id), taskGroup: "g") }

@Suite(.timeLimit(.minutes(10))) struct DurabilityTests {
    private let log = Log()

    @Test("nothing is answered before its flush: neither what was done nor what was refused because of it")
    func heldFlush() async throws {
        let bench = try await Bench.open()
        bench.store.set { $0.holdFlushes = true }
        log.submit("first", enqueue("a"), to: bench)
        log.submit("twin", enqueue("a"), to: bench)
        try await bench.until("it is written") { bench.store.heldCount == 1 }
        // Written after the flush began, hence not covered by it; a read of what is not durable yet waits as well.
        log.submit("second", enqueue("b"), to: bench)
        log.submit("late twin", enqueue("a"), to: bench)
        let leased = Box<Int?>()
        bench.shard.lease(Lease(worker: "w", group: "g", taskCountMax: 10)) { leased.add(try? $0.get().tasks.count) }
        try await bench.until("all is written") { bench.shard.counts.leases == 2 }
        try await bench.untilTurnIsAnswered()
        #expect(log.all == [])
        #expect(leased.all == [])
        #expect(ShardAudit(bench.memory.durableRows).total == 0, "nothing is durable, so nobody was told")
        bench.store.set { $0.holdFlushes = false }
        let twin = "\(SiloError.jobAlreadyExists(JobID("a")))"
        try await log.expect(["first ok", "twin \(twin)", "second ok", "late twin \(twin)"])
        try await leased.until(1)
        #expect(leased.all == [2])
        #expect(bench.memory.durableRows == bench.memory.rows)
        try await bench.finish()
    }

    @Test("a reader beside the loop is shown nothing that a crash could take back")
    func heldReader() async throws {
        let bench = try await Bench.open()
        bench.store.set { $0.holdFlushes = true }
        log.submit("job", enqueue("a"), to: bench)
        try await bench.until("it is written") { bench.store.heldCount == 1 }
        let key = TenantKeys(Bench.tenant).job(JobID("a"))
        let seen = Box<Bool>()
        let turns = bench.turns.value
        // Waits for what it sees to be durable, as the test goes on.
        let reading = Task { seen.add(try await bench.shard.snapshot().get(key) != nil) }
        try await bench.turns.until(turns + 1)
        try await bench.untilTurnIsAnswered()
        #expect(seen.all == [])
        bench.store.set { $0.holdFlushes = false }
        try await reading.value
        #expect(seen.all == [true])
        try await bench.finish()
    }

    @Test("what a crash takes was never acknowledged; what was acknowledged is there")
    func crash() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a")
        bench.store.set { $0.holdFlushes = true }
        log.submit("lost", enqueue("b"), to: bench)
        try await bench.until("it is written") { bench.store.heldCount == 1 }
        let again = try await bench.crash()
        bench.store.set { $0.holdFlushes = false }
        try await log.expect(["lost storage is unavailable: the store is closed"])
        #expect(try await again.state("a") == .scheduled)
        #expect(try await again.state("b") == nil)
        try await again.finish()
    }

    @Test("a store that fails refuses everybody who waits, and is not asked again", arguments: ["write", "flush"])
    func failure(what: String) async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a")
        bench.store.set { faults in
            faults.failWrites = what == "write"
            faults.failFlushes = what == "flush"
        }
        for index in 0..<20 { log.submit("job \(index)", enqueue("job \(index)"), to: bench) }
        try await log.until("all are refused") { $0.count == 20 }
        #expect(log.all.allSatisfy { $0.hasSuffix("storage is unavailable: injected fault") })
        #expect(await bench.shard.untilStopped() == .unavailable("injected fault"))
        let refused = try await refusal { try await bench.enqueue("more") }
        let cause = StoreError.unavailable("injected fault")
        #expect(refused == .unavailable("storage is unavailable: injected fault", cause: .init(cause)))
        #expect(refused?.cause as? StoreError == cause)
        await #expect(throws: StoreError.unavailable("injected fault")) { try await bench.shard.close() }
    }

    @Test("a flush that fails refuses those of that flush and those behind it; those before it keep their answer")
    func flushFails() async throws {
        let bench = try await Bench.open()
        bench.store.set { $0.holdFlushes = true }
        log.submit("first", enqueue("a"), to: bench)
        try await bench.until("a flush is under way") { bench.store.heldCount == 1 }
        log.submit("behind", enqueue("b"), to: bench)
        try await bench.until("it is written") { bench.shard.counts.total == 2 }
        bench.store.set { faults in
            faults.failFlushes = true
            faults.holdFlushes = false
        }
        try await log.expect(["first", "behind"].map { "\($0) storage is unavailable: injected fault" })
        #expect(await bench.shard.untilStopped() != nil)
    }

    @Test("a write that fails behind a flush under way does not touch that flush's answers")
    func writeFailsBehindFlush() async throws {
        let bench = try await Bench.open()
        bench.store.set { $0.holdFlushes = true }
        log.submit("first", enqueue("a"), to: bench)
        try await bench.until("a flush is under way") { bench.store.heldCount == 1 }
        bench.store.set { $0.failWrites = true }
        log.submit("behind", enqueue("b"), to: bench)
        try await log.expect(["behind storage is unavailable: injected fault"])
        bench.store.set { $0.holdFlushes = false }
        try await log.expect(["first ok", "behind storage is unavailable: injected fault"])
        #expect(await bench.shard.untilStopped() != nil)
        let again = try await bench.crash()
        #expect(try await again.state("a") == .scheduled)
        try await again.finish()
    }

    @Test("a fenced shard says so and stops")
    func fenced() async throws {
        let bench = try await Bench.open()
        bench.store.set { faults in
            faults.failWrites = true
            faults.error = .fenced("newer epoch 2")
        }
        log.submit("a", enqueue("a"), to: bench)
        try await log.expect(["a the shard was opened elsewhere: newer epoch 2"])
        #expect(await bench.shard.untilStopped() == .fenced("newer epoch 2"))
    }

    @Test("closing finishes what was taken in, and refuses the rest")
    func close() async throws {
        let bench = try await Bench.open()
        try await bench.together {
            for index in 0..<5 { log.submit("job \(index)", enqueue("job \(index)"), to: bench) }
        }
        try await bench.shard.close()
        #expect(log.all.sorted() == (0..<5).map { "job \($0) ok" })
        #expect(try await refusal { try await bench.enqueue("late") } == .unavailable("the shard is closing"))
        #expect(await bench.shard.untilStopped() == nil)
        #expect(ShardAudit(bench.memory.durableRows).total == 5)
        try await bench.shard.close()
    }

    @Test("flushes keep their gap, and share what was written in it")
    func flushGap() async throws {
        let bench = try await Bench.open { $0.flushGapMilliseconds = 100 }
        try await bench.enqueue("a")
        for id in ["b", "c"] { log.submit(id, enqueue(id), to: bench) }
        try await bench.until("the committer sleeps") { bench.clock.sleepers.contains(bench.now + 100) }
        try await bench.until("both are written") { bench.shard.counts.total == 3 }
        #expect(log.all == [])
        bench.clock.advance(milliseconds: 100)
        try await log.expect(["b ok", "c ok"])
        bench.clock.advance(milliseconds: 100)
        try await bench.finish()
    }
}

@Suite(.timeLimit(.minutes(10))) struct MailboxTests {
    private let log = Log()

    @Test("the mailbox is bounded by count, and has room again once requests are answered")
    func count() async throws {
        let bench = try await Bench.open { $0.unansweredMax = 4 }
        for _ in 0..<3 {
            bench.store.set { $0.holdFlushes = true }
            for index in 0..<5 { log.submit("x", Delete(tenant: Bench.tenant, id: JobID("\(index)")), to: bench) }
            bench.store.set { $0.holdFlushes = false }
            try await log.until("answered") { $0.count % 5 == 0 }
        }
        bench.store.set { $0.holdFlushes = true }
        let full = Log()
        for index in 0..<6 { full.submit("job \(index)", enqueue("job \(index)"), to: bench) }
        try await full.until("two are refused at once") { $0.count == 2 }
        #expect(full.all.allSatisfy { $0.contains("exhausted") })
        bench.store.set { $0.holdFlushes = false }
        try await full.until("the rest is taken") { $0.count == 6 }
        #expect(try await bench.enqueue("again").text == "again")
        try await bench.finish()
    }

    @Test("the mailbox is bounded by bytes, but takes any one request")
    func bytes() async throws {
        let bench = try await Bench.open { $0.unansweredBytesMax = 8000 }
        try await bench.enqueue("large", payload: Bytes(repeating: 0, count: 5000))
        bench.store.set { $0.holdFlushes = true }
        for id in ["a", "b", "c"] {
            let command = Enqueue(tenant: Bench.tenant, id: JobID(id), payload: Bytes(repeating: 0, count: 400), taskGroup: "g")
            log.submit(id, command, to: bench)
        }
        try await log.until("the third is refused") { $0.count == 1 }
        #expect(log.all[0].hasPrefix("c exhausted"))
        bench.store.set { $0.holdFlushes = false }
        try await log.until("the rest is taken") { $0.count == 3 }
        try await bench.finish()
    }

    @Test("one batch is all or nothing for each of its commands: a refused one leaves no trace among the others")
    func savepoints() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("old")
        try await bench.together {
            log.submit("a", enqueue("a"), to: bench)
            log.submit("all", EnqueueAll([enqueue("b"), enqueue("a"), enqueue("c")]), to: bench)
            log.submit("b", enqueue("b"), to: bench)
            log.submit("cancel", Cancel(tenant: Bench.tenant, id: JobID("a")), to: bench)
            log.submit("restart", Restart(tenant: Bench.tenant, id: JobID("a")), to: bench)
            log.submit("delete", Delete(tenant: Bench.tenant, id: JobID("a")), to: bench)
            log.submit("one", LeaseJob(tenant: Bench.tenant, id: JobID("a"), worker: "w"), to: bench)
            log.submit("drop", Cancel(tenant: Bench.tenant, id: JobID("old")), to: bench)
            log.submit("gone", Delete(tenant: Bench.tenant, id: JobID("old")), to: bench)
            log.submit("new", enqueue("old"), to: bench)
        }
        try await log.until("all are answered") { $0.count == 10 }
        let refused = log.all.filter { !$0.hasSuffix("ok") }
        #expect(refused == ["all \(SiloError.jobAlreadyExists(JobID("a")))", "delete \(SiloError.jobInProgress(JobID("a")))"])
        #expect(try await bench.state("a") == .running)
        #expect(try await bench.job("c") == nil)
        #expect(try await bench.drain(10) == ["b", "old"])
        try await bench.finish()
    }
}
