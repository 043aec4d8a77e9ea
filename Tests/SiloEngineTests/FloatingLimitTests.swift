import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct FloatingLimitTests {
    /// A bench with `count` jobs of one floating limit, named by number.
    private func bench(_ count: Int, _ limit: StorageV1.Limit, _ change: (inout EngineSettings) -> Void = { _ in }) async throws
        -> Bench
    {
        let bench = try await Bench.open(nil, change)
        for index in 0..<count { try await bench.enqueue("\(100 + index)", limits: [limit]) }
        return bench
    }

    @Test("a waiting worker is woken by a refresh")
    func wakes() async throws {
        let bench = try await bench(1, floating("f", 1))
        let task = try await bench.leaseOne()
        async let waiting = bench.leased(1, worker: "waits", wait: 60_000)
        try await bench.until("it waits") { bench.shard.counts.waitingWorkers == 1 }
        try await bench.enqueue("more", limits: [floating("f", 1)])
        #expect(try await waiting.refreshes.count == 1)
        try await bench.succeed(task)
        try await bench.finish()
    }

    @Test("wherever the store fails, at most one refresh is out and the value is one that was reported")
    func storeFails() async throws {
        for calls in 0..<10 {
            var bench = try await bench(4, floating("f", 1)) { $0.leaseMilliseconds = 10_000 }
            bench.store.set { $0.callsLeft = calls }
            let leased = (try? await bench.leased(1)) ?? Leased()
            for refresh in leased.refreshes { _ = try await refusal { try await bench.report(refresh, .success(newMax: 3)) } }
            bench = try await bench.crash()
            try await bench.settle()
            #expect(bench.violations == [], "after \(calls) calls")
            let current = try #require(try await bench.floatingState("f")).currentMax
            #expect(current == 1 || current == 3, "after \(calls) calls")
            if current == 1 {
                try await bench.pass(10_000)
                try await bench.settle()
                #expect(try await bench.leased(1).refreshes.count == 1, "after \(calls) calls")
                #expect(try await bench.leased(1).refreshes.isEmpty)
            } else {
                #expect(try await bench.held("f") == 3, "after \(calls) calls")
            }
            try await bench.finish()
        }
    }
}
