"""Every statement of spec/query.md 14, by its number, asked of a server."""

import contextlib
import threading

import pytest

from support.client import INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED, Client, concurrency, policy, refused
from support.generated import pb
from support.programs import Server
from support.waiting import milliseconds
from test_query import DEADLINE_EXCEEDED, HOUR, ask, text, values

ALL = set(range(1, 103))
#: Numbers that a test of this file names; the last test wants all of them.
asked = set()
#: Far enough for a time of the statements to be yet to come, added to each of theirs.
LATER = 4_000_000_000_000
MINE = "FROM jobs WHERE tenant='-'"


def has(key, value):
    return f"array_contains(element_at(metadata,'{key}'),'{value}')"


def statements(*cases):
    """Cases of a test: a number, SQL, what it gives."""
    asked.update(number for number, _, _ in cases)
    return pytest.mark.parametrize("sql, expected", [pytest.param(sql, rows, id=f"{number}") for number, sql, rows in cases])


def covers(*numbers):
    asked.update(numbers)
    return lambda test: test


def check(client, sql, expected):
    """A list is the rows in their order, a set the rows in any, anything else a condition on them."""
    rows = values(client, sql)
    if callable(expected):
        assert expected(rows), rows
    elif isinstance(expected, set):
        assert set(rows) == expected and len(rows) == len(expected)
    else:
        assert rows == expected


class Fixture:
    flags = ()

    @pytest.fixture(scope="class")
    def jobs(self, start_server):
        with Client(start_server("--shards", 1, *self.flags).address) as client:
            with self.filled(client):
                yield client

    @classmethod
    @contextlib.contextmanager
    def filled(cls, client):
        cls.fill(client)
        yield


