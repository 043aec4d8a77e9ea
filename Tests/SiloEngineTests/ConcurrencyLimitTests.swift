import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct ConcurrencyLimitTests {
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

    @Test("14.3 L26: tenants share no slots, though they share the key")
    func tenants() async throws {
        let bench = try await Bench.open()
        let other = Tenant("other")
        try await bench.enqueue("a", limits: [slots("x", 1)])
        try await bench.enqueue("a", tenant: other, limits: [slots("x", 1)])
        let both = try await bench.lease(5)
        #expect(both.count == 2)
        #expect(try await bench.held("x") == 1)
        #expect(try await bench.held("x", tenant: other) == 1)
        try await bench.succeed(both)
        #expect(try await bench.held("x") == nil)
        #expect(try await bench.held("x", tenant: other) == nil)
        try await bench.finish()
    }

    @Test("14.8 14.54 L24: as many run as there are slots, and each that ends lets one more in")
    func many() async throws {
        let bench = try await Bench.open()
        for index in 1...5 { try await bench.enqueue("\(index)", limits: [slots("x", 3)]) }
        var running = try await bench.lease(10)
        #expect(running.map(\.job.id) == ["1", "2", "3"])
        #expect(try await bench.waitingCount() == 2)
        try await bench.succeed(running.removeFirst())
        running += try await bench.lease(10)
        #expect(running.count == 3)
        #expect(try await bench.held("x") == 3)
        while !running.isEmpty {
            try await bench.succeed(running.removeFirst())
            running += try await bench.lease(10)
        }
        #expect(try await bench.held("x") == nil)
        #expect(try await bench.waitingCount() == 0)
        try await bench.finish()
    }

    @Test("14.22 14.23 L26: one key limits the jobs of all task groups together")
    func groups() async throws {
        let bench = try await Bench.open()
        for group in ["alpha", "beta", "gamma"] { try await bench.enqueue(group, group: group, limits: [slots("x", 2)]) }
        let alpha = try await bench.lease(5, group: "alpha")
        let beta = try await bench.lease(5, group: "beta")
        #expect((alpha + beta).map(\.job.id) == ["alpha", "beta"])
        #expect(try await bench.lease(5, group: "gamma").isEmpty)
        #expect(try await bench.held("x") == 2)
        try await bench.succeed(alpha)
        #expect(try await bench.lease(5, group: "alpha").isEmpty)
        #expect(try await bench.drain(5, group: "gamma") == ["gamma"])
        try await bench.finish()
    }

    @Test("14.68 L17: outcomes that come together each let a waiting job in, no more and no fewer", arguments: [1024, 1])
    func together(grantsMax: Int) async throws {
        let bench = try await Bench.open { $0.grantsMax = grantsMax }
        for index in 100..<120 { try await bench.enqueue("\(index)", limits: [slots("x", 8)]) }
        let first = try await bench.lease(50)
        #expect(first.count == 8)
        try await bench.succeed(first)
        try await bench.settle(16)
        let second = try await bench.lease(50)
        #expect(second.map(\.job.id) == (108..<116).map(String.init))
        #expect(try await bench.held("x") == 8)
        try await bench.succeed(second)
        try await bench.settle(16)
        #expect(try await bench.drain(50) == (116..<120).map(String.init))
        try await bench.finish()
    }

    @Test("14.11 L15: waiting jobs start by priority, raised by waiting, then by time")
    func order() async throws {
        let bench = try await Bench.open { $0.leaseMilliseconds = 3_600_000 }
        try await bench.enqueue("holder", limits: [slots("x", 1)])
        let holder = try await bench.leaseOne()
        try await bench.enqueue("old and low", priority: 52, limits: [slots("x", 1)])
        try await bench.pass(60_001)
        try await bench.enqueue("low", priority: 52, limits: [slots("x", 1)])
        try await bench.enqueue("middle", priority: 51, limits: [slots("x", 1)])
        try await bench.enqueue("urgent", priority: 1, limits: [slots("x", 1)])
        try await bench.succeed(holder)
        // A minute of waiting is worth one step of priority.
        #expect(try await bench.runAll() == ["urgent", "old and low", "middle", "low"])
        try await bench.finish()
    }

    @Test("14.10 14.18 14.19 14.36 L13: a job of a later time holds nothing before it, and does not keep others waiting")
    func later() async throws {
        let bench = try await Bench.open()
        for index in 0..<3 { try await bench.enqueue("later \(index)", after: 5000, limits: [slots("x", 1), slots("y", 1)]) }
        #expect(try await bench.held("x") == nil)
        #expect(try await bench.place("later 0") == .timer)
        try await bench.enqueue("now", limits: [slots("x", 1)])
        let now = try await bench.leaseOne()
        #expect(now.job.id == "now")
        try await bench.pass(5000)
        #expect(try await bench.places("later 0", "later 1", "later 2") == [.waiting, .waiting, .waiting])
        #expect(try await bench.held("y") == nil)
        try await bench.succeed(now)
        #expect(try await bench.runAll() == ["later 0", "later 1", "later 2"])
        try await bench.finish()
    }

    @Test("14.42 14.21: a cancelled waiting job is never let in; the one behind it is")
    func cancelWaiting() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c", "d"] { try await bench.enqueue(id, limits: [slots("x", 1)]) }
        let a = try await bench.leaseOne()
        try await bench.cancel("b")
        try await bench.cancel("c")
        #expect(try await bench.waitingCount() == 1)
        #expect(try await bench.held("x") == 1)
        try await bench.succeed(a)
        #expect(try await bench.drain(5) == ["d"])
        #expect(try await bench.state("b") == .cancelled)
        try await bench.finish()
    }

    @Test("14.38 L3: cancelling a ready job frees its slots for the next")
    func cancelReady() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [slots("x", 1), slots("y", 1)]) }
        #expect(try await bench.places("a", "b") == [.ready, .waiting])
        try await bench.cancel("a")
        #expect(try await bench.places("a", "b") == [.finished, .ready])
        #expect(try await bench.held("y") == 1)
        try await bench.cancel("b")
        #expect(try await bench.held("y") == nil)
        try await bench.finish()
    }

    @Test("14.43: a cancelled running job holds its slot until its worker lets go")
    func cancelRunning() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, retries: 3, limits: [slots("x", 1)]) }
        let a = try await bench.leaseOne()
        try await bench.cancel("a")
        #expect(try await bench.place("b") == .waiting)
        try await bench.report(a, .cancelled)
        #expect(try await bench.drain(5) == ["b"])
        try await bench.finish()
    }

    @Test("14.14: a waiting job cannot be deleted, nor expedited, nor restarted, and stays where it is")
    func refused() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [slots("x", 1)]) }
        let rows = bench.memory.rows
        #expect(try await refusal { try await bench.delete("b") } == .jobInProgress(JobID("b")))
        #expect(try await refusal { try await bench.expedite("b") } != nil)
        #expect(try await refusal { try await bench.restart("b") } != nil)
        #expect(try await refusal { try await bench.leaseJob("b") } != nil)
        #expect(bench.memory.rows == rows)
        try await bench.cancel("b")
        try await bench.delete("b")
        #expect(try await bench.place("b") == .nowhere)
        try await bench.finish()
    }

    @Test("restart and expedite obey limits")
    func restartAndExpedite() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("again", limits: [slots("x", 1)])
        try await bench.cancel("again")
        try await bench.enqueue("later", after: 60_000, limits: [slots("x", 1)])
        try await bench.enqueue("holder", limits: [slots("x", 1)])
        let holder = try await bench.leaseOne()
        try await bench.restart("again")
        try await bench.expedite("later")
        #expect(try await bench.places("again", "later") == [.waiting, .waiting])
        try await bench.succeed(holder)
        #expect(try await bench.places("again", "later") == [.ready, .waiting])
        #expect(try await bench.runAll() == ["again", "later"])
        try await bench.finish()
    }

    @Test("leasing one job by name goes past its limits and gives up the slot of a ready one")
    func leaseByName() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c"] { try await bench.enqueue(id, limits: [slots("x", 1)]) }
        let a = try await bench.leaseJob("a")
        #expect(try await bench.place("b") == .ready)
        let b = try await bench.leaseOne()
        #expect(try await bench.held("x") == 1)
        try await bench.succeed(a)
        #expect(try await bench.held("x") == 1)
        #expect(try await bench.place("c") == .waiting)
        try await bench.succeed(b)
        #expect(try await bench.drain(5) == ["c"])
        try await bench.finish()
    }

    @Test("14.24 14.25 14.28 L5: a failed attempt holds nothing until its retry, which gets in line", arguments: [0, 2000])
    func retries(backoff: Int64) async throws {
        let bench = try await Bench.open()
        let job = Enqueue(
            tenant: Bench.tenant, id: JobID("a"), retryPolicy: policy(1, initial: backoff, factor: 1), limits: [slots("x", 1)],
            taskGroup: "g"
        )
        _ = try await bench.shard.run(job)
        try await bench.enqueue("b", limits: [slots("x", 1)])
        let a = try await bench.leaseOne()
        try await bench.pass(1)
        try await bench.fail(a)
        #expect(try await bench.places("a", "b") == [backoff == 0 ? .waiting : .timer, .ready])
        #expect(try await bench.held("x") == 1)
        let b = try await bench.leaseOne()
        #expect(b.job.id == "b")
        try await bench.pass(backoff)
        #expect(try await bench.places("a", "b") == [.waiting, .running])
        try await bench.succeed(b)
        let again = try await bench.leaseOne()
        #expect(again.attempt == 2)
        #expect(again.id != a.id)
        #expect(try await bench.held("x") == 1)
        try await bench.fail(again)
        #expect(try await bench.held("x") == nil)
        try await bench.finish()
    }

    @Test("14.26: a job alone holds nothing between its attempts")
    func retryAlone() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", retries: 1, limits: [slots("x", 3)])
        try await bench.fail(bench.leaseOne())
        #expect(try await bench.held("x") == nil)
        try await bench.pass(2000)
        #expect(try await bench.held("x") == 1)
        try await bench.succeed(bench.leaseOne())
        #expect(try await bench.held("x") == nil)
        try await bench.finish()
    }

    @Test("14.13 L1: a lease that expires frees its slot: the waiting job or the retry runs next, never both")
    func expiry() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", retries: 3, limits: [slots("x", 1)])
        try await bench.enqueue("b", limits: [slots("x", 1)])
        let a = try await bench.leaseOne()
        try await bench.pass(10_000)
        let b = try await bench.lease(5)
        #expect(b.map(\.job.id) == ["b"])
        #expect(try await refusal { try await bench.succeed(a) } == .leaseNotFound)
        #expect(try await bench.held("x") == 1)
        try await bench.pass(2000)
        #expect(try await bench.lease(5).isEmpty)
        try await bench.succeed(b)
        #expect(try await bench.drain(5) == ["a"])
        try await bench.finish()
    }

    @Test("14.29 14.35 L8 L10: a lease names every slot that it holds, and its end frees each once")
    func leaseNamesSlots() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", limits: [slots("x", 2), floating("f", 2), slots("y", 1)])
        let a = try await bench.leaseOne()
        #expect(try await bench.job("a")?.lease?.slots == ["x", "f", "y"])
        for key in ["x", "f", "y"] { #expect(try await bench.held(key) == 1) }
        try await bench.succeed(a)
        for key in ["x", "y"] { #expect(try await bench.held(key) == nil) }
        #expect(try await bench.held("f") == 0, "its state stays")
        try await bench.finish()
    }

    @Test("14.30 14.31 14.32 L14: jobs of several limits wait for the one that is missing, and hold none of the others")
    func several() async throws {
        let bench = try await Bench.open()
        for id in ["1", "2", "3"] { try await bench.enqueue(id, limits: [slots("A", 3), slots("B", 1)]) }
        #expect(try await bench.held("A") == 1)
        let first = try await bench.leaseOne()
        #expect(try await bench.lease(5).isEmpty)
        try await bench.succeed(first)
        #expect(try await bench.held("A") == 1)
        #expect(try await bench.runAll() == ["2", "3"])
        try await bench.finish()
    }

    @Test("jobs that bring other maxima to a key are each judged by their own")
    func maxima() async throws {
        let bench = try await Bench.open()
        for index in 0..<2 { try await bench.enqueue("three \(index)", limits: [slots("x", 3)]) }
        let running = try await bench.lease(5)
        try await bench.enqueue("one", limits: [slots("x", 1)])
        try await bench.enqueue("never", limits: [slots("x", 0)])
        try await bench.enqueue("three 2", limits: [slots("x", 3)])
        #expect(try await bench.places("one", "never", "three 2") == [.waiting, .waiting, .ready])
        try await bench.succeed(running)
        #expect(try await bench.place("one") == .waiting)
        try await bench.succeed(bench.leaseOne())
        #expect(try await bench.drain(5) == ["one"])
        #expect(try await bench.place("never") == .waiting)
        try await bench.finish()
    }

    @Test("L11: a batch that is refused leaves no trace: slots, lines, floating state and buckets are as before")
    func refusedBatch() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("old", limits: [slots("x", 2), rate("k", 5)])
        let rows = bench.memory.rows
        let all = [slots("x", 2), floating("f", 1), rate("k", 5), rate("new", 1)]
        let jobs = (0..<4).map { newJob("\($0)", limits: all) } + [newJob("old", limits: [])]
        let refused = try await refusal { _ = try await bench.shard.run(EnqueueAll(jobs)) }
        #expect(refused == .jobAlreadyExists(JobID("old")))
        #expect(bench.memory.rows == rows)
        #expect(bench.shard.counts.lines == 0)
        // Memory is as before too: there is one slot, a floating limit begins, and five hits less one are left.
        try await bench.enqueue("slot", limits: [slots("x", 2)])
        try await bench.enqueue("waits", limits: [slots("x", 2)])
        try await bench.enqueue("floats", limits: [floating("f", 7)])
        for index in 0..<5 { try await bench.enqueue("hit \(index)", limits: [rate("k", 5)]) }
        #expect(
            try await bench.places("slot", "waits", "floats", "hit 3", "hit 4") == [.ready, .waiting, .ready, .ready, .waiting])
        #expect(try await bench.floatingState("f")?.currentMax == 7)
        try await bench.finish()
    }

    @Test("L11: a refused batch after a crash leaves the lines that are not read yet in their places")
    func refusedAfterCrash() async throws {
        var bench = try await Bench.open(nil, tiny)
        for id in ["a", "b", "c"] { try await bench.enqueue(id, limits: [slots("x", 1)]) }
        bench = try await bench.crash()
        let rows = bench.memory.rows
        let jobs = [newJob("d", limits: [slots("x", 1)]), newJob("a", limits: [])]
        #expect(try await refusal { _ = try await bench.shard.run(EnqueueAll(jobs)) } != nil)
        try await bench.settle()
        #expect(bench.memory.rows == rows)
        #expect(try await bench.runAll() == ["a", "b", "c"])
        try await bench.finish()
    }

    @Test("of jobs that are enqueued each on its own, a refused one takes no slot from the others")
    func refusedEach() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("old")
        let jobs = ["a", "old", "b", "c"].map { newJob($0, limits: [slots("x", 2)]) }
        let results = try await bench.shard.run(Each(jobs))
        #expect(results.map { (try? $0.get())?.text } == ["a", nil, "b", "c"])
        #expect(try await bench.held("x") == 2)
        #expect(try await bench.places("a", "b", "c") == [.ready, .ready, .waiting])
        try await bench.finish()
    }

    @Test("14.6 14.7 14.69 L27: many jobs of one slot run one after another, each once", arguments: [false, true])
    func oneAfterAnother(isTiny: Bool) async throws {
        let bench = try await Bench.open { if isTiny { tiny(&$0) } }
        let jobs = (100..<220).map { newJob("\($0)", limits: [slots("x", 1)]) }
        _ = try await bench.shard.run(EnqueueAll(jobs))
        #expect(try await bench.runAll(5) == (100..<220).map(String.init))
        #expect(try await bench.held("x") == nil)
        try await bench.finish()
    }

    @Test("a task given back keeps its slot and its place")
    func givenBack() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c"] { try await bench.enqueue(id, limits: [slots("x", 2)]) }
        let tasks = try await bench.lease(5)
        try await bench.giveBack(tasks + tasks)
        #expect(try await bench.held("x") == 2)
        #expect(try await bench.places("a", "b", "c") == [.ready, .ready, .waiting])
        try await bench.giveBack(tasks)
        #expect(try await bench.runAll(5) == ["a", "b", "c"])
        try await bench.finish()
    }

    @Test("a cancelled task given back frees its slot")
    func cancelledGivenBack() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [slots("x", 1)]) }
        let task = try await bench.leaseOne()
        try await bench.cancel("a")
        try await bench.giveBack([task])
        #expect(try await bench.places("a", "b") == [.finished, .ready])
        try await bench.finish()
    }

    @Test("a task leased past its limits and given back asks for its slot like any other")
    func uncountedGivenBack() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", limits: [slots("x", 1)])
        let task = try await bench.leaseJob("a")
        try await bench.enqueue("b", limits: [slots("x", 1)])
        try await bench.giveBack([task])
        #expect(try await bench.places("a", "b") == [.waiting, .ready])
        try await bench.finish()
    }

    @Test("jobs too large to be copied into their task wait, hold and free as small ones do")
    func large() async throws {
        var bench = try await Bench.open()
        let payload = Bytes(repeating: 7, count: 10_000)
        for id in ["a", "b", "c"] { try await bench.enqueue(id, payload: payload, limits: [slots("x", 1), slots("y", 1)]) }
        bench = try await bench.crash()
        let a = try await bench.leaseOne()
        #expect(a.job.payload == payload)
        try await bench.cancel("b")
        try await bench.giveBack([a])
        #expect(try await bench.held("x") == 1)
        #expect(try await bench.runAll() == ["a", "c"])
        #expect(try await bench.held("y") == nil)
        try await bench.finish()
    }

    @Test("14.15 L12: what is held is known again after a crash, whoever held it", arguments: [false, true])
    func heldAfterCrash(isReady: Bool) async throws {
        var bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, limits: [slots("x", 2)]) }
        let tasks = isReady ? [] : try await bench.lease(5)
        bench = try await bench.crash()
        try await bench.enqueue("c", limits: [slots("x", 2)])
        #expect(try await bench.place("c") == .waiting)
        if isReady { #expect(try await bench.runAll(5) == ["a", "b", "c"]) } else { try await bench.succeed(tasks) }
        try await bench.runAll(5)
        #expect(try await bench.held("x") == nil)
        try await bench.finish()
    }

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

    @Test("a slot kept for a job that then waits for something else is given to others", arguments: ["rate limit", "pause"])
    func keptSlot(what: String) async throws {
        let bench = try await Bench.open { settings in
            settings.passedOverMilliseconds = 0
            settings.leaseMilliseconds = 3_600_000
        }
        let hour = rate("k", 1, per: 3_600_000)
        try await bench.enqueue("a0", limits: [slots("A", 1)])
        try await bench.enqueue("b0", limits: [slots("B", 1)])
        try await bench.enqueue("hour", limits: [hour])
        let tasks = try await bench.lease(5)
        try await bench.enqueue("both", limits: [slots("A", 1), slots("B", 1)] + (what == "pause" ? [] : [hour]))
        try await bench.succeed(tasks[0])
        if what == "pause" { try await bench.pause(.limit(LimitKey("B"), of: Bench.tenant)) }
        try await bench.succeed(tasks[1])
        try await bench.enqueue("a1", limits: [slots("A", 1)])
        #expect(try await bench.drain(5) == ["a1"])
        try await bench.shard.close()
    }

    @Test("slots are kept for a job that was passed over for long, and for it alone; then others go on")
    func keptAndReleased() async throws {
        let (bench, holder) = try await Bench.withKeptSlot()
        #expect(try await bench.places("both", "a1") == [.waiting, .waiting], "A is kept")
        try await bench.succeed(holder)
        #expect(try await bench.places("both", "a1") == [.ready, .waiting])
        #expect(try await bench.runAll() == ["both", "a1"])
        try await bench.finish()
    }

    @Test("what is kept for a job is given to others when the job is cancelled")
    func keptAndCancelled() async throws {
        let (bench, _) = try await Bench.withKeptSlot()
        try await bench.cancel("both")
        #expect(try await bench.drain(5) == ["a1"])
        try await bench.finish()
    }
}
