import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

/// Who comes first among those that could come at the same time.
@Suite(.timeLimit(.minutes(10))) struct OrderTests {
    private static let steps = (1...12).map { "step-\($0)" }

    @Test("jobs of one millisecond run in the order of their batch, then of their arrival", arguments: [false, true])
    func batch(apart: Bool) async throws {
        let bench = try await Bench.open()
        let jobs = Self.steps.map { Enqueue(tenant: Bench.tenant, id: JobID($0), taskGroup: "g") }
        if apart { _ = try await bench.shard.run(Each(jobs)) } else { _ = try await bench.shard.run(EnqueueAll(jobs)) }
        for id in ["b", "a"] { try await bench.enqueue(id) }
        #expect(try await bench.drain(20) == Self.steps + ["b", "a"])
        try await bench.finish()
    }

    @Test("so do those of one date, those that wait for one slot, and those that are read page by page")
    func everywhere() async throws {
        for change in [{ _ in }, tiny] as [(inout EngineSettings) -> Void] {
            let bench = try await Bench.open(nil, change)
            for id in Self.steps { try await bench.enqueue(id, after: 1000) }
            try await bench.pass(1000)
            #expect(try await bench.drain(20) == Self.steps)
            for id in Self.steps { try await bench.enqueue("slot " + id, group: "h", limits: [slots("x", 1)]) }
            #expect(try await bench.runAll(group: "h") == Self.steps.map { "slot " + $0 })
            try await bench.finish()
        }
    }

    @Test("the order goes on when the shard is opened anew, also by a clock that is behind, and imports come in it")
    func reopened() async throws {
        var bench = try await Bench.open()
        let date = bench.now.milliseconds + 100_000
        var expected: [String] = []
        for round in 0..<4 {
            for index in [3, 1, 2] {
                let id = "round \(round) job \(index)"
                let enqueue = Enqueue(tenant: Bench.tenant, id: JobID(id), startAtMs: date, taskGroup: "g")
                let imported = Import(tenant: Bench.tenant, id: JobID(id), startAtMs: date, taskGroup: "g")
                if index == 1 { _ = try await bench.shard.run(imported) } else { _ = try await bench.shard.run(enqueue) }
                expected.append(id)
            }
            bench = try await bench.crash(at: bench.now + -10_000)
        }
        try await bench.pass(200_000)
        #expect(try await bench.drain(20) == expected)
        try await bench.finish()
    }

    @Test("retries, restarts and what is given back keep their place among those of the same time")
    func kept() async throws {
        let bench = try await Bench.open()
        for id in ["c", "b", "a"] { try await bench.enqueue(id, retries: 1) }
        for task in try await bench.lease(3) { try await bench.fail(task) }
        try await bench.pass(2000)
        let again = try await bench.lease(3)
        #expect(again.map(\.job.id) == ["c", "b", "a"])
        try await bench.giveBack(again)
        let last = try await bench.lease(3)
        #expect(last.map(\.job.id) == ["c", "b", "a"])
        for task in last { try await bench.fail(task) }
        for id in ["a", "c", "b"] { try await bench.restart(id) }
        #expect(try await bench.drain(3) == ["c", "b", "a"])
        try await bench.finish()
    }

    @Test("an order that a refused command began leaves no trace, and goes on")
    func refused() async throws {
        let bench = try await Bench.open()
        let twice = ["x", "x"].map { Enqueue(tenant: Bench.tenant, id: JobID($0), taskGroup: "g") }
        #expect(try await refusal { _ = try await bench.shard.run(EnqueueAll(twice)) } == .jobAlreadyExists(JobID("x")))
        for id in ["b", "a"] { try await bench.enqueue(id) }
        let again = try await bench.crash()
        for id in ["d", "c"] { try await again.enqueue(id) }
        #expect(try await again.drain(9) == ["b", "a", "d", "c"])
        try await again.finish()
    }

    @Test("a start in the past is no better than one now: priority decides", arguments: [false, true])
    func past(imported: Bool) async throws {
        let bench = try await Bench.open()
        let before = bench.now.milliseconds - 10 * 86_400_000
        let commands = ["late", "later"].map { id in
            (Enqueue(tenant: Bench.tenant, id: JobID(id), priority: 99, startAtMs: before, taskGroup: "g"),
             Import(tenant: Bench.tenant, id: JobID(id), priority: 99, startAtMs: before, taskGroup: "g"))
        }
        for (enqueue, new) in commands {
            if imported { _ = try await bench.shard.run(new) } else { _ = try await bench.shard.run(enqueue) }
        }
        try await bench.enqueue("urgent", priority: 0)
        try await bench.enqueue("usual", priority: 50)
        #expect(try await bench.nextStart("late") == Timestamp(before), "it is shown as it was given")
        try await bench.cancel("later")
        #expect(try await bench.drain(9) == ["urgent", "usual", "late"])
        try await bench.finish()
    }

    @Test(
        "a start in the past does not outrank those who wait for a limit, and is found in its line, however it is stored",
        arguments: [0, 4096])
    func pastInLine(inline: Int) async throws {
        let bench = try await Bench.open { $0.inlineJobBytesMax = inline }
        let limit = slots("x", 1)
        try await bench.enqueue("holds", limits: [limit])
        let holder = try await bench.leaseOne()
        try await bench.enqueue("usual", priority: 50, limits: [limit])
        for id in ["past", "cancelled"] { try await bench.enqueue(id, priority: 60, after: -86_400_000, limits: [limit]) }
        #expect(try await bench.places("usual", "past", "cancelled") == [.waiting, .waiting, .waiting])
        try await bench.cancel("cancelled")
        try await bench.succeed(holder)
        let again = try await bench.crash()
        #expect(try await again.runAll() == ["usual", "past"])
        try await again.finish()
    }
}