class TestOrders(Fixture):
    @staticmethod
    def fill(client):
        for id, priority, start in [("ord_a", 10, 1_600_000_000_000), ("ord_b", 10, 1_800_000_000), ("inv_a", 5, 0), ("inv_b", 50, 0)]:
            client.enqueue("g", {"n": priority}, id=id, priority=priority, start_at_ms=start)

    @statements(
        (1, f"SELECT id {MINE} ORDER BY id", ["inv_a", "inv_b", "ord_a", "ord_b"]),
        (2, f"SELECT * {MINE} AND id='ord_a'", lambda rows: len(rows) == 1 and len(rows[0]) == 13),
        (6, "SELECT id, shard_id, priority, payload FROM jobs", lambda rows: {r[3] for r in rows} == {'{"n":5}', '{"n":10}', '{"n":50}'}),
        (12, f"SELECT id {MINE} AND id='inv_a'", ["inv_a"]),
        (13, f"SELECT id {MINE} AND id='missing'", []),
        (14, "SELECT id FROM jobs WHERE id='ord_b' LIMIT 1", ["ord_b"]),
        (15, f"SELECT id {MINE} AND priority >= 5 AND priority <= 10 ORDER BY id", ["inv_a", "ord_a", "ord_b"]),
        (16, f"SELECT id {MINE} AND enqueue_time_ms > 1500000000000", ["ord_a"]),
        (29, f"SELECT id {MINE} AND id LIKE 'ord%' ORDER BY id", ["ord_a", "ord_b"]),
        (30, f"SELECT id {MINE} AND id LIKE '%_b'", {"inv_b", "ord_b"}),
        (31, f"SELECT id {MINE} AND id LIKE '%v_%'", {"inv_a", "inv_b"}),
        (32, f"SELECT id {MINE} AND id LIKE 'ORD%'", []),
        (32, f"SELECT id {MINE} AND id ILIKE 'ORD%'", {"ord_a", "ord_b"}),
        (47, "SELECT COUNT(*) c, SUM(priority) s, AVG(priority) a, MIN(priority) lo, MAX(priority) hi FROM jobs", [(4, 75, 18.75, 5, 50)]),
        (51, f"SELECT priority, COUNT(*) AS cnt {MINE} GROUP BY priority ORDER BY priority", [(5, 1), (10, 2), (50, 1)]),
        (52, "SELECT COUNT(*) AS cnt FROM jobs GROUP BY shard_id ORDER BY shard_id", [4]),
        (54, f"SELECT priority {MINE} GROUP BY priority HAVING COUNT(*) > 1", [10]),
        (56, f"SELECT id {MINE} ORDER BY priority", lambda ids: (ids[0], ids[3]) == ("inv_a", "inv_b")),
        (57, f"SELECT id {MINE} ORDER BY priority ASC, enqueue_time_ms DESC", ["inv_a", "ord_a", "ord_b", "inv_b"]),
        (58, f"SELECT id {MINE} ORDER BY id LIMIT 3", ["inv_a", "inv_b", "ord_a"]),
        (59, f"SELECT id {MINE} ORDER BY id LIMIT 100", ["inv_a", "inv_b", "ord_a", "ord_b"]),
        (63, f"SELECT * {MINE} ORDER BY enqueue_time_ms DESC LIMIT 20", lambda rows: [r[2] for r in rows[:2]] == ["ord_a", "ord_b"]),
        (66, f"SELECT task_group, AVG(CAST(priority AS DOUBLE)) AS a {MINE} GROUP BY task_group", [("g", 18.75)]),
        (67, f"SELECT priority/0 AS x {MINE}", [None] * 4),
        (93, f"SELECT id, ROW_NUMBER() OVER (ORDER BY priority, id) AS rn {MINE} ORDER BY rn",
         [("inv_a", 1), ("ord_a", 2), ("ord_b", 3), ("inv_b", 4)]),
    )
    def test_statements(self, jobs, sql, expected):
        check(jobs, sql, expected)

    @covers(3, 6, 45, 65)
    def test_types(self, jobs):
        def types(sql):
            return [(c.name, c.data_type) for c in ask(jobs, sql)[0].columns]

        assert types(f"SELECT priority, enqueue_time_ms {MINE} AND id='inv_b'") == [("priority", "UInt8"), ("enqueue_time_ms", "Int64")]
        assert values(jobs, f"SELECT priority, enqueue_time_ms {MINE} AND id='inv_b'") == [(50, 0)]
        assert values(jobs, "SELECT DISTINCT shard_id FROM jobs") == [jobs.shard]
        assert types("SELECT COUNT(*) AS count FROM jobs") == [("count", "Int64")]
        case = ("SELECT priority > 25 AS hot, CAST(priority AS DOUBLE)/100.0 AS r, "
                "CASE WHEN priority=5 THEN NULL ELSE enqueue_time_ms END AS t FROM jobs ORDER BY id")
        assert types(case) == [("hot", "Boolean"), ("r", "Float64"), ("t", "Int64")]
        assert values(jobs, case)[0] == (False, 0.05, None)

    @covers(25, 26)
    def test_parameters(self, jobs):
        fifty = pb.QueryParameter(int64_value=50)
        assert values(jobs, "SELECT id FROM jobs WHERE tenant=$1 AND priority >= $2 ORDER BY id", text("-"), fifty) == ["inv_b"]
        assert values(jobs, f"SELECT id {MINE} AND id=$1", text("ord_a")) == ["ord_a"]

    @covers(13)
    def test_an_empty_answer_has_columns(self, jobs):
        assert [c.name for c in ask(jobs, f"SELECT id {MINE} AND id='missing'")[0].columns] == ["id"]

    @covers(94, 95, 96, 102)
    @pytest.mark.parametrize("sql", [
        "SELECT id FROM jobs WHERE", "SELECT FROM WHERE", "SELECT nope FROM jobs", "SELECT * FROM nope", "", "   ", "DELETE FROM jobs",
        "DROP TABLE jobs", "SELECT 1; SELECT 2",
    ])
    def test_mistakes(self, jobs, sql):
        with refused(INVALID_ARGUMENT, containing="SQL error"):
            ask(jobs, sql)
        assert values(jobs, "SELECT COUNT(*) FROM jobs") == [4]

    @covers(97, 98, 99)
    def test_other_mistakes(self, jobs):
        with refused(INVALID_ARGUMENT, containing="$2"):
            ask(jobs, "SELECT id FROM jobs WHERE id=$2", text("a"))
        with refused(INVALID_ARGUMENT, containing="'abc' is no number"):
            ask(jobs, "SELECT id FROM jobs WHERE priority='abc'")
        with refused(NOT_FOUND, containing="shard not found"):
            ask(jobs, "SELECT id FROM jobs", shard="99999999-9999-9999-9999-999999999999")


