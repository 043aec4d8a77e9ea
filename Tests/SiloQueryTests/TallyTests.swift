import SiloCore
import Testing

@testable import SiloQuery

/// Selects of groups and aggregates are answered from tallies of jobs, with what SQLite says that looks at each job.
@Suite(.timeLimit(.minutes(10))) struct TallyTests {
    /// Three tenants with jobs of each status, in two task groups, and with several priorities.
    private func mixed() async throws -> Fixture {
        let fixture = try await Fixture()
        for (number, tenant) in ["acme", "beta", "zero\0zero"].map({ Tenant($0) }).enumerated() {
            for job in 0..<(7 + number) {
                let group = job % 2 == 0 ? "mail" : "video"
                try await fixture.enqueue("w\(job)", tenant: tenant, priority: UInt32(job % 4), group: group)
            }
            try await fixture.enqueue("later", tenant: tenant, priority: 99, after: 60_000, group: "mail")
            try await fixture.finish("done", tenant: tenant, Fixture.success)
            try await fixture.finish("bad", tenant: tenant, Fixture.failure)
            try await fixture.finish("again", tenant: tenant, Fixture.failure, retries: 1)
            try await fixture.enqueue("run", tenant: tenant, group: "run")
            _ = try await fixture.lease(group: "run")
            try await fixture.pass(1000)
        }
        return fixture
    }

    private static let tallied: [String] = [
        "SELECT status_kind, task_group, MAX(status_changed_at_ms) AS last, COUNT(*) AS jobs FROM jobs "
            + "GROUP BY 1, 2 ORDER BY 1, 2",
        "SELECT status_kind, task_group, COUNT(*) AS jobs, SUM(priority) AS total FROM jobs GROUP BY 1, 2 ORDER BY 1, 2",
        "SELECT tenant, MIN(enqueue_time_ms) a, MAX(enqueue_time_ms) b, MIN(status_changed_at_ms) c FROM jobs "
            + "GROUP BY tenant ORDER BY 1",
        "SELECT COUNT(*) c, SUM(priority) s, AVG(priority) a, MIN(priority) lo, MAX(priority) hi FROM jobs",
        "SELECT COUNT(*) c, SUM(priority) s, AVG(priority) a, MIN(priority) lo, MAX(priority) hi FROM jobs "
            + "WHERE tenant = 'nobody'",
        "SELECT priority, COUNT(*) n FROM jobs GROUP BY priority HAVING COUNT(*) > 2 ORDER BY n DESC, 1",
        "SELECT priority FROM jobs WHERE tenant = 'acme' GROUP BY priority ORDER BY 1",
        "SELECT tenant, SUM(priority) FILTER (WHERE status_kind = 'Waiting') s, AVG(priority) FILTER (WHERE priority > 1) a "
            + "FROM jobs GROUP BY tenant ORDER BY 1",
        "SELECT upper(task_group) g, priority % 2 odd, COUNT(*) n, MAX(status_changed_at_ms) t FROM jobs "
            + "GROUP BY 1, 2 ORDER BY 1, 2",
        "SELECT COUNT(DISTINCT priority) p, COUNT(DISTINCT tenant) t, SUM(priority) s FROM jobs WHERE status_kind <> 'Running'",
        "SELECT j.tenant, MAX(j.priority) + MIN(j.priority) AS r FROM jobs j WHERE j.status_kind IN ('Waiting', 'Failed') "
            + "GROUP BY j.tenant ORDER BY r, 1",
        "SELECT status_kind, MAX(status_changed_at_ms) - MIN(status_changed_at_ms) AS spread, COUNT(*) n FROM jobs "
            + "WHERE priority < 3 AND task_group LIKE '%i%' GROUP BY status_kind ORDER BY 1",
        "SELECT status_kind, COUNT(*) n, MAX(enqueue_time_ms) t FROM jobs "
            + "WHERE status_kind = 'Scheduled' AND tenant = 'beta' GROUP BY 1",
    ]

    @Test(arguments: tallied) func sqliteSaysTheSameOfEachJob(_ sql: String) async throws {
        let fixture = try await mixed()
        let eachByEach = sql.replacing(" FROM jobs j ", with: " FROM (SELECT * FROM jobs) j ")
            .replacing(" FROM jobs", with: " FROM (SELECT * FROM jobs) jobs")
        let (own, other) = (try await fixture.query(sql), try await fixture.query(eachByEach))
        #expect(own.texts == other.texts)
        #expect(own.columns.map(\.type) == other.columns.map(\.type) && own.names == other.names)
        #expect(try isTallied(sql) && !isTallied(eachByEach))
        for tenant in ["acme", "zero\0zero"].map({ Tenant($0) }) {
            #expect(try await fixture.rows(sql, tenant: tenant) == (try await fixture.rows(eachByEach, tenant: tenant)))
        }
    }

    @Test(arguments: [
        "SELECT MAX(status_changed_at_ms) AS t FROM jobs WHERE tenant = 'acme' AND status_kind = 'Failed'",
        "SELECT task_group, SUM(enqueue_time_ms) AS t FROM jobs GROUP BY 1",
        "SELECT task_group, COUNT(payload) AS n FROM jobs GROUP BY 1",
        "SELECT task_group, MAX(priority) AS n FROM jobs WHERE id > 'a' GROUP BY 1",
        "SELECT MAX(priority) OVER (ORDER BY priority) AS n FROM jobs",
        "SELECT task_group, SUM(DISTINCT priority) AS n, MAX(id) AS i FROM jobs GROUP BY 1",
        "SELECT tenant, COUNT(*) AS n FROM jobs GROUP BY 1",
    ]) func othersAreNot(_ sql: String) throws {
        #expect(try !isTallied(sql))
    }

    @Test(arguments: ["silo_prioritySum", "silo_jobs", "\"silo_lastChange\""])
    func nobodyNamesWhatTheyHold(_ name: String) async throws {
        let fixture = try await Fixture()
        #expect(try await fixture.refusal("SELECT task_group, SUM(priority), MAX(\(name)) AS x FROM jobs GROUP BY 1") != nil)
        // As an alias it is what the statement says.
        try await fixture.enqueue("a", priority: 7)
        let sum = "SELECT task_group, SUM(priority) AS \(name) FROM jobs GROUP BY 1 HAVING \(name) > 5"
        #expect(try await fixture.rows(sum) == ["g|7"])
        let count = "SELECT task_group, COUNT(*) AS jobs FROM jobs GROUP BY 1 HAVING jobs = 1"
        #expect(try await fixture.rows(count) == ["g|1"])
    }

    private func isTallied(_ sql: String) throws -> Bool {
        let compiled = try Compiler.compile(sql, [], tables: ["jobs": JobsTable.columns])
        return compiled.sql.contains(quoted(Tally.table))
    }
}
