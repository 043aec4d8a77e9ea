import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct ConcurrencyLimitTests {
    @Test("a crash between any two steps of a life with limits loses no slot and no job", arguments: [false, true])
    func crashEverywhere(isTiny: Bool) async throws {
        let random = SeededRandom(seed: isTiny ? 11 : 12)
        var bench = try await Bench.open { if isTiny { tiny(&$0) } }
        var running: [LeasedTask] = []
        for step in 0..<250 {
            switch random.below(6) {
            case 0, 1:
                let limits = [slots("x", 2), slots("y", 1 + UInt32(random.below(2)))].filter { _ in random.chance(70) }
                try await bench.enqueue("\(step)", priority: UInt32(random.below(100)), retries: 1, limits: limits)
            case 2: running += try await bench.lease(1 + random.below(3))
            case 3 where !running.isEmpty: try await bench.succeed(running.remove(at: random.below(running.count)))
            case 4 where !running.isEmpty: try await bench.fail(running.remove(at: random.below(running.count)))
            default: _ = try await refusal { try await bench.cancel("\(random.below(step + 1))") }
            }
            if random.chance(30) {
                bench = try await bench.crash()
                #expect(bench.violations == [], "step \(step)")
            }
        }
        try await bench.pass(2000)
        try await bench.succeed(running)
        try await bench.settle()
        try await bench.runAll(4)
        try await bench.pass(5000)
        try await bench.runAll(4)
        #expect(try await bench.waitingCount() == 0)
        #expect(try await bench.held("x") == nil)
        #expect(try await bench.held("y") == nil)
        try await bench.finish()
    }

    @Test("L11: wherever the store fails, what is stored holds no slot too many and no job is lost", arguments: [false, true])
    func storeFails(isTiny: Bool) async throws {
        for calls in 0..<12 {
            var bench = try await Bench.open { if isTiny { tiny(&$0) } }
            for id in ["a", "b", "c"] { try await bench.enqueue(id, limits: [slots("x", 1), floating("f", 1)]) }
            let a = try await bench.leaseOne()
            bench.store.set { $0.callsLeft = calls }
            _ = try await refusal { try await bench.succeed(a) }
            _ = try await refusal { try await bench.cancel("b") }
            bench = try await bench.crash()
            #expect(bench.violations == [], "after \(calls) calls")
            _ = try await refusal { try await bench.succeed(a) }
            try await bench.settle()
            let rest = try await bench.runAll()
            #expect(rest == (try await bench.state("b") == .cancelled ? ["c"] : ["b", "c"]), "after \(calls) calls")
            #expect(try await bench.held("x") == nil)
            try await bench.finish()
        }
    }
}
