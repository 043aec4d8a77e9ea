"""Statements that meet the end of something: their caller's, their shard's, the server's. And what is measured of them."""

import concurrent.futures
import json
import re
import threading
import time
import urllib.parse

import grpc
import pyarrow
import pytest

from support.bulk import CANCEL
from support.client import UNAVAILABLE, Client, refused
from support.generated import pb
from support.metrics import Page
from support.programs import run
from support.siloctl import runner
from support.waiting import until
from support.web import Visitor
from test_query import INTERNAL, ask, values

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
#: Reads the store again and again.
SCANS = "SELECT COUNT(*) FROM jobs a, jobs b WHERE a.priority + b.priority < 0"


@pytest.fixture
def patient(tmp_path):
    """Statements may take an hour."""
    settings = tmp_path / "silo.toml"
    settings.write_text("[server]\nstatement_timeout_ms = 3600000\n")
    return ["--config", settings]


def fill(client, jobs=2000, **fields):
    for n in range(0, jobs, 500):
        client.call("EnqueueBatch", shard=client.shard_of(fields.get("tenant")), jobs=[
            pb.EnqueueRequest(task_group="g", id=f"j{n + m}", payload=pb.SerializedBytes(msgpack=b"\x01"), **fields) for m in range(500)])


def running(server):
    return Page.of(server).sum("silo_query_inflight")


def test_a_scan_ends_when_its_caller_leaves(new_server, patient):
    server = new_server(*patient, "--shards", 1)
    with Client(server.address) as client:
        fill(client)
        calls = [client.begin("Query", shard=client.shard, sql=sql, timeout=600) for sql in (SCANS, ENDLESS, SCANS)]
        until(lambda: running(server) == 3, what="the statements to run")
        # What they read is counted as they go on.
        until(lambda: Page.of(server).sum("silo_query_scanned_keys_total") >= 2000, what="the scans to read")
        for call in calls:
            call.cancel()
        until(lambda: running(server) == 0, what="the statements to end")
        page = Page.of(server)
        assert page.sum("silo_query_cancelled_total", reason="disconnect") == 3
        assert page.sum("silo_query_errors_total", kind="disconnect") == 3
        read = page.sum("silo_query_scanned_keys_total")
        assert read >= 2000
        # What reads next is the only one that reads.
        assert values(client, "SELECT COUNT(*) FROM jobs WHERE priority >= 0") == [2000]
        assert Page.of(server).sum("silo_query_scanned_keys_total") - read < 2000 * 3


def test_a_server_that_shuts_down_ends_statements_at_once(new_server, patient):
    server = new_server(*patient, "--shards", 2)
    with Client(server.address) as client:
        fill(client)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            def run(sql):
                with pytest.raises(grpc.RpcError) as caught:
                    ask(client, sql, shard="", timeout=600)
                return caught.value
            asked = [pool.submit(run, sql) for sql in (SCANS, ENDLESS, SCANS)]
            until(lambda: running(server) == 6, what="the statements to run at both shards")
            begun = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - begun < 20
            for error in (future.result() for future in asked):
                assert (error.code(), error.details()) == (UNAVAILABLE, "the server is shutting down")


def test_a_shard_that_is_erased_in_mid_scan_ends_the_statement_or_lets_it_be(new_server, patient):
    server = new_server(*patient, "--shards", 1)
    with Client(server.address) as client:
        fill(client)
        client.call("FlushShard", shard=client.shard)
        call = client.begin("Query", shard=client.shard, sql=SCANS, timeout=600)
        until(lambda: running(server) == 1, what="the statement to run")
        client.call("ResetShards")
        if not call.done():
            time_is_over = threading.Timer(60, call.cancel)
            time_is_over.start()
            try:
                assert values_of(call) == [0], "it goes on with the view that it has"
            except grpc.RpcError as error:
                assert error.code() in (UNAVAILABLE, INTERNAL, grpc.StatusCode.DATA_LOSS), error.details()
            time_is_over.cancel()
        until(lambda: running(server) == 0, what="the statement to end")
        until(lambda: values(client, "SELECT COUNT(*) FROM jobs") == [0], what="the shard to serve again")


def values_of(call):
    return [int.from_bytes(row.msgpack[-1:], "big") for row in call.result().rows]


def test_what_statements_do_is_measured(new_server, tmp_path):
    settings = tmp_path / "silo.toml"
    settings.write_text("[server]\nstatement_timeout_ms = 200\nmax_result_bytes = 10000\n")
    server = new_server("--config", settings, "--shards", 1)
    with Client(server.address) as client:
        fill(client, 1000)
        assert len(values(client, "SELECT id FROM jobs WHERE priority >= 0 LIMIT 10")) == 10
        assert values(client, "SELECT id FROM jobs WHERE tenant='-' AND id='j1'") == ["j1"]
        for sql, code in [("SELECT", "syntax"), ("SELECT $1", "parameter"), ("SELECT CAST(id AS INT) FROM jobs", "execution"),
                          (ENDLESS, "deadline"), ("SELECT id, payload FROM jobs", "result_size")]:
            with pytest.raises(grpc.RpcError):
                ask(client, sql)
            assert Page.of(server).sum("silo_query_errors_total", kind=code) == 1, code
        page = Page.of(server)
        assert page.sum("silo_query_errors_total") == 5 and page.sum("silo_query_duration_seconds_count") == 7
        assert page.sum("silo_query_rows_total") == 11
        assert page.sum("silo_query_cancelled_total", reason="deadline", shard=client.shard) == 1
        assert page.sum("silo_query_rejected_total", reason="result_size", shard=client.shard) == 1
        assert page.sum("silo_query_point_lookups_total", shard=client.shard) >= 1
        assert page.sum("silo_query_scanned_keys_total", shard=client.shard) >= 10
        assert page.sum("silo_query_inflight") == 0


