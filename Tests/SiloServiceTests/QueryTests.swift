import SiloAPI
import SiloCore
import SiloQuery
import SiloStore
import SiloTesting
import Testing

@testable import SiloService

/// `Query` as an operation: its shards, its tenant, its refusals.
@Suite(.timeLimit(.minutes(10))) struct QueryTests {
    private func ask(
        _ service: Service, _ sql: String, shard: String? = nil, tenant: String? = nil, _ parameters: [SiloV1.QueryParameter] = []
    ) async throws -> SiloV1.QueryResponse {
        var request = SiloV1.QueryRequest()
        request.shard = shard ?? service.shard
        request.sql = sql
        request.tenant = tenant
        request.parameters = parameters
        return try await awaitAnswer(service.operations.queries.query, request, service.context)
    }

    private func refusal(_ service: Service, _ sql: String, shard: String? = nil) async throws -> SiloError? {
        do {
            _ = try await ask(service, sql, shard: shard)
            return nil
        } catch let error as SiloError {
            return error
        }
    }

    @Test func aStatementWithoutAShardAsksAllOfThem() async throws {
        let service = try await Service(shards: 4, tenancy: true)
        for tenant in ["a", "b", "c", "d", "e", "f"] {
            let shard = try #require(service.shard(of: tenant))
            _ = try await awaitAnswer(service.operations.jobs.enqueue, .job("j", in: shard, tenant: tenant), service.context)
        }
        let all = try await ask(service, "SELECT tenant FROM jobs WHERE priority = 0", shard: "")
        #expect(all.rowCount == 6)
        #expect(all.columns.map(\.dataType) == ["Utf8"])
        #expect(try await ask(service, "SELECT id FROM jobs", shard: "", tenant: "c").rowCount == 1)
        try await service.close()
    }

    @Test func aShardThatDoesNotServeFailsTheStatement() async throws {
        let service = try await Service(shards: 2)
        service.hosts[1].become(.opening("its log is replayed"))
        let id = service.hosts[1].id
        #expect(
            try await refusal(service, "SELECT 1", shard: "")
                == .unavailable("shard \(id) does not answer: its log is replayed"))
        #expect(try await refusal(service, "SELECT 1", shard: "\(id)") == .shardNotReady("its log is replayed"))
        #expect(try await refusal(service, "SELECT 1") == nil)
        // A plan is made without looking at any.
        #expect(try await refusal(service, "EXPLAIN SELECT * FROM jobs", shard: "") == nil)
        try await service.close()
    }

    @Test func aPartialResultNamesWhatIsMissing() async throws {
        let service = try await Service(shards: 3, tenancy: true)
        for tenant in ["a", "b", "c", "d", "e", "f"] {
            let shard = try #require(service.shard(of: tenant))
            _ = try await awaitAnswer(service.operations.jobs.enqueue, .job("j", in: shard, tenant: tenant), service.context)
        }
        var request = SiloV1.QueryRequest()
        request.sql = "SELECT tenant FROM jobs"
        request.allowPartial = true
        let whole = try await awaitAnswer(service.operations.queries.query, request, service.context)
        #expect(whole.rowCount == 6 && whole.missingShards.isEmpty)
        let lost = service.hosts[1]
        let own = try await ask(service, "SELECT id FROM jobs", shard: "\(lost.id)").rowCount
        lost.become(.opening("its log is replayed"))
        let partial = try await awaitAnswer(service.operations.queries.query, request, service.context)
        #expect(partial.rowCount == 6 - own)
        #expect(partial.missingShards.map(\.shardId) == ["\(lost.id)"])
        #expect(partial.missingShards.map(\.reason) == ["its log is replayed"])
        // A tenant's statement asks only the shard that has it.
        let tenant = try #require(["a", "b", "c", "d", "e", "f"].first { service.shard(of: $0) != "\(lost.id)" })
        #expect(try await ask(service, "SELECT id FROM jobs", shard: "", tenant: tenant).rowCount == 1)
        try await service.close()
    }

    @Test func aBoundCallerSeesItsOwn() async throws {
        let service = try await Service(shards: 2, tenancy: true)
        for tenant in ["a", "b", "c"] {
            let shard = try #require(service.shard(of: tenant))
            _ = try await awaitAnswer(service.operations.jobs.enqueue, .job("j", in: shard, tenant: tenant), service.context)
        }
        func seen(_ tenants: Set<Tenant>?, groups: Set<TaskGroup>? = nil, asking tenant: String? = nil) async throws -> Int32 {
            let caller = Caller(name: "ci", proof: .token, roles: .all, tenants: tenants, groups: groups)
            var request = SiloV1.QueryRequest()
            request.sql = "SELECT tenant FROM jobs"
            request.tenant = tenant
            return try await awaitAnswer(service.operations.queries.query, request, RequestContext(caller: caller)).rowCount
        }
        #expect(try await seen(nil) == 3)
        #expect(try await seen([Tenant("a"), Tenant("c"), Tenant("none")]) == 2)
        #expect(try await seen([Tenant("a"), Tenant("c")], asking: "c") == 1)
        #expect(try await seen([]) == 0)
        await #expect(throws: SiloError.denied("token 'ci' may not touch tenant 'b'")) {
            _ = try await seen([Tenant("a")], asking: "b")
        }
        await #expect(throws: SiloError.denied("token 'ci' may not do this: it is bound to some task groups")) {
            _ = try await seen(nil, groups: [TaskGroup("g")])
        }
        try await service.close()
    }

    @Test func statementsEndWhenTheServerDoes() async throws {
        let service = try await Service()
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
        async let ended = refusal(service, endless)
        service.operations.queries.close()
        #expect(try await ended == .unavailable("the server is shutting down"))
        #expect(try await refusal(service, "SELECT 1") == .unavailable("the server is shutting down"))
        try await service.close()
    }

    @Test func whatIsWrongIsSaid() async throws {
        let service = try await Service()
        #expect(try await refusal(service, "SELECT 1", shard: "x") == .invalidArgument("invalid shard ID: x"))
        #expect(try await refusal(service, "SELECT 1", shard: "99999999-9999-9999-9999-999999999999") == .notOwner(hint: nil))
        #expect(try await refusal(service, "SELECT nope FROM jobs") == .invalidArgument("SQL error: there is no column nope"))
        await #expect(throws: SiloError.invalidArgument("query parameter is missing a value")) {
            _ = try await ask(service, "SELECT $1", [SiloV1.QueryParameter()])
        }
        try await service.close()
    }

    @Test func aTenantWithoutTenancyRestrictsNothing() async throws {
        let service = try await Service()
        _ = try await awaitAnswer(service.operations.jobs.enqueue, .job("j", in: service.shard), service.context)
        #expect(try await ask(service, "SELECT id FROM jobs", tenant: "acme").rowCount == 1)
        try await service.close()
    }

    @Test func aShardHasSoManyStatementsAtOnce() throws {
        let admission = Admission(most: 2)
        let (one, other) = (ShardID(UUID.random(from: SeededRandom(seed: 1))), ShardID(UUID.random(from: SeededRandom(seed: 2))))
        let control = StatementControl(timeoutMilliseconds: 0, clock: ManualClock())
        let first = try admission.enter([one], control)
        _ = try admission.enter([one, other], control)
        #expect(throws: SiloError.self) { _ = try admission.enter([other, one], control) }
        // Who was refused holds nothing.
        _ = try admission.enter([other], control)
        admission.leave(first)
        _ = try admission.enter([one], control)
    }
}
