"""Query: SQL over jobs, from outside (spec/query.md)."""

import concurrent.futures
import json
import threading
import time

import grpc
import msgpack
import pytest

from support.client import INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED, Client, concurrency, policy, refused
from support.generated import pb
from support.metrics import Page
from support.waiting import milliseconds, until

DEADLINE_EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED
INTERNAL = grpc.StatusCode.INTERNAL
HOUR = 3_600_000


def ask(client, sql, *parameters, shard=None, timeout=60, **fields):
    """The answer, with its rows as dicts in the order of their columns."""
    answer = client.call(
        "Query", shard=client.shard if shard is None else shard, sql=sql, parameters=list(parameters), timeout=timeout, **fields,
    )
    rows = [msgpack.unpackb(row.msgpack) for row in answer.rows]
    assert answer.row_count == len(rows)
    assert all(list(row) == [column.name for column in answer.columns] for row in rows)
    return answer, rows


def values(client, sql, *parameters, **fields):
    """The rows as tuples, or the values of a single column."""
    answer, rows = ask(client, sql, *parameters, **fields)
    tuples = [tuple(row.values()) for row in rows]
    return [row[0] for row in tuples] if len(answer.columns) == 1 else tuples


def text(value):
    return pb.QueryParameter(string_value=value)


class Jobs:
    """The jobs of the statements, on a server of their own."""

    @pytest.fixture(scope="class")
    def server(self, start_server):
        return start_server("--shards", 1)

    @pytest.fixture(scope="class")
    def jobs(self, server):
        with Client(server.address) as client:
            self.fill(client)
            yield client


