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