class TestPartialResults:
    """One of three shards does not open."""

    @pytest.fixture
    def broken(self, new_server):
        """The server, with a job in each shard, and the id of the shard that is lost."""
        server = new_server("--shards", 3, "--tenancy")
        with Client(server.address) as client:
            names = {client.shard_of(f"tenant-{n}"): f"tenant-{n}" for n in range(50)}
            for name in names.values():
                client.enqueue("g", tenant=name)
            lost = sorted(names)[1]
        assert server.stop() == 0
        manifests = [path for path in (server.folder / "data").rglob("*") if path.is_file() and lost in str(path) and "manifest" in str(path)]
        assert manifests
        for path in manifests:
            path.write_bytes(b"nonsense")
        server.start()
        with Client(server.address) as client:
            yield server, client, lost, names

    def test_a_shard_that_does_not_open_fails_a_statement_or_is_left_out(self, broken):
        server, client, lost, names = broken
        with refused(UNAVAILABLE, containing=f"shard {lost} does not answer: "):
            ask(client, "SELECT tenant FROM jobs", shard="")
        answer, rows = ask(client, "SELECT tenant FROM jobs", shard="", allow_partial=True)
        assert {row["tenant"] for row in rows} == {name for shard, name in names.items() if shard != lost}
        assert [missing.shard_id for missing in answer.missing_shards] == [lost] and answer.missing_shards[0].reason
        assert values(client, "SELECT COUNT(*) FROM jobs", shard="", allow_partial=True) == [2]
        # Who asks of a tenant that is elsewhere is not troubled.
        name = next(name for shard, name in names.items() if shard != lost)
        assert values(client, "SELECT COUNT(*) FROM jobs", shard="", tenant=name) == [1]
        assert Page.of(server).sum("silo_query_errors_total", kind="shard") == 1

    def test_the_web_page_says_what_is_missing(self, broken):
        server, client, lost, names = broken
        visitor = Visitor(server.operator)
        asked = urllib.parse.urlencode({"q": "SELECT COUNT(*) AS n FROM jobs", "partial": "yes"})
        for path in (f"/sql?{asked}", "/actions"):
            page = visitor.get(path)
            assert page.status == 200 and re.search(rf"<b>Without shard</b> <bdi[^>]*>{lost}</bdi>", page.text), path
        whole = next(shard for shard in names if shard != lost)
        begun = client.call("StartBulkAction", kind=CANCEL, condition="true", shard=whole).action
        assert f">{lost}</bdi>" in visitor.get(f"/action?id={begun.id}").text

    def test_siloctl_says_what_is_missing(self, broken):
        server, _, lost, _ = broken
        siloctl = runner(server.address)
        assert lost in siloctl("query", "SELECT COUNT(*) AS n FROM jobs", code=1)
        assert f"Without shard {lost}" in siloctl("query", "--partial", "SELECT COUNT(*) AS n FROM jobs")
        whole = json.loads(siloctl("--json", "query", "--partial", "SELECT COUNT(*) AS n FROM jobs"))
        assert [missing["shard_id"] for missing in whole["missing_shards"]] == [lost] and whole["rows"] == [{"n": 2}]

    def test_arrow_says_it_in_the_last_message(self, broken, tmp_path):
        server, client, lost, names = broken
        with refused(UNAVAILABLE, containing=f"shard {lost} does not answer: "):
            list(client.stub.QueryArrow(pb.QueryArrowRequest(sql="SELECT tenant FROM jobs"), timeout=30))
        request = pb.QueryArrowRequest(sql="SELECT tenant FROM jobs", allow_partial=True)
        *batches, last = client.stub.QueryArrow(request, timeout=30)
        rows = [row for batch in batches for row in pyarrow.ipc.open_stream(batch.ipc_data).read_all().to_pylist()]
        assert {row["tenant"] for row in rows} == {name for shard, name in names.items() if shard != lost}
        assert [missing.shard_id for missing in last.missing_shards] == [lost] and last.missing_shards[0].reason
        assert not last.ipc_data and not any(batch.missing_shards for batch in batches)
        path = tmp_path / "some.arrows"
        ended = run("siloctl", "-a", f"http://{server.address}", "--json", "query", "SELECT tenant FROM jobs", "--partial", "--arrow", path)
        assert ended.returncode == 0 and f"Without shard {lost}" in ended.stderr
        assert [missing["shard_id"] for missing in json.loads(ended.stdout)["missing_shards"]] == [lost]
        assert pyarrow.ipc.open_stream(path).read_all().num_rows == 2