class TestOrders(Jobs):
    @staticmethod
    def fill(client):
        for id, priority in [("ord_a", 10), ("ord_b", 10), ("inv_a", 5), ("inv_b", 50)]:
            client.enqueue("g", {"n": priority, "b": [1.5, None, "é"]}, id=id, priority=priority)

    def test_every_column_has_its_type(self, jobs):
        answer, [row] = ask(jobs, "SELECT * FROM jobs WHERE tenant='-' AND id='ord_a'")
        assert [(c.name, c.data_type) for c in answer.columns if c.name != "metadata"] == [
            ("shard_id", "Utf8"), ("tenant", "Utf8"), ("id", "Utf8"), ("priority", "UInt8"), ("enqueue_time_ms", "Int64"),
            ("payload", "Utf8"), ("status_kind", "Utf8"), ("status_changed_at_ms", "Int64"), ("task_group", "Utf8"),
            ("current_attempt", "UInt32"), ("next_attempt_starts_after_ms", "Int64"), ("limits", "Utf8"),
        ]
        assert row["shard_id"] == jobs.shard
        assert json.loads(row["payload"]) == {"n": 10, "b": [1.5, None, "é"]}
        assert row["payload"] == '{"b":[1.5,null,"é"],"n":10}'
        assert (row["metadata"], row["limits"], row["enqueue_time_ms"]) == ("{}", "[]", 0)
        assert abs(row["status_changed_at_ms"] - milliseconds()) < 60_000

    @pytest.mark.parametrize("sql, expected", [
        ("SELECT id FROM jobs WHERE tenant='-' ORDER BY id", ["inv_a", "inv_b", "ord_a", "ord_b"]),
        ("SELECT priority, enqueue_time_ms FROM jobs WHERE tenant='-' AND id='inv_b'", [(50, 0)]),
        ("SELECT id FROM jobs WHERE tenant='-' AND id='missing'", []),
        ("SELECT id FROM jobs WHERE id='ord_b' LIMIT 1", ["ord_b"]),
        ("SELECT id FROM jobs WHERE tenant='-' AND priority >= 5 AND priority <= 10 ORDER BY id", ["inv_a", "ord_a", "ord_b"]),
        ("SELECT id FROM jobs WHERE tenant='-' AND id LIKE 'ord%' ORDER BY id", ["ord_a", "ord_b"]),
        ("SELECT id FROM jobs WHERE tenant='-' AND id LIKE '%_b' ORDER BY id", ["inv_b", "ord_b"]),
        ("SELECT id FROM jobs WHERE tenant='-' AND id LIKE 'ORD%'", []),
        ("SELECT id FROM jobs WHERE tenant='-' AND id ILIKE 'ORD%' ORDER BY id", ["ord_a", "ord_b"]),
        ("SELECT COUNT(*) AS n, SUM(priority), AVG(priority), MIN(priority), MAX(priority) FROM jobs", [(4, 75, 18.75, 5, 50)]),
        ("SELECT priority, COUNT(*) AS cnt FROM jobs WHERE tenant='-' GROUP BY priority ORDER BY priority", [(5, 1), (10, 2), (50, 1)]),
        ("SELECT priority FROM jobs WHERE tenant='-' GROUP BY priority HAVING COUNT(*) > 1", [10]),
        ("SELECT id FROM jobs WHERE tenant='-' ORDER BY id LIMIT 2 OFFSET 1", ["inv_b", "ord_a"]),
        ("SELECT priority > 25 AS hot FROM jobs WHERE tenant='-' ORDER BY id", [False, True, False, False]),
        ("SELECT id, ROW_NUMBER() OVER (ORDER BY priority, id) AS rn FROM jobs ORDER BY rn",
         [("inv_a", 1), ("ord_a", 2), ("ord_b", 3), ("inv_b", 4)]),
        ("SELECT id FROM public.jobs WHERE json_extract(payload, '$.n') = 5", ["inv_a"]),
        ("SELECT 1", [1]),
    ])
    def test_the_rows_of_a_statement(self, jobs, sql, expected):
        assert values(jobs, sql) == expected

    def test_parameters_are_values_of_their_types(self, jobs):
        sql = "SELECT id FROM jobs WHERE tenant=$1 AND priority >= $2 ORDER BY id"
        assert values(jobs, sql, text("-"), pb.QueryParameter(int64_value=50)) == ["inv_b"]
        assert values(jobs, sql, text("-"), pb.QueryParameter(uint64_value=50)) == ["inv_b"]
        assert values(jobs, sql, text("-"), pb.QueryParameter(float64_value=49.5)) == ["inv_b"]
        hostile = "x' OR '1'='1"
        assert values(jobs, "SELECT id FROM jobs WHERE id=$1", text(hostile)) == []
        assert values(jobs, "SELECT $1 AS v", text(hostile)) == [hostile]
        assert values(jobs, "SELECT $1 AS v", text("a\0b'")) == ["a\0b'"]
        assert values(jobs, "SELECT $1 AS v", pb.QueryParameter(bool_value=True)) == [True]
        assert values(jobs, "SELECT $1 AS v", pb.QueryParameter(bytes_value=b"\x00\xff")) == ["00ff"]
        assert values(jobs, "SELECT $1 IS NULL AS v", pb.QueryParameter(null_value=pb.QueryNull())) == [True]
        with refused(INVALID_ARGUMENT, containing="query parameter is missing a value"):
            ask(jobs, "SELECT $1", pb.QueryParameter())
        with refused(INVALID_ARGUMENT, containing="No value found for placeholder with id $2"):
            ask(jobs, "SELECT $2", text("a"))

    @pytest.mark.parametrize("sql", [
        "SELECT id FROM jobs WHERE", "SELECT FROM WHERE", "SELECT nope FROM jobs", "SELECT * FROM nope", "", "   ",
        "DELETE FROM jobs", "DROP TABLE jobs", "SELECT 1; SELECT 2", "PRAGMA database_list", "ATTACH '/etc/passwd' AS x",
        "SELECT load_extension('/tmp/x.so')", "SELECT readfile('/etc/passwd')", "SELECT id FROM jobs GROUP BY priority",
        "SELECT * FROM sqlite_schema", "INSERT INTO jobs VALUES (1)", "VACUUM", "SELECT zeroblob(1000000000)",
        "SELECT printf('%.*c', 1000000000, 'x')", "SELECT 'a' \0", "SELECT id, id FROM jobs", "SELECT " + "(" * 5000 + "1" + ")" * 5000,
        "SELECT " + "-" * 5001 + "1", "SELECT " + " OR ".join(["1=1"] * 5000), "SELECT 'never ends", "/* never ends",
    ])
    def test_what_is_no_query_is_refused(self, jobs, sql):
        with refused(INVALID_ARGUMENT, containing="SQL error"):
            ask(jobs, sql)
        assert values(jobs, "SELECT COUNT(*) FROM jobs") == [4]

    def test_a_shard_must_be_one(self, jobs):
        with refused(INVALID_ARGUMENT, containing="invalid shard ID"):
            ask(jobs, "SELECT 1", shard="nonsense")
        with refused(NOT_FOUND, containing="shard not found"):
            ask(jobs, "SELECT 1", shard="99999999-9999-9999-9999-999999999999")

    def test_a_cast_of_no_number_fails(self, jobs):
        with refused(INTERNAL, containing="Query execution failed"):
            ask(jobs, "SELECT CAST(id AS INT) FROM jobs")


