import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct RateLimitTests {
    /// A bench whose leases outlast every test, with `count` jobs of one rate limit, named by number.
    private func bench(_ count: Int, _ limit: StorageV1.Limit, _ change: (inout EngineSettings) -> Void = { _ in }) async throws
        -> Bench
    {
        let bench = try await Bench.open {
            $0.leaseMilliseconds = 100_000_000_000
            change(&$0)
        }
        for index in 0..<count { try await bench.enqueue("\(100 + index)", limits: [limit]) }
        return bench
    }

    @Test("starts never exceed the limit in a window, whenever workers come", arguments: [1, 2, 3] as [UInt64], [false, true])
    func neverTooMany(seed: UInt64, isTiny: Bool) async throws {
        let random = SeededRandom(seed: seed)
        var bench = try await bench(0, rate("k", 3, per: 1000)) { if isTiny { tiny(&$0) } }
        var windows: [(opened: Timestamp, starts: Int)] = []
        for step in 0..<150 {
            if random.chance(60) { try await bench.enqueue("\(step)", limits: [rate("k", 3, per: 1000)]) }
            if random.chance(20) { _ = try await refusal { try await bench.cancel("\(random.below(step + 1))") } }
            if random.chance(10) { bench = try await bench.crash() }
            let tasks = try await bench.lease(random.below(4))
            for _ in tasks {
                if windows.last.map({ bench.now - $0.opened >= 1000 }) ?? true { windows.append((bench.now, 0)) }
                windows[windows.count - 1].starts += 1
            }
            try await bench.succeed(tasks)
            try await bench.settle(3)
            try await bench.pass(Int64(random.below(400)))
        }
        #expect(windows.map(\.starts).max() == 3)
        #expect(windows.count > 5)
        #expect(bench.violations == [])
        for _ in 0..<60 {
            try await bench.pass(1000)
            try await bench.settle(4)
            try await bench.succeed(bench.lease(10))
        }
        #expect(try await bench.waitingCount() == 0)
        try await bench.finish()
    }

    @Test("wherever the store fails, no hit is promised twice and none is lost")
    func storeFails() async throws {
        for calls in 0..<10 {
            var bench = try await bench(4, rate("k", 2, per: 1000))
            bench.store.set { $0.callsLeft = calls }
            _ = try await refusal { _ = try await bench.lease(1) }
            _ = try await refusal { try await bench.cancel("101") }
            bench = try await bench.crash()
            #expect(bench.violations == [], "after \(calls) calls")
            _ = try await bench.lease(10)
            #expect(bench.shard.counts.leases == 2, "after \(calls) calls")
            #expect(bench.violations == [], "after \(calls) calls")
            try await bench.pass(1000)
            _ = try await bench.lease(10)
            #expect(bench.shard.counts.leases == (try await bench.state("101") == .cancelled ? 3 : 4), "after \(calls) calls")
            try await bench.shard.close()
        }
    }
}
