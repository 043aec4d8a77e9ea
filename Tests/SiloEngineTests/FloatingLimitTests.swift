import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite struct FloatingLimitTests {
    /// A bench with `count` jobs of one floating limit, named by number.
    private func bench(_ count: Int, _ limit: StorageV1.Limit, _ change: (inout EngineSettings) -> Void = { _ in }) async throws
        -> Bench
    {
        let bench = try await Bench.open(nil, change)
        for index in 0..<count { try await bench.enqueue("\(100 + index)", limits: [limit]) }
        return bench
    }

    /// The one refresh that a worker gets, besides tasks.
    private func refresh(_ bench: Bench, group: String = "g", worker: String = "r") async throws -> LeasedRefresh {
        let leased = try await bench.leased(1, group: group, worker: worker)
        #expect(leased.refreshes.count == 1)
        return try #require(leased.refreshes.first)
    }

    @Test("14.76 14.85: the first job sets the limit's state; what later ones say is ignored")
    func first() async throws {
        let bench = try await bench(1, floating("f", 2, every: 5000, metadata: ["a": "b"]))
        let state = try #require(try await bench.floatingState("f"))
        #expect(state.currentMax == 2)
        #expect(state.defaultMax == 2)
        #expect(state.refreshIntervalMs == 5000)
        #expect(state.metadata == ["a": "b"])
        #expect(state.retryCount == 0)
        #expect(state.lastRefreshedAtMs == 0)
        for index in 0..<2 { try await bench.enqueue("\(index)", limits: [floating("f", 9, every: 1)]) }
        #expect(try await bench.floatingState("f") == state)
        #expect(try await bench.places("0", "1") == [.ready, .waiting])
        try await bench.finish()
    }

    @Test("14.77: a limit that nobody waits for is not refreshed, however old its value")
    func nobodyWaits() async throws {
        let bench = try await bench(2, floating("f", 2))
        try await bench.pass(1_000_000)
        #expect(try await bench.leased(5).refreshes.isEmpty)
        try await bench.finish()
    }

    @Test("14.77 14.78 L19: however many come to wait, one refresh is asked for, of a worker of their group")
    func one() async throws {
        let bench = try await bench(6, floating("f", 1, metadata: ["region": "eu"]))
        #expect(try await bench.leased(5, group: "other").refreshes.isEmpty)
        let leased = try await bench.leased(5)
        #expect(leased.tasks.map(\.job.id) == ["100"])
        let refresh = try #require(leased.refreshes.first)
        #expect(leased.refreshes.count == 1)
        #expect(refresh.limit.text == "f")
        #expect(refresh.currentMax == 1)
        #expect(refresh.lastRefreshedAt == Timestamp(0))
        #expect(refresh.metadata == ["region": "eu"])
        #expect(refresh.group.text == "g")
        try await bench.enqueue("more", limits: [floating("f", 1)])
        #expect(try await bench.leased(5).refreshes.isEmpty)
        try await bench.finish()
    }

    @Test("14.79: a raised limit lets those in who wait, up to it, in the same batch", arguments: [1024, 1])
    func raised(grantsMax: Int) async throws {
        let bench = try await bench(6, floating("f", 1)) { $0.grantsMax = grantsMax }
        let refresh = try await refresh(bench)
        try await bench.report(refresh, .success(newMax: 4))
        try await bench.settle()
        let state = try #require(try await bench.floatingState("f"))
        #expect(state.currentMax == 4)
        #expect(state.defaultMax == 1)
        #expect(state.lastRefreshedAtMs == bench.now.milliseconds)
        #expect(state.retryCount == 0)
        #expect(state.nextRetryAtMs == nil)
        #expect(try await bench.held("f") == 4)
        #expect(try await bench.drain(10) == ["101", "102", "103"])
        try await bench.finish()
    }

    @Test("L1: a lowered limit ends nothing that runs, and lets nobody in until there is room again")
    func lowered() async throws {
        let bench = try await bench(5, floating("f", 3)) { $0.leaseMilliseconds = 1_000_000 }
        let leased = try await bench.leased(5)
        #expect(leased.tasks.count == 3)
        try await bench.report(leased.refreshes[0], .success(newMax: 1))
        #expect(bench.shard.counts.leases == 3)
        for task in leased.tasks {
            #expect(try await bench.lease(5).isEmpty)
            try await bench.succeed(task)
        }
        #expect(try await bench.drain(5) == ["103"])
        #expect(try await bench.place("104") == .waiting)
        try await bench.finish()
    }

    @Test("a limit refreshed to nothing starts nobody, until it is refreshed again")
    func nothing() async throws {
        let bench = try await bench(2, floating("f", 1, every: 1000))
        let leased = try await bench.leased(5)
        try await bench.report(leased.refreshes[0], .success(newMax: 0))
        try await bench.succeed(leased.tasks)
        #expect(try await bench.place("101") == .waiting)
        try await bench.pass(1000)
        try await bench.report(refresh(bench), .success(newMax: 1))
        #expect(try await bench.drain(5) == ["101"])
        try await bench.finish()
    }

    @Test("F3: jobs that wait for long have the limit refreshed each interval, though nobody new comes")
    func interval() async throws {
        let bench = try await bench(2, floating("f", 1, every: 5000)) { $0.leaseMilliseconds = 1_000_000 }
        var refreshed = try await refresh(bench)
        for _ in 0..<3 {
            try await bench.report(refreshed, .success(newMax: 1))
            try await bench.pass(4999)
            #expect(try await bench.leased(5).refreshes.isEmpty)
            try await bench.pass(1)
            let before = refreshed
            refreshed = try await refresh(bench)
            #expect(refreshed.id != before.id)
            #expect(refreshed.lastRefreshedAt == bench.now + -5000)
        }
        try await bench.report(refreshed, .success(newMax: 1))
        try await bench.finish()
    }

    @Test("14.80 L20: failures keep the value and back off, each twice as long, up to a minute; a success begins anew")
    func failures() async throws {
        let bench = try await bench(2, floating("f", 1)) { $0.leaseMilliseconds = 1_000_000 }
        var refreshed = try await refresh(bench)
        for (count, wait) in [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000].enumerated() {
            try await bench.report(refreshed, .failure)
            let state = try #require(try await bench.floatingState("f"))
            #expect(state.currentMax == 1)
            #expect(state.retryCount == UInt32(count + 1))
            #expect(state.nextRetryAtMs == (bench.now + Int64(wait)).milliseconds)
            try await bench.pass(Int64(wait) - 1)
            #expect(try await bench.leased(5).refreshes.isEmpty)
            try await bench.pass(1)
            refreshed = try await refresh(bench)
        }
        try await bench.report(refreshed, .success(newMax: 1))
        let state = try #require(try await bench.floatingState("f"))
        #expect(state.retryCount == 0)
        #expect(state.nextRetryAtMs == nil)
        try await bench.finish()
    }

    @Test("14.81: a failure when nobody waits any more asks for no other; who comes later waits out the backoff")
    func failureAlone() async throws {
        let bench = try await bench(2, floating("f", 1))
        let leased = try await bench.leased(5)
        try await bench.cancel("101")
        try await bench.report(leased.refreshes[0], .failure)
        try await bench.pass(500)
        try await bench.enqueue("late", limits: [floating("f", 1)])
        #expect(try await bench.leased(5).refreshes.isEmpty)
        try await bench.pass(499)
        #expect(try await bench.leased(5).refreshes.isEmpty)
        try await bench.pass(1)
        #expect(try await bench.leased(5).refreshes.count == 1)
        try await bench.finish()
    }

    @Test("a refresh that no worker takes goes to the group that waits too and has workers", arguments: [false, true])
    func notTaken(crashes: Bool) async throws {
        var bench = try await bench(1, floating("f", 1))
        let task = try await bench.leaseOne()
        try await bench.enqueue("first", group: "absent", limits: [floating("f", 1)])
        try await bench.enqueue("second", limits: [floating("f", 1)])
        try await bench.enqueue("third", group: "away", limits: [floating("f", 1)])
        #expect(try await bench.leased(5).refreshes.isEmpty)
        if crashes {
            bench = try await bench.crash()
            #expect(try await bench.leased(5).refreshes.isEmpty)
        }
        try await bench.pass(5000)
        try await bench.heartbeat(task)
        #expect(try await bench.leased(5).refreshes.isEmpty)
        try await bench.pass(5000)
        let refresh = try await refresh(bench)
        #expect(refresh.group.text == "g")
        #expect(try await bench.leased(5, group: "absent").refreshes.isEmpty)
        try await bench.report(refresh, .success(newMax: 5))
        #expect(try await bench.places("first", "second", "third") == [.ready, .ready, .ready])
        try await bench.finish()
    }

    @Test("a refresh that no worker takes is dropped when nobody waits any more")
    func notTakenAlone() async throws {
        let bench = try await bench(2, floating("f", 1, every: 1))
        try await bench.cancel("101")
        try await bench.pass(10_000)
        #expect(try await bench.leased(5).refreshes.isEmpty)
        #expect(try await bench.memory.get(ShardKeys.refresh(Bench.tenant, LimitKey("f"))) == nil)
        try await bench.finish()
    }

    @Test("a limit is refreshed for those who wait, not for one who was refused or cancelled", arguments: [false, true])
    func notForThoseGone(refused: Bool) async throws {
        let bench = try await bench(2, floating("f", 1, every: 1000))
        let leased = try await bench.leased(5)
        try await bench.report(leased.refreshes[0], .success(newMax: 0))
        if refused {
            let gone = [newJob("gone", group: "absent", limits: [floating("f", 1)]), newJob("101", limits: [])]
            let why = try await refusal { _ = try await bench.shard.run(EnqueueAll(gone)) }
            #expect(why == .jobAlreadyExists(JobID("101")))
        } else {
            try await bench.enqueue("gone", group: "absent", limits: [floating("f", 1)])
            try await bench.cancel("gone")
        }
        try await bench.pass(1000)
        #expect(try await refresh(bench).group.text == "g")
        try await bench.shard.close()
    }

    @Test("a limit refreshed to nothing keeps no slots of others for those who wait for it")
    func keepsNothing() async throws {
        let bench = try await bench(1, floating("f", 1)) { $0.passedOverMilliseconds = 0 }
        try await bench.enqueue("a0", limits: [slots("A", 1)])
        let tasks = try await bench.lease(5)
        try await bench.enqueue("both", limits: [slots("A", 1), floating("f", 1)])
        try await bench.succeed(try #require(tasks.first { $0.job.id == "a0" }))
        try await bench.enqueue("a1", limits: [slots("A", 1)])
        #expect(try await bench.places("both", "a1") == [.waiting, .waiting])
        try await bench.report(refresh(bench), .success(newMax: 0))
        #expect(try await bench.places("both", "a1") == [.waiting, .ready])
        try await bench.finish()
    }

    @Test("14.82: a refresh whose worker died is asked for again, at once and once, with the state as it was")
    func expiry() async throws {
        let bench = try await bench(2, floating("f", 1)) { $0.leaseMilliseconds = 10_000 }
        let first = try await bench.leased(5)
        let state = try await bench.floatingState("f")
        try await bench.pass(9_999)
        try await bench.heartbeat(first.tasks[0], worker: "w")
        #expect(try await bench.leased(5).refreshes.isEmpty)
        try await bench.pass(1)
        let second = try await refresh(bench)
        #expect(second.id != first.refreshes[0].id)
        #expect(try await bench.floatingState("f") == state)
        #expect(try await refusal { try await bench.report(first.refreshes[0], .success(newMax: 9)) } == .leaseNotFound)
        #expect(try await bench.floatingState("f") == state)
        try await bench.report(second, .success(newMax: 2))
        #expect(try await bench.drain(5) == ["101"])
        try await bench.finish()
    }

    @Test("14.82: nobody is asked again when nobody waits any more")
    func expiryAlone() async throws {
        let bench = try await bench(2, floating("f", 1))
        let first = try await bench.leased(5)
        try await bench.succeed(first.tasks)
        try await bench.pass(5000)
        let task = try await bench.leaseOne()
        try await bench.pass(5000)
        #expect(try await bench.leased(5).refreshes.isEmpty)
        try await bench.enqueue("late", limits: [floating("f", 1)])
        #expect(try await bench.leased(5).refreshes.count == 1)
        try await bench.succeed(task)
        try await bench.finish()
    }

    @Test("a worker keeps a refresh by heartbeats; strangers and other tenants do not")
    func heartbeat() async throws {
        let bench = try await bench(2, floating("f", 1)) { $0.leaseMilliseconds = 10_000 }
        let refreshed = try await refresh(bench)
        func beat(_ worker: String, _ tenant: Tenant = Bench.tenant) async throws {
            _ = try await bench.shard.run(Heartbeat(tenant: tenant, task: refreshed.id, worker: worker))
        }
        for _ in 0..<4 {
            try await bench.pass(9000)
            try await beat("r")
        }
        #expect(try await refusal { try await beat("stranger") } == .leaseOwnerMismatch)
        #expect(try await refusal { try await beat("r", Tenant("other")) } == .leaseNotFound)
        try await bench.pass(10_000)
        #expect(try await refusal { try await beat("r") } == .leaseNotFound)
        try await bench.finish()
    }

    @Test("reports of the wrong kind, of strangers and of what is gone are refused and change nothing")
    func refusals() async throws {
        let bench = try await bench(2, floating("f", 1))
        let leased = try await bench.leased(5)
        let (task, refresh) = (leased.tasks[0], leased.refreshes[0])
        let rows = bench.memory.rows
        let wrong = [
            try await refusal {
                try await bench.shard.run(ReportRefresh(tenant: Bench.tenant, task: task.id, outcome: .failure))
            },
            try await refusal {
                try await bench.shard.run(ReportOutcome(tenant: Bench.tenant, task: refresh.id, outcome: .success(result: [])))
            },
        ]
        for refused in wrong {
            guard case .invalidArgument = refused else {
                Issue.record("\(String(describing: refused))")
                continue
            }
        }
        let stranger = ReportRefresh(tenant: Tenant("other"), task: refresh.id, outcome: .success(newMax: 5))
        #expect(try await refusal { try await bench.shard.run(stranger) } == .leaseNotFound)
        #expect(bench.memory.rows == rows)
        try await bench.report(refresh, .success(newMax: 1))
        #expect(try await refusal { try await bench.report(refresh, .success(newMax: 5)) } == .leaseNotFound)
        try await bench.finish()
    }

    @Test("a refresh that its worker was never told of goes to another")
    func givenBack() async throws {
        let bench = try await bench(2, floating("f", 1))
        let first = try await bench.leased(5)
        try await bench.shard.run(Release(first.ids))
        #expect(try await refusal { try await bench.report(first.refreshes[0], .success(newMax: 5)) } == .leaseNotFound)
        let again = try await bench.leased(5, worker: "other")
        #expect(again.tasks.map(\.job.id) == ["100"])
        #expect(again.refreshes.map(\.id) == [first.refreshes[0].id])
        try await bench.report(again.refreshes[0], .success(newMax: 2))
        #expect(try await bench.drain(5) == ["101"])
        try await bench.finish()
    }

    @Test("a waiting worker is woken by a refresh")
    func wakes() async throws {
        let bench = try await bench(1, floating("f", 1))
        let task = try await bench.leaseOne()
        async let waiting = bench.leased(1, worker: "waits", wait: 60_000)
        try await eventually("it waits") { bench.shard.counts.waitingWorkers == 1 }
        try await bench.enqueue("more", limits: [floating("f", 1)])
        #expect(try await waiting.refreshes.count == 1)
        try await bench.succeed(task)
        try await bench.finish()
    }

    @Test("14.84: jobs of all groups share the limit; the refresh goes to the group of who waits, and serves all")
    func groups() async throws {
        let bench = try await Bench.open()
        for group in ["x", "y", "z"] { try await bench.enqueue(group, group: group, limits: [floating("f", 1)]) }
        #expect(try await bench.leased(5, group: "x").refreshes.isEmpty)
        let refreshed = try await refresh(bench, group: "y")
        #expect(try await bench.leased(5, group: "z").isEmpty)
        try await bench.report(refreshed, .success(newMax: 3))
        #expect(try await bench.drain(5, group: "y") == ["y"])
        #expect(try await bench.drain(5, group: "z") == ["z"])
        try await bench.finish()
    }

    @Test("F1: two tenants that refresh the same key in the same moment get a refresh each")
    func tenants() async throws {
        let bench = try await Bench.open()
        let names = [Bench.tenant, Tenant("other")]
        for tenant in names { for id in ["a", "b"] { try await bench.enqueue(id, tenant: tenant, limits: [floating("f", 1)]) } }
        let refreshes = try await bench.leased(5).refreshes
        #expect(Set(refreshes.map(\.tenant)) == Set(names))
        for refresh in refreshes { try await bench.report(refresh, .success(newMax: refresh.tenant == Bench.tenant ? 2 : 1)) }
        #expect(try await bench.place("b") == .ready)
        #expect(try await bench.place("b", tenant: names[1]) == .waiting)
        try await bench.finish()
    }

    @Test("a worker gets a bounded number of refreshes at once, and the rest next time")
    func bounded() async throws {
        let bench = try await Bench.open { $0.refreshesPerLeaseMax = 2 }
        for index in 0..<5 {
            for id in ["a", "b"] { try await bench.enqueue("\(id)\(index)", limits: [floating("\(index)", 1)]) }
        }
        var got: Set<String> = []
        for count in [2, 2, 1, 0] {
            let refreshes = try await bench.leased(1).refreshes
            #expect(refreshes.count == count)
            got.formUnion(refreshes.map(\.limit.text))
        }
        #expect(got == ["0", "1", "2", "3", "4"])
        try await bench.finish()
    }

    @Test("14.83: with two slots held a third job runs when one of them is done")
    func third() async throws {
        let bench = try await bench(3, floating("f", 2))
        let tasks = try await bench.lease(5)
        #expect(tasks.count == 2)
        try await bench.succeed(tasks[0])
        #expect(try await bench.held("f") == 2)
        #expect(try await bench.drain(5) == ["102"])
        try await bench.finish()
    }

    @Test("14.86: a floating slot is freed when its lease expires, and a late report changes nothing")
    func leaseExpires() async throws {
        let bench = try await bench(1, floating("f", 1))
        let task = try await bench.leaseOne()
        try await bench.pass(10_000)
        #expect(try await refusal { try await bench.succeed(task) } == .leaseNotFound)
        #expect(try await bench.held("f") == 0)
        try await bench.finish()
    }

    @Test("a fixed and a floating limit of one key share its slots, each job judged by its own maximum")
    func shared() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("fixed", limits: [slots("k", 2)])
        try await bench.enqueue("floats", limits: [floating("k", 1)])
        try await bench.enqueue("fixed too", limits: [slots("k", 2)])
        #expect(try await bench.places("fixed", "floats", "fixed too") == [.ready, .waiting, .ready])
        let tasks = try await bench.lease(5)
        try await bench.succeed(tasks)
        #expect(try await bench.drain(5) == ["floats"])
        try await bench.finish()
    }

    @Test("the value, its backoff and the outstanding refresh survive a crash wherever it comes", arguments: [false, true])
    func crash(isTiny: Bool) async throws {
        var bench = try await bench(3, floating("f", 1, every: 5000)) { if isTiny { tiny(&$0) } }
        bench = try await bench.crash()
        try await bench.settle()
        // Asked for before the crash.
        let first = try await bench.leased(5)
        #expect(first.tasks.map(\.job.id) == ["100"])
        #expect(first.refreshes.count == 1)
        bench = try await bench.crash()
        // Its worker has it still, for as long as a lease lasts.
        #expect(try await bench.leased(5).isEmpty)
        try await bench.report(first.refreshes[0], .failure)
        bench = try await bench.crash()
        try await bench.pass(999)
        #expect(try await bench.leased(5).isEmpty)
        try await bench.pass(1)
        try await bench.settle()
        let second = try await refresh(bench)
        bench = try await bench.crash()
        try await bench.report(second, .success(newMax: 2))
        bench = try await bench.crash()
        try await bench.settle()
        #expect(try await bench.floatingState("f")?.currentMax == 2)
        #expect(try await bench.places("101", "102") == [.ready, .waiting])
        try await bench.succeed(first.tasks)
        try await bench.settle()
        #expect(try await bench.places("101", "102") == [.ready, .ready])
        try await bench.finish()
    }

    @Test(
        "after a crash jobs that waited before it have the limit refreshed when its interval has passed",
        arguments: [false, true])
    func crashWhileWaiting(isTiny: Bool) async throws {
        var bench = try await bench(2, floating("f", 1, every: 5000)) {
            if isTiny { tiny(&$0) }
            $0.leaseMilliseconds = 1_000_000
        }
        let leased = try await bench.leased(5)
        try await bench.report(leased.refreshes[0], .success(newMax: 1))
        bench = try await bench.crash()
        try await bench.settle()
        try await bench.pass(5000)
        try await bench.settle()
        #expect(try await refresh(bench).currentMax == 1)
        try await bench.finish()
    }

    @Test("a refresh whose worker died with the shard is asked for again")
    func crashOfBoth() async throws {
        var bench = try await bench(2, floating("f", 1)) { $0.leaseMilliseconds = 10_000 }
        let first = try await bench.leased(1)
        try await bench.pass(9000)
        bench = try await bench.crash()
        // The lease begins anew, for its worker could not renew it.
        try await bench.pass(9999)
        try await bench.heartbeat(first.tasks[0])
        #expect(try await bench.leased(1).refreshes.isEmpty)
        try await bench.pass(1)
        try await bench.settle()
        let second = try await refresh(bench)
        #expect(second.id != first.refreshes[0].id)
        try await bench.finish()
    }

    @Test("L19: a batch that is refused asks for no refresh, and the next that needs one does")
    func refusedBatch() async throws {
        let bench = try await bench(1, floating("f", 1))
        let rows = bench.memory.rows
        let jobs = [newJob("a", limits: [floating("f", 1)]), newJob("100", limits: [])]
        #expect(try await refusal { _ = try await bench.shard.run(EnqueueAll(jobs)) } == .jobAlreadyExists(JobID("100")))
        #expect(bench.memory.rows == rows)
        let leased = try await bench.leased(5)
        #expect(leased.refreshes.isEmpty)
        try await bench.enqueue("b", limits: [floating("f", 1)])
        #expect(try await bench.leased(5).refreshes.count == 1)
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