class TestStates(Jobs):
    @staticmethod
    def fill(client):
        for id, end in [("done1", client.succeed), ("bad1", client.fail)]:
            client.enqueue("g", id=id)
            end(client.lease_one(id))
        client.enqueue("g", id="run1")
        TestStates.running = client.lease_one("run1")
        client.enqueue("g", id="wait1")
        client.enqueue("g", id="wait2")
        client.enqueue("g", id="later1", start_at_ms=milliseconds() + HOUR)
        client.enqueue("g", id="again1", retry_policy=policy(3, initial=HOUR, most=HOUR))
        client.fail(client.lease_one("again1"))

    @pytest.fixture(autouse=True)
    def renew(self, jobs):
        """The running job goes on running, however slow the tests are."""
        stop = threading.Event()

        def beat():
            while not stop.wait(1):
                jobs.heartbeat(self.running)

        jobs.heartbeat(self.running)
        thread = threading.Thread(target=beat)
        thread.start()
        yield
        stop.set()
        thread.join()

    @pytest.mark.parametrize("condition, expected", [
        ("status_kind='Running'", ["run1"]),
        ("status_kind='Waiting'", ["wait1", "wait2"]),
        ("status_kind='Scheduled'", ["again1", "later1"]),
        ("status_kind='Failed'", ["bad1"]),
        ("status_kind='Succeeded'", ["done1"]),
        ("status_kind='Bogus'", []),
        ("status_kind='Running' AND id='run1'", ["run1"]),
        ("status_kind='Running' AND id LIKE 'run%'", ["run1"]),
        ("current_attempt IS NULL", ["bad1", "done1", "run1"]),
        ("status_kind IN ('Waiting','Running','Succeeded','Failed')", ["bad1", "done1", "run1", "wait1", "wait2"]),
        ("(status_kind='Waiting' OR status_kind='Scheduled')", ["again1", "later1", "wait1", "wait2"]),
        ("status_kind NOT IN ('Succeeded','Failed','Cancelled')", ["again1", "later1", "run1", "wait1", "wait2"]),
        ("(status_kind='Waiting' OR (status_kind='Scheduled' AND current_attempt > 1))", ["again1", "wait1", "wait2"]),
        ("(status_kind='Failed' OR (status_kind='Failed' AND current_attempt > 0) OR status_kind='Succeeded')", ["bad1", "done1"]),
        ("(status_kind='Failed' OR id='run1')", ["bad1", "run1"]),
        ("status_kind='Succeeded' AND status_kind IN ('Succeeded','Failed','Cancelled','Running')", ["done1"]),
        ("tenant='other'", []),
    ])
    def test_jobs_are_found_by_their_status(self, jobs, condition, expected):
        assert values(jobs, f"SELECT id FROM jobs WHERE tenant='-' AND {condition} ORDER BY id") == expected
        assert values(jobs, f"SELECT id FROM jobs WHERE {condition} ORDER BY id") == expected
        assert values(jobs, f"SELECT COUNT(*) FROM jobs WHERE tenant='-' AND {condition}") == [len(expected)]

    def test_counts_and_rows_agree(self, jobs):
        expected = [("Failed", 1), ("Running", 1), ("Scheduled", 2), ("Succeeded", 1), ("Waiting", 2)]
        grouped = "SELECT status_kind, COUNT(*) AS cnt FROM jobs WHERE tenant='-' {} GROUP BY status_kind ORDER BY status_kind"
        assert values(jobs, grouped.format("")) == expected
        assert values(jobs, grouped.format("AND priority >= 0")) == expected
        assert values(jobs, "SELECT status_kind, cnt FROM tenant_counts ORDER BY 1") == [
            ("Failed", 1), ("Running", 1), ("Scheduled", 4), ("Succeeded", 1)]
        answer, rows = ask(jobs, "SELECT COUNT(*) FROM jobs")
        assert (answer.columns[0].data_type, rows) == ("Int64", [{"count(*)": 7}])

    def test_every_row_says_when_it_changed_and_what_comes_next(self, jobs):
        sql = "SELECT id, current_attempt, next_attempt_starts_after_ms - $1 AS wait, status_changed_at_ms FROM jobs ORDER BY id"
        rows = {r[0]: r[1:] for r in values(jobs, sql, pb.QueryParameter(int64_value=milliseconds()))}
        assert {id: row[0] for id, row in rows.items()} == {
            "again1": 2, "bad1": None, "done1": None, "later1": 1, "run1": None, "wait1": 1, "wait2": 1}
        assert all(abs(rows[id][1] - HOUR) < 120_000 for id in ("again1", "later1"))
        assert all(abs(row[2] - milliseconds()) < 120_000 for row in rows.values())
        by_status = "SELECT id, status_changed_at_ms FROM jobs WHERE status_kind IN ('Waiting','Scheduled','Running','Failed','Succeeded')"
        assert dict(values(jobs, by_status)) == {id: row[2] for id, row in rows.items()}

    def test_nulls_come_last(self, jobs):
        ids = values(jobs, "SELECT id FROM jobs WHERE tenant='-' ORDER BY current_attempt, id")
        assert ids == ["later1", "wait1", "wait2", "again1", "bad1", "done1", "run1"]

    def test_attempts_and_leases(self, jobs):
        assert values(jobs, "SELECT job_id, attempt, outcome, error_code FROM attempts ORDER BY 1, 2") == [
            ("again1", 1, "Failed", "BROKEN"), ("bad1", 1, "Failed", "BROKEN"), ("done1", 1, "Succeeded", None),
            ("run1", 1, "Running", None)]
        assert values(jobs, "SELECT job_id, worker_id FROM leases") == [("run1", "worker")]


