import SiloCore
import SiloStore
import SiloTesting
import Synchronization
import Testing

@testable import SiloEngine

/// A rate limiter that answers when the test says so.
private final class FakeLimiter: RateLimiter {
    private let questions = Mutex<[(check: RateCheck, completion: @Sendable (RateAnswer) -> Void)]>([])

    func check(_ check: RateCheck, completion: @escaping @Sendable (RateAnswer) -> Void) {
        questions.withLock { $0.append((check, completion)) }
    }

    var asked: [RateCheck] { questions.withLock { $0.map(\.check) } }

    /// Answers a question, of all that were asked by number; the newest when none is named.
    func answer(_ answer: RateAnswer, to index: Int? = nil) {
        let completion = questions.withLock { $0[index ?? $0.count - 1].completion }
        completion(answer)
    }
}

@Suite(.timeLimit(.minutes(10))) struct ExternalRateLimiterTests {
    private let limiter = FakeLimiter()

    private func bench(_ change: (inout EngineSettings) -> Void = { _ in }) async throws -> Bench {
        try await Bench.open(asking: limiter, change)
    }

    private func answer(_ bench: Bench, _ answer: RateAnswer, to index: Int? = nil) async throws {
        limiter.answer(answer, to: index)
        try await bench.poke()
    }

    @Test("14.87: the limiter is asked what the job says, and the job starts when it is under the limit")
    func under() async throws {
        let bench = try await bench()
        try await bench.enqueue("a", limits: [rate("k", 7, per: 3000, hits: 2, leaky: true, burst: 9, behavior: 6)])
        let expected = RateCheck(
            name: "rate", uniqueKey: "k", hits: 2, limit: 7, durationMilliseconds: 3000, algorithm: 1, behavior: 6, burst: 9
        )
        #expect(limiter.asked == [expected])
        #expect(try await bench.place("a") == .timer)
        #expect(try await bench.lease(5).isEmpty)
        try await answer(bench, .under)
        #expect(try await bench.place("a") == .ready)
        #expect(try await bench.drain(5) == ["a"])
        #expect(try await bench.bucket("k") == nil, "the shard's own buckets are not used")
        #expect(limiter.asked.count == 1)
        try await bench.finish()
    }

    @Test("a waiting worker is woken by the answer")
    func wakes() async throws {
        let bench = try await bench()
        async let waiting = bench.lease(1, wait: 60_000)
        try await bench.until("it waits") { bench.shard.counts.waitingWorkers == 1 }
        try await bench.enqueue("a", limits: [rate("k", 1)])
        limiter.answer(.under)
        #expect(try await waiting.map(\.job.id) == ["a"])
        try await bench.finish()
    }

    @Test(
        "14.88 14.91: over the limit the job comes back when the limiter says, if that is soon enough, else after its backoff",
        arguments: [
            (1, 1), (29_999, 29_999), (30_000, 100), (0, 100), (-5, 100), (nil, 100),
        ] as [(Int64?, Int64)])
    func over(reset: Int64?, wait: Int64) async throws {
        let bench = try await bench()
        try await bench.enqueue("a", limits: [slots("x", 1), rate("k", 1)])
        try await answer(bench, .over(resetAt: reset.map { bench.now + $0 }))
        #expect(try await bench.nextStart("a") == bench.now + wait)
        #expect(try await bench.held("x") == nil, "it holds no slot meanwhile")
        #expect(limiter.asked.count == 1)
        try await bench.pass(wait - 1)
        #expect(limiter.asked.count == 1)
        try await bench.pass(1)
        #expect(limiter.asked.count == 2)
        try await answer(bench, .under)
        #expect(try await bench.drain(5) == ["a"])
        try await bench.finish()
    }

    @Test("14.92: the backoff doubles with each refusal, up to its bound")
    func backoff() async throws {
        let bench = try await bench()
        try await bench.enqueue("a", limits: [rate("k", 1, backoff: 1000, maxBackoff: 5000)])
        for (count, wait) in [1000, 2000, 4000, 5000, 5000].enumerated() {
            #expect(limiter.asked.count == count + 1)
            try await answer(bench, .over(resetAt: nil))
            #expect(try await bench.nextStart("a") == bench.now + Int64(wait))
            try await bench.pass(Int64(wait))
        }
        try await bench.cancel("a")
        try await bench.finish()
    }

    @Test("14.93: a job that is refused once more than it would retry fails with RATE_LIMITED, and holds nothing")
    func exhausted() async throws {
        let bench = try await bench()
        try await bench.enqueue("a", retries: 5, limits: [slots("x", 1), rate("k", 1, retries: 2, backoff: 10)])
        for wait: Int64 in [10, 20, 0] {
            try await answer(bench, .over(resetAt: nil))
            try await bench.pass(wait)
        }
        #expect(limiter.asked.count == 3)
        #expect(try await bench.state("a") == .failed)
        #expect(try await bench.attempts("a").map(\.errorCode) == ["RATE_LIMITED"])
        #expect(try await bench.held("x") == nil)
        try await bench.finish()
    }

    @Test(
        "14.95: a limiter that cannot be asked delays the job, however often, and never fails it",
        arguments: [(0, 100), (700, 700)])
    func failures(backoff: Int64, wait: Int64) async throws {
        let bench = try await bench()
        try await bench.enqueue("a", limits: [slots("x", 1), rate("k", 1, retries: 1, backoff: backoff)])
        for count in 1...5 {
            #expect(limiter.asked.count == count)
            try await answer(bench, .failed("no connection"))
            #expect(try await bench.held("x") == nil)
            try await bench.pass(wait - 1)
            #expect(limiter.asked.count == count)
            try await bench.pass(1)
        }
        try await answer(bench, .under)
        #expect(try await bench.drain(5) == ["a"])
        try await bench.finish()
    }

    @Test("while the limiter is asked the job holds its slots; without an answer they are given up and it is asked anew")
    func noAnswer() async throws {
        let bench = try await bench()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [slots("x", 1), rate("k", 1)]) }
        #expect(limiter.asked.count == 1, "b waits for the slot and is not asked for")
        #expect(try await bench.held("x") == 1)
        #expect(try await bench.places("a", "b") == [.timer, .waiting])
        try await bench.pass(14_999)
        #expect(limiter.asked.count == 1)
        try await bench.pass(1)
        // The slot came free: one of them has it and is asked for.
        #expect(limiter.asked.count == 2)
        #expect(try await bench.held("x") == 1)
        #expect(try await bench.waitingCount() == 1)
        try await answer(bench, .under)
        #expect(try await bench.lease(5).count == 1)
        try await bench.finish()
    }

    @Test(
        "L28: answers that come late find the job elsewhere and do nothing",
        arguments: [RateAnswer.under, .over(resetAt: nil), .failed("")])
    func late(late: RateAnswer) async throws {
        let bench = try await bench()
        try await bench.enqueue("cancelled", limits: [slots("x", 4), rate("k", 1)])
        try await bench.cancel("cancelled")
        try await bench.enqueue("deleted", limits: [slots("x", 4), rate("k", 1)])
        try await bench.cancel("deleted")
        try await bench.delete("deleted")
        try await bench.enqueue("named", limits: [slots("x", 4), rate("k", 1)])
        try await bench.leaseJob("named")
        try await bench.enqueue("ready", limits: [slots("x", 4), rate("k", 1)])
        try await answer(bench, .under)
        let rows = bench.memory.rows
        for index in 0..<4 { try await answer(bench, late, to: index) }
        #expect(bench.memory.rows == rows)
        #expect(try await bench.held("x") == 1)
        try await bench.finish()
    }

    @Test("an answer for an earlier attempt does not count for the next")
    func earlierAttempt() async throws {
        let bench = try await bench()
        try await bench.enqueue("a", retries: 1, limits: [rate("k", 1)])
        try await answer(bench, .under)
        try await bench.fail(bench.leaseOne())
        try await bench.pass(2000)
        #expect(limiter.asked.count == 2)
        try await answer(bench, .under, to: 0)
        #expect(try await bench.place("a") == .timer)
        try await answer(bench, .under)
        #expect(try await bench.leaseOne().attempt == 2)
        try await bench.finish()
    }

    @Test("an answer for a job that was deleted does not count for a new one of its name", arguments: [0, 1])
    func earlierJob(later: Int64) async throws {
        let bench = try await bench()
        try await bench.enqueue("a", limits: [rate("k", 1)])
        try await bench.cancel("a")
        try await bench.delete("a")
        try await bench.pass(later)
        try await bench.enqueue("a", limits: [rate("other", 1)])
        #expect(limiter.asked.map(\.uniqueKey) == ["k", "other"])
        try await answer(bench, .under, to: 0)
        let place = try await bench.place("a")
        #expect(place == .timer)
        try await bench.finish()
    }

    @Test("an answer that comes when the question has been put again counts for neither", arguments: [false, true])
    func earlierQuestion(byExpedite: Bool) async throws {
        let bench = try await bench()
        try await bench.enqueue("a", limits: [slots("x", 1), rate("k", 1)])
        try await bench.pass(byExpedite ? 1 : 15_000)
        if byExpedite { try await bench.expedite("a") }
        #expect(limiter.asked.count == 2)
        let rows = bench.memory.rows
        for late in [RateAnswer.over(resetAt: nil), .failed(""), .under] { try await answer(bench, late, to: 0) }
        #expect(bench.memory.rows == rows)
        try await answer(bench, .under, to: 1)
        #expect(try await bench.drain(5) == ["a"])
        try await bench.finish()
    }

    @Test("several rate limits are asked one after another, each once; a refusal asks the refused one again, not those before")
    func several() async throws {
        let bench = try await bench()
        try await bench.enqueue("a", limits: [rate("one", 1), slots("x", 1), rate("two", 1), rate("three", 1)])
        #expect(limiter.asked.map(\.uniqueKey) == ["one"])
        try await answer(bench, .under)
        #expect(limiter.asked.map(\.uniqueKey) == ["one", "two"])
        try await answer(bench, .over(resetAt: nil))
        #expect(try await bench.held("x") == nil)
        try await bench.pass(100)
        #expect(limiter.asked.map(\.uniqueKey) == ["one", "two", "two"])
        try await answer(bench, .under)
        #expect(try await bench.lease(5).isEmpty)
        try await answer(bench, .under)
        #expect(limiter.asked.map(\.uniqueKey) == ["one", "two", "two", "three"])
        #expect(try await bench.drain(5) == ["a"])
        #expect(limiter.asked.count == 4)
        try await bench.finish()
    }

    @Test("14.38 14.40 L29: cancelling a job that is asked for frees its slots at once")
    func cancelAsking() async throws {
        let bench = try await bench()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [slots("x", 1), rate("k", 1)]) }
        try await bench.cancel("a")
        #expect(limiter.asked.count == 2, "b has the slot now")
        try await answer(bench, .under)
        #expect(try await bench.drain(5) == ["b"])
        try await bench.finish()
    }

    @Test("a job that is asked for cannot be deleted or restarted")
    func refusedAsking() async throws {
        let bench = try await bench()
        try await bench.enqueue("a", limits: [rate("k", 1)])
        let rows = bench.memory.rows
        #expect(try await refusal { try await bench.delete("a") } == .jobInProgress(JobID("a")))
        #expect(try await refusal { try await bench.restart("a") } != nil)
        #expect(bench.memory.rows == rows)
        try await answer(bench, .under)
        #expect(try await bench.drain(5) == ["a"])
        try await bench.finish()
    }

    @Test("a job that has passed is ready, and is not expedited a second time")
    func expediteReady() async throws {
        let bench = try await bench()
        try await bench.enqueue("a", limits: [rate("k", 1)])
        try await answer(bench, .under)
        let refused = try await refusal { try await bench.expedite("a") }
        #expect(
            refused
                == .jobRefused(.expedite, JobID("a"), reason: "task is already ready to run (not future-scheduled)", .scheduled))
        #expect(limiter.asked.count == 1)
        try await bench.finish()
    }

    @Test("a job put off by the limiter may be expedited, and is asked for at once")
    func expeditePutOff() async throws {
        let bench = try await bench()
        try await bench.enqueue("a", limits: [slots("x", 1), rate("k", 1)])
        try await answer(bench, .over(resetAt: bench.now + 20_000))
        try await bench.expedite("a")
        #expect(limiter.asked.count == 2)
        try await answer(bench, .under)
        #expect(try await bench.drain(5) == ["a"])
        try await bench.finish()
    }

    @Test("a task given back is not asked for again")
    func givenBack() async throws {
        let bench = try await bench()
        try await bench.enqueue("a", limits: [slots("x", 1), rate("k", 1)])
        try await answer(bench, .under)
        try await bench.giveBack([bench.leaseOne()])
        #expect(limiter.asked.count == 1)
        #expect(try await bench.held("x") == 1)
        #expect(try await bench.drain(5) == ["a"])
        try await bench.finish()
    }

    @Test("a ready job that a pause turns back is not asked for again when it is let in")
    func turnedBack() async throws {
        let bench = try await bench()
        let x = PauseTarget.limit(LimitKey("x"), of: Bench.tenant)
        try await bench.enqueue("a", limits: [slots("x", 1), rate("k", 1)])
        try await answer(bench, .under)
        try await bench.pause(x)
        #expect(try await bench.lease(5).isEmpty)
        #expect(try await bench.place("a") == .waiting)
        try await bench.resume(x)
        #expect(limiter.asked.count == 1)
        #expect(try await bench.drain(5) == ["a"])
        try await bench.finish()
    }

    @Test("a crash while the limiter is asked: the slots stay held until it is asked anew", arguments: [false, true])
    func crash(isTiny: Bool) async throws {
        var bench = try await bench { if isTiny { tiny(&$0) } }
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [slots("x", 1), rate("k", 1)]) }
        bench = try await bench.crash()
        try await bench.settle()
        #expect(try await bench.places("a", "b") == [.timer, .waiting])
        #expect(try await bench.held("x") == 1)
        // The answer went to the process that died.
        limiter.answer(.under, to: 0)
        try await bench.settle()
        #expect(try await bench.lease(5).isEmpty)
        try await bench.pass(15_000)
        try await bench.settle()
        #expect(limiter.asked.count == 2)
        try await answer(bench, .under)
        let first = try await bench.lease(5)
        #expect(first.count == 1)
        try await bench.succeed(first)
        try await bench.settle()
        #expect(limiter.asked.count == 3)
        try await answer(bench, .under)
        #expect(try await bench.lease(5).count == 1)
        try await bench.finish()
    }

    @Test("a shard opened without the limiter goes on with its own buckets")
    func without() async throws {
        let first = try await bench()
        try await first.enqueue("a", limits: [slots("x", 1), rate("k", 1)])
        try await first.enqueue("b", limits: [rate("k", 1)])
        let bench = try await Bench.open(first.memory.crash(), at: first.now)
        try await bench.pass(15_000)
        let tasks = try await bench.lease(5)
        #expect(tasks.map(\.job.id) == ["a"])
        #expect(try await bench.place("b") == .waiting)
        try await bench.succeed(tasks)
        try await bench.pass(60_000)
        #expect(try await bench.drain(5) == ["b"])
        try await bench.finish()
    }

    @Test("a shard opened with the limiter asks it for those who waited at the shard's own buckets, with slots or without")
    func with() async throws {
        let first = try await Bench.open()
        for index in 0..<600 { try await first.enqueue("\(index)", limits: [rate("k", 1)]) }
        for index in 600..<602 { try await first.enqueue("\(index)", limits: [slots("x", 1), rate("k", 1)]) }
        #expect(try await first.waitingCount() == 601)
        let bench = try await Bench.open(first.memory.crash(), at: first.now, asking: limiter)
        // The one that was ready keeps what it was promised; of the two with slots one waits for the other.
        try await bench.until("all are asked for") { limiter.asked.count == 600 }
        try await bench.settle()
        #expect(limiter.asked.count == 600)
        #expect(bench.violations == [])
        #expect(try await bench.waitingCount() == 1)
        for index in 0..<600 { limiter.answer(.under, to: index) }
        try await bench.settle()
        #expect(try await bench.lease(1000).count == 601)
        try await bench.finish()
    }

    @Test("many jobs that are asked for again and again through small windows each start once", arguments: [1, 2] as [UInt64])
    func many(seed: UInt64) async throws {
        let random = SeededRandom(seed: seed)
        let bench = try await bench(tiny)
        for index in 0..<20 {
            try await bench.enqueue("\(index)", limits: [slots("x", 5), rate("k", 1, backoff: 1000, maxBackoff: 1000)])
        }
        var answered = 0
        var started: [String] = []
        for _ in 0..<400 where started.count < 20 {
            let count = limiter.asked.count
            while answered < count {
                switch random.below(4) {
                case 0: limiter.answer(.over(resetAt: nil), to: answered)
                case 1: limiter.answer(.failed("outage"), to: answered)
                case 2: break
                default: limiter.answer(.under, to: answered)
                }
                answered += 1
            }
            try await bench.settle(6)
            let tasks = try await bench.lease(3)
            started += tasks.map(\.job.id)
            #expect(try await bench.held("x") ?? 0 <= 5)
            try await bench.succeed(tasks)
            try await bench.settle(6)
            #expect(bench.violations == [])
            try await bench.pass(5000)
        }
        #expect(started.sorted() == (0..<20).map(String.init).sorted())
        #expect(try await bench.held("x") == nil)
        try await bench.finish()
    }

    @Test("jobs asked for anew through small windows, in a batch that adds a timer, are each asked for once")
    func askedPaged() async throws {
        let bench = try await bench { settings in
            settings.windowMax = 1
            settings.pageRows = 1
        }
        for index in 0..<4 { try await bench.enqueue("\(index)", limits: [slots("x", 9), rate("k", 1)]) }
        try await bench.pass(5000)
        try await bench.enqueue("crashes", retries: 1)
        _ = try await bench.leaseOne()
        // No answer has come when the lease expires, whose retry is a timer too.
        try await bench.pass(10_000)
        #expect(limiter.asked.count == 8)
        #expect(bench.violations == [])
        try await bench.pass(15_000)
        #expect(limiter.asked.count == 12)
        #expect(bench.violations == [])
        #expect(try await bench.held("x") == 4)
        try await bench.finish()
    }

    @Test("wherever the store fails, the limiter is not asked about what was not written", arguments: 0..<5)
    func storeFails(calls: Int) async throws {
        var bench = try await bench()
        bench.store.set { $0.callsLeft = calls }
        let refused = try await refusal { try await bench.enqueue("a", limits: [slots("x", 1), rate("k", 1)]) }
        let isWritten = try await bench.place("a") == .timer
        #expect(limiter.asked.count <= (isWritten ? 1 : 0))
        bench = try await bench.crash()
        #expect(bench.violations == [])
        let place = try await bench.place("a")
        #expect(place == .timer || refused != nil && place == .nowhere)
        let before = limiter.asked.count
        try await bench.pass(15_000)
        #expect(limiter.asked.count == before + (place == .timer ? 1 : 0))
        try await bench.finish()
    }
}
