import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloEngine

/// What waiting leases were answered, in order.
final class Answers: Sendable {
    private let answers = Box<String>()

    /// Starts a lease that waits, and returns once the shard holds it waiting.
    @discardableResult
    func wait(
        _ name: String, _ bench: Bench, _ milliseconds: Int64 = 60_000, count: Int = 1, group: String = "g",
        tenants: [String]? = nil
    ) async throws -> PendingLease {
        let before = bench.shard.counts.waitingWorkers
        let own = tenants.map { Set($0.map { Tenant($0) }) }
        let lease = Lease(worker: name, group: group, tenants: own, taskCountMax: count)
        let pending = bench.shard.lease(lease, waitMilliseconds: milliseconds) { result in
            self.note(name, result)
        }
        try await bench.until("\(name) waits") { bench.shard.counts.waitingWorkers == before + 1 }
        return pending
    }

    /// Starts a lease that does not wait.
    func post(_ name: String, _ bench: Bench) {
        bench.shard.lease(Lease(worker: name, group: "g", taskCountMax: 1)) { result in
            self.note(name, result)
        }
    }

    /// As text: `ann: a b`, or `ann: refused`.
    var all: [String] { answers.all }

    private func note(_ name: String, _ result: Result<Leased, SiloError>) {
        answers.add("\(name): \((try? result.get().tasks.map(\.job.id).joined(separator: " ")) ?? "refused")")
    }

    func until(_ count: Int) async throws { try await answers.until(count) }

    func expect(_ expected: [String], _ location: SourceLocation = #_sourceLocation) async throws {
        try await until(expected.count)
        #expect(all == expected, sourceLocation: location)
    }
}

