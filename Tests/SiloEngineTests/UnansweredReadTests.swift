import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloEngine

/// What lies below a log does not answer for a while, as a bucket that is away: reads fail, writes and flushes go on.
@Suite("Reads that the store does not answer", .timeLimit(.minutes(10))) struct UnansweredReadTests {
    private static let away = StoreError.unavailable("injected fault")
    private let log = Log()

    private func isRefused(_ body: () async throws -> Void) async throws -> Bool {
        guard case .unavailable(let text, _) = try await refusal(body) else { return false }
        return text == "storage is unavailable: injected fault"
    }

    /// A shard whose rows are not in memory, with what was stored before.
    private func cold(
        _ change: (inout EngineSettings) -> Void = { _ in }, _ fill: (Bench) async throws -> Void
    ) async throws -> Bench {
        let bench = try await Bench.open(nil, change)
        try await fill(bench)
        return try await bench.crash()
    }

    @Test("refuse the command that wanted them, and nobody else")
    func callersIDs() async throws {
        let bench = try await cold { try await $0.enqueue("a") }
        bench.store.set { $0.failReads = true }
        #expect(try await isRefused { try await bench.enqueue("b") })
        #expect(try await isRefused { try await bench.cancel("a") })
        #expect(try await isRefused { try await bench.restart("a") })
        let own = try await bench.enqueue()
        let each = try await bench.shard.run(Each([
            Enqueue(tenant: Bench.tenant, taskGroup: "g"), Enqueue(tenant: Bench.tenant, id: JobID("c"), taskGroup: "g"),
        ]))
        #expect((try? each[0].get()) != nil && (try? each[1].get()) == nil)
        bench.store.set { $0.failReads = false }
        #expect(try await bench.state(own.text) == .scheduled)
        try await bench.enqueue("b")
        try await bench.cancel("a")
        try await bench.finish()
    }

    @Test("of limits that nobody has named since the shard was opened refuse the job before any of it is stored")
    func limits() async throws {
        let bench = try await cold { try await $0.enqueue("a", limits: [slots("k", 1)]) }
        bench.store.set { $0.failReads = true }
        #expect(try await isRefused { try await bench.enqueue(limits: [slots("new", 1)]) })
        try await bench.enqueue()
        bench.store.set { $0.failReads = false }
        try await bench.enqueue("b", limits: [slots("new", 1)])
        try await bench.finish()
    }

    @Test("of ready tasks leave them where they are: who asks at once is refused, who waits is served when the store answers")
    func refills() async throws {
        let bench = try await cold { for id in ["a", "b"] { try await $0.enqueue(id) } }
        bench.store.set { $0.failReads = true }
        #expect(try await isRefused { _ = try await bench.lease(1) })
        let answers = Box<[String]>()
        bench.shard.lease(Lease(worker: "ann", group: "g", taskCountMax: 1), waitMilliseconds: 60_000) {
            answers.add((try? $0.get().tasks.map(\.job.id)) ?? ["refused"])
        }
        try await bench.until("she waits") { bench.shard.counts.waitingWorkers == 1 }
        for _ in 0..<10 { try await bench.pass(500) }
        #expect(answers.all == [])
        bench.store.set { $0.failReads = false }
        try await bench.pass(500)
        try await answers.until(1)
        #expect(answers.all == [["a"]])
        #expect(try await bench.drain(5) == ["b"])
        try await bench.finish()
    }

    @Test("of a job beside its task put the task back")
    func largeJobs() async throws {
        let bench = try await cold({ $0.inlineJobBytesMax = 0 }) { for id in ["a", "b"] { try await $0.enqueue(id) } }
        // Its window is read, its job is not.
        let jobs = [TenantKeys(Bench.tenant).job(JobID("a")), TenantKeys(Bench.tenant).job(JobID("b"))]
        bench.store.set { $0.unread = { jobs.contains($0) } }
        #expect(try await isRefused { _ = try await bench.lease(5) })
        bench.store.set { $0.unread = nil }
        try await bench.pass(500)
        #expect(try await bench.drain(5) == ["a", "b"])
        try await bench.finish()
    }

    @Test("of a limit whose holders were dropped leave a ready job that lost its slot where it is", arguments: [false, true])
    func lostSlots(isStatus: Bool) async throws {
        let bench = try await cold { bench in
            for id in ["a", "b"] { try await bench.enqueue(id, limits: [slots("x", 1), slots("y", 9)]) }
            #expect(try await bench.dropHolders(key: "x") == 1)
        }
        // Its window is read, what letting it in anew reads is not.
        let keys = TenantKeys(Bench.tenant)
        let away = isStatus ? keys.status(JobID("a")) : keys.slots(LimitKey("x"))
        bench.store.set { $0.unread = { $0 == away } }
        #expect(try await isRefused { _ = try await bench.lease(5) })
        #expect(try await bench.places("a", "b") == [.ready, .ready])
        try await bench.enqueue("c")
        bench.store.set { $0.unread = nil }
        try await bench.pass(500)
        #expect(try await bench.lease(5).map(\.job.id) == ["b", "c"])
        #expect(try await bench.place("a") == .waiting)
        try await bench.finish()
    }

    @Test("of jobs that kept their slots are not made when the holders of another limit were dropped")
    func keptSlots() async throws {
        let bench = try await cold { bench in
            try await bench.enqueue("a", limits: [slots("y", 9)])
            try await bench.enqueue("b", limits: [rate("r", 9)])
            try await bench.enqueue("c", limits: [slots("x", 1)])
            #expect(try await bench.dropHolders(key: "x") == 1)
        }
        let statuses = ["a", "b"].map { TenantKeys(Bench.tenant).status(JobID($0)) }
        bench.store.set { $0.unread = { statuses.contains($0) } }
        #expect(try await bench.lease(5).map(\.job.id) == ["a", "b", "c"])
        bench.store.set { $0.unread = nil }
        try await bench.finish()
    }

    @Test("of timers let them fire when the store answers; those in memory fire in time")
    func timers() async throws {
        let bench = try await cold { try await $0.enqueue("cold", after: 1000, group: "cold") }
        try await bench.enqueue("warm", after: 2000, group: "warm")
        bench.store.set { $0.failReads = true }
        for _ in 0..<6 { try await bench.pass(500) }
        #expect(try await bench.drain(5, group: "warm") == ["warm"])
        bench.store.set { $0.failReads = false }
        try await bench.pass(500)
        #expect(try await bench.drain(5, group: "cold") == ["cold"])
        try await bench.finish()
    }

    @Test("of those that wait in line let a slot stay free until the store answers")
    func lines() async throws {
        let bench = try await cold { for id in ["a", "b"] { try await $0.enqueue(id, limits: [slots("k", 1)]) } }
        let task = try await bench.leaseOne()
        bench.store.set { $0.failReads = true }
        try await bench.succeed(task)
        for _ in 0..<4 { try await bench.pass(500) }
        #expect(bench.shard.counts.leases == 0)
        bench.store.set { $0.failReads = false }
        try await bench.pass(500)
        #expect(try await bench.drain(5) == ["b"])
        try await bench.finish()
    }

    @Test("of a job whose attempt failed keep its lease, for the worker to report again; and no lease runs out meanwhile")
    func reports() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, retries: 1) }
        let tasks = try await bench.lease(2)
        let again = try await bench.crash()
        again.store.set { $0.failReads = true }
        #expect(try await isRefused { try await again.fail(tasks[0]) })
        for _ in 0..<30 { try await again.pass(500) }
        #expect(again.shard.counts.leases == 2)
        again.store.set { $0.failReads = false }
        try await again.fail(tasks[0])
        try await again.pass(500)
        #expect(again.shard.counts.leases == 0)
        #expect(try await again.state("a") == .scheduled)
        #expect(try await again.state("b") == .scheduled)
        try await again.finish()
    }

    @Test("of the limits of a job whose attempt failed keep its lease too")
    func limitsOfReports() async throws {
        let limit = rate("k", 5, per: 1000)
        let bench = try await cold { try await $0.enqueue("a", retries: 1, limits: [limit]) }
        let task = try await bench.leaseOne()
        let again = try await bench.crash()
        let bucket = TenantKeys(Bench.tenant).bucket(LimitKey("rate"), LimitKey("k"))
        again.store.set { $0.unread = { $0 == bucket } }
        #expect(try await isRefused { try await again.fail(task) })
        #expect(again.shard.counts.leases == 1)
        again.store.set { $0.unread = nil }
        try await again.fail(task)
        #expect(try await again.state("a") == .scheduled)
        try await again.finish()
    }

    @Test("of a job that is given back let its lease run out, when the store answers")
    func givenBack() async throws {
        let bench = try await cold { try await $0.enqueue("a", retries: 1) }
        let task = try await bench.leaseOne()
        bench.store.set { $0.failReads = true }
        try await bench.giveBack([task])
        for _ in 0..<30 { try await bench.pass(500) }
        #expect(bench.shard.counts.leases == 1)
        bench.store.set { $0.failReads = false }
        try await bench.pass(500)
        #expect(bench.shard.counts.leases == 0)
        #expect(try await bench.state("a") == .scheduled)
        try await bench.finish()
    }

    @Test("of lines let floating limits wait for their new values", arguments: [false, true])
    func floatingLimits(isLeased: Bool) async throws {
        let bench = try await cold({ $0.leaseMilliseconds = 10_000 }) { bench in
            for id in ["a", "b", "c"] { try await bench.enqueue(id, limits: [floating("f", 1, every: 5000)]) }
            let leased = try await bench.leased(1)
            #expect(leased.refreshes.count == 1)
            if !isLeased { try await bench.report(leased.refreshes[0], .success(newMax: 1)) }
        }
        bench.store.set { $0.failReads = true }
        for _ in 0..<30 { try await bench.pass(500) }
        bench.store.set { $0.failReads = false }
        for _ in 0..<4 { try await bench.pass(500) }
        let refresh = try #require(try await bench.leased(1).refreshes.first)
        bench.store.set { $0.failReads = true }
        try await bench.report(refresh, .failure)
        bench.store.set { $0.failReads = false }
        try await bench.pass(500)
        try await bench.finish()
    }

    @Test("leave finished jobs until it answers: one by one, where it gives only some", arguments: [false, true])
    func sweeps(givesSome: Bool) async throws {
        let bench = try await cold { bench in
            for id in ["a", "b"] { try await bench.enqueue(id, metadata: ["k": id]) }
            for task in try await bench.lease(2) { try await bench.succeed(task) }
        }
        let part = SweepFinished.Part.period(
            Bench.tenant, UInt8(StorageV1.JobState.succeeded.rawValue), FinishedPeriod(of: bench.now))
        let kept = TenantKeys(Bench.tenant).job(JobID("b"))
        bench.store.set { faults in
            if givesSome { faults.unread = { $0 == kept } } else { faults.failReads = true }
        }
        let first = try await bench.shard.run(SweepFinished(part: part))
        #expect((first.isUnanswered, first.isDone, first.erased) == (true, false, givesSome ? 1 : 0))
        bench.store.set { ($0.unread, $0.failReads) = (nil, false) }
        #expect(bench.violations == [])
        try await bench.pass(500)
        let second = try await bench.shard.run(SweepFinished(part: part))
        #expect((second.isUnanswered, second.isDone, second.erased) == (false, true, givesSome ? 1 : 2))
        #expect(bench.shard.counts.total == 0)
        try await bench.finish()
    }

    @Test("refuse to drop a tenant or its holders, and let a drop that was begun go on when it answers")
    func drops() async throws {
        let bench = try await cold { bench in
            for id in ["a", "b"] { try await bench.enqueue(id, limits: [slots("k", 1)]) }
            _ = try await bench.leaseOne()
        }
        bench.store.set { $0.failReads = true }
        #expect(try await isRefused { _ = try await bench.dropHolders() })
        #expect(try await isRefused { _ = try await bench.dropHolders(key: "k") })
        #expect(try await isRefused { _ = try await bench.shard.run(DropTenant(tenant: Bench.tenant)) })
        bench.store.set { $0.failReads = false }
        #expect(try await bench.dropHolders() == 1)
        #expect(try await bench.shard.run(DropTenant(tenant: Bench.tenant)).jobs == 2)
        bench.store.set { $0.failReads = true }
        #expect(try await bench.shard.run(DropStep(tenant: Bench.tenant)).isUnanswered)
        bench.store.set { $0.failReads = false }
        try await bench.pass(500)
        while try await !bench.shard.run(DropStep(tenant: Bench.tenant)).isDone {}
        #expect(bench.memory.rowsLeft == [])
        try await bench.finish()
    }

    @Test("let a bulk action wait, which then does each job once; and refuse a new one that would have to count")
    func bulkActions() async throws {
        let finder = WordFinder()
        let bench = try await Bench.open(finding: finder)
        for number in 0..<20 { try await bench.enqueue("\(number)") }
        let again = try await bench.crash()
        again.store.set { $0.failReads = true }
        #expect(try await isRefused { try await again.begin(.cancel, of: [Bench.tenant]) })
        again.store.set { $0.failReads = false }
        let store = again.store
        finder.afterEachPage { number in if number == 2 { store.set { $0.failReads = true } } }
        try await again.begin(.cancel, of: [Bench.tenant])
        while finder.pages < 2 { try await again.pass(17) }
        for _ in 0..<10 { try await again.pass(500) }
        #expect(again.shard.bulkCount == 1)
        finder.afterEachPage(nil)
        again.store.set { $0.failReads = false }
        let ended = try await again.finishBulk()
        #expect((ended.goesOn, ended.error, ended.done) == (false, "", 20))
        try await again.finish()
    }

    @Test("end the shard when it was closed, taken over or damaged", arguments: ["closed", "fenced", "corrupt"])
    func ends(how: String) async throws {
        let bench = try await cold { try await $0.enqueue("a") }
        bench.store.set { faults in
            faults.failReads = true
            switch how {
            case "closed": faults.isClosed = true
            case "fenced": faults.error = .fenced("taken")
            default: faults.error = .corrupt("broken")
            }
        }
        // The rows of a job that cannot be read refuse its own requests alone: a page of ready ones is everybody's.
        _ = try await refusal { _ = try await bench.lease(1) }
        #expect(await bench.shard.untilStopped() != nil)
    }
}
