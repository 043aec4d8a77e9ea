import SiloCore
import SiloEngine
import SiloTesting
import Testing

@testable import SiloQuery

/// Conditions of which one of several must hold lose no rows, wherever SQLite puts them.
@Suite(.timeLimit(.minutes(10))) struct AlternativeTests {
    /// Jobs of which some have the tenant, some the task group, some both and some neither.
    private func mixed() async throws -> Fixture {
        let fixture = try await Fixture()
        for (tenant, group) in [("a", "g1"), ("a", "g2"), ("b", "g1"), ("c", "g1"), ("c", "g3")] {
            for job in ["x", "y"] { try await fixture.enqueue(job + group, tenant: Tenant(tenant), group: group) }
        }
        return fixture
    }

    @Test func havingOnGroupsHasAllOfThem() async throws {
        let fixture = try await mixed()
        let sql =
            "SELECT tenant, task_group, MAX(id) AS last FROM jobs GROUP BY tenant, task_group "
            + "HAVING tenant = 'a' OR task_group = 'g1' ORDER BY 1, 2"
        #expect(try await fixture.rows(sql) == ["a|g1|yg1", "a|g2|yg2", "b|g1|yg1", "c|g1|yg1"])
    }

    @Test func aTruthValueOfAnInnerSelectIsACondition() async throws {
        let fixture = try await mixed()
        let inner = "SELECT tenant, id, (tenant = 'a' OR task_group = 'g1') AS f FROM jobs"
        let sql = "SELECT tenant, id FROM (\(inner)) AS x WHERE f ORDER BY 1, 2"
        #expect(try await fixture.rows(sql) == ["a|xg1", "a|xg2", "a|yg1", "a|yg2", "b|xg1", "b|yg1", "c|xg1", "c|yg1"])
    }

    @Test func statusesOfTwoTablesStayWithTheirs() async throws {
        let fixture = try await Fixture.states()
        let pairs = "SELECT COUNT(*) AS n FROM jobs a CROSS JOIN jobs b WHERE "
        // One of six has failed, two wait: six pairs, and twelve, and two that are both.
        #expect(try await fixture.rows(pairs + "a.status_kind = 'Failed' OR b.status_kind = 'Waiting'") == ["16"])
        #expect(try await fixture.rows(pairs + "a.status_kind = 'Failed' OR a.status_kind = 'Waiting' AND b.id <> ''") == ["18"])
    }

    @Test func anAliasIsCountedWhereItIsNotNull() async throws {
        let fixture = try await Fixture.states()
        let counts = "SELECT nullif(status_kind, 'Failed') AS s, COUNT(s) AS n FROM jobs GROUP BY status_kind ORDER BY 2, 1"
        #expect(try await fixture.rows(counts) == ["nil|0", "Running|1", "Scheduled|1", "Succeeded|1", "Waiting|2"])
        let tallied =
            "SELECT nullif(status_kind, 'Failed') AS s, COUNT(s) AS n, MAX(priority) AS p FROM jobs "
            + "GROUP BY status_kind ORDER BY 2"
        #expect(try await fixture.rows(tallied).first == "nil|0|50")
        // Columns that are never NULL are counted without looking at a job.
        let known = try Compiler.compile("SELECT COUNT(status_kind) AS n FROM jobs", [], tables: ["jobs": JobsTable.columns])
        #expect(known.sql.contains(quoted(Rollup.table)))
    }

    @Test func innerSelectsNameWhatIsGroupedBy() async throws {
        let fixture = try await Fixture.tenants()
        let sql =
            "SELECT tenant, (SELECT COUNT(*) FROM tasks t WHERE t.tenant = j.tenant) AS n FROM jobs j GROUP BY tenant ORDER BY 1"
        #expect(try await fixture.rows(sql) == ["acme|3", "beta|2"])
        let other = "SELECT tenant, (SELECT COUNT(*) FROM tasks t WHERE t.job_id = j.id) AS n FROM jobs j GROUP BY tenant"
        #expect(try await fixture.refusal(other) == .syntax("column id is neither grouped by nor in an aggregate"))
    }
}
