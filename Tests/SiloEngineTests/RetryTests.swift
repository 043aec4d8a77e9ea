import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite struct RetryTests {
    private let failure = Timestamp(1_700_000_000_000)

    @Test("backoff is initial * factor^n, capped", arguments: [
        (policy(9), 0, 1000), (policy(9), 1, 2000), (policy(9), 2, 4000), (policy(9), 9, 512_000),
        (policy(9, max: 3000), 2, 3000), (policy(9, max: 0), 1, 0), (policy(9, initial: 0), 3, 0),
        (policy(9, initial: 3, factor: 1.5), 1, 5), (policy(9, initial: 1, factor: 0.5), 1, 1), (policy(9, factor: 0), 1, 0),
        (policy(9, initial: -1000), 1, 0), (policy(9, max: -1), 1, 0), (policy(9, factor: .nan), 1, 0),
        (policy(9, initial: 0, factor: .infinity), 1, 0), (policy(9, initial: 5, factor: -1), 1, 0),
    ] as [(StorageV1.RetryPolicy, UInt32, Int64)])
    func formula(policy: StorageV1.RetryPolicy, attempt: UInt32, wait: Int64) {
        #expect(policy.nextStart(after: failure, attempt: attempt) == failure + wait)
    }

    @Test("J27: no retry past the count", arguments: [(0, 1, false), (1, 1, true), (1, 2, false), (3, 3, true), (3, 4, false)] as [(UInt32, UInt32, Bool)])
    func count(retries: UInt32, attempt: UInt32, isRetried: Bool) {
        #expect((policy(retries).nextStart(after: failure, attempt: attempt) != nil) == isRetried)
    }

    @Test("what does not fit saturates", arguments: [
        policy(.max, factor: 1e300), policy(.max, initial: .max, factor: 1), policy(.max, factor: .infinity),
        policy(.max, initial: .max, factor: 2, randomize: true),
    ])
    func overflow(policy: StorageV1.RetryPolicy) {
        #expect(policy.nextStart(after: failure, attempt: 2) == .distantFuture)
        #expect(policy.nextStart(after: .distantFuture, attempt: 2) == .distantFuture)
        #expect(policy.nextStart(after: Timestamp(.min), attempt: .max) != nil)
    }

    @Test("jitter is the same for equal inputs, between once and twice the wait, and capped")
    func jitter() {
        let jittered = policy(9, randomize: true)
        var seen: Set<Int64> = []
        for offset in 0..<200 as Range<Int64> {
            let wait = jittered.nextStart(after: failure + offset, attempt: 1)! - (failure + offset)
            #expect((2000...4000).contains(wait))
            #expect(jittered.nextStart(after: failure + offset, attempt: 1)! - (failure + offset) == wait)
            seen.insert(wait)
        }
        #expect(seen.count > 5, "not always the same")
        #expect(policy(9, max: 2500, randomize: true).nextStart(after: failure, attempt: 3) == failure + 2500)
        // seed = (t ^ n << 32) * 6364136223846793005 + 1; f = (seed >> 32) / (2^32 - 1); round(2000 * (1 + f))
        let seed = (UInt64(1_700_000_000_000) ^ (1 << 32)) &* 6_364_136_223_846_793_005 &+ 1
        let expected = (2000 * (1 + Double(seed >> 32) / 4_294_967_295)).rounded()
        #expect(jittered.nextStart(after: failure, attempt: 1) == failure + Int64(expected))
    }

    @Test("a retry that would start past the end of time waits for ever, and can be expedited")
    func endOfTime() async throws {
        let bench = try await Bench.open()
        let retry = policy(1, initial: .max)
        _ = try await bench.shard.run(Enqueue(tenant: Bench.tenant, id: JobID("a"), retryPolicy: retry, taskGroup: "g"))
        try await bench.fail(bench.leaseOne())
        #expect(try await bench.job("a")?.nextStart == .distantFuture)
        try await bench.pass(1 << 50)
        #expect(try await bench.drain(1) == [])
        try await bench.expedite("a")
        #expect(try await bench.drain(1) == ["a"])
        try await bench.finish()
    }

    @Test("a moment's arithmetic saturates both ways")
    func moments() {
        #expect(Timestamp.distantFuture + 1 == .distantFuture)
        #expect(Timestamp(.min) + -1 == Timestamp(.min))
        #expect(Timestamp.distantFuture - Timestamp(.min) == .max)
        #expect(Timestamp(.min) - Timestamp.distantFuture == .min)
        #expect(Timestamp(-5).sortable == 0)
    }
}