class TestStates(Fixture):
    @classmethod
    @contextlib.contextmanager
    def filled(cls, client):
        for id, end in [("done1", client.succeed), ("bad1", client.fail)]:
            client.enqueue("g", id=id)
            end(client.lease_one(id))
        client.enqueue("g", id="run1")
        running = client.lease_one("run1")
        client.enqueue("g", id="wait1")
        client.enqueue("g", id="wait2")
        cls.later = milliseconds() + HOUR
        client.enqueue("g", id="later1", start_at_ms=cls.later)
        over = threading.Event()

        def renew():
            while not over.wait(1):
                client.heartbeat(running)

        thread = threading.Thread(target=renew)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @statements(
        (7, f"SELECT id, enqueue_time_ms, status_kind {MINE} ORDER BY id",
         lambda rows: [r[2] for r in rows] == ["Failed", "Succeeded", "Scheduled", "Running", "Waiting", "Waiting"]),
        (10, f"SELECT current_attempt, next_attempt_starts_after_ms {MINE} AND id='done1'", [(None, None)]),
        (17, f"SELECT id {MINE} AND status_kind='Running'", ["run1"]),
        (18, f"SELECT id {MINE} AND status_kind='Waiting'", {"wait1", "wait2"}),
        (19, f"SELECT id {MINE} AND status_kind='Scheduled'", ["later1"]),
        (20, f"SELECT id {MINE} AND status_kind='Failed'", ["bad1"]),
        (20, f"SELECT id {MINE} AND status_kind='Succeeded'", ["done1"]),
        (22, f"SELECT id {MINE} AND status_kind='Running' AND id='run1'", ["run1"]),
        (28, f"SELECT id {MINE} AND current_attempt IS NULL", {"bad1", "done1", "run1"}),
        (33, f"SELECT id {MINE} AND status_kind='Running' AND id LIKE 'run%'", ["run1"]),
        (34, f"SELECT id {MINE} AND status_kind IN ('Waiting','Running','Succeeded','Failed') ORDER BY id",
         ["bad1", "done1", "run1", "wait1", "wait2"]),
        (35, f"SELECT id {MINE} AND (status_kind='Waiting' OR status_kind='Scheduled') ORDER BY id", ["later1", "wait1", "wait2"]),
        (36, f"SELECT id {MINE} AND (status_kind='Succeeded' OR status_kind='Scheduled') ORDER BY enqueue_time_ms DESC, id",
         ["later1", "done1"]),
        (37, f"SELECT id {MINE} AND status_kind NOT IN ('Succeeded','Failed','Cancelled') ORDER BY id",
         ["later1", "run1", "wait1", "wait2"]),
        (39, f"SELECT id {MINE} AND (status_kind='Failed' OR (status_kind='Failed' AND current_attempt > 0) OR status_kind='Succeeded')",
         {"bad1", "done1"}),
        (40, f"SELECT id {MINE} AND (status_kind='Failed' OR id='run1')", {"bad1", "run1"}),
        (41, f"SELECT id {MINE} AND status_kind='Succeeded' AND status_kind IN ('Succeeded','Failed','Cancelled','Running')", ["done1"]),
        (42, "SELECT id FROM jobs WHERE status_kind IN ('Succeeded','Failed','Cancelled','Running')", {"bad1", "done1", "run1"}),
        (43, f"SELECT id {MINE} AND status_kind='Bogus'", []),
        (44, f"SELECT COUNT(*) {MINE}", [6]),
        (46, f"SELECT COUNT(*) {MINE} AND status_kind='Waiting'", [2]),
        (49, f"SELECT status_kind, COUNT(*) AS cnt {MINE} GROUP BY status_kind ORDER BY status_kind",
         [("Failed", 1), ("Running", 1), ("Scheduled", 1), ("Succeeded", 1), ("Waiting", 2)]),
        (64, f"SELECT id {MINE} ORDER BY current_attempt, id", ["later1", "wait1", "wait2", "bad1", "done1", "run1"]),
        (92, f"WITH f AS (SELECT id {MINE} AND status_kind='Failed') SELECT COUNT(*) FROM f", [1]),
    )
    def test_statements(self, jobs, sql, expected):
        check(jobs, sql, expected)

    @covers(9)
    def test_what_is_to_come(self, jobs):
        sql = f"SELECT id, status_kind, current_attempt, next_attempt_starts_after_ms {MINE} AND id='later1'"
        assert values(jobs, sql) == [("later1", "Scheduled", 1, self.later)]

    @covers(38, 44)
    def test_a_job_that_is_tried_again(self, start_server):
        with Client(start_server("--shards", 1).address) as client:
            client.enqueue("g", id="again", retry_policy=policy(3, initial=HOUR, most=HOUR))
            assert values(client, f"SELECT COUNT(*) {MINE}") == [1]
            task = client.lease_one("again")
            assert values(client, f"SELECT COUNT(*) {MINE}") == [1]
            client.fail(task)
            for id, start in [("wait1", 0), ("wait2", 0), ("later1", milliseconds() + HOUR)]:
                client.enqueue("g", id=id, start_at_ms=start)
            sql = f"SELECT id {MINE} AND (status_kind='Waiting' OR (status_kind='Scheduled' AND current_attempt > 1))"
            check(client, sql, {"wait1", "wait2", "again"})
            assert values(client, f"SELECT COUNT(*) {MINE}") == [4]