class TestMetadata(Jobs):
    @staticmethod
    def fill(client):
        client.enqueue("g", id="m1", metadata={"env": "prod", "team": "core", "region": "us-east-1"})
        client.enqueue("g", id="m2", metadata={"env": "staging", "region": "us-west-2"})
        client.enqueue("g", id="m3", metadata={"env": "prod-eu", "region": "eu-west-1"})
        client.enqueue("g", id="m4")
        client.enqueue("g", id="m5", metadata={"o'k": "it's", "": "", "long": "x" * 2000, "nul": "a\0b"})

    @pytest.mark.parametrize("condition, expected", [
        ("array_contains(element_at(metadata,'env'),'prod')", ["m1"]),
        ("list_has(map_extract(metadata,'env'),'prod') AND array_has(element_at(metadata,'team'),'core')", ["m1"]),
        ("(array_contains(element_at(metadata,'env'),'prod') OR array_contains(element_at(metadata,'env'),'staging'))", ["m1", "m2"]),
        ("array_contains(element_at(metadata,'nokey'),'x')", []),
        ("starts_with(array_any_value(element_at(metadata,'env')),'prod')", ["m1", "m3"]),
        ("array_any_value(element_at(metadata,'region')) LIKE 'us-%'", ["m1", "m2"]),
        ("array_any_value(element_at(metadata,'region')) LIKE '%-1'", ["m1", "m3"]),
        ("array_any_value(element_at(metadata,'region')) NOT LIKE 'us-%'", ["m3"]),
        ("'prod' = array_any_value(element_at(metadata,'env'))", ["m1"]),
        ("metadata['o''k'] = 'it''s'", ["m5"]),
        ("metadata[''] = ''", ["m5"]),
        ("metadata['nul'] IS NOT NULL", ["m5"]),
        (f"metadata['long'] = '{'x' * 2000}'", ["m5"]),
        (f"metadata['long'] = '{'x' * 2001}'", []),
        (f"starts_with(metadata['long'], '{'x' * 1500}')", ["m5"]),
        ("cardinality(metadata) = 0", ["m4"]),
        ("array_contains(element_at(metadata,'env'),'prod') AND status_kind IN ('Running','Failed')", []),
    ])
    def test_jobs_are_found_by_their_metadata(self, jobs, condition, expected):
        assert values(jobs, f"SELECT id FROM jobs WHERE tenant='-' AND {condition} ORDER BY id") == expected
        assert values(jobs, f"SELECT id FROM jobs WHERE {condition} ORDER BY id") == expected

    def test_values_with_zero_bytes_come_as_parameters(self, jobs):
        assert values(jobs, "SELECT id FROM jobs WHERE metadata['nul'] = $1", text("a\0b")) == ["m5"]

    def test_metadata_is_shown(self, jobs):
        answer, [row] = ask(jobs, "SELECT metadata FROM jobs WHERE tenant='-' AND id='m1'")
        assert row == {"metadata": "{env: prod, region: us-east-1, team: core}"}
        assert "Map(" in answer.columns[0].data_type and "Utf8" in answer.columns[0].data_type


