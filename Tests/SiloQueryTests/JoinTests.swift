import SQLText
import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

@testable import SiloQuery
@testable import SiloWeb

/// A table that is joined is read once, though it has more rows than are kept.
@Suite(.timeLimit(.minutes(10))) struct JoinTests {
    private static let leases = 4200
    private static let tenants = ["a", "b"]

    /// Of each tenant: so many leases, of which ten hold a slot.
    private static func fixture() async throws -> Fixture {
        let fixture = try await Fixture()
        var slots = StorageV1.ConcurrencyLimit()
        slots.key = "gate"
        slots.maxConcurrency = 10
        var gate = StorageV1.Limit()
        gate.kind = .concurrency(slots)
        for tenant in tenants {
            for number in 0..<leases {
                try await fixture.enqueue("j\(number)", tenant: Tenant(tenant), limits: number < 10 ? [gate] : [])
            }
        }
        for _ in 0..<leases / 25 { _ = try await fixture.shard.lease(Lease(worker: "w", group: "g", taskCountMax: 100)) }
        return fixture
    }

    private static let who = """
        SELECT l.job_id, l.worker_id, l.started_at_ms FROM queues q
        LEFT JOIN (SELECT task_id, job_id, worker_id, started_at_ms FROM leases WHERE tenant = 'a') l ON l.task_id = q.task_id
        WHERE q.tenant = 'a' AND q.queue_name = 'gate' AND q.entry_type = 'holder'
        """

    @Test func whoHoldsALimitTakesOneReadingOfTheLeases() async throws {
        let fixture = try await Self.fixture()
        #expect(try await fixture.rows("SELECT COUNT(*) AS n FROM leases") == ["\(2 * Self.leases)"])
        let common = try #require(CommonQuestion.all.first { $0.name == "holders" }).sql
        // Holders are found among the leases too.
        for (sql, parameters, rows, readings) in [
            (LimitPage.holdersStatement, [.text("a"), .text("gate")], 10, 2), (Self.who, [], 10, 2),
            (common, [.text("gate")], 20, 4),
        ] as [(String, [Parameter], Int, Int)] {
            let found = try await fixture.query(sql, parameters)
            #expect(found.rows.count == rows && !found.texts.contains { $0.contains("nil") }, "\(sql)")
            #expect(found.scanned < readings * Self.leases + 100, "\(found.scanned) rows: \(sql)")
        }
    }
}