class TestTenants(Fixture):
    flags = ("--tenancy",)

    @staticmethod
    def fill(client):
        for tenant, id, start in [("acme", "a1", 0), ("acme", "a2", HOUR), ("beta", "b1", 0), ("acme", "dup", 0), ("beta", "dup", 0)]:
            client.enqueue("g", tenant=tenant, id=id, start_at_ms=start and milliseconds() + start, priority=7 if tenant == "beta" else 3)

    @statements(
        (8, "SELECT tenant, id, priority FROM jobs WHERE id='dup' ORDER BY tenant", [("acme", "dup", 3), ("beta", "dup", 7)]),
        (11, "SELECT id, current_attempt FROM jobs WHERE tenant='acme'", {("a1", 1), ("a2", 1), ("dup", 1)}),
        (21, "SELECT id FROM jobs WHERE status_kind='Waiting' ORDER BY id", ["a1", "b1", "dup", "dup"]),
        (23, "SELECT id FROM jobs WHERE tenant='acme' ORDER BY id", ["a1", "a2", "dup"]),
        (24, "SELECT id FROM jobs ORDER BY id", ["a1", "a2", "b1", "dup", "dup"]),
        (27, "SELECT id FROM jobs WHERE tenant='acme' AND tenant='beta'", []),
        (48, "SELECT COUNT(DISTINCT tenant) FROM jobs", [2]),
        (50, "SELECT tenant, status_kind, COUNT(*) AS cnt FROM jobs GROUP BY tenant, status_kind",
         {("acme", "Scheduled", 1), ("acme", "Waiting", 2), ("beta", "Waiting", 2)}),
        (55, "SELECT tenant, COUNT(*) AS cnt FROM jobs GROUP BY tenant HAVING cnt >= 3", [("acme", 3)]),
        (81, "SELECT tenant, status_kind, cnt FROM tenant_counts ORDER BY tenant, status_kind",
         [("acme", "Scheduled", 3), ("beta", "Scheduled", 2)]),
        (82, "SELECT COUNT(*) AS cnt FROM tenant_counts", [2]),
    )
    def test_statements(self, jobs, sql, expected):
        check(jobs, sql, expected)


