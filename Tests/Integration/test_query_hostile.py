"""What hostile statements and hostile data do to queries: each ends in bounded time and memory with a clear error, or an answer, and the
server goes on."""

import time

import grpc
import msgpack
import pytest

from support.client import INVALID_ARGUMENT, RESOURCE_EXHAUSTED, Client
from support.generated import pb
from support.resources import MIB, Peak, memory
from test_query import DEADLINE_EXCEEDED, INTERNAL, ask, text, values

OK = grpc.StatusCode.OK
TIMEOUT = 1
#: Seconds beyond the statement's own on a busy machine: it looks at the clock now and then, at the lowest priority.
SLACK = 15
#: What a statement may have (256 MiB) and its answer on the way (64 MiB, twice), with what pages and the allocator take.
MEMORY = 512 * MIB


@pytest.fixture(scope="module")
def server(start_server, tmp_path_factory):
    settings = tmp_path_factory.mktemp("settings") / "silo.toml"
    settings.write_text(f"[server]\nstatement_timeout_ms = {TIMEOUT * 1000}\n")
    return start_server("--config", settings, "--shards", 1)


@pytest.fixture(scope="module")
def jobs(server):
    with Client(server.address) as client:
        batch = [pb.EnqueueRequest(task_group="g", id=f"j{n}", payload=pb.SerializedBytes(msgpack=msgpack.packb({"n": n, "x": "x" * 500})))
                 for n in range(500)]
        assert {r.code for r in client.call("EnqueueBatch", shard=client.shard, jobs=batch).results} == {0}
        yield client


def outcome(client, sql, *parameters):
    """(code, message) of a statement."""
    try:
        ask(client, sql, *parameters, timeout=120)
        return OK, ""
    except grpc.RpcError as error:
        return error.code(), error.details()


def long(text, count, rest):
    """`rest` over a text `t` of `count` times `text`, doubled until it is as long."""
    return (f"WITH RECURSIVE n(t) AS (SELECT '{text}' UNION ALL SELECT t || t FROM n WHERE length(t) < {count}), "
            f"l AS (SELECT MAX(t) AS t FROM n) {rest}")


def views(levels):
    """Each common table uses the one before it twice."""
    tables = ["t0(x) AS (SELECT 1)"] + [f"t{n}(x) AS (SELECT a.x FROM t{n - 1} a, t{n - 1} b)" for n in range(1, levels)]
    return f"WITH {', '.join(tables)} SELECT COUNT(*) FROM t{levels - 1}"


