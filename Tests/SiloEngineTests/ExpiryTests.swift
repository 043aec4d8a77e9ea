import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

@Suite(.timeLimit(.minutes(10))) struct ExpiryTests {
    @Test("J33: a heartbeat renews for the owner only")
    func heartbeat() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a")
        let task = try await bench.leaseOne(worker: "ann")
        for _ in 0..<5 {
            try await bench.pass(9999)
            #expect(try await bench.heartbeat(task, worker: "ann") == nil)
        }
        let before = bench.memory.rows
        #expect(try await refusal { try await bench.heartbeat(task, worker: "bob") } == .leaseOwnerMismatch)
        let stranger = Heartbeat(tenant: Tenant("other"), task: task.id, worker: "ann")
        #expect(try await refusal { _ = try await bench.shard.run(stranger) } == .leaseNotFound)
        #expect(bench.memory.rows == before)
        try await bench.succeed(task)
        #expect(try await refusal { try await bench.heartbeat(task, worker: "ann") } == .leaseNotFound, "it revives nothing")
        #expect(try await bench.state("a") == .succeeded)
        try await bench.finish()
    }

    @Test("J33 J10: a cancelled job's lease is renewed, and the worker is told")
    func cancelledHeartbeat() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a")
        let task = try await bench.leaseOne()
        try await bench.pass(500)
        let cancelledAt = bench.now
        try await bench.cancel("a")
        for _ in 0..<3 {
            try await bench.pass(9000)
            #expect(try await bench.heartbeat(task) == cancelledAt)
        }
        try await bench.report(task, .cancelled)
        #expect(try await bench.state("a") == .cancelled)
        #expect(try await bench.job("a")?.cancelledAt == cancelledAt, "J10: outcomes leave the mark")
        try await bench.finish()
    }

    @Test("R12: a lease is live up to its last millisecond; then its worker is taken for dead")
    func expires() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", retries: 1)
        let task = try await bench.leaseOne(worker: "ann")
        let expiry = bench.now + 10_000
        try await bench.pass(9999)
        #expect(try await bench.state("a") == .running)
        try await bench.pass(1)
        #expect(try await bench.state("a") == .scheduled)
        let attempt = try #require(try await bench.attempts("a").first)
        #expect((attempt.outcome, attempt.errorCode) == (.failed, "WORKER_CRASHED"))
        let text = "lease expired at \(expiry) (now \(expiry)), worker=ann"
        #expect(attempt.errorData == [0xda, 0, UInt8(text.utf8.count)] + text.utf8)

        #expect(try await refusal { try await bench.succeed(task) } == .leaseNotFound, "R13: too late")
        #expect(try await refusal { try await bench.heartbeat(task, worker: "ann") } == .leaseNotFound)
        try await bench.pass(2000)
        try await bench.succeed(bench.leaseOne())
        #expect(try await bench.attempts("a").map(\.outcome) == [.failed, .succeeded])
        try await bench.finish()
    }

    @Test("R12: without a retry left the job fails")
    func fails() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a")
        _ = try await bench.leaseOne()
        try await bench.pass(10_000)
        #expect(try await bench.state("a") == .failed)
        #expect(try await bench.attempts("a").map(\.errorCode) == ["WORKER_CRASHED"])
        try await bench.finish()
    }

    @Test("J34: a cancelled job whose worker dies ends cancelled, retries or not", arguments: ["acme", "other"])
    func cancelledExpires(tenant: String) async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", tenant: Tenant(tenant), retries: 5)
        _ = try await bench.leaseOne()
        try await bench.shard.run(Cancel(tenant: Tenant(tenant), id: JobID("a")))
        try await bench.pass(10_000)
        let job = try #require(try await bench.job("a", tenant: Tenant(tenant)))
        #expect(job.state == .cancelled)
        #expect(job.status?.lastAttempt?.outcome == .cancelled)
        try await bench.finish()
    }

    @Test("J28: a report that arrives as the lease expires counts, or finds no lease")
    func lateButFirst() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a")
        let task = try await bench.leaseOne()
        // The loop may wake by itself before the report reaches it: whichever is first counts, and only it.
        bench.clock.advance(milliseconds: 10_000)
        let refused = try await refusal { try await bench.succeed(task) }
        #expect(try await bench.state("a") == (refused == nil ? .succeeded : .failed))
        try await bench.finish()
    }

    @Test("more leases than one turn ends all expire at once, and the loop wakes by itself")
    func manyExpire() async throws {
        let bench = try await Bench.open()
        let jobs = (0..<700).map { Enqueue(tenant: Bench.tenant, id: JobID("job \($0)"), taskGroup: "g") }
        _ = try await bench.shard.run(EnqueueAll(jobs))
        #expect(try await bench.lease(1000).count == 700)
        try await bench.until("the loop sleeps until the leases end") { bench.clock.sleepers.contains(bench.now + 10_000) }
        bench.clock.advance(milliseconds: 10_000)
        try await bench.until("all have expired") { bench.shard.counts.completed == 700 }
        try await bench.finish()
    }

    @Test("more timers than one turn fires all fire, and the loop wakes by itself")
    func manyTimers() async throws {
        let bench = try await Bench.open { $0.pageRows = 50; $0.windowMax = 80 }
        let start = bench.now.milliseconds + 1000
        let jobs = (0..<1500).map {
            Enqueue(
                tenant: Bench.tenant, id: JobID("job \($0)"), startAtMs: start + Int64($0 % 7), taskGroup: $0 % 3 == 0 ? "g" : "h"
            )
        }
        _ = try await bench.shard.run(EnqueueAll(jobs))
        try await bench.until("the loop sleeps until the first is due") { bench.clock.sleepers.contains(Timestamp(start)) }
        bench.clock.advance(milliseconds: 2000)
        let ready = TenantKeys(Bench.tenant).ready("g", from: Position(from: 0))
        try await bench.until("all are ready") {
            try await bench.memory.scan(from: ready.start, to: ready.end, limit: .max).count == 500
        }
        #expect(try await bench.lease(2000).count == 500)
        try await bench.until("the others too") {
            _ = try await bench.lease(2000, group: "h")
            return bench.shard.counts.leases == 1500
        }
        try await bench.finish()
    }
}