class TestMetadata(Fixture):
    @staticmethod
    def fill(client):
        client.enqueue("m1", id="m1", metadata={"env": "prod", "team": "core", "region": "us-east-1"})
        client.enqueue("g", id="m2", metadata={"env": "staging", "region": "us-west-2"})
        client.enqueue("g", id="m3", metadata={"env": "prod-eu", "region": "eu-west-1"})
        client.enqueue("g", id="m4")

    @statements(
        (4, f"SELECT id, metadata {MINE} AND id='m1'", [("m1", "{env: prod, region: us-east-1, team: core}")]),
        (5, f"SELECT id, metadata {MINE} AND id='m4'", [("m4", "{}")]),
        (68, f"SELECT id {MINE} AND {has('env', 'prod')}", ["m1"]),
        (69, f"SELECT id {MINE} AND {has('env', 'prod')} AND {has('team', 'core')}", ["m1"]),
        (70, f"SELECT id {MINE} AND ({has('env', 'prod')} OR {has('env', 'staging')}) ORDER BY id", ["m1", "m2"]),
        (71, f"SELECT id {MINE} AND {has('nokey', 'x')}", []),
        (72, f"SELECT id {MINE} AND starts_with(array_any_value(element_at(metadata,'env')),'prod') ORDER BY id", ["m1", "m3"]),
        (73, f"SELECT id {MINE} AND array_any_value(element_at(metadata,'region')) LIKE 'us-%' ORDER BY id", ["m1", "m2"]),
        (74, f"SELECT id {MINE} AND array_any_value(element_at(metadata,'region')) LIKE '%-1' ORDER BY id", ["m1", "m3"]),
        (76, f"SELECT COUNT(*) {MINE} AND {has('env', 'staging')}", [1]),
        (88, "SELECT q, COUNT(*) AS cnt FROM (SELECT array_any_value(element_at(metadata,'env')) AS q FROM jobs "
             "WHERE tenant='-' AND status_kind IN ('Waiting','Scheduled') LIMIT 10000) GROUP BY q",
         {("prod", 1), ("staging", 1), ("prod-eu", 1), (None, 1)}),
        # What is found by the index and looked at once more, shown beside, or joined.
        (69, f"SELECT id, metadata {MINE} AND {has('env', 'prod')}", [("m1", "{env: prod, region: us-east-1, team: core}")]),
        (69, f"SELECT id, {has('env', 'prod')} AS p {MINE} AND {has('region', 'us-east-1')}", [("m1", True)]),
        (69, "SELECT j.id, k.id AS other FROM jobs j LEFT JOIN jobs k ON k.tenant=j.tenant AND array_contains(element_at(k.metadata,"
             "'env'),'prod') WHERE j.tenant='-' AND array_contains(element_at(j.metadata,'env'),'staging')", [("m2", "m1")]),
        (69, f"SELECT id FROM (SELECT id, metadata {MINE}) s WHERE {has('env', 'prod')}", ["m1"]),
    )
    def test_statements(self, jobs, sql, expected):
        check(jobs, sql, expected)

    @covers(75)
    def test_a_status_is_looked_at_again(self, jobs):
        sql = f"SELECT id {MINE} AND {has('env', 'prod')} AND status_kind IN ('Waiting','Scheduled','Running','Failed')"
        assert values(jobs, sql) == ["m1"]
        jobs.succeed(jobs.lease_one("m1"))
        assert values(jobs, sql) == []