A_LOT = 8_000_000
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
HOSTILE = {
    # What SQL names and does not exist here, or is not let through.
    "a blob of a gigabyte": ("SELECT zeroblob(1000000000)", [], {INVALID_ARGUMENT}),
    "printf's width": ("SELECT printf('%.*c', 1000000000, 'x')", [], {INVALID_ARGUMENT}),
    "a file": ("SELECT readfile('/etc/passwd')", [], {INVALID_ARGUMENT}),
    "an extension": ("SELECT load_extension('x')", [], {INVALID_ARGUMENT}),
    "the schema": ("SELECT sql FROM sqlite_master", [], {INVALID_ARGUMENT}),
    "a table-valued function": ("SELECT * FROM json_each('[1]')", [], {INVALID_ARGUMENT}),
    "NUL bytes": ("SELECT 1\0", [], {INVALID_ARGUMENT}),
    # Size of the statement.
    "a mebibyte of blanks": ("SELECT 1" + " " * ((1 << 20) - 8), [], {OK}),
    "more than a mebibyte": ("SELECT 1" + " " * (1 << 20), [], {INVALID_ARGUMENT}),
    "a mebibyte of brackets": ("SELECT " + "(" * 500_000 + "1" + ")" * 500_000, [], {INVALID_ARGUMENT}),
    "a mebibyte of unions": (" UNION ALL ".join(["SELECT 1"] * 50_000), [], {INVALID_ARGUMENT}),
    "a mebibyte of columns": ("SELECT " + ",".join(f"{n} AS c{n}" for n in range(60_000)), [], {INVALID_ARGUMENT, DEADLINE_EXCEEDED}),
    "a mebibyte of numbers": (f"SELECT COUNT(*) FROM jobs WHERE priority IN ({','.join(map(str, range(150_000)))})", [], {OK, DEADLINE_EXCEEDED}),
    "a mebibyte of conditions": ("SELECT 1 WHERE " + " AND ".join(["1=1"] * 120_000), [], {INVALID_ARGUMENT}),
    "a mebibyte of a CASE": ("SELECT CASE " + "WHEN 1=2 THEN 1 " * 60_000 + "END", [], {OK, INVALID_ARGUMENT, DEADLINE_EXCEEDED}),
    "a mebibyte of joins": ("SELECT 1 FROM " + ",".join(f"jobs a{n}" for n in range(80_000)), [], {INVALID_ARGUMENT}),
    "ten thousand parameters": ("SELECT $10000", [text("x")] * 10_000, {OK}),
    "one more": ("SELECT 1", [text("x")] * 10_001, {INVALID_ARGUMENT}),
    "a parameter far away": ("SELECT $99999999999999999999", [], {INVALID_ARGUMENT}),
    # Work without end.
    "a Cartesian join": ("SELECT COUNT(*) FROM jobs a, jobs b, jobs c, jobs d WHERE a.priority + b.priority + c.priority < 0", [],
                         {DEADLINE_EXCEEDED}),
    "a recursion": ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n", [], {DEADLINE_EXCEEDED}),
    "a recursion that keeps all": ("WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n) SELECT COUNT(*) FROM n", [],
                                   {DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED}),
    "views of views": (views(40), [], {INVALID_ARGUMENT}),
    # Each part between wildcards is found where it comes first, and nobody goes back beyond it: the text is passed over once.
    "LIKE and its wildcards": (long("a", A_LOT, f"SELECT t LIKE '{'%a' * 4000}%b' FROM l"), [], {OK}),
    # One long part is looked for at every place of the text.
    "LIKE and a long part": (long("a", A_LOT, f"SELECT t LIKE '%{'a' * 8000}b%' FROM l"), [], {DEADLINE_EXCEEDED}),
    "a long pattern": ("SELECT 'x' LIKE $1", [text("%" * 9000)], {INTERNAL}),
    "a search for what is nowhere": (long("a", A_LOT, "SELECT instr(t, substr(t, 1, 4000000) || 'b') FROM l"), [], {DEADLINE_EXCEEDED}),
    "contains": (long("a", A_LOT, f"SELECT contains(t, '{'a' * 8000}b') FROM l"), [], {DEADLINE_EXCEEDED}),
    "replacing what is nowhere": (long("a", A_LOT, "SELECT length(replace(t, substr(t, 1, 4000000) || 'b', 'x')) FROM l"), [],
                                  {DEADLINE_EXCEEDED}),
    # Of the characters each counts once: one pass over both texts.
    "trimming many kinds": (long("ab", A_LOT // 4, "SELECT length(trim(t, substr(t, 1, 1000000))) FROM l"), [], {OK}),
    "trimming again and again": (long("ab", A_LOT, "SELECT MAX(length(trim(t, substr(t, 1, 4000000) || j.id))) FROM l, jobs j"), [],
                                 {DEADLINE_EXCEEDED}),
    # Memory.
    "a text that doubles": ("WITH RECURSIVE n(t) AS (SELECT 'x' UNION ALL SELECT t || t FROM n) SELECT MAX(LENGTH(t)) FROM n", [], {INTERNAL, DEADLINE_EXCEEDED}),
    "replacing a letter by many": (long("a", 1_000_000, "SELECT length(replace(t, 'a', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb')) FROM l"), [],
                                   {INTERNAL, DEADLINE_EXCEEDED}),
    "one text of many": (long("a", A_LOT, f"SELECT length(concat({', '.join(['t'] * 64)})) FROM l"), [],
                         {INTERNAL, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED}),
    "hex of hex": (long("a", A_LOT, "SELECT length(hex(hex(hex(t)))) FROM l"), [], {INTERNAL, DEADLINE_EXCEEDED}),
    "everything in one text": ("SELECT length(group_concat(a.payload || b.payload)) FROM jobs a, jobs b", [], {INTERNAL, DEADLINE_EXCEEDED}),
    "a list without end": (f"{NUMBERS} SELECT COUNT(*) FROM jobs WHERE tenant = '-' AND id IN (SELECT {'x' * 40!r} || i FROM n)", [],
                           {RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED}),
    "sorting much": ("SELECT a.payload || b.payload || c.id AS t FROM jobs a, jobs b, jobs c ORDER BY 1 DESC", [],
                     {RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED}),
    "a window over much": ("SELECT MAX(w) FROM (SELECT COUNT(*) OVER (ORDER BY a.payload || b.id) AS w FROM jobs a, jobs b, jobs c) x", [],
                           {RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED}),
    "an answer without end": ("SELECT a.payload || b.payload AS t FROM jobs a, jobs b", [], {RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED}),
    # JSON.
    "a deep document": ("SELECT json_extract($1, '$[0]')", [text("[" * 500_000)], {INTERNAL, OK}),
    "a deep path": ("SELECT json_extract('{}', $1)", [text("$" + ".a" * 200_000)], {INTERNAL, OK}),
    # SQLite keeps what it has made of the last documents: the same one five hundred times is as cheap as comparing its bytes, and takes
    # about as long as a statement may.
    "a large document again": (long("1,", A_LOT // 16, "SELECT MAX(json_extract('[' || t || '1]', '$[' || j.priority || ']')) FROM l, jobs j"), [],
                               {OK}),
    # One that differs with each job is read each time; the time is looked at in between.
    "documents": (long("1,", A_LOT // 64, "SELECT MAX(json_extract('[' || t || substr(j.id, 2) || ']', '$[0]')) FROM l, jobs j, jobs k"), [],
                  {DEADLINE_EXCEEDED}),
    # Of the last four it keeps what it has made: of two million numbers each that is more than a statement may have, and on a busy
    # machine the time is over before.
    "large documents": (long("1,", A_LOT // 2, "SELECT MAX(json_extract('[' || t || substr(j.id, 2) || ']', '$[0]')) FROM l, jobs j"), [],
                        {RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED}),
    # Numbers at their ends.
    "offsets without end": ("SELECT id FROM jobs LIMIT 9223372036854775807 OFFSET 9223372036854775807", [], {OK}),
    "sums without end": ("SELECT SUM(9223372036854775807) FROM jobs", [], {INTERNAL}),
    "the least number": ("SELECT abs(-9223372036854775808), -9223372036854775808 / -1, (-9223372036854775807 - 1) % -1 AS m", [], {OK, INTERNAL}),
    "shifts": ("SELECT 1 << 9999 AS a, 1 >> -9999 AS b, 1 << -9223372036854775808 AS c", [], {OK}),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_it_ends_in_time_and_memory(server, jobs, name):
    sql, parameters, codes = HOSTILE[name]
    before = memory(server.process.pid)[0]
    begun = time.monotonic()
    with Peak(server.process.pid) as peak:
        code, message = outcome(jobs, sql, *parameters)
    took = time.monotonic() - begun
    assert code in codes, (code, message)
    assert code == OK or 5 < len(message) < 2000, "it says what is wrong, and not all that was asked"
    assert took < TIMEOUT + SLACK, took
    assert peak.bytes - before < MEMORY, f"{(peak.bytes - before) / MIB:.0f} MiB"
    assert values(jobs, "SELECT COUNT(*) FROM jobs") == [500]


class TestLargePayloads:
    """Rows are read by their bytes, not by their number alone."""

    def test_a_scan_of_large_jobs_has_few_of_them_in_memory(self, start_server, tmp_path):
        settings = tmp_path / "silo.toml"
        settings.write_text("[server]\nstatement_timeout_ms = 240000\n")
        server = start_server("--config", settings, "--shards", 1)
        with Client(server.address) as client:
            # Small ones first, so that the scan asks for many at once when it comes to the large ones.
            for n in range(6):
                client.call("EnqueueBatch", shard=client.shard, jobs=[
                    pb.EnqueueRequest(task_group="g", id=f"a{n}-{m:04}", payload=pb.SerializedBytes(msgpack=b"\x01")) for m in range(500)])
            large = pb.SerializedBytes(msgpack=msgpack.packb("y" * (1 << 20)))
            for n in range(25):
                client.call("EnqueueBatch", shard=client.shard, jobs=[
                    pb.EnqueueRequest(task_group="g", id=f"b{n}-{m}", payload=large) for m in range(10)])
            client.call("FlushShard", shard=client.shard)
            few = ", ".join(f"'b{n}-{m}'" for n in range(25) for m in range(10))
            for sql in ["SELECT SUM(priority) AS n FROM jobs", "SELECT SUM(priority) AS n FROM jobs WHERE status_kind = 'Waiting'",
                        f"SELECT SUM(priority) AS n FROM jobs WHERE tenant = '-' AND id IN ({few})"]:
                before = memory(server.process.pid)[0]
                with Peak(server.process.pid) as peak:
                    ask(client, sql, timeout=240)
                assert peak.bytes - before < 160 * MIB, f"{(peak.bytes - before) / MIB:.0f} MiB of 250: {sql[:60]}"
