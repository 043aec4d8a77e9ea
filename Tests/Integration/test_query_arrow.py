"""QueryArrow: the rows of a statement as Arrow record batches (spec/query.md 8.3), read by Arrow's own library."""

import contextlib
import json
import subprocess
import time

import duckdb
import grpc
import msgpack
import pyarrow as pa
import pytest

from support.client import INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED, UNAVAILABLE, Client, concurrency, refused
from support.generated import pb
from support.programs import program, run
from support.resources import Peak, memory
from support.siloctl import Terminal
from support.waiting import until

DEADLINE_EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED
INTERNAL = grpc.StatusCode.INTERNAL
END = b"\xff\xff\xff\xff\0\0\0\0"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"


def request(client, sql, *parameters, shard=None, **fields):
    return pb.QueryArrowRequest(
        shard=client.shard if shard is None else shard, sql=sql, parameters=list(parameters), **fields)


def stream(client, sql, *parameters, timeout=60, **fields):
    """The call, whose messages may be read one by one."""
    return client.stub.QueryArrow(request(client, sql, *parameters, **fields), timeout=timeout, metadata=client.headers)


def batches(call):
    """The batches of an answer, of which each comes as a stream of its own."""
    for message in call:
        assert message.ipc_data.endswith(END)
        with pa.ipc.open_stream(message.ipc_data) as reader:
            [batch] = list(reader)
        batch.validate(full=True)
        yield batch


def table(client, sql, *parameters, **fields):
    return pa.Table.from_batches(list(batches(stream(client, sql, *parameters, **fields))))


def column(client, sql, *parameters, **fields):
    return table(client, sql, *parameters, **fields).column(0).to_pylist()


def fill(client, count, size=0):
    """Jobs with payloads of so many bytes."""
    payload = pb.SerializedBytes(msgpack=msgpack.packb("x" * size))
    for start in range(0, count, 1000):
        jobs = [pb.EnqueueRequest(task_group="g", id=f"j{n:06}", payload=payload) for n in range(start, min(start + 1000, count))]
        assert {r.code for r in client.call("EnqueueBatch", shard=client.shard, jobs=jobs).results} == {0}


TABLES = ["jobs", "tasks", "attempts", "leases", "queues", "queue_counts", "limits", "tenant_counts", "shards"]


def as_query_has_it(value):
    """Query has texts in place of maps, lists and blobs."""
    match value:
        case dict(): return "{" + ", ".join(f"{key}: {text}" for key, text in value.items()) + "}"
        case list(): return "[" + ", ".join(text or "" for text in value) + "]"
        case bytes(): return value.hex()
        case _: return value


