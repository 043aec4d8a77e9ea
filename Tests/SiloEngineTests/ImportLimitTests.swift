import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

/// Imports of jobs with limits (spec/limits.md 14.44 to 14.48).
@Suite(.timeLimit(.minutes(10))) struct ImportLimitTests {
    private func attempt(_ outcome: StorageV1.JobState) -> StorageV1.Attempt {
        var attempt = StorageV1.Attempt()
        attempt.outcome = outcome
        attempt.startedAtMs = 1000
        attempt.finishedAtMs = 2000
        return attempt
    }

    @discardableResult
    private func run(
        _ id: String, _ outcomes: StorageV1.JobState..., retries: UInt32 = 0, limits: [StorageV1.Limit] = [], after: Int64 = 0,
        on bench: Bench
    ) async throws -> JobStatusName {
        try await bench.shard.run(
            Import(
                tenant: Bench.tenant, id: JobID(id), startAtMs: after > 0 ? bench.now.milliseconds + after : 0,
                retryPolicy: policy(retries),
                limits: limits, taskGroup: "g", attempts: outcomes.map { attempt($0) }
            ))
    }

    @Test("an imported job that is left to run obeys its limits; one of a later time holds nothing before it")
    func new() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await run(id, limits: [slots("x", 1), rate("k", 5)], on: bench) }
        try await run("later", limits: [slots("x", 1)], after: 5000, on: bench)
        #expect(try await bench.places("a", "b") == [.ready, .waiting])
        #expect(try await bench.held("x") == 1)
        #expect(try await bench.runAll() == ["a", "b"])
        try await bench.pass(5000)
        #expect(try await bench.drain(5) == ["later"])
        try await bench.finish()
    }

    @Test("L3: an imported job that has ended holds nothing and asks for nothing")
    func ended() async throws {
        let bench = try await Bench.open()
        #expect(try await run("a", .succeeded, limits: [slots("x", 1), floating("f", 1), rate("k", 1)], on: bench) == .succeeded)
        #expect(try await bench.held("x") == nil)
        #expect(try await bench.floatingState("f") == nil)
        #expect(try await bench.bucket("k") == nil)
        try await bench.finish()
    }

    @Test("14.44 14.46: a ready job that ended elsewhere gives its slots and promises to the next, at once")
    func readyEnded() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [slots("x", 1), slots("y", 1), rate("k", 1)]) }
        #expect(try await run("a", .succeeded, on: bench) == .succeeded)
        #expect(try await bench.places("a", "b") == [.finished, .ready])
        #expect(try await bench.held("y") == 1)
        #expect(try await bench.bucket("k")?.reserved == 1)
        try await bench.finish()
    }

    @Test("14.45: a waiting job that ended elsewhere leaves its line")
    func waitingEnded() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c"] { try await bench.enqueue(id, limits: [slots("x", 1)]) }
        try await run("b", .failed, on: bench)
        #expect(try await bench.waitingCount() == 1)
        #expect(try await bench.runAll() == ["a", "c"])
        try await bench.finish()
    }

    @Test("14.48: a job that failed elsewhere and is left to run again stands once, and holds one slot", arguments: [1, 2])
    func again(count: Int) async throws {
        let bench = try await Bench.open()
        for index in 0..<count { try await bench.enqueue("\(index)", limits: [slots("x", 1)]) }
        let last = "\(count - 1)"
        try await bench.pass(5)
        #expect(try await run(last, .failed, retries: 3, on: bench) == .scheduled)
        #expect(try await bench.held("x") == 1)
        #expect(try await bench.waitingCount() == UInt64(count - 1))
        let task = try await bench.leaseOne()
        #expect(task.job.id == "0")
        try await bench.succeed(task)
        if count == 2 { #expect(try await bench.leaseOne().attempt == 2) } else { #expect(task.attempt == 2) }
        try await bench.finish()
    }

    @Test("14.47: a failed job that is imported anew obeys its limits")
    func finishedAgain() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", limits: [slots("x", 1)])
        let task = try await bench.leaseOne()
        try await bench.fail(task)
        try await bench.enqueue("b", limits: [slots("x", 1)])
        let first = try #require(try await bench.attempts("a").first)
        var next = attempt(.failed)
        next.errorCode = "AGAIN"
        let again = Import(tenant: Bench.tenant, id: JobID("a"), retryPolicy: policy(5), taskGroup: "g", attempts: [first, next])
        #expect(try await bench.shard.run(again) == .scheduled)
        #expect(try await bench.places("a", "b") == [.waiting, .ready])
        #expect(try await bench.runAll() == ["b", "a"])
        try await bench.finish()
    }

    @Test("a refused import leaves slots, lines and promises as they are")
    func refused() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [slots("x", 1), rate("k", 3)]) }
        let running = try await bench.leaseOne()
        let rows = bench.memory.rows
        #expect(try await refusal { try await run("a", .succeeded, on: bench) } != nil)
        #expect(try await refusal { try await run("b", on: bench) } != nil)
        #expect(try await refusal { try await run("b", .succeeded, .failed, on: bench) } != nil)
        #expect(bench.memory.rows == rows)
        try await bench.succeed(running)
        #expect(try await bench.drain(5) == ["b"])
        try await bench.finish()
    }
}
