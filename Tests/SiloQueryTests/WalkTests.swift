import Protobuf
import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

@testable import SiloQuery

/// Walks over jobs: in the order of their keys, in parts of any size, each job once.
@Suite(.timeLimit(.minutes(10))) struct WalkTests {
    private func walk(
        _ fixture: Fixture, _ condition: String, tenants: [Tenant]? = nil, from: Bytes? = nil, rowsMax: Int = 1000,
        _ limits: QueryLimits = QueryLimits()
    ) async throws -> WalkedJobs {
        let all = Slice.rows(of: Slice.all[0]...Slice.all[Slice.count - 1])
        let shard = QueriedShard(
            id: fixture.id, range: .all, reader: try await fixture.shard.snapshot(), moment: fixture.shard.moment)
        let part = JobWalk(tenants: tenants, from: from ?? all.start, to: all.end, rowsMax: rowsMax)
        return try await Query(where: condition, part, of: shard, now: fixture.clock.now)
            .walked(limits, StatementControl(timeoutMilliseconds: 0, clock: SystemClock()))
    }

    /// Every part of a walk, as `tenant/id`, and how many jobs were looked at.
    private func whole(
        _ fixture: Fixture, _ condition: String, tenants: [Tenant]? = nil, rowsMax: Int
    ) async throws -> (jobs: [String], rows: Int) {
        var jobs: [String] = []
        var rows = 0
        var next: Bytes?
        repeat {
            let part = try await walk(fixture, condition, tenants: tenants, from: next, rowsMax: rowsMax)
            #expect(part.rows <= rowsMax)
            #expect(part.jobs.allSatisfy { $0.row >= 1 && $0.row <= part.rows })
            jobs += part.jobs.map { "\($0.tenant)/\($0.id)" }
            rows += part.rows
            next = part.next
        } while next != nil
        return (jobs, rows)
    }

    private static let tenants = ["a", "b", "c"].map { Tenant($0) }

    private func filled() async throws -> Fixture {
        let fixture = try await Fixture()
        for tenant in Self.tenants {
            for number in 0..<7 {
                try await fixture.enqueue(
                    "\(number)", tenant: tenant, priority: UInt32(number), metadata: ["k": number % 2 == 0 ? "even" : "odd"])
            }
            try await fixture.finish("failed", tenant: tenant, Fixture.failure)
            try await fixture.enqueue("later", tenant: tenant, after: 1 << 40)
        }
        return fixture
    }

    @Test("a walk in parts finds what it finds whole", arguments: [1, 2, 5, 1000])
    func parts(rowsMax: Int) async throws {
        let fixture = try await filled()
        let all = try await whole(fixture, "true", rowsMax: rowsMax)
        #expect(all.rows == 27)
        #expect(all.jobs.count == 27)
        #expect(Set(all.jobs).count == 27)
        let keys = all.jobs.map { name in
            let parts = name.split(separator: "/").map(String.init)
            return TenantKeys(Tenant(parts[0])).job(JobID(parts[1]))
        }
        #expect(zip(keys, keys.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) })
        let failed = try await whole(fixture, "status_kind = 'Failed'", rowsMax: rowsMax)
        #expect((failed.jobs.sorted(), failed.rows) == (["a/failed", "b/failed", "c/failed"], 27))
        let either = try await whole(fixture, "status_kind IN ('Failed', 'Scheduled') OR priority = 3", rowsMax: rowsMax)
        #expect(either.jobs.count == 9)
    }

    @Test("conditions on tenant, id and metadata look at no other jobs", arguments: [1, 3, 1000])
    func narrow(rowsMax: Int) async throws {
        let fixture = try await filled()
        let own = try await whole(fixture, "tenant = 'b' AND priority < 3", rowsMax: rowsMax)
        #expect((own.jobs, own.rows) == (["b/0", "b/1", "b/2"], 9))
        let named = try await whole(fixture, "tenant IN ('c', 'a') AND id IN ('5', '2', 'none')", rowsMax: rowsMax)
        #expect((named.jobs.sorted(), named.rows) == (["a/2", "a/5", "c/2", "c/5"], 6))
        let ids = try await whole(fixture, "id = '4' AND status_kind = 'Waiting'", rowsMax: rowsMax)
        #expect((ids.jobs.sorted(), ids.rows) == (["a/4", "b/4", "c/4"], 3))
        let even = try await whole(fixture, "metadata['k'] = 'even' AND priority > 2", rowsMax: rowsMax)
        #expect((even.jobs.sorted(), even.rows) == (["a/4", "a/6", "b/4", "b/6", "c/4", "c/6"], 12))
        let none = try await whole(fixture, "tenant = 'a' AND tenant = 'b'", rowsMax: rowsMax)
        #expect((none.jobs, none.rows) == ([], 0))
    }

    @Test("whatever the condition says, only the tenants of the walk are looked at")
    func tenants() async throws {
        let fixture = try await filled()
        let own = [Tenant("c"), Tenant("a")]
        for condition in ["true", "tenant = 'b' OR true", "id <> ''", "NOT (tenant = 'a')", "1=1) OR (1=1"] {
            guard let found = try? await whole(fixture, condition, tenants: own, rowsMax: 4) else { continue }
            #expect(found.jobs.allSatisfy { !$0.hasPrefix("b") })
        }
        #expect(try await whole(fixture, "tenant = 'b'", tenants: own, rowsMax: 4).rows == 0)
        #expect(try await whole(fixture, "id = '1'", tenants: own, rowsMax: 4).jobs.sorted() == ["a/1", "c/1"])
    }

    @Test("the stamp is the job's own, and another once it has changed")
    func stamps() async throws {
        let fixture = try await Fixture()
        try await fixture.enqueue("j", retries: 1)
        func stamp() async throws -> JobStamp? { try await walk(fixture, "id = 'j'").jobs.first?.stamp }
        var seen = [try #require(try await stamp())]
        #expect(try await stamp() == seen[0])
        let task = try #require(try await fixture.lease())
        seen.append(try #require(try await stamp()))
        _ = try await fixture.shard.run(Heartbeat(tenant: Fixture.tenant, task: task.id, worker: "w"))
        #expect(try await stamp() == seen[1], "renewing a lease changes nothing that a condition could say")
        try await fixture.shard.run(ReportOutcome(tenant: Fixture.tenant, task: task.id, outcome: Fixture.failure))
        seen.append(try #require(try await stamp()))
        try await fixture.shard.run(Cancel(tenant: Fixture.tenant, id: JobID("j")))
        seen.append(try #require(try await stamp()))
        for (index, one) in seen.enumerated() { #expect(!seen[..<index].contains(one)) }
    }

    @Test(
        "what is no condition is refused",
        arguments: [
            "", "status_kind =", "true; true", "true) OR (true", "id IN (SELECT job_id FROM tasks)", "EXISTS (SELECT 1)",
            "COUNT(*) > 1", "id = $1", "true UNION SELECT 1", "true ORDER BY id", "ROW_NUMBER() OVER () = 1", "true LIMIT 1",
        ])
    func refused(condition: String) {
        #expect(throws: QueryError.self) { try Condition.check(condition) }
    }

    @Test(
        "what is one is taken", arguments: ["status_kind = 'Failed'", "true -- all", "id LIKE 'a%' /* some */", "\"id\" <> 'x'"])
    func taken(condition: String) async throws {
        try Condition.check(condition)
        let fixture = try await filled()
        _ = try await whole(fixture, condition, rowsMax: 10)
    }

    @Test("a walk by id or metadata holds the tenants of one slice at once", arguments: ["id = 'j'", "metadata['k'] = 'v'"])
    func held(condition: String) async throws {
        let fixture = try await Fixture()
        for number in 0..<60 { try await fixture.enqueue("j", tenant: Tenant("tenant \(number)"), metadata: ["k": "v"]) }
        var limits = QueryLimits()
        limits.heldBytesMax = 2000
        #expect(try await walk(fixture, condition, limits).jobs.count == 60)
    }

    @Test("tenants without a match are passed over in parts as well", arguments: [1, 7])
    func empty(rowsMax: Int) async throws {
        let fixture = try await Fixture()
        for number in 0..<20 {
            try await fixture.enqueue("j", tenant: Tenant("tenant \(number)"), metadata: ["k": number == 11 ? "v" : "w"])
        }
        let first = try await walk(fixture, "metadata['k'] = 'v'", rowsMax: rowsMax)
        #expect(first.next != nil)
        let all = try await whole(fixture, "metadata['k'] = 'v'", rowsMax: rowsMax)
        #expect((all.jobs, all.rows) == (["tenant 11/j"], 1))
    }

    @Test("a job whose rows cannot be read is told, and the walk goes on behind it", arguments: [1, 3, 1000])
    func damaged(rowsMax: Int) async throws {
        for (family, condition) in [(UInt8(0x40), "priority >= 0"), (0x41, "true"), (0x41, "status_kind <> 'Waiting'")] {
            let fixture = try await filled()
            let keys = TenantKeys(Tenant("b"))
            var key = keys.job(JobID("failed"))
            key[2] = family
            try await fixture.store.write([Write(key: key, value: [0xff, 0xff])])
            var jobs: [WalkedJobs.Job] = []
            var rows = 0
            var next: Bytes?
            repeat {
                let part = try await walk(fixture, condition, from: next, rowsMax: rowsMax)
                jobs += part.jobs
                rows += part.rows
                next = part.next
            } while next != nil
            #expect(rows == 27, "each was looked at once")
            #expect(jobs.filter { $0.stamp == nil }.map { "\($0.tenant)/\($0.id)" } == ["b/failed"], "\(condition)")
            #expect(Set(jobs.map { "\($0.tenant)/\($0.id)" }).count == jobs.count)
            #expect(jobs.count == (condition.hasPrefix("status") ? 6 : 27))
        }
    }

    @Test("a value that cannot be cast ends the walk with an error")
    func broken() async throws {
        let fixture = try await filled()
        await #expect(throws: QueryError.self) { _ = try await walk(fixture, "CAST(id AS INTEGER) > 1") }
    }
}
