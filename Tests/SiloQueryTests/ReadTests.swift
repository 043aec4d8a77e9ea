import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

@testable import SiloQuery

/// How much of the store each statement of spec/query.md 14 reads, by its number there: rows that scans come to, and rows that
/// are looked up. It is what the keys allow: with a tenant named no row of another, of an index no row that the condition leaves
/// out, and no job for what an index tells.
@Suite(.timeLimit(.minutes(10))) struct ReadTests {
    private typealias Case = (number: Int, sql: String, scanned: Int, lookedUp: Int)

    private func check(
        _ fixture: Fixture, _ cases: [Case], _ location: SourceLocation = #_sourceLocation
    ) async throws {
        for (number, sql, scanned, lookedUp) in cases {
            do {
                let found = try await fixture.query(sql)
                #expect(
                    [found.scanned, found.lookedUp] == [scanned, lookedUp], "\(number): \(sql)", sourceLocation: location)
            } catch {
                Issue.record("\(number): \(sql): \(error)", sourceLocation: location)
            }
        }
    }

    /// Four ready jobs of one tenant and group: the group's row in the directory, then what is asked of them.
    @Test func ofOneGroup() async throws {
        let jobs = "FROM jobs WHERE tenant='-'"
        try await check(
            try await Fixture.orders(),
            [
                (1, "SELECT id \(jobs) ORDER BY id", 4, 0),
                (2, "SELECT * \(jobs) AND id='ord_a'", 0, 3),
                (3, "SELECT priority, enqueue_time_ms \(jobs) AND id='inv_b'", 0, 1),
                (6, "SELECT id, shard_id, priority, payload FROM jobs", 4, 1),
                (12, "SELECT id \(jobs) AND id='inv_a'", 0, 1),
                (13, "SELECT id \(jobs) AND id='missing'", 0, 1),
                (13, "SELECT * \(jobs) AND id='missing'", 0, 1),
                (14, "SELECT id FROM jobs WHERE id='ord_b' LIMIT 1", 1, 2),
                (15, "SELECT id \(jobs) AND priority >= 5 AND priority <= 10 ORDER BY id", 4, 0),
                (16, "SELECT id \(jobs) AND enqueue_time_ms > 1700000000000", 4, 0),
                (25, "SELECT id \(jobs) AND priority >= 50 ORDER BY id", 4, 0),
                (29, "SELECT id \(jobs) AND id LIKE 'ord%' ORDER BY id", 2, 0),
                (30, "SELECT id \(jobs) AND id LIKE '%_b'", 4, 0),
                (31, "SELECT id \(jobs) AND id LIKE '%v_%'", 4, 0),
                (32, "SELECT id \(jobs) AND id LIKE 'ORD%'", 0, 0),
                (32, "SELECT id \(jobs) AND id ILIKE 'ORD%'", 4, 0),
                (45, "SELECT COUNT(*) AS count FROM jobs", 1, 1),
                (47, "SELECT COUNT(*) c, SUM(priority) s, AVG(priority) a, MIN(priority) lo, MAX(priority) hi FROM jobs", 4, 1),
                (51, "SELECT priority, COUNT(*) AS cnt \(jobs) GROUP BY priority ORDER BY priority", 4, 0),
                (52, "SELECT shard_id, COUNT(*) AS cnt FROM jobs GROUP BY shard_id ORDER BY shard_id", 1, 1),
                (54, "SELECT priority \(jobs) GROUP BY priority HAVING COUNT(*) > 1", 4, 0),
                (56, "SELECT id \(jobs) ORDER BY priority", 4, 0),
                (57, "SELECT id \(jobs) ORDER BY priority ASC, enqueue_time_ms DESC", 4, 0),
                (58, "SELECT id \(jobs) ORDER BY id LIMIT 3", 3, 0),
                (58, "SELECT id \(jobs) AND id > 'inv_b' ORDER BY id LIMIT 1", 1, 0),
                (58, "SELECT id \(jobs) AND id >= 'inv_b' AND id < 'ord_b'", 2, 0),
                (59, "SELECT id \(jobs) ORDER BY id LIMIT 100", 4, 0),
                (63, "SELECT * \(jobs) ORDER BY enqueue_time_ms DESC LIMIT 20", 4, 0),
                (
                    65,
                    "SELECT priority > 25 AS hot, CASE WHEN priority=5 THEN NULL ELSE enqueue_time_ms END AS t FROM jobs "
                        + "ORDER BY id",
                    4, 1
                ),
                (66, "SELECT task_group, AVG(CAST(priority AS DOUBLE)) \(jobs) GROUP BY task_group", 4, 0),
                (67, "SELECT priority/0 AS x \(jobs)", 4, 0),
                (93, "SELECT id, ROW_NUMBER() OVER (ORDER BY priority, id) AS rn \(jobs)", 4, 0),
            ])
    }

    /// `done1`, `bad1`, `run1`, `wait1`, `wait2` and `later1`; four groups.
    @Test func ofEachStatus() async throws {
        let jobs = "FROM jobs WHERE tenant='-'"
        try await check(
            try await Fixture.states(),
            [
                (7, "SELECT id, enqueue_time_ms, status_kind \(jobs) ORDER BY id", 9, 0),
                (9, "SELECT id, status_kind, current_attempt, next_attempt_starts_after_ms \(jobs) AND id='later1'", 0, 3),
                (10, "SELECT current_attempt, next_attempt_starts_after_ms \(jobs) AND id='done1'", 0, 2),
                (17, "SELECT id \(jobs) AND status_kind='Running'", 1, 0),
                (18, "SELECT id \(jobs) AND status_kind='Waiting'", 6, 0),
                (19, "SELECT id \(jobs) AND status_kind='Scheduled'", 5, 0),
                (20, "SELECT id \(jobs) AND status_kind='Failed'", 1, 0),
                (20, "SELECT id \(jobs) AND status_kind='Succeeded'", 1, 0),
                (20, "SELECT id \(jobs) AND status_kind='Failed' AND status_changed_at_ms > 9000000000000", 0, 0),
                (20, "SELECT * \(jobs) AND status_kind='Failed'", 1, 1),
                (20, "SELECT id, task_group \(jobs) AND status_kind='Failed'", 1, 0),
                (22, "SELECT id \(jobs) AND status_kind='Running' AND id='run1'", 0, 1),
                (28, "SELECT id \(jobs) AND current_attempt IS NULL", 6, 0),
                (33, "SELECT id \(jobs) AND status_kind='Running' AND id LIKE 'run%'", 1, 0),
                (34, "SELECT id \(jobs) AND status_kind IN ('Waiting','Running','Succeeded','Failed') ORDER BY id", 9, 0),
                (35, "SELECT id \(jobs) AND (status_kind='Waiting' OR status_kind='Scheduled') ORDER BY id", 7, 0),
                (
                    36,
                    "SELECT id \(jobs) AND (status_kind='Succeeded' OR status_kind='Scheduled') ORDER BY enqueue_time_ms "
                        + "DESC, id",
                    6, 1
                ),
                (37, "SELECT id \(jobs) AND status_kind NOT IN ('Succeeded','Failed','Cancelled') ORDER BY id", 9, 0),
                (38, "SELECT id \(jobs) AND (status_kind='Waiting' OR (status_kind='Scheduled' AND current_attempt > 1))", 7, 0),
                (
                    39,
                    "SELECT id \(jobs) AND (status_kind='Failed' OR (status_kind='Failed' AND current_attempt > 0) OR "
                        + "status_kind='Succeeded')",
                    2, 0
                ),
                (40, "SELECT id \(jobs) AND (status_kind='Failed' OR id='run1')", 6, 0),
                (
                    41,
                    "SELECT id \(jobs) AND status_kind='Succeeded' AND status_kind IN "
                        + "('Succeeded','Failed','Cancelled','Running')",
                    1, 0
                ),
                (43, "SELECT id \(jobs) AND status_kind='Bogus'", 0, 0),
                (44, "SELECT COUNT(*) \(jobs)", 4, 0),
                (46, "SELECT COUNT(*) \(jobs) AND status_kind='Waiting'", 4, 0),
                (49, "SELECT status_kind, COUNT(*) AS cnt \(jobs) GROUP BY status_kind ORDER BY status_kind", 4, 0),
                (49, "SELECT status_kind, task_group, MAX(status_changed_at_ms) AS last \(jobs) GROUP BY 1, 2", 6, 0),
                (64, "SELECT id \(jobs) ORDER BY current_attempt, id", 6, 0),
                (92, "WITH f AS (SELECT id \(jobs) AND status_kind='Failed') SELECT COUNT(*) FROM f", 1, 0),
                (18, "SELECT id \(jobs) AND status_kind='Waiting' AND task_group='other'", 0, 1),
            ])
    }

    /// Two tenants, which lie in two slices.
    @Test func ofSeveralTenants() async throws {
        try await check(
            try await Fixture.tenants(),
            [
                (8, "SELECT tenant, id, enqueue_time_ms FROM jobs ORDER BY tenant", 5, 1),
                (11, "SELECT id, current_attempt FROM jobs WHERE tenant='acme'", 3, 0),
                (21, "SELECT id FROM jobs WHERE status_kind='Waiting' ORDER BY id", 6, 1),
                (23, "SELECT id FROM jobs WHERE tenant='acme' ORDER BY id", 3, 0),
                (24, "SELECT id FROM jobs ORDER BY id", 5, 1),
                (27, "SELECT id FROM jobs WHERE tenant='acme' AND tenant='beta'", 0, 0),
                (42, "SELECT id FROM jobs WHERE status_kind IN ('Succeeded','Failed','Cancelled','Running')", 2, 1),
                (48, "SELECT COUNT(DISTINCT tenant) FROM jobs", 2, 1),
                (50, "SELECT tenant, status_kind, COUNT(*) AS cnt FROM jobs GROUP BY tenant, status_kind", 2, 1),
                (55, "SELECT tenant, COUNT(*) AS cnt FROM jobs GROUP BY tenant HAVING cnt >= 3", 2, 1),
                (81, "SELECT tenant, status_kind, cnt FROM tenant_counts ORDER BY tenant, status_kind", 2, 1),
                (82, "SELECT COUNT(*) AS cnt FROM tenant_counts", 2, 1),
                (82, "SELECT COUNT(*) AS cnt FROM tenant_counts WHERE tenant='acme'", 1, 0),
            ])
    }

    @Test func byMetadata() async throws {
        let jobs = "FROM jobs WHERE tenant='-' AND"
        func has(_ key: String, _ value: String) -> String { "array_contains(element_at(metadata,'\(key)'),'\(value)')" }
        try await check(
            try await Fixture.labelled(),
            [
                (4, "SELECT id, metadata \(jobs) id='m1'", 0, 1),
                (5, "SELECT id, metadata \(jobs) id='m4'", 0, 1),
                (68, "SELECT id \(jobs) \(has("env", "prod"))", 1, 0),
                (68, "SELECT id, payload \(jobs) \(has("env", "prod"))", 1, 1),
                (69, "SELECT id \(jobs) \(has("env", "prod")) AND \(has("team", "core"))", 1, 1),
                (70, "SELECT id \(jobs) (\(has("env", "prod")) OR \(has("env", "staging"))) ORDER BY id", 4, 0),
                (71, "SELECT id \(jobs) \(has("nokey", "x"))", 0, 0),
                (72, "SELECT id \(jobs) starts_with(array_any_value(element_at(metadata,'env')),'prod') ORDER BY id", 2, 0),
                (73, "SELECT id \(jobs) array_any_value(element_at(metadata,'region')) LIKE 'us-%' ORDER BY id", 2, 0),
                (74, "SELECT id \(jobs) array_any_value(element_at(metadata,'region')) LIKE '%-1' ORDER BY id", 4, 0),
                (
                    75, "SELECT id \(jobs) \(has("env", "prod")) AND status_kind IN ('Waiting','Scheduled','Running','Failed')",
                    1, 3
                ),
                (76, "SELECT COUNT(*) \(jobs) \(has("env", "staging"))", 1, 0),
                (
                    88,
                    """
                    SELECT q, COUNT(*) AS cnt FROM (SELECT array_any_value(element_at(metadata,'env')) AS q \(jobs)
                    status_kind IN ('Waiting','Scheduled') LIMIT 10000) GROUP BY q
                    """, 5, 0
                ),
            ])
    }

    /// One holder of `gate` and one job that waits for it.
    @Test func ofQueues() async throws {
        try await check(
            try await Fixture.gated(),
            [
                (77, "SELECT queue_name FROM queues WHERE tenant='-' AND entry_type='holder'", 4, 0),
                (78, "SELECT COUNT(*) FROM queues WHERE tenant='-' AND queue_name='gate' AND entry_type='requester'", 1, 1),
                (78, "SELECT job_id FROM queues WHERE tenant='-' AND queue_name='gate' AND entry_type='requester'", 2, 1),
                (79, "SELECT queue_name, entry_type, COUNT(*) AS cnt FROM queues GROUP BY queue_name, entry_type", 5, 1),
                (83, "SELECT holders, requesters, max_concurrency, limit_type FROM queue_counts WHERE queue_name='gate'", 5, 1),
                (90, "SELECT j.id FROM jobs j LEFT JOIN queues q ON q.job_id=j.id WHERE j.tenant='-' AND q.job_id IS NULL", 8, 1),
                (
                    91, "SELECT id FROM jobs WHERE tenant='-' AND id IN (SELECT job_id FROM queues WHERE entry_type='requester')",
                    3, 2
                ),
            ])
        // A hundred others, each with a holder that runs.
        let fixture = try await Fixture.gated()
        for number in 0..<100 {
            var slots = StorageV1.ConcurrencyLimit()
            slots.key = "other \(number)"
            slots.maxConcurrency = 1
            var limit = StorageV1.Limit()
            limit.kind = .concurrency(slots)
            try await fixture.enqueue("o\(number)", group: "others", limits: [limit])
            try await fixture.lease(group: "others")
        }
        let gate = "WHERE tenant='-' AND queue_name='gate'"
        try await check(
            fixture,
            [
                (78, "SELECT COUNT(*) FROM queues \(gate) AND entry_type='requester'", 1, 1),
                (78, "SELECT job_id FROM queues \(gate) AND entry_type='requester'", 2, 1),
                (83, "SELECT held, waiting, is_paused FROM limits WHERE tenant='-' AND limit_key='gate'", 2, 1),
                (89, "SELECT worker_id FROM leases WHERE tenant='-' AND job_id='o7'", 0, 1),
                (89, "SELECT worker_id FROM leases WHERE tenant='-' AND job_id IN ('o7', 'o8', 'none')", 0, 3),
                (
                    89,
                    "SELECT l.worker_id FROM jobs AS j JOIN leases AS l ON l.tenant = j.tenant AND l.job_id = j.id WHERE "
                        + "j.tenant = '-' AND j.id = 'o7'",
                    0, 2
                ),
            ])
        try await check(try await Fixture(), [(80, "SELECT queue_name FROM queues WHERE tenant='-'", 0, 0)])
    }

    /// Three tasks of `mail`, one of `cron`, none of them due.
    @Test func ofTasks() async throws {
        let fixture = try await Fixture.queued()
        let now = fixture.clock.now.milliseconds
        try await check(
            fixture,
            [
                (53, "SELECT task_group, COUNT(*) AS cnt FROM tasks GROUP BY task_group ORDER BY task_group", 6, 1),
                (
                    84,
                    "SELECT job_id FROM tasks WHERE task_group='mail' AND start_time_ms >= \(now + 1050) AND "
                        + "start_time_ms <= \(now + 1300)",
                    3, 1
                ),
                (85, "SELECT COUNT(*) FROM tasks WHERE task_group='mail'", 5, 1),
                (86, "SELECT * FROM tasks WHERE task_group='mail' AND tenant='-'", 3, 1),
                (
                    89,
                    "SELECT j.id, t.variant_type FROM jobs j JOIN tasks t ON t.job_id=j.id AND t.tenant=j.tenant WHERE "
                        + "j.tenant='-'",
                    6, 4
                ),
            ])
    }

    /// Pages of many jobs: 400 that wait, 300 that failed, 30 that succeeded.
    @Test func ofPages() async throws {
        let fixture = try await Fixture()
        for number in 0..<400 { try await fixture.enqueue("w\(number)") }
        for number in 0..<300 { try await fixture.finish("f\(number)", group: "done", Fixture.failure) }
        for number in 0..<30 { try await fixture.finish("s\(number)", group: "done", Fixture.success) }
        let jobs = "FROM jobs WHERE tenant='-'"
        try await check(
            fixture,
            [
                (60, "SELECT id \(jobs) AND status_kind='Waiting' LIMIT 10", 12, 0),
                (61, "SELECT id \(jobs) AND status_kind IN ('Failed','Succeeded') LIMIT 2", 2, 0),
                (62, "SELECT * \(jobs) AND status_kind='Failed' LIMIT 20 OFFSET 180", 200, 20),
                (62, "SELECT id \(jobs) AND status_kind='Failed' ORDER BY status_changed_at_ms DESC LIMIT 20", 20, 0),
                (58, "SELECT * \(jobs) ORDER BY id LIMIT 3", 6, 0),
            ])
    }
}
