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