class TestQueuesAndTasks(Jobs):
    @staticmethod
    def fill(client):
        client.enqueue("q", id="j1", limits=[concurrency("gate", 1)])
        client.enqueue("q", id="j2", limits=[concurrency("gate", 1)])
        for id, group, start in [("k1", "mail", 1000), ("k2", "mail", 1100), ("k3", "mail", 1500), ("k4", "cron", 1200)]:
            client.enqueue(group, id=id, start_at_ms=4_000_000_000_000 + start)

    @pytest.mark.parametrize("sql, expected", [
        ("SELECT queue_name FROM queues WHERE tenant='-' AND entry_type='holder'", ["gate"]),
        ("SELECT COUNT(*) FROM queues WHERE tenant='-' AND queue_name='gate' AND entry_type='requester'", [1]),
        ("SELECT queue_name, entry_type, COUNT(*) AS cnt FROM queues GROUP BY queue_name, entry_type ORDER BY 2",
         [("gate", "holder", 1), ("gate", "requester", 1)]),
        ("SELECT holders, requesters, max_concurrency, limit_type FROM queue_counts WHERE queue_name='gate'", [(1, 1, 1, "fixed")]),
        ("SELECT j.id FROM jobs j LEFT JOIN queues q ON q.job_id=j.id WHERE j.tenant='-' AND q.job_id IS NULL AND j.task_group='q'",
         ["j1"]),
        ("SELECT id FROM jobs WHERE tenant='-' AND id IN (SELECT job_id FROM queues WHERE entry_type='requester')", ["j2"]),
        ("SELECT task_group, COUNT(*) AS cnt FROM tasks GROUP BY task_group ORDER BY 1", [("cron", 1), ("mail", 3), ("q", 1)]),
        ("SELECT job_id FROM tasks WHERE task_group='mail' AND start_time_ms >= 4000000001050 AND start_time_ms <= 4000000001300", ["k2"]),
        ("SELECT job_id FROM tasks WHERE task_group='mail' AND start_time_ms > 4000000001100 AND start_time_ms > 1", ["k3"]),
        ("SELECT j.id, t.variant_type FROM jobs j JOIN tasks t ON t.job_id=j.id AND t.tenant=j.tenant WHERE t.task_group='cron'",
         [("k4", "RunAttempt")]),
        ("SELECT limit_key, limit_type, maximum, held, waiting, is_paused FROM limits", [("gate", "concurrency", 1, 1, 1, False)]),
    ])
    def test_the_rows_of_a_statement(self, jobs, sql, expected):
        assert values(jobs, sql) == expected

    @pytest.mark.parametrize("sql, line", [
        ("SELECT id FROM jobs WHERE tenant='-' AND id='x'", 'jobs[ExactId(tenant=Some("-"), id="x")], limit=None'),
        ("SELECT id FROM jobs WHERE tenant='-' AND status_kind='Waiting' LIMIT 5",
         'jobs[Status(tenant=Some("-"), status=Waiting)], limit=Some(5)'),
        ("SELECT id FROM jobs WHERE tenant='-' AND status_kind IN ('Scheduled','Waiting')",
         'jobs[StatusUnion(tenant="-", statuses=[FutureScheduled, Waiting])], limit=None'),
        ("SELECT id FROM jobs WHERE tenant='-' AND status_kind <> 'Failed'", 'jobs[FullScan(tenant=Some("-"))], limit=None'),
        ("SELECT * FROM jobs", "jobs[FullScan(tenant=None)], limit=None"),
        ("SELECT * FROM tasks WHERE task_group='mail'", 'tasks[TaskGroupScan(task_group="mail", time_lower=None, time_upper=None)], limit=None'),
        ("SELECT * FROM queues WHERE tenant='-' AND queue_name='gate'", 'queues[tenant=Some("-"), queue=Some("gate"), entry_type=None], limit=None'),
        ("SELECT * FROM tenant_counts WHERE tenant='-'", 'tenant_counts[tenant="-"], limit=None'),
        ("SELECT * FROM tenant_counts WHERE tenant >= 'a' AND tenant < 'b'", 'tenant_counts[tenant>="a", tenant<"b"], limit=None'),
        ("SELECT * FROM tenant_counts", "tenant_counts[all], limit=None"),
    ])
    def test_a_plan_names_its_scan(self, jobs, sql, line):
        answer, rows = ask(jobs, "EXPLAIN " + sql)
        assert [c.name for c in answer.columns] == ["plan_type", "plan"]
        assert [row["plan_type"] for row in rows] == ["logical_plan", "physical_plan"]
        assert "SiloExecutionPlan: " + line in rows[1]["plan"].split("\n")


