import SiloAPI
import SiloCore
import SiloEngine
import SiloQuery
import SiloStore
import SiloTesting
import Testing

@testable import SiloService

/// Bulk actions as operations, over shards of which some do not do as they are told.
@Suite(.timeLimit(.minutes(10))) struct BulkTests {
    private static let id = UUID(high: 1, low: 2).text

    private func start(
        _ service: Service, _ id: String = Self.id, shard: String = "", dryRun: Bool = false, condition: String = "true"
    ) async throws -> SiloV1.StartBulkActionResponse {
        var request = SiloV1.StartBulkActionRequest()
        request.id = id
        request.kind = .cancel
        request.condition = condition
        request.shard = shard
        request.dryRun = dryRun
        return try await service.operations.bulk.startBulkAction(request, service.context)
    }

    private func action(_ service: Service, _ id: String = Self.id) async throws -> SiloV1.BulkAction {
        var request = SiloV1.GetBulkActionRequest()
        request.id = id
        return try await service.operations.bulk.getBulkAction(request, service.context).action ?? SiloV1.BulkAction()
    }

    private func stop(_ service: Service, _ id: String = Self.id) async throws -> SiloV1.BulkAction {
        var request = SiloV1.CancelBulkActionRequest()
        request.id = id
        return try await service.operations.bulk.cancelBulkAction(request, service.context).action ?? SiloV1.BulkAction()
    }

    /// Two shards, of which the second has as many actions as it may. They have nobody who finds jobs, so that actions stay.
    private func withFullShard() async throws -> Service {
        let service = try await Service(shards: 2)
        for number in UInt64(1)...4 {
            _ = try await start(service, UUID(high: 7, low: number).text, shard: service.hosts[1].id.description)
        }
        return service
    }

    @Test("what was begun before goes on when a repeated start is refused by another shard")
    func repeated() async throws {
        let service = try await withFullShard()
        #expect(try await start(service, shard: service.shard).action?.state == .running)
        await #expect(throws: SiloError.self) { _ = try await start(service) }
        #expect(try await action(service).state == .running)
        try await service.close()
    }

    @Test("what begins with a start that another shard refuses is stopped")
    func refused() async throws {
        let service = try await withFullShard()
        await #expect(throws: SiloError.self) { _ = try await start(service) }
        #expect(try await action(service).state == .stopped)
        try await service.close()
    }

    @Test("a shard that does not serve is named, and the others are looked at and stopped")
    func missing() async throws {
        let service = try await Service(shards: 2)
        _ = try await start(service)
        let away = service.hosts[1]
        let serving = away.current
        away.become(.opening("it is opened"))
        let seen = try await action(service)
        #expect((seen.state, seen.shards.count, seen.missingShards) == (.running, 1, [away.id.description]))
        let listed = try await service.operations.bulk.listBulkActions(SiloV1.ListBulkActionsRequest(), service.context)
        #expect((listed.actions.map(\.id), listed.missingShards) == ([Self.id], [away.id.description]))
        await #expect(throws: SiloError.shardNotReady("it is opened"), "it may be known there") {
            _ = try await action(service, UUID(high: 9, low: 9).text)
        }
        let stopped = try await stop(service)
        #expect((stopped.state, stopped.missingShards) == (.stopped, [away.id.description]))
        away.become(serving)
        #expect(try await stop(service).shards.map(\.state) == [.stopped, .stopped])
        #expect(try await action(service).missingShards == [])
        try await service.close()
    }

    @Test("dry runs are ended with all statements, and none begins after that")
    func closed() async throws {
        let service = try await Service(shards: 2)
        #expect(try await start(service, dryRun: true).plan?.jobs == 0)
        service.operations.queries.close()
        await #expect(throws: SiloError.closing) { _ = try await start(service, dryRun: true) }
        try await service.close()
    }

    @Test("a dry run that comes upon a job that cannot be read names it, and the action may begin")
    func damaged() async throws {
        let service = try await Service()
        for id in ["x", "y"] {
            _ = try await awaitAnswer(service.operations.jobs.enqueue, .job(id, in: service.shard), service.context)
        }
        guard case .serving(_, let store) = service.hosts[0].current else { throw SiloError.closing }
        try await store.write([Write(key: TenantKeys(Tenant("-")).job(JobID("y")), value: [0xff])])
        let plan = try #require(try await start(service, dryRun: true, condition: "priority >= 0").plan)
        #expect(plan.isUncounted && plan.uncountedBecause.hasPrefix("job y of tenant - cannot be read; NOT (tenant = '-' AND"))
        #expect(try await start(service, condition: "priority >= 0").action?.state == .running)
        try await service.close()
    }

    @Test("a dry run of several tenants asks for all of them at once, and of nobody else")
    func tenants() async throws {
        let service = try await Service(shards: 2, tenancy: true)
        for tenant in ["a", "b", "c"] {
            let shard = try #require(service.shard(of: tenant))
            for id in ["x", "y"] {
                _ = try await awaitAnswer(service.operations.jobs.enqueue, .job(id, in: shard, tenant: tenant), service.context)
            }
        }
        let plan = try await BulkDryRunFixture.plan(service, of: ["a", "c"])
        #expect((plan.jobs, plan.isUncounted) == (4, false))
        #expect(Set(plan.sample.map { "\($0.tenant ?? "")/\($0.id)" }) == ["a/x", "a/y", "c/x", "c/y"])
        #expect(plan.statuses.map(\.jobs) == [4])
        try await service.close()
    }
}

/// What callers see who are bound to tenants.
private enum BulkDryRunFixture {
    static func plan(_ service: Service, of tenants: [String]) async throws -> SiloV1.BulkPlan {
        var request = SiloV1.StartBulkActionRequest()
        request.kind = .cancel
        request.condition = "true"
        let dryRun = BulkDryRun(
            request: try BulkRequest(request, random: SeededRandom(seed: 1)), scope: .these(tenants.map { Tenant($0) }),
            shards: service.hosts.map { service.operations.queries.queried($0) }, limits: QueryLimits(), clock: SystemClock(),
            tenancy: Tenancy(isEnabled: true))
        return try await dryRun.plan(StatementControl(timeoutMilliseconds: 0, clock: SystemClock()))
    }
}
