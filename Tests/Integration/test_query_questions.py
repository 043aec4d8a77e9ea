"""The questions of docs/querying.md, asked of a server; SILO_REWRITE=1 writes their answers into the page."""

import itertools
import os
import re

import msgpack
import pytest

from support.client import Client, concurrency, policy
from support.generated import pb
from support.metrics import Page
from support.programs import ROOT
from support.waiting import milliseconds

PAGE = ROOT / "docs/querying.md"
#: A question of the page: its number, its words, the statement, the answer.
QUESTION = re.compile(r"^(\d+)\. (.+?)\n\n   ```sql\n(.*?)\n   ```\n\n(   ```\n.*?\n   ```|   ANSWER)\n", re.M | re.S)
MINUTE = 60_000
#: Columns of lengths of time up to now.
PASSING = {"ms", "left_ms", "longest_s"}
FAILED, SUCCEEDED = pb.ATTEMPT_STATUS_FAILED, pb.ATTEMPT_STATUS_SUCCEEDED
#: Imported jobs of one tenant: id, group, customer, payload, attempts as (how it ended, error code, minutes ago).
ORDERS = [
    ("order-1", "mail", "4711", ("invoice", 10), [(SUCCEEDED, None, 10)]),
    ("order-2", "mail", "4711", ("receipt", 5), [(FAILED, "BROKEN", 20)]),
    ("order-3", "video", "12", ("invoice", 7), [(FAILED, "BROKEN", 50), (SUCCEEDED, None, 30)]),
    ("order-4", "video", "12", ("invoice", 8), [(FAILED, "BROKEN", 42), (FAILED, "TIMEOUT", 35)]),
    ("old-1", "mail", "4711", ("receipt", 1), [(FAILED, "BROKEN", 2880)]),
    ("retry-1", "video", "12", ("digest", 2), [(FAILED, "TIMEOUT", 5)]),
]
#: What a question is said to read: in its plan, and in rows of this server at most. Each scan of all tenants reads the slices' row and
#: the directory's four.
COSTS = {
    "the directory": (r"jobs\[Counters\(tenant=None\)|shards\[", 5), "the tenant's part of the directory": (r"Counters\(tenant=Some", 3),
    "the directory, and leases once": (r"jobs\[Counters", 8),
    "jobs that wait": (r"status=Waiting\)", 12), "jobs with a date": ("status=FutureScheduled", 7), "one job": (r"ExactId\(", 3),
    "its attempts": (r"attempts\[.*job=\"order-3\"", 2), "those jobs": (r"ExactIds\(.*ids=3", 6), "a range of ids": ("IdRange: id from", 8),
    "one page": ("IdRange: id>", 6), "the newest rows of an index": (r"status=Failed\)\], limit=Some", 3),
    "failures of the hour": (r"status=Failed\)", 3), "all attempts of the tenant": (r"attempts\[tenant=Some\(\"acme\"\), all", 11),
    "jobs with a timer, and their attempts": ("status=FutureScheduled", 7),
    "all attempts, and a job for each": (r"attempts\[tenant=Some\(\"acme\"\), all", 11 + 8),
    "jobs that finished in the hour": (r"statuses=\[Failed, Succeeded\]", 4), "leases": (r"leases\[", 3),
    "holders of the key, and leases once": ("entry_type=Some\\(\"holder\"", 8), "jobs in its lines, and its slots once": ("entry_type=Some\\(\"requester\"", 5),
    "slots, buckets, lines, and jobs that say how large a limit is": (r"limits\[", 9), "limits": (r"limits\[", 5), "the customer's jobs": ("MetadataExact", 5 + 4 * 3),
    "all jobs of the tenant": (r"FullScan\(tenant=Some", 13),
}


def imported(shard, now, id, group, customer, payload, attempts):
    return pb.ImportJobRequest(
        shard=shard, tenant="acme", id=id, task_group=group, priority=20, metadata={"customer": customer},
        payload=pb.SerializedBytes(msgpack=msgpack.packb(dict(zip(("kind", "amount"), payload)))),
        start_at_ms=now + 30 * MINUTE if id == "retry-1" else 0, retry_policy=policy(3) if id == "retry-1" else None,
        attempts=[pb.ImportAttempt(
            status=status, error_code=code, started_at_ms=now - ago * MINUTE - 500, finished_at_ms=now - ago * MINUTE)
            for status, code, ago in attempts],
    )


