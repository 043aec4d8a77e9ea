import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct DropTenantTests {
    private static let other = Tenant("other")

    /// Jobs of a tenant in every place, with limits, attempts, metadata and pauses.
    private func fill(_ bench: Bench, _ tenant: Tenant) async throws {
        let limits = [slots("x", 2), floating("f", 2), rate("r", 100)]
        for index in 0..<8 {
            try await bench.enqueue(
                "a\(index)", tenant: tenant, retries: 1, limits: limits, metadata: ["k": "v"],
                retain: index % 2 == 0 ? 0 : 1 << 40)
        }
        try await bench.enqueue("later", tenant: tenant, after: 1 << 40, group: "h")
        for outcome in [ReportOutcome.Outcome.success(result: [1]), .failure(code: "E", data: []), .cancelled] {
            for task in try await bench.lease(1) { try await bench.report(task, outcome) }
        }
        try await bench.pass(3000)
        for task in try await bench.lease(1) { try await bench.fail(task) }
        try await bench.pause(.group(TaskGroup("h"), of: tenant))
    }

    @Test("everything of the tenant goes, nothing of others, and it can be used anew", arguments: [false, true])
    func drop(isTiny: Bool) async throws {
        let bench = try await Bench.kept { if isTiny { tiny(&$0) } }
        try await fill(bench, Self.other)
        try await bench.settle()
        for task in try await bench.lease(10) { try await bench.fail(task) }
        try await bench.settle()
        let others = Set(bench.tenantRows.map(\.key))
        try await fill(bench, Bench.tenant)
        try await bench.settle()
        let running = try await bench.lease(1)
        let drop = try await bench.shard.run(DropTenant(tenant: Bench.tenant))
        #expect(drop.jobs == 9)
        #expect(bench.violations == [])
        for task in running where task.tenant == Bench.tenant {
            #expect(try await refusal { _ = try await bench.heartbeat(task) } == .leaseNotFound, "what runs is lost")
        }
        try await bench.keepHouse()
        let left = bench.tenantRows.map(\.key).filter { !others.contains($0) }
        #expect(left.filter { KeyText(of: $0).contains("acme") } == [])
        #expect(bench.shard.drop(of: Bench.tenant) == nil)
        #expect(bench.violations == [])
        try await bench.enqueue("a0", metadata: ["k": "w"])
        try await bench.settle()
        #expect(try await bench.lease(10).contains { $0.job.id == "a0" && $0.tenant == Bench.tenant })
        try await bench.finish()
    }

    @Test("jobs of queues that memory does not hold are no longer counted by group", arguments: [false, true])
    func levels(isForgotten: Bool) async throws {
        var bench = try await Bench.kept { if isForgotten { $0.idleQueuesMax = 0 } }
        for tenant in [Bench.tenant, Self.other] {
            for group in ["g", "h"] {
                try await bench.enqueue(tenant: tenant, group: group)
                try await bench.succeed(bench.leaseOne(group: group))
            }
        }
        try await bench.settle()
        if !isForgotten { bench = try await bench.crash() }
        #expect(bench.shard.counts.queues == 0)
        _ = try await bench.shard.run(DropTenant(tenant: Bench.tenant))
        #expect(bench.shard.groups.mapValues(\.jobs.succeeded) == ["g": 1, "h": 1])
        try await bench.keepHouse()
        #expect(bench.shard.groups.mapValues(\.jobs.succeeded) == ["g": 1, "h": 1])
        try await bench.finish()
    }

    @Test("until all is gone the tenant's calls are refused, and it counts no jobs")
    func refused() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a")
        try await bench.enqueue("b")
        try await bench.succeed(bench.leaseOne())
        let first = try await bench.shard.run(DropTenant(tenant: Bench.tenant))
        #expect((first.jobs, first.rowsDeleted) == (2, 0))
        #expect(bench.shard.counts.total == 0)
        #expect(try await bench.shard.run(DropTenant(tenant: Bench.tenant)) == first, "it is under way")
        let gone = SiloError.tenantBeingDropped(Bench.tenant)
        #expect(try await refusal { try await bench.enqueue("c") } == gone)
        #expect(try await refusal { try await bench.cancel("b") } == gone)
        #expect(try await refusal { try await bench.delete("a") } == gone)
        #expect(try await refusal { try await bench.restart("a") } == gone)
        #expect(try await refusal { try await bench.leaseJob("b") } == gone)
        #expect(try await refusal { try await bench.pause(.tenant(Bench.tenant)) } == gone)
        #expect(try await refusal {
            _ = try await bench.shard.run(Import(tenant: Bench.tenant, id: JobID("i"), taskGroup: "g"))
        } == gone)
        #expect(try await bench.dropHolders() == 0)
        #expect(try await bench.drain(5) == [])
        try await bench.enqueue("x", tenant: Self.other)
        #expect(try await bench.drain(5) == ["x"])
        #expect(bench.violations == [])
        try await bench.finish()
    }

    @Test("a drop that a crash broke off goes on")
    func crash() async throws {
        var bench = try await Bench.open { tiny(&$0) }
        try await fill(bench, Bench.tenant)
        _ = try await bench.lease(1)
        _ = try await bench.shard.run(DropTenant(tenant: Bench.tenant))
        bench = try await bench.crash()
        #expect(bench.shard.counts.total == 0)
        #expect(bench.shard.counts.leases == 0)
        #expect(bench.shard.drop(of: Bench.tenant)?.jobs == 9)
        #expect(try await refusal { try await bench.enqueue("c") } == .tenantBeingDropped(Bench.tenant))
        try await bench.settle()
        try await bench.pass(1 << 30)
        #expect(bench.violations == [])
        // In single steps, with a crash between any two of them.
        var places: [Bytes] = []
        while try await !bench.shard.run(DropStep(tenant: Bench.tenant)).isDone {
            let before = try #require(bench.shard.drop(of: Bench.tenant))
            bench = try await bench.crash()
            #expect(bench.shard.drop(of: Bench.tenant) == before, "it goes on where it was, and walks over nothing twice")
            places.append(before.next)
            #expect(bench.violations == [])
        }
        #expect(places.count > 10 && Set(places).count == places.count)
        #expect(bench.tenantRows == [])
        try await bench.enqueue("a")
        #expect(try await bench.drain(5) == ["a"])
        try await bench.finish()
    }

    @Test("a tenant that has nothing can be dropped; a finished one of many jobs goes in steps")
    func sizes() async throws {
        let bench = try await Bench.kept()
        #expect(try await bench.shard.run(DropTenant(tenant: Bench.tenant)).jobs == 0)
        try await bench.keepHouse()
        #expect(bench.tenantRows == [])
        for index in 0..<1500 { try await bench.enqueue("j\(index)") }
        for task in try await bench.lease(700) { try await bench.report(task, .success(result: [])) }
        #expect(try await bench.shard.run(DropTenant(tenant: Bench.tenant)).jobs == 1500)
        try await bench.keepHouse()
        #expect(bench.tenantRows == [])
        try await bench.finish()
    }
}

/// What of a key can be read.
private struct KeyText {
    let text: String
    init(of key: Bytes) { text = String(decoding: key, as: UTF8.self) }
    func contains(_ part: String) -> Bool { text.contains(part) }
}
