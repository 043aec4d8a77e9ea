import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

@Suite struct LifeCycle {
    @Test func aJobIsLeasedOnceAndSucceeds() async throws {
        let store = MemoryStore()
        let clock = ManualClock()
        let shard = try await Shard.open(store, clock: clock, random: SeededRandom(seed: 1))
        let tenant = Tenant("a")
        let id = try await shard.run(Enqueue(tenant: tenant, payload: [1, 2, 3], taskGroup: "default"))
        let leased = try await shard.lease(Lease(worker: "w", group: "default", taskCountMax: 10))
        #expect(leased.map(\.job.id) == [id.text])
        #expect(try await shard.lease(Lease(worker: "w", group: "default", taskCountMax: 10)).isEmpty)
        try await shard.run(ReportOutcome(tenant: tenant, task: leased[0].id, outcome: .success(result: [9])))
        #expect(shard.counts.total == 1)
        let audit = ShardAudit(try await store.scan(from: [0], to: [0xff], limit: .max))
        #expect(audit.violations == [])
        try await shard.close()
    }
}
