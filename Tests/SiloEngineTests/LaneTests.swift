import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloEngine

/// Renewals against the clock: nothing ends that a command which has arrived might renew.
@Suite(.timeLimit(.minutes(10))) struct LaneTests {
    private let log = Log()

    /// Holds the loop in the middle of a turn, by a read that does not return.
    private func hang(_ bench: Bench) async throws {
        bench.store.set { $0.holdReads = true }
        bench.shard.submit(Cancel(tenant: Bench.tenant, id: JobID("nobody"))) { _ in }
        try await bench.until("a read hangs") { bench.store.heldCount == 1 }
    }

    @Test("B1: a heartbeat that arrived in time keeps its lease, however long a read hangs")
    func hungRead() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", retries: 1)
        let task = try await bench.leaseOne()
        try await hang(bench)
        bench.clock.advance(milliseconds: 9000)
        log.submit("beat", Heartbeat(tenant: Bench.tenant, task: task.id, worker: "w"), to: bench)
        bench.clock.advance(milliseconds: 9000)
        bench.store.set { $0.holdReads = false }
        try await log.until("it is answered") { $0 == ["beat ok"] }
        #expect(try await bench.state("a") == .running)
        try await bench.succeed(task)
        #expect(try await bench.attempts("a").count == 1)
        try await bench.finish()
    }

    @Test("B1: the same for a write that stalls, and for a disk that does not flush", arguments: ["write", "flush"])
    func stalledDisk(what: String) async throws {
        let bench = try await Bench.open()
        func hold(_ isHeld: Bool) {
            bench.store.set { if what == "write" { $0.holdWrites = isHeld } else { $0.holdFlushes = isHeld } }
        }
        try await bench.enqueue("a")
        let task = try await bench.leaseOne()
        hold(true)
        log.submit("new", Enqueue(tenant: Bench.tenant, id: JobID("b"), taskGroup: "other"), to: bench)
        try await bench.until("the disk stalls") { bench.store.heldCount == 1 }
        for beat in 1...3 {
            bench.clock.advance(milliseconds: 9000)
            log.submit("beat \(beat)", Heartbeat(tenant: Bench.tenant, task: task.id, worker: "w"), to: bench)
            // The loop goes on while a flush hangs, and has read the heartbeat when the clock moves on.
            guard what == "flush" else { continue }
            let end = (bench.clock.steady + 10_000).milliseconds
            try await bench.until("it is read") { try await bench.job("a")?.lease?.expiresAtMs == end }
        }
        hold(false)
        try await log.expect(["new ok", "beat 1 ok", "beat 2 ok", "beat 3 ok"])
        #expect(try await bench.state("a") == .running)
        try await bench.succeed(task)
        try await bench.finish()
    }

    @Test("B1: the same for a report, and for many of them in one call that takes several turns")
    func reports() async throws {
        let bench = try await Bench.open { $0.turnJobsMax = 4 }
        for id in 0..<20 { try await bench.enqueue("\(id)") }
        let tasks = try await bench.lease(20)
        try await hang(bench)
        bench.clock.advance(milliseconds: 9000)
        let reports = tasks.map { ReportOutcome(tenant: Bench.tenant, task: $0.id, outcome: .success(result: [])) }
        let results = Box<[SiloError?]>()
        bench.shard.submit(Each(reports)) { results.add((try? $0.get().map(\.refusal)) ?? [.corrupt("all refused")]) }
        bench.clock.advance(milliseconds: 9000)
        bench.store.set { $0.holdReads = false }
        try await results.until(1)
        #expect(results.all == [Array(repeating: nil, count: 20)])
        #expect(bench.shard.counts.completed == 20)
        try await bench.finish()
    }

    @Test("a server that was stopped for longer than a lease takes nobody's job")
    func absence() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a")
        let task = try await bench.leaseOne()
        bench.clock.absent(milliseconds: 14_000)
        try await bench.poke()
        #expect(try await bench.state("a") == .running)
        try await bench.pass(9999)
        #expect(try await bench.state("a") == .running)
        try await bench.heartbeat(task)
        try await bench.pass(10_000)
        #expect(try await bench.state("a") == .failed)
        try await bench.finish()
    }

    @Test("a lease that ended before the oldest renewal came ends all the same")
    func late() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id) }
        _ = try await bench.leaseOne()
        try await bench.pass(5000)
        let kept = try await bench.leaseOne()
        try await hang(bench)
        bench.clock.advance(milliseconds: 5001)
        log.submit("beat", Heartbeat(tenant: Bench.tenant, task: kept.id, worker: "w"), to: bench)
        bench.clock.advance(milliseconds: 6000)
        bench.store.set { $0.holdReads = false }
        try await bench.until("the first ends") { try await bench.state("a") == .failed }
        try await log.until("the second is renewed") { $0 == ["beat ok"] }
        #expect(try await bench.state("b") == .running)
        try await bench.finish()
    }

    @Test("a mailbox that is full of new work takes heartbeats, reports and what the shard sends itself")
    func full() async throws {
        let bench = try await Bench.open { $0.unansweredMax = 4 }
        for id in ["a", "b", "c"] { try await bench.enqueue(id) }
        let tasks = try await bench.lease(3)
        try await hang(bench)
        for index in 0..<6 {
            log.submit("new \(index)", Enqueue(tenant: Bench.tenant, id: JobID("n\(index)"), taskGroup: "g"), to: bench)
        }
        try await log.until("it is full") { $0.count == 3 }
        #expect(log.all.allSatisfy { $0.contains("exhausted") })
        let kept = Log()
        kept.submit("beat", Heartbeat(tenant: Bench.tenant, task: tasks[0].id, worker: "w"), to: bench)
        kept.submit("report", ReportOutcome(tenant: Bench.tenant, task: tasks[1].id, outcome: .success(result: [])), to: bench)
        kept.submit("back", Release([tasks[2].id]), to: bench)
        bench.store.set { $0.holdReads = false }
        try await kept.until("they are done") { $0.count == 3 }
        #expect(kept.all.sorted() == ["back ok", "beat ok", "report ok"])
        try await bench.finish()
    }

    @Test("renewals have a bound of their own")
    func renewalsBounded() async throws {
        let bench = try await Bench.open { $0.unansweredMax = 4; $0.renewalBytesMax = 20_000 }
        try await bench.enqueue("a")
        let task = try await bench.leaseOne()
        try await hang(bench)
        let large = ReportOutcome(
            tenant: Bench.tenant, task: task.id, outcome: .success(result: Bytes(repeating: 1, count: 30_000)))
        log.submit("large", large, to: bench)
        log.submit("second", large, to: bench)
        try await log.until("the second is refused, the first is one alone") { $0.count == 1 }
        #expect(log.all[0].hasPrefix("second exhausted"))
        bench.store.set { $0.holdReads = false }
        try await log.until("the first is taken") { $0.count == 2 }
        #expect(log.all[1] == "large ok")
        try await bench.finish()
    }

    @Test("a large outcome is let in beside any number of heartbeats")
    func largeOutcome() async throws {
        let bench = try await Bench.open { $0.renewalBytesMax = 20_000 }
        for id in ["a", "b"] { try await bench.enqueue(id) }
        let tasks = try await bench.lease(2)
        try await hang(bench)
        log.submit("beat", Heartbeat(tenant: Bench.tenant, task: tasks[0].id, worker: "w"), to: bench)
        let large = ReportOutcome(
            tenant: Bench.tenant, task: tasks[1].id, outcome: .success(result: Bytes(repeating: 1, count: 30_000)))
        log.submit("large", large, to: bench)
        log.submit("again", large, to: bench)
        try await log.until("one at a time") { $0.count == 1 }
        #expect(log.all[0].hasPrefix("again exhausted"))
        bench.store.set { $0.holdReads = false }
        try await log.until("both are taken") { $0.count == 3 }
        #expect(log.all.suffix(2).sorted() == ["beat ok", "large ok"])
        try await bench.finish()
    }

    @Test("a batch gets on though renewals use up every turn")
    func noStarvation() async throws {
        let bench = try await Bench.open { $0.turnMillisecondsMax = 0 }
        try await bench.enqueue("held")
        let task = try await bench.leaseOne()
        try await hang(bench)
        for _ in 0..<50 { log.submit("beat", Heartbeat(tenant: Bench.tenant, task: task.id, worker: "w"), to: bench) }
        let done = Log()
        let jobs = (0..<40).map { Enqueue(tenant: Bench.tenant, id: JobID("job \($0)"), taskGroup: "other") }
        bench.shard.submit(Each(jobs)) { _ in done.note("batch") }
        bench.store.set { $0.holdReads = false }
        try await done.until("the batch is done") { $0 == ["batch"] }
        try await log.until("and so are all heartbeats") { $0.count == 50 }
        try await bench.finish()
    }

    @Test("what was in hand when storage failed is in hand no more", arguments: ["write", "read", "flush"])
    func failedStore(what: String) async throws {
        var settings = EngineSettings()
        settings.unheardLeasesMax = 0
        let budgets = MemoryBudgets(settings)
        let changes = Signal()
        let store = FaultyStore(MemoryStore(), changes: changes)
        let shard = try await Shard.open(
            store, settings: settings, clock: ManualClock(), random: SeededRandom(seed: 1), budgets: budgets,
            events: AfterTurns(changes.raise))
        _ = try await shard.run(Enqueue(tenant: Bench.tenant, id: JobID("a"), taskGroup: "g"))
        let task = try await shard.lease(Lease(worker: "w", group: "g", taskCountMax: 1)).tasks[0]
        let answered = Log()
        for worker in ["ann", "bob"] {
            shard.lease(Lease(worker: worker, group: "none", taskCountMax: 1), waitMilliseconds: 60_000) { _ in
                answered.note(worker)
            }
        }
        try await changes.wait(for: "they wait") { shard.counts.waitingWorkers == 2 }
        store.set { faults in
            faults.holdReads = true
            faults.failWrites = what == "write"
            faults.failReads = what == "read"
            if what == "read" { faults.error = .fenced("taken") }
            faults.failFlushes = what == "flush"
        }
        shard.submit(Cancel(tenant: Bench.tenant, id: JobID("nobody"))) { _ in answered.note("cancel") }
        try await changes.wait(for: "a read hangs") { store.heldCount == 1 }
        shard.submit(Heartbeat(tenant: Bench.tenant, task: task.id, worker: "w")) { _ in answered.note("beat") }
        let jobs = (0..<10).map { Enqueue(tenant: Bench.tenant, id: JobID("\($0)"), payload: [1, 2, 3], taskGroup: "g") }
        shard.submit(Each(jobs)) { _ in answered.note("batch") }
        shard.lease(Lease(worker: "w", group: "g", taskCountMax: 1)) { _ in answered.note("lease") }
        store.set { $0.holdReads = false }
        _ = await shard.untilStopped()
        try await answered.until("everybody is answered") { $0.count == 6 }
        #expect(budgets.inHand.held == 0)
    }

    @Test("a batch of thousands is spread over turns, and heartbeats are answered in between")
    func turns() async throws {
        let bench = try await Bench.open { $0.turnJobsMax = 10 }
        try await bench.enqueue("held")
        let task = try await bench.leaseOne()
        let flushes = bench.store
        try await hang(bench)
        let jobs = (0..<1000).map { Enqueue(tenant: Bench.tenant, id: JobID("job \($0)"), taskGroup: "g") }
        let done = Log()
        bench.shard.submit(Each(jobs)) { _ in done.note("batch") }
        bench.shard.submit(Heartbeat(tenant: Bench.tenant, task: task.id, worker: "w")) { _ in done.note("beat") }
        flushes.set { $0.holdReads = false }
        try await done.until("both are answered") { $0.count == 2 }
        #expect(done.all == ["beat", "batch"])
        #expect(bench.shard.counts.total == 1001)
        try await bench.finish()
    }

    @Test("work is weighed: small jobs count for what they take in memory", arguments: [1, 10])
    func weight(jobs count: Int) async throws {
        let jobs = (0..<count).map { Enqueue(tenant: Bench.tenant, id: JobID("\($0)"), taskGroup: "g") }
        let pending = PendingEach(Each(jobs)) { _ in }
        #expect(pending.weight == Weight(jobs: count, bytes: Weight.commandBytes * (count + 1)))
        let all = PendingCommand(EnqueueAll(jobs)) { _ in }
        #expect(all.weight.jobs == count)
        #expect(all.weight.bytes == Weight.commandBytes * count)
    }
}
