import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

/// A concurrency limit of one key.
func slots(_ key: String, _ max: UInt32) -> StorageV1.Limit {
    var slots = StorageV1.ConcurrencyLimit()
    slots.key = key
    slots.maxConcurrency = max
    var limit = StorageV1.Limit()
    limit.kind = .concurrency(slots)
    return limit
}

@Suite struct ConcurrencyLimitTests {
    @Test("14.1 14.2 14.5: a slot is taken by the first job and given to the next when it comes free")
    func oneSlot() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c"] { try await bench.enqueue(id, limits: [slots("x", 1)]) }
        #expect(bench.violations == [])
        let first = try await bench.leaseOne()
        #expect(first.job.id == "a")
        #expect(try await bench.lease(5).isEmpty)
        try await bench.succeed(first)
        #expect(bench.violations == [])
        let second = try await bench.lease(5)
        #expect(second.map(\.job.id) == ["b"])
        try await bench.fail(second[0])
        #expect(try await bench.drain(5) == ["c"])
        try await bench.finish()
    }

    @Test("a job takes all its slots or none, and waits without holding any")
    func allOrNothing() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("b", limits: [slots("B", 1)])
        let holder = try await bench.leaseOne()
        try await bench.enqueue("ab", limits: [slots("A", 1), slots("B", 1)])
        // A is free still: the waiting job does not hold it.
        try await bench.enqueue("a", limits: [slots("A", 1)])
        let other = try await bench.leaseOne()
        #expect(other.job.id == "a")
        try await bench.succeed(holder)
        #expect(try await bench.lease(5).isEmpty, "now it waits for A")
        try await bench.succeed(other)
        #expect(try await bench.drain(5) == ["ab"])
        try await bench.finish()
    }

    @Test("slots, lines and their order survive a crash")
    func crash() async throws {
        var bench = try await Bench.open()
        for id in ["a", "b", "c", "d"] { try await bench.enqueue(id, limits: [slots("x", 2)]) }
        let leased = try await bench.lease(5)
        #expect(leased.map(\.job.id) == ["a", "b"])
        bench = try await bench.crash()
        #expect(try await bench.lease(5).isEmpty)
        try await bench.succeed(leased[0])
        #expect(try await bench.drain(5) == ["c"])
        bench = try await bench.crash()
        #expect(try await bench.lease(5).isEmpty)
        try await bench.cancel("d")
        #expect(bench.violations == [])
        try await bench.finish()
    }

    @Test("a job that needs two slots is not passed over for ever by jobs that need one of them")
    func noStarvation() async throws {
        let bench = try await Bench.open()
        for (id, keys) in [("a0", ["A"]), ("b0", ["B"]), ("both", ["A", "B"])] {
            try await bench.enqueue(id, limits: keys.map { slots($0, 1) })
        }
        var a = try #require(try await bench.lease(1).first)
        var b = try #require(try await bench.lease(1).first)
        // One of the two is always busy, and always somebody waits for either.
        var waited: Int64 = 0
        for step in 1..<200 {
            try await bench.enqueue("a\(step)", limits: [slots("A", 1)])
            try await bench.enqueue("b\(step)", limits: [slots("B", 1)])
            try await bench.pass(1000)
            waited += 2000
            try await bench.succeed(a)
            guard let nextA = try await bench.lease(1).first, nextA.job.id != "both" else { break }
            a = nextA
            try await bench.pass(1000)
            try await bench.heartbeat(a)
            try await bench.succeed(b)
            guard let nextB = try await bench.lease(1).first, nextB.job.id != "both" else { break }
            b = nextB
            try await bench.heartbeat(a)
        }
        #expect(waited < 60_000)
        #expect(bench.violations == [])
    }
}
