import SiloCore
import SiloStore
import SiloTesting
import Synchronization
import TestSupport
import Testing

@testable import SiloEngine

/// Leases whose grant or renewal takes long to be durable: their workers hear of it then, and hold them from then on.
@Suite(.timeLimit(.minutes(10))) struct SlowFlushTests {
    private let log = Log()

    /// Time passes while a flush hangs, and the loop looks at its leases.
    private func pass(_ milliseconds: Int64, _ bench: Bench) async throws {
        bench.clock.advance(milliseconds: milliseconds)
        let total = bench.shard.counts.total
        bench.shard.submit(Enqueue(tenant: Bench.tenant, id: nil, taskGroup: "other")) { _ in }
        try await bench.changes.wait(for: "a turn has passed") { bench.shard.counts.total == total + 1 }
    }

    @Test("a lease begins when the flush that grants it is done, however long that hangs")
    func grant() async throws {
        let bench = try await Bench.open { $0.unheardLeasesMax = 0 }
        try await bench.enqueue("a")
        bench.store.set { $0.holdFlushes = true }
        async let leasing = bench.leaseOne()
        try await bench.changes.wait(for: "the flush hangs") { bench.store.heldCount == 1 && bench.shard.counts.leases == 1 }
        try await pass(8000, bench)
        try await pass(4000, bench)
        #expect(bench.shard.counts.leases == 1, "nobody was told of it")
        try await pass(9000, bench)
        try await pass(500, bench)
        bench.store.set { $0.holdFlushes = false }
        let task = try await leasing
        try await bench.pass(9999)
        #expect(try await bench.state("a") == .running)
        try await bench.heartbeat(task)
        try await bench.pass(10_000)
        #expect(try await bench.state("a") == .failed, "it ends all the same")
        try await bench.finish()
    }

    @Test("a renewal counts from when the worker can be told of it")
    func renewal() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a")
        let task = try await bench.leaseOne()
        try await bench.pass(9000)
        bench.store.set { $0.holdFlushes = true }
        log.submit("beat", Heartbeat(tenant: Bench.tenant, task: task.id, worker: "w"), to: bench)
        try await bench.changes.wait(for: "the flush hangs") { bench.store.heldCount == 1 }
        try await pass(15_000, bench)
        #expect(bench.shard.counts.leases == 1)
        bench.store.set { $0.holdFlushes = false }
        try await log.until("it is answered") { $0 == ["beat ok"] }
        try await bench.pass(9999)
        #expect(try await bench.state("a") == .running)
        try await bench.pass(1)
        #expect(try await bench.state("a") == .failed)
        try await bench.finish()
    }

    @Test("the lease of a refresh begins when its flush is done")
    func refresh() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [floating("f", 1)]) }
        bench.store.set { $0.holdFlushes = true }
        async let leasing = bench.leased(1)
        try await bench.changes.wait(for: "the flush hangs") { bench.store.heldCount == 1 && bench.shard.counts.leases == 1 }
        try await pass(12_000, bench)
        bench.store.set { $0.holdFlushes = false }
        let leased = try await leasing
        try await bench.pass(9000)
        try await bench.report(leased.refreshes[0], .success(newMax: 2))
        #expect(try await bench.place("b") == .ready)
        try await bench.finish()
    }
}
