import SiloCore
import SiloStore
import Testing

@testable import SiloEngine

/// What a shard counts by task group for whoever measures. `Bench.finish` compares it with the rows in every other test too.
@Suite(.timeLimit(.minutes(10))) struct GroupLevelTests {
    @Test("the oldest ready job is that of the tenant whose next job is due for longest")
    func oldest() async throws {
        let bench = try await Bench.open()
        let start = bench.now
        try await bench.enqueue("a")
        try await bench.pass(1000)
        try await bench.enqueue("b", tenant: Tenant("other"))
        try await bench.enqueue("later", after: 5000)
        #expect(bench.shard.groups["g"]?.oldestReady == start)
        _ = try await bench.lease()
        #expect(bench.shard.groups["g"]?.oldestReady == start + 1000)
        _ = try await bench.lease()
        #expect(bench.shard.groups["g"]?.oldestReady == nil)
        try await bench.pass(5000)
        #expect(bench.shard.groups["g"]?.oldestReady == start + 6000)
        try await bench.finish()
    }

    @Test("it is known after a crash, before anybody asks for work, and when memory has let the rows go")
    func oldestOfStored() async throws {
        let bench = try await Bench.open { $0.windowMax = 2 }
        let start = bench.now
        for number in 0..<10 {
            try await bench.enqueue("\(number)")
            try await bench.pass(1000)
        }
        let next = try await bench.crash()
        #expect(next.shard.groups["g"]?.oldestReady == start)
        // Each time memory reads two and has none before it reads again: then it is that of the job before.
        for number in 0..<10 {
            let oldest = next.shard.groups["g"]?.oldestReady
            #expect(oldest == start + Int64(1000 * number) || oldest == start + Int64(1000 * (number - 1)))
            _ = try await next.lease()
        }
        #expect(next.shard.groups["g"]?.oldestReady == nil)
        try await next.finish()
    }

    @Test("jobs that are paused are counted as such, and are not the oldest that wait for a worker", arguments: [false, true])
    func paused(whole: Bool) async throws {
        let target = whole ? PauseTarget.tenant(Bench.tenant) : .group("g", of: Bench.tenant)
        let bench = try await Bench.open()
        let start = bench.now
        try await bench.enqueue("a")
        try await bench.enqueue("b")
        try await bench.pass(1000)
        try await bench.enqueue("c", tenant: Tenant("other"))
        // As often as somebody likes.
        for _ in 0..<100 {
            try await bench.pause(target)
            #expect(bench.shard.groups["g"]?.paused == 2 && bench.shard.groups["g"]?.jobs.ready == 3)
            #expect(bench.shard.groups["g"]?.oldestReady == start + 1000)
            try await bench.resume(target)
            #expect(bench.shard.groups["g"]?.paused == 0 && bench.shard.groups["g"]?.oldestReady == start)
        }
        try await bench.pause(target)
        try await bench.enqueue("d")
        try await bench.cancel("a")
        #expect(bench.shard.groups["g"]?.paused == 2)
        #expect(try await bench.drain(5) == ["c"])
        #expect(bench.shard.groups["g"]?.oldestReady == nil)
        let next = try await bench.crash()
        #expect(next.shard.groups["g"]?.paused == 2 && next.shard.groups["g"]?.oldestReady == nil)
        try await next.resume(target)
        #expect(next.shard.groups["g"]?.paused == 0 && next.shard.groups["g"]?.oldestReady == start)
        try await next.pause(target)
        _ = try await next.shard.run(DropTenant(tenant: Bench.tenant))
        #expect(next.shard.groups["g"]?.paused == 0)
        try await next.shard.close()
    }

    @Test("groups past the bound share one, also after a crash and when one of them has its name")
    func bounded() async throws {
        let bench = try await Bench.open { $0.measuredGroupsMax = 2 }
        for group in ["a", "b", "c", "d", "other"] {
            try await bench.enqueue("1-\(group)", group: group)
            try await bench.enqueue("2-\(group)", group: group)
        }
        #expect(bench.shard.groups.mapValues(\.jobs.ready) == ["a": 2, "b": 2, "other": 6])
        try await bench.succeed(bench.leaseOne(group: "c"))
        try await bench.delete("1-c")
        #expect(bench.shard.groups["other"]?.jobs.ready == 5)
        let next = try await bench.crash()
        #expect(next.shard.groups.count == 3 && next.shard.groups.values.reduce(0) { $0 + $1.jobs.ready } == 9)
        try await next.finish()
    }

    @Test("a group with work takes the place of one that had none for ten minutes, the one unused for longest first")
    func placesGoOn() async throws {
        let bench = try await Bench.open { $0.measuredGroupsMax = 2 }
        for group in ["a", "b"] {
            try await bench.enqueue("1-\(group)", group: group)
            try await bench.succeed(bench.leaseOne(group: group))
            try await bench.pass(1000)
        }
        let start = bench.now
        for id in ["1", "2"] { try await bench.enqueue("\(id)-c", group: "c") }
        try await bench.pass(1000)
        try await bench.enqueue("1-d", group: "d")
        try await bench.pause(.group("c", of: Bench.tenant))
        try await bench.enqueue("1-c", tenant: Tenant("not paused"), group: "c")
        #expect(Set(bench.shard.groups.keys) == ["a", "b", "other"])
        #expect(bench.shard.groups["other"]?.jobs.ready == 4 && bench.shard.groups["other"]?.paused == 2)

        // The first place comes free; nobody asked for the group that had it.
        _ = try await bench.lease(group: "b")
        try await bench.pass(MeasuredGroups.keptMilliseconds - 1000)
        _ = try await bench.lease(group: "b")
        #expect(Set(bench.shard.groups.keys) == ["b", "c", "other"])
        #expect(bench.shard.groups["c"]?.jobs.ready == 3 && bench.shard.groups["c"]?.paused == 2)
        #expect(bench.shard.groups["c"]?.oldestReady == start + 1000)
        #expect(bench.shard.groups["other"]?.jobs.ready == 1 && bench.shard.groups["other"]?.jobs.succeeded == 1)
        #expect(bench.shard.groups["other"]?.oldestReady == start + 1000, "that of d")
        try await bench.resume(.group("c", of: Bench.tenant))
        #expect(bench.shard.groups["c"]?.paused == 0 && bench.shard.groups["c"]?.oldestReady == start)

        // Those with work keep their places, however long nobody asks for them.
        try await bench.pass(MeasuredGroups.keptMilliseconds)
        try await bench.enqueue("1-e", group: "e")
        #expect(Set(bench.shard.groups.keys) == ["c", "d", "other"], "b was not used")
        try await bench.pass(MeasuredGroups.keptMilliseconds)
        try await bench.enqueue("2-e", group: "e")
        #expect(Set(bench.shard.groups.keys) == ["c", "d", "other"])
        // Of a group that gave its place back nothing is counted twice, or below none.
        for group in ["a", "b"] { try await bench.delete("1-\(group)") }
        #expect(bench.shard.groups["other"]?.jobs == JobCounts(ready: 2))
        try await bench.finish()
    }

    @Test("a group that workers only ask for has no place that one with work needs")
    func placesAskedFor() async throws {
        let bench = try await Bench.open { $0.measuredGroupsMax = 2 }
        let measured = bench.shard.measured
        for group in ["a", "b", "c"] { _ = try await bench.lease(group: group) }
        bench.shard.notePoll("d")
        #expect(measured.contains("a") && measured.contains("b") && !measured.contains("c"))
        try await bench.pass(1000)
        _ = try await bench.lease(group: "a")
        try await bench.enqueue("1", group: "e")
        try await bench.pass(1000)
        try await bench.enqueue("2", group: "e")
        #expect(measured.contains("a") && measured.contains("e") && bench.shard.groups["e"]?.jobs.ready == 2)
        // Nobody asks for the one any more, and it is not needed; then somebody asks for another.
        _ = try await bench.lease(group: "none")
        try await bench.pass(MeasuredGroups.keptMilliseconds)
        #expect(!measured.contains("a") && measured.contains("none") && measured.contains("e"))
        bench.shard.notePoll("late")
        try await bench.pass(1000)
        try await bench.enqueue("3", group: "e")
        #expect(!measured.contains("late") && measured.contains("none") && measured.contains("e"))
        try await bench.finish()
    }

    @Test("after a crash groups with work have the places, before those whose jobs have finished")
    func placesAfterACrash() async throws {
        let bench = try await Bench.open { $0.measuredGroupsMax = 2 }
        for group in ["a", "b", "c"] {
            try await bench.enqueue("1-\(group)", group: group)
            try await bench.succeed(bench.leaseOne(group: group))
        }
        for group in ["y", "z"] { try await bench.enqueue("1-\(group)", group: group) }
        let next = try await bench.crash()
        #expect(Set(next.shard.groups.keys) == ["y", "z", "other"])
        #expect(next.shard.groups["other"]?.jobs == JobCounts(succeeded: 3))
        try await next.finish()
    }

    @Test("jobs of more groups than are told apart stay together until all of them are gone")
    func tooManyShares() async throws {
        let bench = try await Bench.open { $0.measuredGroupsMax = 1 }
        let count = GroupLevels.sharesMax + 3
        for number in 0..<count { try await bench.enqueue("\(number)", group: "\(number)") }
        #expect(bench.shard.groups.mapValues(\.jobs.ready) == ["0": 1, "other": Int64(count - 1)])
        let unknown = [count - 2, count - 1].map { "\($0)" }
        func end(_ id: String, group: String) async throws {
            try await bench.succeed(bench.leaseOne(group: group))
            try await bench.delete(id)
        }
        try await end("0", group: "0")
        try await bench.pass(MeasuredGroups.keptMilliseconds)
        #expect(bench.shard.groups["1"]?.jobs.ready == 1, "it is known what is of it")
        // It may have jobs among those that are not told apart.
        try await bench.enqueue("new", group: "0")
        try await end("1", group: "1")
        try await bench.pass(MeasuredGroups.keptMilliseconds)
        #expect(bench.shard.groups["0"] == nil && bench.shard.groups["10"]?.jobs.ready == 1)
        for id in unknown + ["new"] {
            try await bench.cancel(id)
            try await bench.delete(id)
        }
        try await bench.enqueue("newer", group: "0")
        try await end("10", group: "10")
        try await bench.pass(MeasuredGroups.keptMilliseconds)
        #expect(bench.shard.groups["0"]?.jobs.ready == 1)
        try await bench.finish()
    }

    @Test("a queue that was forgotten and comes back is not counted twice")
    func forgotten() async throws {
        let bench = try await Bench.open { $0.idleQueuesMax = 2 }
        for number in 0..<20 {
            try await bench.enqueue("\(number)", tenant: Tenant("t\(number)"))
            try await bench.succeed(bench.leaseOne())
        }
        #expect(bench.shard.counts.queues < 20, "some were forgotten")
        for number in 0..<20 { try await bench.enqueue("again", tenant: Tenant("t\(number)")) }
        #expect(bench.shard.groups["g"]?.jobs.succeeded == 20 && bench.shard.groups["g"]?.jobs.ready == 20)
        try await bench.finish()
    }
}
