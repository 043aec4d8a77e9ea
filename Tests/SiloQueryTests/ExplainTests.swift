import Protobuf
import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

@testable import SiloQuery

/// A view of which nothing may be read.
private struct ClosedReader: StoreReader {
    func get(_ key: Bytes) async throws(StoreError) -> Bytes? { throw .corrupt("something was looked up") }

    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        throw .corrupt("something was scanned")
    }
}

/// A plan tells nothing of the rows that there are, and asks nothing of them: so it cannot tell of those of others, neither by
/// what it says nor by the time that it takes.
@Suite(.timeLimit(.minutes(10))) struct ExplainTests {
    private static let statements =
        ["jobs", "tasks", "queues", "tenant_counts", "queue_counts", "attempts", "limits", "leases", "shards"].flatMap { table in
            ["SELECT * FROM \(table)", "SELECT COUNT(*) FROM \(table)"]
        } + [
            "SELECT id FROM jobs WHERE tenant = 'other' AND status_kind = 'Failed' ORDER BY status_changed_at_ms DESC LIMIT 5",
            "SELECT tenant, COUNT(*) FROM jobs GROUP BY tenant ORDER BY 2 DESC",
            "SELECT a.id FROM jobs a JOIN jobs b ON a.id = b.id JOIN tasks t ON t.job_id = a.id WHERE b.tenant = 'other'",
            "SELECT id FROM jobs WHERE id IN (SELECT job_id FROM attempts WHERE tenant = 'other')",
            "SELECT id FROM jobs WHERE metadata['k'] = 'v' OR priority > (SELECT AVG(priority) FROM jobs)",
        ]

    private func plan(_ sql: String, _ fixture: Fixture, _ reader: any StoreReader) async throws -> (texts: [String], read: Int) {
        let shard = QueriedShard(id: fixture.id, range: .all, reader: reader, moment: fixture.shard.moment)
        let query = Query("EXPLAIN \(sql)", tenants: [Tenant("own")], of: [shard], now: fixture.clock.now)
        let result = try await query.run(QueryLimits(), StatementControl(timeoutMilliseconds: 0, clock: SystemClock()))
        return (result.texts, result.scanned + result.lookedUp)
    }

    @Test(arguments: statements) func aPlanReadsNothingAndIsTheSameWhateverOthersHave(_ sql: String) async throws {
        let fixture = try await Fixture()
        try await fixture.enqueue("a", tenant: Tenant("own"))
        let before = try await plan(sql, fixture, try await fixture.shard.snapshot())
        for number in 0..<200 {
            try await fixture.enqueue("\(number)", tenant: Tenant("other"), after: 1 << 40, metadata: ["k": "v"])
        }
        let after = try await plan(sql, fixture, try await fixture.shard.snapshot())
        #expect(before.texts == after.texts && before.texts.count == 2)
        #expect((before.read, after.read) == (0, 0))
        #expect(try await plan(sql, fixture, ClosedReader()).texts == before.texts)
    }
}
