import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

extension StorageV1.RetryPolicy {
    /// The wait after an attempt of a job; the attempt's number in its run is that of its life, too.
    fileprivate func wait(_ number: UInt32, _ job: String = "a", of tenant: Tenant = Bench.tenant) -> Int64? {
        var attempt = StorageV1.Attempt()
        (attempt.number, attempt.relativeNumber) = (number, number)
        let queue = Queue(Queue.ID(tenant: tenant, group: "g"), counts: StorageV1.QueueCounts())
        return wait(after: attempt, of: JobReference(id: JobID(job), queue: queue))
    }
}

@Suite(.timeLimit(.minutes(10))) struct RetryTests {

    @Test("backoff is initial * factor^n, capped", arguments: [
        (policy(9), 0, 1000), (policy(9), 1, 2000), (policy(9), 2, 4000), (policy(9), 9, 512_000),
        (policy(9, max: 3000), 2, 3000), (policy(9, max: 0), 1, 0), (policy(9, initial: 0), 3, 0),
        (policy(9, initial: 3, factor: 1.5), 1, 5), (policy(9, initial: 1, factor: 0.5), 1, 1), (policy(9, factor: 0), 1, 0),
        (policy(9, initial: -1000), 1, 0), (policy(9, max: -1), 1, 0), (policy(9, factor: .nan), 1, 0),
        (policy(9, initial: 0, factor: .infinity), 1, 0), (policy(9, initial: 5, factor: -1), 1, 0),
    ] as [(StorageV1.RetryPolicy, UInt32, Int64)])
    func formula(policy: StorageV1.RetryPolicy, attempt: UInt32, wait: Int64) {
        #expect(policy.wait(attempt) == wait)
    }

    @Test(
        "J27: no retry past the count",
        arguments: [(0, 1, false), (1, 1, true), (1, 2, false), (3, 3, true), (3, 4, false)] as [(UInt32, UInt32, Bool)])
    func count(retries: UInt32, attempt: UInt32, isRetried: Bool) {
        #expect((policy(retries).wait(attempt) != nil) == isRetried)
    }

    @Test("what does not fit saturates", arguments: [
        policy(.max, factor: 1e300), policy(.max, initial: .max, factor: 1), policy(.max, factor: .infinity),
        policy(.max, initial: .max, factor: 2, randomize: true),
    ])
    func overflow(policy: StorageV1.RetryPolicy) {
        #expect(policy.wait(2) == .max)
        #expect(policy.wait(.max) != nil)
    }

    @Test("jitter is the same for equal inputs, and between once and twice the wait")
    func jitter() throws {
        let jittered = policy(9, randomize: true)
        for number in 1...3 as ClosedRange<UInt32> {
            let wait: Int64 = 1000 << Int64(number)
            for index in 0..<200 {
                let drawn = try #require(jittered.wait(number, "job \(index)"))
                #expect((wait...2 * wait).contains(drawn))
                #expect(jittered.wait(number, "job \(index)") == drawn)
            }
        }
    }

    @Test(
        "jobs that fail in one millisecond do not come back together; a job keeps no jitter, and shares none between tenants"
    )
    func jitterOfMany() throws {
        let jittered = policy(9, initial: 1_000_000, randomize: true)
        let waits = try (0..<1000).map { try #require(jittered.wait(1, "job \($0)")) }
        #expect(Set(waits).count > 990)
        // Evenly: a tenth of them in each tenth of what is allowed.
        let tenths = Dictionary(grouping: waits) { ($0 - 2_000_000) / 200_000 }
        #expect(tenths.count == 10 && tenths.values.allSatisfy { (60...140).contains($0.count) })
        let shares = try (1...9).map { number in
            Double(try #require(jittered.wait(number, "a"))) / (1_000_000 * power(2, number))
        }
        #expect(Set(shares).count == 9)
        #expect(jittered.wait(1, "a", of: Tenant("x")) != jittered.wait(1, "a", of: Tenant("y")))
    }

    @Test("jobs that have reached the cap are spread below it", arguments: [2, 3, 10, 60] as [UInt32])
    func jitterAtTheCap(number: UInt32) throws {
        let capped = policy(99, max: 5000, randomize: true)
        let waits = try (0..<1000).map { try #require(capped.wait(number, "job \($0)")) }
        #expect(waits.allSatisfy { (2500...5000).contains($0) })
        #expect(Set(waits).count > 600)
        #expect(waits.count { $0 > 4750 } < 250, "they do not meet at the cap")
    }

    @Test("the least caps are kept", arguments: [0, 1, 2, -1] as [Int64])
    func leastCaps(cap: Int64) throws {
        for index in 0..<20 {
            let wait = try #require(policy(9, max: cap, randomize: true).wait(3, "job \(index)"))
            #expect((0...max(0, cap)).contains(wait))
        }
    }

    @Test("a retry that would start past the end of time waits for ever, and can be expedited")
    func endOfTime() async throws {
        let bench = try await Bench.open()
        let retry = policy(1, initial: .max)
        _ = try await bench.shard.run(Enqueue(tenant: Bench.tenant, id: JobID("a"), retryPolicy: retry, taskGroup: "g"))
        try await bench.fail(bench.leaseOne())
        #expect(try await bench.nextStart("a") == .distantFuture)
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
