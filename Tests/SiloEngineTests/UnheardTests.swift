import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

/// Leases that nobody may have received.
@Suite(.timeLimit(.minutes(10))) struct UnheardTests {
    @Test("a lease with no word from its worker is given back without being counted, a bounded number of times")
    func bounded() async throws {
        let bench = try await Bench.open { $0.unheardLeasesMax = 2 }
        try await bench.enqueue("a", limits: [slots("x", 1)])
        for _ in 0..<2 {
            let task = try await bench.leaseOne()
            #expect(task.attempt == 1)
            try await bench.pass(10_000)
            #expect(try await bench.state("a") == .scheduled)
            #expect(try await refusal { try await bench.succeed(task) } == .leaseNotFound)
        }
        _ = try await bench.leaseOne()
        try await bench.pass(10_000)
        #expect(try await bench.state("a") == .failed)
        #expect(try await bench.attempts("a").map(\.errorCode) == ["WORKER_CRASHED"])
        try await bench.finish()
    }

    @Test("one heartbeat is a word: the next silence counts, also after a restart of the server")
    func heard() async throws {
        let bench = try await Bench.open { $0.unheardLeasesMax = 2 }
        for id in ["a", "b"] { try await bench.enqueue(id) }
        let tasks = try await bench.lease(2)
        try await bench.heartbeat(tasks[0])
        let again = try await bench.crash()
        try await again.pass(10_000)
        #expect(try await again.state("a") == .failed)
        #expect(try await again.state("b") == .scheduled)
        try await again.finish()
    }

    @Test("how often nothing was heard is not forgotten by a restart of the server")
    func counted() async throws {
        var bench = try await Bench.open { $0.unheardLeasesMax = 2 }
        try await bench.enqueue("a")
        for _ in 0..<2 {
            _ = try await bench.leaseOne()
            try await bench.pass(10_000)
            bench = try await bench.crash()
        }
        #expect(try await bench.state("a") == .scheduled)
        _ = try await bench.leaseOne()
        try await bench.pass(10_000)
        #expect(try await bench.state("a") == .failed)
        try await bench.finish()
    }

    @Test("J42: a cancelled job whose lease nobody heard of ends as cancelled")
    func cancelled() async throws {
        let bench = try await Bench.open { $0.unheardLeasesMax = 2 }
        try await bench.enqueue("a")
        _ = try await bench.leaseOne()
        try await bench.cancel("a")
        try await bench.pass(10_000)
        #expect(try await bench.state("a") == .cancelled)
        try await bench.finish()
    }
}