class TestBounds(Jobs):
    """Whatever is asked, it ends in time and memory, and the server goes on."""

    @staticmethod
    def fill(client):
        jobs = [pb.EnqueueRequest(task_group="g", id=f"j{n}", payload=pb.SerializedBytes(msgpack=msgpack.packb("x" * 900)))
                for n in range(2000)]
        assert {r.code for r in client.call("EnqueueBatch", shard=client.shard, jobs=jobs).results} == {0}

    @pytest.mark.parametrize("sql", [
        "SELECT COUNT(*) FROM jobs a CROSS JOIN jobs b CROSS JOIN jobs c WHERE a.priority + b.priority + c.priority < 0",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n",
        "SELECT COUNT(*) FROM jobs a, jobs b, jobs c WHERE a.payload || b.payload LIKE '%x%x%x%x%x%x%y' || c.id",
    ])
    def test_a_statement_that_does_not_end_is_ended(self, jobs, sql):
        begun = time.monotonic()
        with refused(DEADLINE_EXCEEDED, containing="statement timeout"):
            ask(jobs, sql)
        assert time.monotonic() - begun < 60
        assert values(jobs, "SELECT COUNT(*) FROM jobs") == [2000]

    def test_memory_is_bounded(self, jobs):
        doubled = "WITH RECURSIVE n(t) AS (SELECT 'x' UNION ALL SELECT t || t FROM n) SELECT MAX(LENGTH(t)) FROM n"
        with refused(INTERNAL, containing="bytes"):
            ask(jobs, doubled)
        rows = "WITH RECURSIVE n(i, t) AS (SELECT 1, $1 UNION ALL SELECT i + 1, t || i FROM n WHERE i < 100000) SELECT t FROM n ORDER BY t DESC"
        with refused(RESOURCE_EXHAUSTED, containing="bytes"):
            ask(jobs, rows, text("x" * 100_000))
        assert values(jobs, "SELECT COUNT(*) FROM jobs") == [2000]

    def test_a_result_is_bounded(self, jobs):
        with refused(RESOURCE_EXHAUSTED, containing="max_result_bytes"):
            ask(jobs, "SELECT $1 || id AS t FROM jobs", text("x" * 100_000))

    def test_a_caller_that_leaves_ends_its_statement(self, jobs):
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
        for _ in range(3):
            calls = [jobs.begin("Query", shard=jobs.shard, sql=endless) for _ in range(8)]
            for call in calls:
                call.cancel()
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            try:
                assert values(jobs, "SELECT COUNT(*) FROM jobs") == [2000]
                return
            except grpc.RpcError as error:
                assert error.code() == RESOURCE_EXHAUSTED
        pytest.fail("statements went on without their callers")

    def test_so_many_statements_run_at_once(self, server, jobs):
        # Of those whose callers left, the last may still be about to end.
        until(lambda: Page.of(server).sum("silo_query_inflight") == 0, what="no statement")
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            def run(_):
                with pytest.raises(grpc.RpcError) as caught:
                    ask(jobs, endless)
                return caught.value
            errors = list(pool.map(run, range(12)))
        refusals = [e for e in errors if e.code() == RESOURCE_EXHAUSTED]
        assert len(refusals) == 4 and all("max_concurrent_statements" in e.details() for e in refusals)
        assert values(jobs, "SELECT COUNT(*) FROM jobs") == [2000]

    def test_large_statements_and_many_parameters_are_bounded(self, jobs):
        ids = ", ".join(f"'j{n}'" for n in range(2000))
        assert values(jobs, f"SELECT COUNT(*) FROM jobs WHERE tenant='-' AND id IN ({ids}) AND priority >= 0") == [2000]
        marks = ", ".join(f"${n + 1}" for n in range(9999))
        many = [text(f"j{n}") for n in range(9999)]
        assert values(jobs, f"SELECT COUNT(*) FROM jobs WHERE tenant='-' AND id IN ({marks}) AND priority >= 0", *many) == [2000]
        with refused(INVALID_ARGUMENT, containing="parameters"):
            ask(jobs, "SELECT 1", *[text("x")] * 10_001)
        with refused(INVALID_ARGUMENT, containing="bytes"):
            ask(jobs, "SELECT '" + "x" * (1 << 20) + "'")