@Suite(.timeLimit(.minutes(10))) struct WaitingTests {
    private let answers = Answers()

    @Test("an enqueue wakes the worker that waits")
    func enqueue() async throws {
        let bench = try await Bench.open()
        try await answers.wait("ann", bench, count: 2)
        try await bench.enqueue("elsewhere", group: "h")
        try await bench.enqueue("a")
        try await answers.expect(["ann: a"])
        #expect(bench.shard.counts.waitingWorkers == 0)
        try await bench.finish()
    }

    @Test("J23: one batch of jobs is shared out in the order in which the workers came")
    func order() async throws {
        let bench = try await Bench.open()
        for (name, count) in [("ann", 1), ("bob", 2), ("cat", 5), ("dan", 1)] {
            try await answers.wait(name, bench, count: count)
        }
        let jobs = "abcde".map { Enqueue(tenant: Bench.tenant, id: JobID("\($0)"), taskGroup: "g") }
        _ = try await bench.shard.run(EnqueueAll(jobs))
        try await answers.expect(["ann: a", "bob: b c", "cat: d e"])
        #expect(bench.shard.counts.waitingWorkers == 1)
        try await bench.enqueue("f")
        try await answers.expect(["ann: a", "bob: b c", "cat: d e", "dan: f"])
        try await bench.finish()
    }

    @Test("who comes later, in the very batch that brings the work, does not go first")
    func newcomer() async throws {
        let bench = try await Bench.open()
        try await answers.wait("ann", bench)
        try await bench.together {
            bench.shard.submit(Enqueue(tenant: Bench.tenant, id: JobID("a"), taskGroup: "g")) { _ in }
            answers.post("late", bench)
            bench.shard.submit(Enqueue(tenant: Bench.tenant, id: JobID("b"), taskGroup: "g")) { _ in }
            answers.post("later", bench)
        }
        try await answers.expect(["ann: a", "late: ", "later: b"])
        try await bench.finish()
    }

    @Test("a timer that comes due wakes the worker, without any other request")
    func timer() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", after: 5000)
        try await answers.wait("ann", bench)
        try await bench.until("the loop sleeps, and looks at the wall clock now and then") {
            bench.clock.sleepers.contains(bench.now + 1000)
        }
        bench.clock.advance(milliseconds: 5000)
        try await answers.expect(["ann: a"])
        try await bench.finish()
    }

    @Test("an expired lease wakes the worker that waits for its retry")
    func expiry() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", retries: 1)
        _ = try await bench.leaseOne()
        try await answers.wait("ann", bench)
        try await bench.pass(10_000)
        try await bench.pass(2000)
        try await answers.expect(["ann: a"])
        try await bench.finish()
    }

    @Test("restart, expedite, retry and give back wake the worker too")
    func otherWays() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", after: 60_000)
        try await answers.wait("ann", bench)
        try await bench.expedite("a")
        try await answers.expect(["ann: a"])
        try await bench.enqueue("b", after: -1)
        let task = try await bench.leaseOne()
        try await answers.wait("bob", bench)
        try await bench.shard.run(Release([task.id]))
        try await answers.expect(["ann: a", "bob: b"])
        try await bench.enqueue("c")
        try await bench.fail(bench.leaseOne())
        try await answers.wait("cat", bench)
        try await bench.restart("c")
        try await answers.expect(["ann: a", "bob: b", "cat: c"])
        try await bench.finish()
    }

    @Test("waiting ends at its deadline, with nothing")
    func deadline() async throws {
        let bench = try await Bench.open()
        try await answers.wait("ann", bench, 3000)
        try await answers.wait("bob", bench, 1000)
        try await answers.wait("cat", bench, 3000, group: "h")
        try await bench.pass(999)
        #expect(answers.all == [])
        try await bench.pass(1)
        try await answers.expect(["bob: "])
        try await bench.enqueue("a")
        try await answers.expect(["bob: ", "ann: a"])
        try await bench.until("the loop sleeps") { bench.clock.sleepers.contains(bench.now + 2000) }
        bench.clock.advance(milliseconds: 2000)
        try await answers.expect(["bob: ", "ann: a", "cat: "])
        try await bench.finish()
    }

    @Test("an abandoned lease gets nothing, not even an answer, holds nobody up and frees its place")
    func abandoned() async throws {
        let bench = try await Bench.open { $0.unansweredMax = 4 }
        for round in 1...5 {
            let gone = try await answers.wait("gone", bench)
            gone.abandon()
            try await answers.wait("ann", bench)
            let id = try await bench.enqueue()
            try await answers.until(round)
            #expect(answers.all.last == "ann: \(id)" && bench.shard.counts.waitingWorkers == 0)
        }
        #expect(answers.all.count == 5)
        try await bench.poke()
        try await bench.finish()
    }

    @Test("a request for no tasks does not wait, nor does one that finds some")
    func atOnce() async throws {
        let bench = try await Bench.open()
        #expect(try await bench.lease(0, wait: 60_000).isEmpty)
        try await bench.enqueue("a")
        #expect(try await bench.lease(5, wait: 60_000).count == 1)
        try await bench.finish()
    }

    @Test("closing answers those who wait with nothing; a failing store refuses them")
    func stop() async throws {
        let bench = try await Bench.open()
        try await answers.wait("ann", bench)
        try await bench.shard.close()
        try await answers.expect(["ann: "])
        let failing = try await Bench.open()
        let others = Answers()
        try await others.wait("bob", failing)
        try await others.wait("cat", failing, group: "h")
        failing.store.set { $0.failWrites = true }
        _ = try await refusal { try await failing.enqueue("a") }
        try await others.until(2)
        #expect(others.all.sorted() == ["bob: refused", "cat: refused"])
        #expect(await failing.shard.untilStopped() == .unavailable("injected fault"))
    }

    @Test("a store that fails while a waiting worker is served refuses that worker too")
    func failsWhileServing() async throws {
        let bench = try await Bench.open { $0.inlineJobBytesMax = 0 }
        try await bench.enqueue("a", after: 1000)
        let again = try await bench.crash()
        try await answers.wait("ann", again)
        again.store.set { ($0.failReads, $0.error) = (true, .fenced("taken")) }
        again.clock.advance(milliseconds: 1000)
        _ = try await refusal { try await again.poke() }
        try await answers.expect(["ann: refused"])
        #expect(await again.shard.untilStopped() != nil)
    }
}