class TestQueues(Fixture):
    @staticmethod
    def fill(client):
        for id in ("j1", "j2"):
            client.enqueue("g", id=id, limits=[concurrency("gate", 1)])

    @statements(
        (77, "SELECT queue_name FROM queues WHERE tenant='-' AND entry_type='holder'", ["gate"]),
        (78, "SELECT COUNT(*) FROM queues WHERE tenant='-' AND queue_name='gate' AND entry_type='requester'", [1]),
        (79, "SELECT queue_name, entry_type, COUNT(*) AS cnt FROM queues GROUP BY queue_name, entry_type",
         {("gate", "holder", 1), ("gate", "requester", 1)}),
        (83, "SELECT holders, requesters, max_concurrency, limit_type FROM queue_counts WHERE queue_name='gate'", [(1, 1, 1, "fixed")]),
        (90, "SELECT j.id FROM jobs j LEFT JOIN queues q ON q.job_id=j.id WHERE j.tenant='-' AND q.job_id IS NULL", ["j1"]),
        (91, f"SELECT id {MINE} AND id IN (SELECT job_id FROM queues WHERE entry_type='requester')", ["j2"]),
    )
    def test_statements(self, jobs, sql, expected):
        check(jobs, sql, expected)

    @covers(80)
    def test_without_limits_there_are_none(self, start_server):
        with Client(start_server("--shards", 1).address) as client:
            client.enqueue("g", id="free")
            assert values(client, "SELECT queue_name FROM queues WHERE tenant='-'") == []


class TestTasks(Fixture):
    @staticmethod
    def fill(client):
        for id, group, start in [("k1", "mail", 1000), ("k2", "mail", 1100), ("k3", "mail", 1500), ("k4", "cron", 1200)]:
            client.enqueue(group, id=id, start_at_ms=LATER + start)

    @statements(
        (53, "SELECT task_group, COUNT(*) AS cnt FROM tasks GROUP BY task_group ORDER BY task_group", [("cron", 1), ("mail", 3)]),
        (84, f"SELECT job_id FROM tasks WHERE task_group='mail' AND start_time_ms >= {LATER + 1050} AND start_time_ms <= {LATER + 1300}",
         ["k2"]),
        (84, f"SELECT job_id FROM tasks WHERE task_group='mail' AND start_time_ms IN ({LATER + 1000}, {LATER + 1500})", {"k1", "k3"}),
        (84, "SELECT job_id FROM tasks WHERE task_group='mail' AND start_time_ms < 1e30", {"k1", "k2", "k3"}),
        (84, "SELECT job_id FROM tasks WHERE task_group='mail' AND start_time_ms > 9223372036854775807", []),
        (85, "SELECT COUNT(*) FROM tasks WHERE task_group='mail'", [3]),
        (86, "SELECT * FROM tasks WHERE task_group='mail' AND tenant='-'", lambda rows: len(rows) == 3),
        (89, "SELECT j.id, t.variant_type FROM jobs j JOIN tasks t ON t.job_id=j.id AND t.tenant=j.tenant WHERE j.tenant='-'",
         {(f"k{n}", "RunAttempt") for n in range(1, 5)}),
    )
    def test_statements(self, jobs, sql, expected):
        check(jobs, sql, expected)

    @covers(85)
    def test_a_leased_task_is_none(self, start_server):
        with Client(start_server("--shards", 1).address) as client:
            for n in range(3):
                client.enqueue("mail", id=f"k{n}", start_at_ms=1000 + n)
            client.lease_one("k0")
            assert values(client, "SELECT COUNT(*) FROM tasks WHERE task_group='mail'") == [2]


