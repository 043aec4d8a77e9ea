import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry
import SiloTesting
import Synchronization
import TestSupport
import Testing

@testable import SiloServer
@testable import SiloService

/// Stores in memory, which hang when they are told to.
private final class HangingStorage: NodeStorage {
    private let stores = Mutex<[String: FaultyStore]>([:])
    let changes = Signal()

    func open(_ name: String, mustExist: Bool) async throws -> any KeyValueStore {
        stores.withLock { stores in
            let store = FaultyStore(MemoryStore(), changes: changes)
            stores[name] = store
            return store
        }
    }

    func erase(_ name: String) async throws {}
    func activity(of name: String) async throws -> StoreActivity? { nil }
    func store(_ name: String) -> FaultyStore? { stores.withLock { $0[name] } }
}

@Suite(.timeLimit(.minutes(10))) struct NodeMetricsTests {
    private func lines(_ metrics: NodeMetrics) -> Set<String> {
        Set(String(decoding: metrics.registry.page().bytes, as: UTF8.self).split(separator: "\n").map(String.init))
    }

    @Test func aShardThatHangsShowsThatItDoes() async throws {
        let storage = HangingStorage()
        let clock = ManualClock()
        let environment = Environment(clock: clock, random: SeededRandom(seed: 1))
        var settings = NodeSettings(data: "memory:")
        settings.shardCount = 2
        settings.tenancy = true
        let metrics = NodeMetrics(settings, allocator: { [("allocated", 7)] })
        let core = try await NodeCore.open(
            in: storage, settings, address: "here:1", environment: environment, logger: .silent, events: { metrics.shard($0) })
        metrics.watch(core, in: environment) { 3 }
        let host = try #require(core.shards.hosts.first)
        let shard = try #require(host.shard)
        let store = try #require(storage.store(host.id.description))

        store.set { $0.holdFlushes = true }
        let done = Tally()
        shard.submit(Enqueue(tenant: Tenant("t"), taskGroup: "g")) { _ in done.add() }
        try await storage.changes.wait(for: "the flush to hang") { store.heldCount == 1 }
        clock.advance(milliseconds: 5000)
        let page = lines(metrics)
        #expect(page.contains("silo_shard_flush_age_seconds{shard=\"\(host.id)\"} 5"))
        #expect(page.contains("silo_requests_in_hand{shard=\"\(host.id)\"} 1"))
        #expect(page.contains("silo_jobs{shard=\"\(host.id)\",state=\"ready\",task_group=\"g\"} 1"))
        #expect(page.isSuperset(of: ["silo_shards_owned 2", "silo_coordination_shards_open 2", "silo_grpc_calls_running 3"]))
        #expect(page.contains("silo_tcmalloc_bytes{kind=\"allocated\"} 7"))

        store.set { $0.holdFlushes = false }
        try await done.until(1)
        #expect(lines(metrics).contains("silo_requests_in_hand{shard=\"\(host.id)\"} 0"))
        await core.close()
        #expect(lines(metrics).contains("silo_shard_serving{shard=\"\(host.id)\"} 0"))
    }

    @Test func whatATaskGroupCountedIsCountedWithTheOthersWhenItGivesItsPlaceAway() async throws {
        let clock = ManualClock()
        let environment = Environment(clock: clock, random: SeededRandom(seed: 1))
        var settings = NodeSettings(data: "memory:")
        settings.shardCount = 1
        settings.engine.measuredGroupsMax = 1
        let metrics = NodeMetrics(settings, allocator: nil)
        let core = try await NodeCore.open(
            in: HangingStorage(), settings, address: "here:1", environment: environment, logger: .silent,
            events: { metrics.shard($0) })
        metrics.watch(core, in: environment) { 0 }
        let host = try #require(core.shards.hosts.first)
        let shard = try #require(host.shard)
        func value(_ name: String, _ group: String) -> String? {
            let start = "\(name){shard=\"\(host.id)\",task_group=\"\(group)\"} "
            return lines(metrics).first { $0.hasPrefix(start) }.map { String($0.dropFirst(start.count)) }
        }
        let tenant = Tenant("t")
        _ = try await shard.run(Enqueue(tenant: tenant, taskGroup: "a"))
        let leased = try await shard.lease(Lease(worker: "w", group: "a", taskCountMax: 1))
        _ = try await shard.run(ReportOutcome(tenant: tenant, task: leased.tasks[0].id, outcome: .success(result: [])))
        shard.notePoll("a")
        shard.notePoll("b")
        _ = try await shard.run(Enqueue(tenant: tenant, taskGroup: "b"))
        #expect(value("silo_polls_total", "a") == "2" && value("silo_polls_total", "other") == "1")
        #expect(value("silo_jobs_dequeued_total", "a") == "1" && value("silo_job_run_time_seconds_count", "a") == "1")

        clock.advance(milliseconds: 600_000)
        _ = try await shard.run(Enqueue(tenant: tenant, taskGroup: "b"))
        #expect(value("silo_polls_total", "a") == nil && value("silo_polls_total", "other") == "3")
        #expect(value("silo_jobs_dequeued_total", "other") == "1" && value("silo_job_run_time_seconds_count", "other") == "1")
        #expect(value("silo_task_leases_active", "a") == nil && value("silo_task_leases_active", "b") == "0")
        _ = try await shard.lease(Lease(worker: "w", group: "b", taskCountMax: 2))
        shard.notePoll("a")
        #expect(value("silo_polls_total", "b") == "1" && value("silo_jobs_dequeued_total", "b") == "2")
        #expect(value("silo_polls_total", "other") == "4")
        await core.close()
    }

    @Test func aNodeSaysWhyItTakesNoCalls() async throws {
        let storage = HangingStorage()
        var settings = NodeSettings(data: "memory:")
        settings.shardCount = 2
        settings.tenancy = true
        let status = NodeStatus()
        #expect(status.reasonNotReady == "the shards are opened")
        let core = try await NodeCore.open(
            in: storage, settings, address: "here:1", environment: .system, logger: .silent)
        status.runs(core.shards)
        #expect(status.reasonNotReady == nil)
        await core.shards.hosts.first?.close()
        #expect(status.reasonNotReady == "1 of 2 shards are not open")
        status.drains()
        #expect(status.reasonNotReady == "the server is shutting down")
        await core.close()
    }
}