@pytest.fixture(scope="module")
def place(start_server):
    return start_server("--shards", 1, "--tenancy")


@pytest.fixture(scope="module")
def server(place):
    with Client(place.address, tenant="acme") as client:
        now = milliseconds()
        orders = [imported(client.shard, now, *order) for order in ORDERS]
        assert all(result.success for result in client.call("ImportJobs", jobs=orders).results)
        client.enqueue("mail", id="later-1", start_at_ms=now + 40 * MINUTE)
        # In an order of their own, however fast the calls are.
        starts = itertools.count(now - MINUTE, 1000)
        for id, priority in [("wait-1", 10), ("wait-2", 5)]:
            client.enqueue("mail", {"kind": "invoice", "amount": 3}, id=id, priority=priority, metadata={"customer": "4711"},
                           start_at_ms=next(starts))
        client.enqueue("mail", id="run-1")
        for number, priority in enumerate([30, 20, 10]):
            client.enqueue("report", id=f"report-{number}", priority=priority, limits=[concurrency("gate", 1)], start_at_ms=next(starts))
        for number in range(3):
            client.enqueue("index", tenant="beta", id=f"page-{number}", start_at_ms=next(starts))
        [report] = client.lease("report", worker="worker-b")
        client.running = [(client.lease_one("run-1", worker="worker-a"), "worker-a"), (report, "worker-b")]
        client.call("Pause", shard=client.shard, tenant="acme", target=pb.PauseTarget(limit_key="gate"))
        yield client


def shown(name, value):
    if value is None:
        return ""
    if name in PASSING or isinstance(value, int) and value > 1_000_000_000 or re.fullmatch(r"[0-9a-f-]{36}", str(value)):
        return "…"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def answer(client, sql):
    """The rows as a table in text."""
    for task, worker in client.running:
        client.heartbeat(task, worker=worker)
    response = client.call("Query", shard=client.shard, sql=sql)
    names = [column.name for column in response.columns]
    lines = [names] + [[shown(name, value) for name, value in msgpack.unpackb(row.msgpack).items()] for row in response.rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return [" | ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]


def test_the_page_has_the_answers(server):
    page = PAGE.read_text()
    questions = QUESTION.findall(page)
    assert [int(number) for number, *_ in questions] == list(range(1, len(questions) + 1)) and len(questions) >= 30
    for number, title, statement, before in questions:
        lines = answer(server, re.sub("^   ", "", statement, flags=re.M))
        assert len(lines) > 1, f"{number}. {title} has no answer"
        after = "\n".join(f"   {line}".rstrip() for line in ["```", *lines, "```"])
        if os.environ.get("SILO_REWRITE"):
            page = page.replace(f"\n   ```\n\n{before}\n", f"\n   ```\n\n{after}\n") if before != "   ANSWER" else page.replace(before, after, 1)
        else:
            assert before == after, f"{number}. {title}"
    if os.environ.get("SILO_REWRITE"):
        PAGE.write_text(page)



def test_what_is_read_is_what_the_page_says(server, place):
    """The cost that stands behind each question: the scan of its plan, and how many rows that is on this server."""
    def read():
        page = Page.of(place)
        return sum(page.sum(f"silo_query_{name}_total") for name in ("scanned_keys", "point_lookups"))

    for number, title, statement, _ in QUESTION.findall(PAGE.read_text()):
        statement = re.sub("^   ", "", statement, flags=re.M)
        cost = COSTS["limits" if number == "27" else re.search(r"\*\((.*)\)\*$", title)[1]]
        before = read()
        answer(server, statement)
        rows = read() - before
        [_, plan] = server.call("Query", shard=server.shard, sql="EXPLAIN " + statement).rows
        assert re.search(cost[0], msgpack.unpackb(plan.msgpack)["plan"]), f"{number}. {title}"
        assert 0 < rows <= cost[1], f"{number}. {title}: {rows} rows were read"