class TestPages(Fixture):
    """Of many jobs: the plan says what LIMIT came to; how much is read is counted in Swift's ReadTests."""

    @staticmethod
    def fill(client):
        rows = [(f"f{n:03}", pb.ATTEMPT_STATUS_FAILED) for n in range(250)] + [(f"s{n}", pb.ATTEMPT_STATUS_SUCCEEDED) for n in range(30)]
        jobs = [pb.ImportJobRequest(
            shard=client.shard, id=id, task_group="g",
            attempts=[pb.ImportAttempt(status=status, started_at_ms=1000, finished_at_ms=2000 + n)]) for n, (id, status) in enumerate(rows)]
        waiting = [pb.ImportJobRequest(shard=client.shard, id=f"w{n}", task_group="g") for n in range(400)]
        assert all(result.success for result in client.call("ImportJobs", jobs=jobs + waiting).results)

    @statements(
        (60, f"SELECT id {MINE} AND status_kind='Waiting' LIMIT 10", lambda ids: len(set(ids)) == 10 and all(id[0] == "w" for id in ids)),
        (61, f"SELECT id {MINE} AND status_kind IN ('Failed','Succeeded') LIMIT 2", lambda ids: [id[0] for id in ids] == ["f", "f"]),
        (62, f"SELECT * {MINE} AND status_kind='Failed' LIMIT 20 OFFSET 180", lambda rows: len(rows) == 20),
        (62, f"SELECT id {MINE} AND status_kind='Failed' ORDER BY status_changed_at_ms DESC LIMIT 2 OFFSET 180", ["f069", "f068"]),
        (62, f"SELECT id {MINE} AND status_kind='Failed' LIMIT 5 OFFSET 248", ["f001", "f000"]),
        (62, f"SELECT id {MINE} AND status_kind='Failed' AND id >= 'f1' LIMIT 1 OFFSET 149", ["f100"]),
        (62, f"SELECT id {MINE} ORDER BY id LIMIT 1 OFFSET 251", ["s1"]),
        (20, f"SELECT id {MINE} AND status_kind='Failed' AND status_changed_at_ms >= 2010 AND status_changed_at_ms < 2012", ["f011", "f010"]),
        (20, f"SELECT id {MINE} AND status_kind='Failed' AND status_changed_at_ms IN (2010, 2012)", ["f012", "f010"]),
        (20, "SELECT id FROM jobs WHERE status_kind='Failed' AND status_changed_at_ms > 2247.5", ["f249", "f248"]),
        (58, f"SELECT id {MINE} AND id > 'f003' AND id LIKE 'f00%' ORDER BY id LIMIT 2", ["f004", "f005"]),
    )
    def test_statements(self, jobs, sql, expected):
        check(jobs, sql, expected)

    @covers(62)
    def test_a_limit_reaches_the_scan(self, jobs):
        plan = ask(jobs, f"EXPLAIN SELECT * {MINE} AND status_kind='Failed' LIMIT 20 OFFSET 180")[1][1]["plan"]
        assert plan == 'SiloExecutionPlan: jobs[Status(tenant=Some("-"), status=Failed)], limit=Some(200)'


class TestBounds:
    """Each on a server that is told so."""

    @pytest.fixture
    def serve(self, tmp_path):
        """Gives a client of a server of some settings and so many jobs."""
        with contextlib.ExitStack() as stack:
            def start(setting, count):
                (tmp_path / "silo.toml").write_text(f"[server]\n{setting}\n")
                server = stack.enter_context(Server(tmp_path, "--shards", 1, "--config", tmp_path / "silo.toml"))
                client = stack.enter_context(Client(server.address))
                client.call("EnqueueBatch", shard=client.shard, jobs=[pb.EnqueueRequest(task_group="g", id=f"j{n}") for n in range(count)])
                return client

            yield start

    @covers(87)
    def test_time(self, serve):
        client = serve("statement_timeout_ms = 100", 120)
        with refused(DEADLINE_EXCEEDED, containing="statement timeout"):
            ask(client, "SELECT COUNT(*) FROM jobs a CROSS JOIN jobs b CROSS JOIN jobs c CROSS JOIN jobs d")
        assert values(client, "SELECT COUNT(*) FROM jobs") == [120]

    @covers(100)
    def test_bytes(self, serve):
        with refused(RESOURCE_EXHAUSTED, containing="max_result_bytes"):
            ask(serve("max_result_bytes = 100", 30), "SELECT * FROM jobs")

    @covers(101)
    def test_statements_at_once(self, serve):
        client = serve("max_concurrent_statements = 1\nstatement_timeout_ms = 500", 1)
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
        calls = [client.begin("Query", shard=client.shard, sql=endless) for _ in range(2)]
        codes = {call.exception().code() for call in calls}
        assert codes == {RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED}


def test_every_statement_is_asked():
    assert asked == ALL