class TestValues:
    @pytest.fixture(scope="class")
    def jobs(self, start_server):
        server = start_server("--shards", 1)
        with Client(server.address) as client:
            client.enqueue("g", {"n": 1, "é": None}, id="a", priority=10, metadata={"env": "prod", "leer": ""})
            client.enqueue("g", id="b", priority=20)
            client.enqueue("h", {"n": 2.5}, id="c", priority=99, limits=[concurrency("gate")])
            client.succeed(client.lease_one("b"))
            yield client

    def test_every_column_has_its_type(self, jobs):
        schema = table(jobs, "SELECT * FROM jobs").schema
        assert [(f.name, str(f.type), f.nullable) for f in schema] == [
            ("shard_id", "string", False), ("tenant", "string", False), ("id", "string", False), ("priority", "uint8", False),
            ("enqueue_time_ms", "int64", False), ("payload", "string", True), ("status_kind", "string", True),
            ("status_changed_at_ms", "int64", True), ("task_group", "string", False), ("current_attempt", "uint32", True),
            ("next_attempt_starts_after_ms", "int64", True), ("metadata", "map<string, string>", True), ("limits", "string", True),
        ]
        entries = schema.field("metadata").type
        assert (entries.key_field.nullable, entries.item_field.nullable, entries.keys_sorted) == (False, True, False)

    def test_stored_values_come_as_what_they_are(self, jobs):
        rows = table(jobs, "SELECT * FROM jobs ORDER BY id").to_pylist(maps_as_pydicts="strict")
        assert [row["metadata"] for row in rows] == [{"env": "prod", "leer": ""}, {}, {}]
        assert json.loads(rows[0]["payload"]) == {"n": 1, "é": None}
        assert [row["current_attempt"] for row in rows] == [1, None, 1]

    @pytest.mark.parametrize("sql", [
        *[f"SELECT * FROM {name}" for name in TABLES],
        "SELECT j.*, t.task_id FROM jobs j LEFT JOIN tasks t ON t.job_id = j.id",
        "SELECT status_kind, task_group, COUNT(*), SUM(priority), AVG(priority), MIN(id), MAX(payload) FROM jobs GROUP BY 1, 2",
        "SELECT metadata, map_keys(metadata), map_values(metadata), element_at(metadata, 'env'), metadata['env'] FROM jobs",
        "SELECT id LIKE 'a%', id IN ('a', 'b'), payload IS NULL, NOT priority > 15, EXISTS (SELECT 1 FROM limits) FROM jobs",
        "SELECT CASE WHEN id = 'a' THEN priority ELSE NULL END, COALESCE(current_attempt, -1), priority / 7, priority / 7.0 FROM jobs",
        "SELECT id, RANK() OVER (PARTITION BY task_group ORDER BY priority), LAG(id) OVER (ORDER BY id) FROM jobs",
        "SELECT CAST(priority AS BIGINT), CAST(priority AS INT), CAST(priority AS DOUBLE), CAST(priority AS TEXT), id || 1 FROM jobs",
        "SELECT id FROM jobs UNION ALL SELECT job_id FROM queues UNION ALL SELECT NULL",
        "SELECT json_extract(payload, '$.n'), json_type(payload), LENGTH(payload), UPPER(id), X'00ff' FROM jobs",
        "VALUES (1, 'a', 2.5, NULL), (NULL, 'b', 3, NULL)",
        "WITH f AS (SELECT id, priority FROM jobs WHERE priority > 15) SELECT COUNT(*), MAX(priority) FROM f",
    ])
    def test_every_value_is_what_query_says(self, jobs, sql):
        answer = table(jobs, sql)
        packed = jobs.call("Query", shard=jobs.shard, sql=sql)
        assert answer.column_names == [column.name for column in packed.columns]
        rows = [{name: as_query_has_it(value) for name, value in row.items()} for row in answer.to_pylist(maps_as_pydicts="strict")]
        assert rows == [msgpack.unpackb(row.msgpack) for row in packed.rows]

    @pytest.mark.parametrize("sql, kind, expected", [
        ("SELECT priority > 15 AS v FROM jobs ORDER BY id", "bool", [False, True, True]),
        ("SELECT NULLIF(priority, 20) AS v FROM jobs ORDER BY id", "uint8", [10, None, 99]),
        ("SELECT priority / 3.0 AS v FROM jobs ORDER BY id LIMIT 1", "double", [10 / 3]),
        ("SELECT AVG(priority) AS v FROM jobs", "double", [43.0]),
        ("SELECT SUM(priority) AS v FROM jobs", "uint64", [129]),
        ("SELECT COUNT(*) AS v FROM jobs", "int64", [3]),
        ("SELECT CAST(priority AS INT) AS v FROM jobs ORDER BY id LIMIT 1", "int32", [10]),
        ("SELECT 9223372036854775807 AS v", "int64", [2**63 - 1]),
        ("SELECT -9223372036854775807 - 1 AS v", "int64", [-(2**63)]),
        ("SELECT NULL AS v", "null", [None]),
        ("SELECT '' AS v", "string", [""]),
        ("SELECT X'00ff' AS v", "binary", [b"\0\xff"]),
        ("SELECT X'' AS v", "binary", [b""]),
        ("SELECT json_extract(payload, '$.n') AS v FROM jobs ORDER BY id", "string", ["1", None, "2.5"]),
        ("SELECT map_keys(metadata) AS v FROM jobs ORDER BY id LIMIT 2", "list<item: string>", [["env", "leer"], []]),
        ("SELECT element_at(metadata, 'no') AS v FROM jobs LIMIT 1", "list<item: string>", [[None]]),
        ("SELECT metadata['env'] AS v FROM jobs ORDER BY id", "string", ["prod", None, None]),
        ("SELECT is_paused AS v FROM limits", "bool", [False]),
        ("SELECT 'ok' AS v UNION ALL SELECT NULL", "string", ["ok", None]),
        ("SELECT CASE WHEN priority = 10 THEN 1 ELSE 0.5 END AS v FROM jobs ORDER BY id", "double", [1.0, 0.5, 0.5]),
        ("SELECT b.id AS v FROM jobs a LEFT JOIN jobs b ON b.id = a.id AND b.id <> 'b' ORDER BY a.id", "string", ["a", None, "c"]),
        ("SELECT ROW_NUMBER() OVER (ORDER BY id) AS v FROM jobs", "uint64", [1, 2, 3]),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i AS v FROM n", "int64", [1, 2, 3]),
    ])
    def test_the_types_of_expressions(self, jobs, sql, kind, expected):
        answer = table(jobs, sql)
        assert (answer.column_names, str(answer.schema.field(0).type), answer.column(0).to_pylist()) == (["v"], kind, expected)

    @pytest.mark.parametrize("value, kind, expected", [
        (pb.QueryParameter(bool_value=True), "bool", True),
        (pb.QueryParameter(int64_value=-5), "int64", -5),
        (pb.QueryParameter(uint64_value=2**63), "uint64", 2**63),
        (pb.QueryParameter(float64_value=float("inf")), "double", float("inf")),
        (pb.QueryParameter(string_value="a\0é"), "string", "a\0é"),
        (pb.QueryParameter(bytes_value=b"\0\xff"), "binary", b"\0\xff"),
        (pb.QueryParameter(null_value=pb.QueryNull()), "null", None),
    ])
    def test_parameters_come_back_as_they_were(self, jobs, value, kind, expected):
        answer = table(jobs, "SELECT $1 AS v", value)
        assert (str(answer.schema.field(0).type), answer.column(0).to_pylist()) == (kind, [expected])

    def test_a_text_that_is_no_utf8_does_not_spoil_its_batch(self, jobs):
        [value] = column(jobs, "SELECT CAST(X'61ff62' AS TEXT) AS v")
        assert value == "a\ufffdb"

    def test_an_empty_result_has_its_columns(self, jobs):
        answer = table(jobs, "SELECT id, priority FROM jobs WHERE id = 'none'")
        assert (answer.num_rows, answer.column_names, [str(t) for t in answer.schema.types]) == (0, ["id", "priority"], ["string", "uint8"])

    def test_a_plan_comes_as_texts(self, jobs):
        answer = table(jobs, "EXPLAIN SELECT id FROM jobs WHERE tenant = '-' AND id = 'a'")
        assert answer.column("plan_type").to_pylist() == ["logical_plan", "physical_plan"]
        assert 'jobs[ExactId(tenant=Some("-"), id="a")]' in answer.column("plan").to_pylist()[1]

    def test_other_programs_ask_further(self, jobs):
        jobs_table = table(jobs, "SELECT * FROM jobs")
        assert duckdb.sql("SELECT MAX(priority), COUNT(payload) FROM jobs_table").fetchall() == [(99, 2)]

    @pytest.mark.parametrize("sql, code, text", [
        ("SELECT FROM", INVALID_ARGUMENT, "SQL error"),
        ("DELETE FROM jobs", INVALID_ARGUMENT, "SQL error"),
        ("SELECT $1", INVALID_ARGUMENT, "placeholder"),
        ("SELECT CAST(id AS INT) FROM jobs", INTERNAL, "Query execution failed"),
    ])
    def test_what_cannot_be_answered_is_refused(self, jobs, sql, code, text):
        with refused(code, containing=text):
            table(jobs, sql, *([pb.QueryParameter(int64_value=1)] if code == INTERNAL else []))

    def test_so_are_requests_that_name_no_shard_and_no_value(self, jobs):
        with refused(INVALID_ARGUMENT, containing="invalid shard ID"):
            table(jobs, "SELECT 1", shard="nonsense")
        with refused(NOT_FOUND, containing="shard not found"):
            table(jobs, "SELECT 1", shard="99999999-9999-9999-9999-999999999999")
        with refused(INVALID_ARGUMENT, containing="query parameter is missing a value"):
            table(jobs, "SELECT $1", pb.QueryParameter())

    def test_a_value_past_its_type_is_an_error_and_no_other_value(self, jobs):
        with refused(INTERNAL, containing="column v has 1.8446744073709552e+19, which is no UInt64"):
            table(jobs, "SELECT $1 AS v", pb.QueryParameter(uint64_value=2**64 - 1))


