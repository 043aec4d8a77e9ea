"""The parts of `make bench-query`."""

import contextlib
import json
import statistics
import threading

import msgpack
from support.client import Client
from support.programs import run

from . import data, rivals

TENANT = "tenant-07"
#: Each with its target in milliseconds, and by which name it is measured over the few jobs as well.
LATENCIES = {
    "page": (f"SELECT id, task_group, priority FROM jobs WHERE tenant='{TENANT}' AND status_kind='{{status}}' LIMIT 50", 5),
    "page_all": (f"SELECT * FROM jobs WHERE tenant='{TENANT}' AND status_kind='{{status}}' LIMIT 50", 5),
    "counts": ("SELECT status_kind, COUNT(*) AS n FROM jobs GROUP BY status_kind", 2),
    "metadata": (f"SELECT id, payload FROM jobs WHERE tenant='{TENANT}' AND metadata['customer']='c00003'", 10),
    "by_id": (f"SELECT * FROM jobs WHERE tenant='{TENANT}' AND id='{{job}}'", 1),
}
#: What a scan of all jobs comes to, in the words of all engines; the last column must be the same everywhere. Counts alone would be
#: answered by counters, so a time is asked for beside them, or a sum. Each with its target in jobs a second.
SCANS = {
    "status_group": ("SELECT status_kind, task_group, MAX(status_changed_at_ms) AS last, COUNT(*) AS jobs FROM jobs GROUP BY 1, 2", 500_000),
    "record": ("SELECT status_kind, task_group, COUNT(*) AS jobs, SUM(priority) AS total FROM jobs GROUP BY 1, 2", None),
    "payload": (
        "SELECT payload ->> 'kind' AS kind, COUNT(*) AS jobs, SUM(CAST(payload ->> 'amount' AS BIGINT)) AS total FROM jobs GROUP BY 1",
        150_000),
}


def latencies(options, stores):
    """What one caller waits, over many jobs and over few."""
    figures = {}
    for size, store in stores.items():
        job = next(job for job in data.jobs(store.count, store.now) if job.tenant == TENANT)
        for name, (statement, target) in LATENCIES.items():
            for status in ["Waiting", "Failed", "Succeeded"] if "{status}" in statement else [None]:
                sql = statement.format(status=status, job=job.id)
                extra = ["--get-job", job.id] if name == "by_id" else []
                answer = _ask(store, sql, 50 if options.quick else 500, *extra)
                key = "_".join(filter(None, [name, (status or "").lower(), size]))
                figures[f"{key}_p50_ms"] = round(answer["query_ms"]["p50"], 2)
                figures[f"{key}_p99_ms"] = round(answer["query_ms"]["p99"], 2)
                if extra:
                    figures[f"get_job_{size}_p50_ms"] = round(answer["get_job_ms"]["p50"], 2)
                _say(f"{name} {status or ''}", f"{size}: {answer['rows']} rows", figures[f"{key}_p50_ms"], f"target {target} ms")
    return figures


def _ask(store, sql, count, *extra):
    ended = run(
        "silo-bench", "ask", store.shard, sql, "--address", f"http://{store.server.address}", "--tenant", TENANT, "--count", count,
        *extra, timeout=600)
    if ended.returncode:
        raise RuntimeError(f"{sql}: {ended.stderr}")
    return json.loads(ended.stdout)


def scans(options, stores):
    """Jobs a second through the aggregates, and the same in SQLite and DuckDB over tables of their own."""
    store, rounds = stores["many"], 3 if options.quick else 5
    statements = {name: sql for name, (sql, _) in SCANS.items()}
    with Client(store.server.address) as client:
        def ask(sql):
            return [tuple(msgpack.unpackb(row.msgpack).values()) for row in
                    client.call("Query", shard=store.shard, sql=sql, timeout=600).rows]

        ours = rivals.measured(ask, statements, rounds)
    theirs = {
        "sqlite": rivals.sqlite(data.jobs(store.count, store.now), statements, rounds),
        "duckdb": rivals.duck(data.jobs(store.count, store.now), statements, rounds, options.folder),
    }
    figures = {}
    for name, (_, target) in SCANS.items():
        answer, seconds = ours[name]
        figures[f"scan_{name}_per_s"] = round(store.count / seconds)
        _say(f"scan {name}", "jobs/s", figures[f"scan_{name}_per_s"], f"target {target}" if target else "")
        for engine, results in theirs.items():
            if [int(row[-1]) for row in results[name][0]] != [int(row[-1]) for row in answer]:
                raise RuntimeError(f"{engine} has another answer to {name}: {results[name][0][:3]}, {answer[:3]}")
            figures[f"scan_{name}_over_{engine}"] = round(seconds / results[name][1], 2)
            _say(f"scan {name}", f"time over {engine}'s", figures[f"scan_{name}_over_{engine}"], "")
    return figures


def neighbours(options, stores):
    """Life cycles of other jobs while scans run, over the same without: one job a call, by turns."""
    store, rounds, seconds = stores["many"], 1 if options.quick else 4, 4 if options.quick else 8
    loads = {"alone": [], "beside": []}
    for number in range(2 * rounds):
        name = "beside" if number % 4 in (1, 2) else "alone"
        with _scanning(store) if name == "beside" else contextlib.nullcontext([1]) as ended:
            loads[name].append(_load(store, seconds))
        if not ended:
            raise RuntimeError("no scan ended beside the load")
    median = {
        name: {key: statistics.median(load[key] for load in values) for key in ("rate", "p99")} for name, values in loads.items()}
    figures = {
        "life_cycles_alone_per_s": round(median["alone"]["rate"]), "life_cycles_beside_per_s": round(median["beside"]["rate"]),
        "life_cycles_share": round(median["beside"]["rate"] / median["alone"]["rate"], 2),
        "ack_alone_p99_ms": round(median["alone"]["p99"], 2), "ack_beside_p99_ms": round(median["beside"]["p99"], 2),
        "ack_p99_ratio": round(median["beside"]["p99"] / median["alone"]["p99"], 2),
    }
    _say("life cycles", "share beside a scan", figures["life_cycles_share"], "target 0.7 at least")
    _say("acknowledgements", "p99 over that alone", figures["ack_p99_ratio"], "target 2 at most")
    return figures


def _load(store, seconds):
    ended = run(
        "silo-bench", "--address", f"http://{store.server.address}", "--duration-secs", seconds, "--workers", 16, "--enqueuers", 16,
        "--max-tasks-per-poll", 1, "--tenant-count", 2, "--json", timeout=300)
    totals = json.loads(ended.stdout)
    return {"rate": totals["completed_per_s"], "p99": totals["enqueue_ms"]["p99"]}


@contextlib.contextmanager
def _scanning(store):
    """Full scans one after another; gives how many ended."""
    over, ended = threading.Event(), []
    sql = SCANS["payload"][0]

    def scan():
        with Client(store.server.address) as client:
            while not over.is_set():
                client.call("Query", shard=store.shard, sql=sql, timeout=600)
                ended.append(sql)

    thread = threading.Thread(target=scan)
    thread.start()
    try:
        yield ended
    finally:
        over.set()
        thread.join()


def _say(what, unit, value, note):
    print(f"{what:<22}{unit:<26}{value:>12}  {note}", flush=True)


ALL = {"latencies": latencies, "scans": scans, "neighbours": neighbours}
