import Protobuf
import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

@testable import SiloQuery

/// The statements of spec/query.md 14 over its jobs, in its order.
@Suite(.timeLimit(.minutes(10))) struct StatementTests {
    private typealias Case = (sql: String, rows: [String])

    private func check(
        _ fixture: Fixture, _ cases: [Case], anyOrder: Bool = false, _ location: SourceLocation = #_sourceLocation
    ) async throws {
        for (sql, expected) in cases {
            do {
                let rows = try await fixture.rows(sql)
                #expect(anyOrder ? rows.sorted() == expected.sorted() : rows == expected, "\(sql)", sourceLocation: location)
            } catch {
                Issue.record("\(sql): \(error)", sourceLocation: location)
            }
        }
    }

    @Test func projection() async throws {
        let fixture = try await Fixture.orders()
        try await check(
            fixture,
            [
                ("SELECT id FROM jobs WHERE tenant='-' ORDER BY id", ["inv_a", "inv_b", "ord_a", "ord_b"]),
                ("SELECT priority, enqueue_time_ms FROM jobs WHERE tenant='-' AND id='inv_b'", ["50|0"]),
            ])
        let all = try await fixture.query("SELECT * FROM jobs WHERE tenant='-' AND id='ord_a'")
        #expect(all.rows.count == 1)
        #expect(all.names == JobsTable.columns.filter(\.isListed).map(\.name) && !all.names.contains("error_code"))
        let typed = try await fixture.query("SELECT id, shard_id, priority, payload FROM jobs")
        #expect(typed.columns.map(\.type.name) == ["Utf8", "Utf8", "UInt8", "Utf8"])
        #expect(typed.texts.allSatisfy { $0.contains(fixture.id.description) && $0.hasSuffix("{\"n\":5}") })
    }

    @Test func aFailedJobTellsItsErrorCode() async throws {
        let fixture = try await Fixture()
        try await fixture.finish("broken", Fixture.failure)
        try await fixture.finish("nameless", .failure(code: "", data: []))
        try await fixture.finish("retried", group: "r", Fixture.failure, retries: 1)
        try await fixture.finish("well", Fixture.success)
        try await fixture.enqueue("new")
        try await check(
            fixture,
            [
                ("SELECT id, error_code FROM jobs WHERE error_code IS NOT NULL ORDER BY id", ["broken|BROKEN", "nameless|"]),
                ("SELECT id FROM jobs WHERE error_code IS NULL ORDER BY id", ["new", "retried", "well"]),
                ("SELECT id FROM jobs WHERE error_code = 'BROKEN'", ["broken"]),
                ("SELECT id FROM jobs WHERE status_kind = 'Failed' AND error_code = 'BROKEN'", ["broken"]),
                ("SELECT id FROM jobs WHERE task_group = 'broken' AND error_code = 'BROKEN'", ["broken"]),
                (
                    "SELECT error_code, COUNT(*) FROM jobs WHERE status_kind = 'Failed' GROUP BY error_code ORDER BY 1",
                    ["|1", "BROKEN|1"]
                ),
                ("SELECT error_code FROM jobs WHERE tenant = '-' AND id = 'broken'", ["BROKEN"]),
                ("SELECT status_kind, COUNT(*) FROM jobs WHERE (error_code = 'BROKEN') GROUP BY status_kind", ["Failed|1"]),
            ])
    }

    @Test func metadataIsShownAsText() async throws {
        let fixture = try await Fixture.labelled()
        try await check(
            fixture,
            [
                ("SELECT id, metadata FROM jobs WHERE tenant='-' AND id='m1'", ["m1|{env: prod, region: us-east-1, team: core}"]),
                ("SELECT id, metadata FROM jobs WHERE tenant='-' AND id='m4'", ["m4|{}"]),
            ])
        let type = try await fixture.query("SELECT metadata FROM jobs").columns[0].type.name
        #expect(type.hasPrefix("Map(") && type.contains("Utf8"))
    }

    @Test func everyJobHasItsStatus() async throws {
        let fixture = try await Fixture.states()
        let later = fixture.clock.now.milliseconds + 3_600_000
        try await check(
            fixture,
            [
                (
                    "SELECT id, status_kind FROM jobs WHERE tenant='-' ORDER BY id",
                    [
                        "bad1|Failed", "done1|Succeeded", "later1|Scheduled", "run1|Running", "wait1|Waiting", "wait2|Waiting",
                    ]
                ),
                (
                    "SELECT id, status_kind, current_attempt, next_attempt_starts_after_ms FROM jobs "
                        + "WHERE tenant='-' AND id='later1'",
                    ["later1|Scheduled|1|\(later)"]
                ),
                (
                    "SELECT current_attempt, next_attempt_starts_after_ms FROM jobs WHERE tenant='-' AND id='done1'",
                    ["nil|nil"]
                ),
                ("SELECT id FROM jobs WHERE tenant='-' AND status_kind='Running'", ["run1"]),
                ("SELECT id FROM jobs WHERE tenant='-' AND status_kind='Waiting'", ["wait1", "wait2"]),
                ("SELECT id FROM jobs WHERE tenant='-' AND status_kind='Scheduled'", ["later1"]),
                ("SELECT id FROM jobs WHERE tenant='-' AND status_kind='Failed'", ["bad1"]),
                ("SELECT id FROM jobs WHERE tenant='-' AND status_kind='Succeeded'", ["done1"]),
                ("SELECT id FROM jobs WHERE tenant='-' AND status_kind='Running' AND id='run1'", ["run1"]),
                ("SELECT id FROM jobs WHERE tenant='-' AND current_attempt IS NULL ORDER BY id", ["bad1", "done1", "run1"]),
                ("SELECT id FROM jobs WHERE tenant='-' AND status_kind='Bogus'", []),
                ("SELECT id FROM jobs WHERE tenant='-' AND status_kind='Running' AND id LIKE 'run%'", ["run1"]),
                (
                    "SELECT id FROM jobs WHERE tenant='-' ORDER BY current_attempt, id",
                    ["later1", "wait1", "wait2", "bad1", "done1", "run1"]
                ),
                ("WITH f AS (SELECT id FROM jobs WHERE tenant='-' AND status_kind='Failed') SELECT COUNT(*) FROM f", ["1"]),
            ])
    }

    @Test func filters() async throws {
        let fixture = try await Fixture.orders()
        try await check(
            fixture,
            [
                ("SELECT id FROM jobs WHERE tenant='-' AND id='inv_a'", ["inv_a"]),
                ("SELECT id FROM jobs WHERE tenant='-' AND id='missing'", []),
                ("SELECT id FROM jobs WHERE id='ord_b' LIMIT 1", ["ord_b"]),
                (
                    "SELECT id FROM jobs WHERE tenant='-' AND priority >= 5 AND priority <= 10 ORDER BY id",
                    ["inv_a", "ord_a", "ord_b"]
                ),
                ("SELECT id FROM jobs WHERE tenant='-' AND enqueue_time_ms > 1700000000000", []),
                ("SELECT id FROM jobs WHERE tenant='-' AND id LIKE 'ord%' ORDER BY id", ["ord_a", "ord_b"]),
                ("SELECT id FROM jobs WHERE tenant='-' AND id LIKE '%_b' ORDER BY id", ["inv_b", "ord_b"]),
                ("SELECT id FROM jobs WHERE tenant='-' AND id LIKE '%v_%' ORDER BY id", ["inv_a", "inv_b"]),
                ("SELECT id FROM jobs WHERE tenant='-' AND id LIKE 'ORD%'", []),
                ("SELECT id FROM jobs WHERE tenant='-' AND id ILIKE 'ORD%' ORDER BY id", ["ord_a", "ord_b"]),
            ])
        #expect(try await fixture.query("SELECT id FROM jobs WHERE tenant='-' AND id='missing'").names == ["id"])
        let bound = "SELECT id FROM jobs WHERE tenant=$1 AND priority >= $2 ORDER BY id"
        #expect(try await fixture.rows(bound, [.text("-"), .integer(50)]) == ["inv_b"])
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE tenant='-' AND id=$1", [.text("ord_a")]) == ["ord_a"])
    }

    @Test func tenantsAreKeptApart() async throws {
        let fixture = try await Fixture.tenants()
        try await check(
            fixture,
            [
                ("SELECT tenant, id, priority FROM jobs WHERE id='dup' ORDER BY tenant", ["acme|dup|1", "beta|dup|2"]),
                ("SELECT id FROM jobs WHERE status_kind='Waiting' ORDER BY id", ["a1", "b1", "dup", "dup"]),
                ("SELECT id FROM jobs WHERE tenant='acme' ORDER BY id", ["a1", "a2", "dup"]),
                ("SELECT id FROM jobs ORDER BY id", ["a1", "a2", "b1", "dup", "dup"]),
                ("SELECT id, current_attempt FROM jobs WHERE tenant='acme' ORDER BY id", ["a1|1", "a2|1", "dup|1"]),
                ("SELECT id FROM jobs WHERE tenant='acme' AND tenant='beta'", []),
                ("SELECT COUNT(DISTINCT tenant) FROM jobs", ["2"]),
                ("SELECT tenant, COUNT(*) AS cnt FROM jobs GROUP BY tenant HAVING cnt >= 3", ["acme|3"]),
                (
                    "SELECT tenant, status_kind, cnt FROM tenant_counts ORDER BY tenant, status_kind",
                    ["acme|Scheduled|3", "beta|Scheduled|2"]
                ),
                ("SELECT COUNT(*) AS cnt FROM tenant_counts", ["2"]),
                (
                    "SELECT tenant, status_kind, COUNT(*) AS cnt FROM jobs GROUP BY tenant, status_kind ORDER BY 1, 2",
                    ["acme|Scheduled|1", "acme|Waiting|2", "beta|Waiting|2"]
                ),
            ])
        // Whatever the statement says, it sees one tenant.
        for sql in [
            "SELECT id FROM jobs ORDER BY id", "SELECT id FROM jobs WHERE tenant IN ('acme', 'beta') ORDER BY id",
            "SELECT job_id FROM tasks ORDER BY 1", "SELECT a.id FROM jobs a JOIN jobs b ON a.id = b.id ORDER BY 1",
        ] {
            #expect(try await fixture.rows(sql, tenant: Tenant("beta")) == ["b1", "dup"], "\(sql)")
        }
        for sql in [
            "SELECT COUNT(*) FROM jobs", "SELECT SUM(cnt) FROM tenant_counts", "SELECT COUNT(*) FROM jobs WHERE priority > 0",
        ] {
            #expect(try await fixture.rows(sql, tenant: Tenant("beta")) == ["2"], "\(sql)")
        }
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE tenant='acme'", tenant: Tenant("beta")) == [])
    }

    @Test func aJobThatCannotBeReadFailsWhatNeedsItAndCanBeLeftOut() async throws {
        let fixture = try await Fixture.orders()
        try await fixture.store.write([Write(key: TenantKeys(Fixture.tenant).job(JobID("ord_a")), value: [0xff, 0xff])])
        let without = "NOT (tenant = '-' AND id = 'ord_a') AND"
        let text = "job ord_a of tenant - cannot be read; \(without) before the rest of the condition leaves it out"
        let failure = QueryError.store(.corrupt(text), of: fixture.id)
        for sql in ["SELECT id, priority FROM jobs", "SELECT SUM(priority) FROM jobs", "SELECT id FROM jobs WHERE priority > 1"] {
            #expect(try await fixture.refusal(sql) == failure, "\(sql)")
        }
        try await check(
            fixture,
            [
                ("SELECT id FROM jobs ORDER BY id", ["inv_a", "inv_b", "ord_a", "ord_b"]),
                ("SELECT COUNT(*) FROM jobs", ["4"]),
                ("SELECT id, priority FROM jobs WHERE id <> 'ord_a' ORDER BY id", ["inv_a|5", "inv_b|50", "ord_b|10"]),
                ("SELECT SUM(priority) FROM jobs WHERE id <> 'ord_a' AND priority > 5", ["60"]),
                ("SELECT id, priority FROM jobs WHERE \(without) true ORDER BY id", ["inv_a|5", "inv_b|50", "ord_b|10"]),
                ("SELECT SUM(priority) FROM jobs WHERE \(without) priority > 5", ["60"]),
                ("SELECT SUM(priority), tenant FROM jobs WHERE \(without) priority > 5 GROUP BY tenant", ["60|-"]),
                (
                    "SELECT priority, COUNT(*) FROM jobs WHERE \(without) priority > 1 GROUP BY priority ORDER BY priority",
                    ["5|1", "10|1", "50|1"]
                ),
            ])
    }

    /// An id that is another tenant's too, with a quote in it.
    @Test func whatIsLeftOutIsOneTenantsJobAlone() async throws {
        let fixture = try await Fixture()
        for tenant in ["a", "b"] { try await fixture.enqueue("it's", tenant: Tenant(tenant)) }
        try await fixture.store.write([Write(key: TenantKeys(Tenant("a")).job(JobID("it's")), value: [0xff, 0xff])])
        let failure = try #require(try await fixture.refusal("SELECT priority FROM jobs"))
        guard case .store(.corrupt(let text, _), _) = failure else { throw failure }
        let without = try #require(text.split(separator: "; ").last).split(separator: " before the rest")[0]
        #expect(try await fixture.rows("SELECT tenant, id FROM jobs WHERE \(without) priority >= 0") == ["b|it's"])
    }

    @Test func alternatives() async throws {
        let fixture = try await Fixture.states()
        try await fixture.finish("again1", Fixture.failure, retries: 3)
        let jobs = "SELECT id FROM jobs WHERE tenant='-' AND"
        try await check(
            fixture,
            [
                (
                    "\(jobs) status_kind IN ('Waiting','Running','Succeeded','Failed') ORDER BY id",
                    ["bad1", "done1", "run1", "wait1", "wait2"]
                ),
                (
                    "\(jobs) (status_kind='Waiting' OR status_kind='Scheduled') ORDER BY id",
                    ["again1", "later1", "wait1", "wait2"]
                ),
                (
                    "\(jobs) (status_kind='Succeeded' OR status_kind='Scheduled') AND id <> 'again1' "
                        + "ORDER BY enqueue_time_ms DESC, id",
                    ["later1", "done1"]
                ),
                (
                    "\(jobs) status_kind NOT IN ('Succeeded','Failed','Cancelled') ORDER BY id",
                    ["again1", "later1", "run1", "wait1", "wait2"]
                ),
                (
                    "\(jobs) (status_kind='Waiting' OR (status_kind='Scheduled' AND current_attempt > 1)) ORDER BY id",
                    ["again1", "wait1", "wait2"]
                ),
                (
                    "\(jobs) (status_kind='Failed' OR (status_kind='Failed' AND current_attempt > 0) OR status_kind='Succeeded') "
                        + "ORDER BY id",
                    ["bad1", "done1"]
                ),
                ("\(jobs) (status_kind='Failed' OR id='run1') ORDER BY id", ["bad1", "run1"]),
                ("\(jobs) status_kind='Succeeded' AND status_kind IN ('Succeeded','Failed','Cancelled','Running')", ["done1"]),
                (
                    "SELECT id FROM jobs WHERE status_kind IN ('Succeeded','Failed','Cancelled','Running') ORDER BY id",
                    ["bad1", "done1", "run1"]
                ),
            ])
    }

    @Test func aggregates() async throws {
        let fixture = try await Fixture.states()
        try await check(
            fixture,
            [
                ("SELECT COUNT(*) FROM jobs WHERE tenant='-'", ["6"]),
                ("SELECT COUNT(*) FROM jobs WHERE tenant='-' AND status_kind='Waiting'", ["2"]),
                (
                    "SELECT status_kind, COUNT(*) AS cnt FROM jobs WHERE tenant='-' GROUP BY status_kind ORDER BY status_kind",
                    ["Failed|1", "Running|1", "Scheduled|1", "Succeeded|1", "Waiting|2"]
                ),
                ("SELECT status_kind FROM jobs GROUP BY status_kind ORDER BY COUNT(*) DESC LIMIT 1", ["Waiting"]),
                ("SELECT COUNT(*) FILTER (WHERE status_kind='Waiting') FROM jobs", ["2"]),
            ])
        let count = try await fixture.query("SELECT COUNT(*) AS count FROM jobs")
        #expect(count.columns == [Column("count", .int64)])
        #expect(try await fixture.query("SELECT COUNT(*) FROM jobs").names == ["count(*)"])
        let counted = try await fixture.query("SELECT COUNT(*) FROM jobs WHERE tenant='-'")
        #expect(counted.lookedUp == 0)
        let orders = try await Fixture.orders()
        try await check(
            orders,
            [
                (
                    "SELECT COUNT(*) c, SUM(priority) s, AVG(priority) a, MIN(priority) lo, MAX(priority) hi FROM jobs",
                    ["4|75|18.75|5|50"]
                ),
                (
                    "SELECT priority, COUNT(*) AS cnt FROM jobs WHERE tenant='-' GROUP BY priority ORDER BY priority",
                    ["5|1", "10|2", "50|1"]
                ),
                ("SELECT priority FROM jobs WHERE tenant='-' GROUP BY priority HAVING COUNT(*) > 1", ["10"]),
                ("SELECT shard_id, COUNT(*) AS cnt FROM jobs GROUP BY shard_id ORDER BY shard_id", ["\(orders.id)|4"]),
                ("SELECT task_group, AVG(CAST(priority AS DOUBLE)) FROM jobs WHERE tenant='-' GROUP BY task_group", ["g|18.75"]),
            ])
    }

    @Test func orderAndLimit() async throws {
        let fixture = try await Fixture.orders()
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE tenant='-' ORDER BY priority").first == "inv_a")
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE tenant='-' ORDER BY priority").last == "inv_b")
        try await check(
            fixture,
            [
                ("SELECT id FROM jobs WHERE tenant='-' ORDER BY id LIMIT 3", ["inv_a", "inv_b", "ord_a"]),
                ("SELECT id FROM jobs WHERE tenant='-' ORDER BY id OFFSET 2", ["ord_a", "ord_b"]),
                ("SELECT id FROM jobs WHERE tenant='-' ORDER BY id LIMIT 1 OFFSET 1", ["inv_b"]),
                ("SELECT id FROM jobs WHERE tenant='-' ORDER BY priority ASC, id DESC", ["inv_a", "ord_b", "ord_a", "inv_b"]),
            ])
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE tenant='-' LIMIT 100").count == 4)
    }

    @Test func limitsReachTheScan() async throws {
        let fixture = try await Fixture()
        for number in 0..<400 { try await fixture.enqueue("w\(number)") }
        let few = try await fixture.query("SELECT id FROM jobs WHERE tenant='-' AND status_kind='Waiting' LIMIT 10")
        #expect(few.rows.count == 10)
        #expect(few.scanned == 11, "the directory, then ten rows")
        for number in 0..<3 { try await fixture.finish("f\(number)", Fixture.failure) }
        for number in 0..<30 { try await fixture.finish("s\(number)", Fixture.success) }
        let both = try await fixture.query(
            "SELECT id FROM jobs WHERE tenant='-' AND status_kind IN ('Failed','Succeeded') LIMIT 2")
        #expect(both.texts.allSatisfy { $0.hasPrefix("f") })
        #expect(both.rows.count == 2)
        let plan = try await fixture.plan("SELECT * FROM jobs WHERE tenant='-' AND status_kind='Failed' LIMIT 20 OFFSET 180")
        #expect(plan == [#"SiloExecutionPlan: jobs[Status(tenant=Some("-"), status=Failed)], limit=Some(200)"#])
    }

    @Test func casesCastsAndArithmetic() async throws {
        let fixture = try await Fixture.orders()
        let result = try await fixture.query(
            """
            SELECT priority > 25 AS hot, CAST(priority AS DOUBLE)/100.0 AS r,
              CASE WHEN priority=5 THEN NULL ELSE enqueue_time_ms END AS t FROM jobs ORDER BY id
            """)
        #expect(result.texts == ["false|0.05|nil", "true|0.5|0", "false|0.1|0", "false|0.1|0"])
        #expect(result.columns.map(\.type) == [.boolean, .float64, .int64])
        #expect(try await fixture.rows("SELECT priority/0 AS x FROM jobs WHERE tenant='-'") == ["nil", "nil", "nil", "nil"])
        #expect(try await fixture.rows("SELECT 7/2, 7%4, -7/2, 7/2.0") == ["3|3|-3|3.5"])
    }

    @Test func metadataIsFoundByItsIndex() async throws {
        let fixture = try await Fixture.labelled()
        let jobs = "SELECT id FROM jobs WHERE tenant='-' AND"
        func has(_ key: String, _ value: String) -> String { "array_contains(element_at(metadata,'\(key)'),'\(value)')" }
        try await check(
            fixture,
            [
                ("\(jobs) \(has("env", "prod"))", ["m1"]),
                ("\(jobs) \(has("env", "prod")) AND \(has("team", "core"))", ["m1"]),
                ("\(jobs) (\(has("env", "prod")) OR \(has("env", "staging"))) ORDER BY id", ["m1", "m2"]),
                ("\(jobs) \(has("nokey", "x"))", []),
                ("\(jobs) starts_with(array_any_value(element_at(metadata,'env')),'prod') ORDER BY id", ["m1", "m3"]),
                ("\(jobs) array_any_value(element_at(metadata,'region')) LIKE 'us-%' ORDER BY id", ["m1", "m2"]),
                ("\(jobs) array_any_value(element_at(metadata,'region')) LIKE '%-1' ORDER BY id", ["m1", "m3"]),
                ("\(jobs) array_any_value(element_at(metadata,'env')) = 'prod'", ["m1"]),
                ("\(jobs) metadata['team'] = 'core'", ["m1"]),
                ("SELECT COUNT(*) FROM jobs WHERE tenant='-' AND \(has("env", "staging"))", ["1"]),
                (
                    """
                    SELECT q, COUNT(*) AS cnt FROM (SELECT array_any_value(element_at(metadata,'env')) AS q FROM jobs
                    WHERE tenant='-' AND status_kind IN ('Waiting','Scheduled') LIMIT 10000) GROUP BY q ORDER BY q
                    """, ["prod|1", "prod-eu|1", "staging|1", "nil|1"]
                ),
                ("SELECT map_keys(metadata), cardinality(metadata) FROM jobs WHERE id='m2'", ["[env, region]|2"]),
            ])
        let plan = try await fixture.plan("SELECT id FROM jobs WHERE tenant='-' AND \(has("env", "prod"))")
        #expect(plan.last == #"SiloExecutionPlan: jobs[MetadataExact(tenant=Some("-"), key="env", value="prod")], limit=None"#)
        let prefix = try await fixture.plan("\(jobs) array_any_value(element_at(metadata,'region')) LIKE 'us-%'")
        #expect(
            prefix.last == #"SiloExecutionPlan: jobs[MetadataPrefix(tenant=Some("-"), key="region", prefix="us-")], limit=None"#)
        let found = try await fixture.query("\(jobs) \(has("env", "prod"))")
        #expect(found.scanned == 1)
    }

    @Test func limitsAndWhoWaitsForThem() async throws {
        let fixture = try await Fixture.gated()
        try await check(
            fixture,
            [
                ("SELECT queue_name FROM queues WHERE tenant='-' AND entry_type='holder'", ["gate"]),
                ("SELECT COUNT(*) FROM queues WHERE tenant='-' AND queue_name='gate' AND entry_type='requester'", ["1"]),
                (
                    "SELECT queue_name, entry_type, COUNT(*) AS cnt FROM queues GROUP BY queue_name, entry_type ORDER BY 2",
                    ["gate|holder|1", "gate|requester|1"]
                ),
                (
                    "SELECT holders, requesters, max_concurrency, limit_type FROM queue_counts WHERE queue_name='gate'",
                    ["1|1|1|fixed"]
                ),
                ("SELECT j.id FROM jobs j LEFT JOIN queues q ON q.job_id=j.id WHERE j.tenant='-' AND q.job_id IS NULL", ["j1"]),
                (
                    "SELECT id FROM jobs WHERE tenant='-' AND id IN (SELECT job_id FROM queues WHERE entry_type='requester')",
                    ["j2"]
                ),
                (
                    "SELECT limits FROM jobs WHERE id='j1'",
                    [#"[{"key":"gate","limit_type":"Concurrency","value":"1"}]"#]
                ),
            ])
        #expect(try await fixture.query("SELECT * FROM queues").columns.count == 8)
        // The same when the holder runs.
        try await fixture.lease()
        #expect(try await fixture.rows("SELECT holders, requesters, max_concurrency FROM queue_counts") == ["1|1|1"])
        #expect(try await Fixture().rows("SELECT queue_name FROM queues WHERE tenant='-'") == [])
    }

    @Test func tasks() async throws {
        let fixture = try await Fixture.queued()
        let now = fixture.clock.now.milliseconds
        try await check(
            fixture,
            [
                ("SELECT task_group, COUNT(*) AS cnt FROM tasks GROUP BY task_group ORDER BY task_group", ["cron|1", "mail|3"]),
                (
                    "SELECT job_id FROM tasks WHERE task_group='mail' AND start_time_ms >= \(now + 1050) "
                        + "AND start_time_ms <= \(now + 1300)",
                    ["k2"]
                ),
                ("SELECT COUNT(*) FROM tasks WHERE task_group='mail'", ["3"]),
                (
                    "SELECT j.id, t.variant_type FROM jobs j JOIN tasks t ON t.job_id=j.id AND t.tenant=j.tenant "
                        + "WHERE j.tenant='-' ORDER BY 1",
                    ["k1|RunAttempt", "k2|RunAttempt", "k3|RunAttempt", "k4|RunAttempt"]
                ),
            ])
        let plan = try await fixture.plan(
            "SELECT job_id FROM tasks WHERE task_group='mail' AND start_time_ms >= 1050 AND start_time_ms <= 1300")
        #expect(
            plan == [
                #"SiloExecutionPlan: tasks[TaskGroupScan(task_group="mail", "#
                    + "time_lower=Some(1050), time_upper=Some(1300))], limit=None"
            ])
        let filtered = try await fixture.plan("SELECT * FROM tasks WHERE task_group='mail' AND tenant='-'")
        #expect(filtered.contains { $0.hasPrefix("FilterExec") })
        try await fixture.pass(1000)
        try await fixture.lease(group: "mail")
        #expect(try await fixture.rows("SELECT COUNT(*) FROM tasks WHERE task_group='mail'") == ["2"])
    }

    @Test func joinsAndWindows() async throws {
        let fixture = try await Fixture.orders()
        try await check(
            fixture,
            [
                (
                    "SELECT id, ROW_NUMBER() OVER (ORDER BY priority, id) AS rn FROM jobs WHERE tenant='-' ORDER BY rn",
                    ["inv_a|1", "ord_a|2", "ord_b|3", "inv_b|4"]
                ),
                ("SELECT COUNT(*) FROM jobs a CROSS JOIN jobs b", ["16"]),
                ("SELECT a.id FROM jobs a JOIN jobs b USING (priority) WHERE b.id='ord_b' ORDER BY a.id", ["ord_a", "ord_b"]),
                ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 5) SELECT SUM(i) FROM n", ["15"]),
                ("SELECT id FROM jobs UNION SELECT 'x' ORDER BY 1 LIMIT 1", ["inv_a"]),
                ("VALUES (1, 'a'), (2, 'b')", ["1|a", "2|b"]),
            ])
    }

    @Test func mistakes() async throws {
        let fixture = try await Fixture.orders()
        for sql in [
            "SELECT id FROM jobs WHERE", "SELECT FROM WHERE", "SELECT nope FROM jobs", "SELECT * FROM nope", "", "  ",
            "DELETE FROM jobs", "DROP TABLE jobs", "SELECT 1; SELECT 2", "PRAGMA table_info(jobs)", "ATTACH 'x' AS y",
            "SELECT load_extension('x')", "SELECT id FROM jobs GROUP BY priority", "SELECT id, COUNT(*) FROM jobs",
            "SELECT id, id FROM jobs", "SELECT * FROM sqlite_master", "SELECT \"id\" FROM jobs WHERE id = \"ord_a\"",
            "SELECT zeroblob(1000000000)", "SELECT printf('%.*c', 1000000000, 'x')", "SELECT 1\0", "SELECT ?", "SELECT :x",
        ] {
            let error = try await fixture.refusal(sql)
            switch error {
            case .syntax, .parameter: break
            default: Issue.record("\(sql): \(String(describing: error))")
            }
        }
        #expect(
            try await fixture.refusal("SELECT id FROM jobs WHERE id=$2", [.text("a")])
                == .parameter("No value found for placeholder with id $2"))
        #expect(try await fixture.rows("SELECT COUNT(*) FROM jobs;") == ["4"])
        if case .execution? = try await fixture.refusal("SELECT CAST('abc' AS INT)") {
        } else {
            Issue.record("a cast of no number")
        }
    }
}