class TestStreams:
    #: Rows that nobody has stored: a number, and a text of so many bytes.
    ROWS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i, $2 || i AS t FROM n"
    MANY = 10**9

    @pytest.fixture(scope="class")
    def server(self, start_server, tmp_path_factory):
        settings = tmp_path_factory.mktemp("settings") / "silo.toml"
        settings.write_text("[server]\nstatement_timeout_ms = 2000\nmax_concurrent_statements = 2\nslow_query_log_ms = 1\n")
        return start_server("--shards", 1, "--config", settings)

    @pytest.fixture(scope="class")
    def jobs(self, server):
        with Client(server.address) as client:
            fill(client, 10_000, size=200)
            yield client

    @pytest.fixture(autouse=True)
    def statements_end(self, jobs):
        """After every test the shard has room for all the statements that it may have."""
        yield
        self.wait_for_room(jobs, 30)

    @staticmethod
    def rows(count, size=0):
        return pb.QueryParameter(int64_value=count), pb.QueryParameter(string_value="x" * size)

    def test_a_million_rows_come_in_bounded_batches(self, jobs, server):
        sizes, total, last = [], 0, 0
        with Peak(server.process.pid) as peak:
            before = memory(server.process.pid)[0]
            for batch in batches(stream(jobs, self.ROWS, *self.rows(1_000_000))):
                sizes.append(batch.num_rows)
                numbers = batch.column(0)
                assert (numbers[0].as_py(), numbers[-1].as_py()) == (last + 1, last + batch.num_rows)
                last = numbers[-1].as_py()
                total += batch.num_rows
        assert (total, max(sizes), len(sizes)) == (1_000_000, 8192, -(-1_000_000 // 8192))
        assert peak.bytes - before < 64 << 20

    def test_batches_of_large_rows_have_few_of_them(self, jobs):
        call = stream(jobs, self.ROWS, *self.rows(100, 100_000))
        messages = list(call)
        assert len(messages) > 5 and all(len(message.ipc_data) < 2 << 20 for message in messages)
        assert sum(batch.num_rows for batch in batches(messages)) == 100

    def test_stored_rows_come_all_and_once(self, jobs):
        answer = table(jobs, "SELECT id, payload FROM jobs")
        assert sorted(answer.column("id").to_pylist()) == [f"j{n:06}" for n in range(10_000)]
        assert set(answer.column("payload").to_pylist()) == {f'"{"x" * 200}"'}

    def test_a_result_may_be_larger_than_a_querys(self, jobs):
        with refused(RESOURCE_EXHAUSTED, containing="max_result_bytes"):
            jobs.call("Query", shard=jobs.shard, sql=self.ROWS, parameters=self.rows(800, 100_000))
        assert sum(batch.num_rows for batch in batches(stream(jobs, self.ROWS, *self.rows(800, 100_000)))) == 800

    def test_a_reader_that_is_slow_and_reads_on_gets_everything_beyond_the_timeout(self, jobs):
        begun = time.monotonic()
        rows = 0
        for batch in batches(stream(jobs, self.ROWS, *self.rows(300, 100_000))):
            rows += batch.num_rows
            time.sleep(0.1)
        assert rows == 300 and time.monotonic() - begun > 2

    def test_a_reader_that_stops_holds_one_batch_and_is_let_go(self, jobs, server):
        call = stream(jobs, self.ROWS, *self.rows(self.MANY, 100_000))
        with Peak(server.process.pid) as peak:
            before = memory(server.process.pid)[0]
            next(call)
            with refused(DEADLINE_EXCEEDED, containing="statement timeout of 2000 ms"):
                self.wait_for_room(jobs, 30)
                for _ in call:
                    pass
        assert peak.bytes - before < 48 << 20

    def test_a_caller_that_leaves_ends_its_statement(self, jobs):
        for _ in range(6):
            call = stream(jobs, self.ROWS, *self.rows(self.MANY, 1000))
            next(call)
            call.cancel()
            self.wait_for_room(jobs, 1.5)

    def test_so_does_a_deadline_of_its_own(self, jobs):
        with refused(DEADLINE_EXCEEDED):
            for _ in stream(jobs, self.ROWS, *self.rows(self.MANY), timeout=0.5):
                pass
        self.wait_for_room(jobs, 1.5)

    def test_a_batch_must_come_in_time(self, jobs):
        with refused(DEADLINE_EXCEEDED, containing="statement timeout of 2000 ms"):
            table(jobs, ENDLESS.format("COUNT(*)"))

    def test_an_error_in_the_middle_comes_after_the_batches_before_it(self, jobs):
        sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) " \
              "SELECT CAST(CASE WHEN i < 10000 THEN '1' ELSE 'one' END AS INT) AS v FROM n"
        rows = 0
        with refused(INTERNAL, containing="Query execution failed"):
            for batch in batches(stream(jobs, sql)):
                rows += batch.num_rows
        assert rows == 8192

    def test_a_row_that_is_too_large_is_refused(self, jobs):
        with refused(RESOURCE_EXHAUSTED, containing="a row has more than"):
            table(jobs, "SELECT a, a || '1' AS b, a || '2' AS c FROM (SELECT REPLACE($1, 'x', $2) AS a)",
                  pb.QueryParameter(string_value="x" * 300), pb.QueryParameter(string_value="y" * 100_000))
        assert column(jobs, "SELECT COUNT(*) FROM jobs") == [10_000]

    def test_no_more_than_so_many_run_at_once(self, jobs):
        calls = [stream(jobs, self.ROWS, *self.rows(self.MANY, 100_000)) for _ in range(2)]
        for call in calls:
            next(call)
        with refused(RESOURCE_EXHAUSTED, containing="max_concurrent_statements"):
            table(jobs, "SELECT 1")
        with refused(RESOURCE_EXHAUSTED, containing="max_concurrent_statements"):
            jobs.call("Query", shard=jobs.shard, sql="SELECT 1")
        for call in calls:
            call.cancel()

    def test_one_that_takes_long_is_logged(self, jobs, server):
        assert sum(batch.num_rows for batch in batches(stream(jobs, self.ROWS, *self.rows(54_321)))) == 54_321
        line = until(lambda: next((line for line in server.log() if line.get("rows") == 54_321), None), what="the line")
        assert (line["message"], line["level"].lower()) == ("slow query (arrow)", "warn")

    def wait_for_room(self, client, seconds):
        """Waits until as many statements as may run at once can; leaves none of them behind."""
        until(lambda: self.has_room(client), seconds, "statements to end")

    def has_room(self, client):
        # Neither can end before it is read.
        calls = [stream(client, self.ROWS, *self.rows(100, 100_000)) for _ in range(2)]
        outcomes = []
        for call in calls:
            try:
                outcomes.append(next(call))
            except grpc.RpcError as error:
                assert error.code() == RESOURCE_EXHAUSTED
        for call in calls:
            with contextlib.suppress(grpc.RpcError):
                list(call)
        return len(outcomes) == 2


class TestTenants:
    @pytest.fixture(scope="class")
    def jobs(self, start_server):
        server = start_server("--shards", 4, "--tenancy")
        with Client(server.address) as client:
            for name in ["ada", "bob", "cyd", "dan", "eve"]:
                client.enqueue("g", id="j", tenant=name)
            yield client

    def test_all_shards_answer_as_one(self, jobs):
        answer = table(jobs, "SELECT tenant, shard_id FROM jobs ORDER BY tenant", shard="")
        assert answer.column("tenant").to_pylist() == ["ada", "bob", "cyd", "dan", "eve"]
        assert answer.column("shard_id").to_pylist() == [jobs.shard_of(name) for name in ["ada", "bob", "cyd", "dan", "eve"]]
        assert column(jobs, "SELECT COUNT(*) FROM jobs", shard="") == [5]

    def test_a_tenant_has_its_own_rows_only(self, jobs):
        for sql in ["SELECT tenant FROM jobs", "SELECT a.tenant FROM jobs a JOIN jobs b ON a.id = b.id", "SELECT tenant FROM tasks"]:
            assert column(jobs, sql, shard="", tenant="bob") == ["bob"]
        assert column(jobs, "SELECT COUNT(*) FROM jobs WHERE tenant = 'ada'", shard="", tenant="bob") == [0]
        with refused(INVALID_ARGUMENT, "invalid tenant id"):
            table(jobs, "SELECT 1", tenant="x" * 65)


class TestShutdown:
    def test_a_server_that_ends_does_not_wait_for_readers(self, new_server):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            call = stream(client, TestStreams.ROWS, *TestStreams.rows(TestStreams.MANY, 100_000))
            next(call)
            server.stop()
            with pytest.raises(grpc.RpcError) as caught:
                for _ in call:
                    pass
            assert caught.value.code() in (UNAVAILABLE, grpc.StatusCode.CANCELLED, DEADLINE_EXCEEDED)


class TestExport:
    """siloctl query --arrow"""

    @pytest.fixture(scope="class")
    def jobs(self, start_server):
        server = start_server("--shards", 1)
        with Client(server.address) as client:
            fill(client, 10_000)
            client.server = server
            yield client

    @staticmethod
    def ctl(jobs, *arguments, **options):
        return run("siloctl", "--address", f"http://{jobs.server.address}", "query", jobs.shard, *arguments, **options)

    def test_a_file_has_one_stream_of_all_batches(self, jobs, tmp_path):
        path = tmp_path / "jobs.arrows"
        ended = self.ctl(jobs, "SELECT id, priority FROM jobs ORDER BY id", "--arrow", path)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.startswith(f"Saved to {path}: 2 batch(es), ")
        with pa.ipc.open_stream(path.read_bytes()) as reader:
            answer = reader.read_all()
        assert answer.column("id").to_pylist() == [f"j{n:06}" for n in range(10_000)]
        assert path.stat().st_mode & 0o777 == 0o600 and list(tmp_path.iterdir()) == [path]
        assert json.loads(self.ctl(jobs, "SELECT 1", "--arrow", path, "--json").stdout)["batches"] == 1

    def test_so_has_the_standard_output(self, jobs, tmp_path):
        with open(tmp_path / "out", "w+b") as out:
            command = [program("siloctl"), "-a", f"http://{jobs.server.address}", "query", jobs.shard,
                       "SELECT id FROM jobs WHERE id < 'j000003'", "--arrow", "-"]
            assert subprocess.run(command, stdout=out, timeout=60).returncode == 0
        with pa.ipc.open_stream((tmp_path / "out").read_bytes()) as reader:
            assert sorted(reader.read_all().column("id").to_pylist()) == ["j000000", "j000001", "j000002"]

    def test_an_empty_result_is_a_stream_with_columns(self, jobs, tmp_path):
        path = tmp_path / "none"
        assert self.ctl(jobs, "SELECT id FROM jobs WHERE id = ''", "--arrow", path).returncode == 0
        with pa.ipc.open_stream(path.read_bytes()) as reader:
            assert (reader.schema.names, reader.read_all().num_rows) == (["id"], 0)

    def test_a_failure_leaves_what_was_there(self, jobs, tmp_path):
        path = tmp_path / "kept"
        path.write_text("old")
        failing = "SELECT CAST(CASE WHEN id < 'j009000' THEN '1' ELSE id END AS INT) AS v FROM jobs ORDER BY id"
        for sql, words in [("SELECT nope FROM jobs", "SQL error"), (failing, "Query execution failed")]:
            ended = self.ctl(jobs, sql, "--arrow", path)
            assert ended.returncode == 1 and words in ended.stderr
            assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]

    def test_what_cannot_be_written_is_said(self, jobs, tmp_path):
        ended = self.ctl(jobs, "SELECT 1", "--arrow", tmp_path / "no" / "file")
        assert ended.returncode == 1 and "--arrow: cannot write" in ended.stderr
        ended = self.ctl(jobs, "SELECT id FROM jobs", "--arrow", "/dev/full")
        assert ended.returncode == 1 and "No space left" in ended.stderr

    def test_a_terminal_is_spared(self, jobs):
        terminal = Terminal("siloctl", "-a", f"http://{jobs.server.address}", "query", jobs.shard, "SELECT 1", "--arrow", "-")
        assert "not for a terminal" in terminal.read()
        assert terminal.end() == 1