class TestTenants:
    @pytest.fixture(scope="class")
    def server(self, start_server):
        return start_server("--shards", 4, "--tenancy")

    @pytest.fixture(scope="class")
    def names(self):
        return [f"tenant-{n}" for n in range(12)]

    @pytest.fixture(scope="class")
    def jobs(self, server, names):
        with Client(server.address) as client:
            for number, name in enumerate(names):
                for n in range(number + 1):
                    client.enqueue("g", tenant=name, id=f"{name}/{n}", limits=[concurrency("gate", 1)])
            yield client

    def test_a_statement_without_a_shard_asks_all_of_them(self, jobs, names):
        total = sum(range(1, 13))
        assert values(jobs, "SELECT COUNT(*) FROM jobs", shard="") == [total]
        assert values(jobs, "SELECT COUNT(*) FROM jobs WHERE priority >= 0", shard="") == [total]
        shards = values(jobs, "SELECT shard_id, COUNT(*) AS n FROM jobs GROUP BY shard_id ORDER BY shard_id", shard="")
        assert {id for id, _ in shards} <= {s.shard_id for s in jobs.shards()} and sum(n for _, n in shards) == total
        by_tenant = values(jobs, "SELECT tenant, COUNT(*) AS n FROM jobs GROUP BY tenant ORDER BY n DESC LIMIT 2", shard="")
        assert by_tenant == [("tenant-11", 12), ("tenant-10", 11)]

    @pytest.mark.parametrize("sql", [
        "SELECT DISTINCT tenant FROM jobs", "SELECT DISTINCT tenant FROM tasks", "SELECT DISTINCT tenant FROM queues",
        "SELECT DISTINCT tenant FROM tenant_counts", "SELECT DISTINCT tenant FROM queue_counts",
        "SELECT DISTINCT tenant FROM jobs WHERE tenant <> 'tenant-3' OR 1=1",
        "SELECT tenant FROM jobs GROUP BY tenant", "SELECT MAX(tenant) AS m FROM jobs UNION SELECT MIN(tenant) FROM jobs",
        "SELECT DISTINCT b.tenant FROM jobs a CROSS JOIN jobs b WHERE a.tenant='tenant-3'",
    ])
    def test_the_tenant_of_a_request_is_all_that_it_sees(self, jobs, sql):
        assert values(jobs, sql, shard="", tenant="tenant-3") == ["tenant-3"]

    def test_other_tenants_are_not_there_for_it(self, jobs):
        assert values(jobs, "SELECT id FROM jobs WHERE tenant='tenant-4'", shard="", tenant="tenant-3") == []
        assert values(jobs, "SELECT COUNT(*) FROM jobs WHERE tenant='tenant-4'", shard="", tenant="tenant-3") == [0]
        assert values(jobs, "SELECT COUNT(*) FROM jobs", shard="", tenant="tenant-3") == [4]
