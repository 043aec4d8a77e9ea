"""The parts of `make bench-operate`."""

import http.client
import json
import statistics
import time

from support.client import Client
from support.metrics import Page, get
from support.ports import fixed_address
from support.programs import Server, run

from .overhead import overhead


def scrape(options):
    """How long a page of 64 shards takes that all have work of several groups; one scrape after another on one connection."""
    count = 50 if options.quick else 300
    with Server(options.folder / "scrape", "--shards", 64, "--tenancy", dev=False) as server:
        with Client(server.address) as client:
            for tenant in range(256):
                for group in ("mail", "video", "report"):
                    client.enqueue(group, tenant=f"t{tenant}")
            for group in ("mail", "video", "report"):
                for task in client.lease(group, 300):
                    client.succeed(task)
        # SlateDB's figures come with the second look.
        Page.of(server)
        time.sleep(1)
        page = Page.of(server)
        host, port = server.operator.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port))
        times = []
        for _ in range(count):
            begun = time.perf_counter()
            connection.request("GET", "/metrics")
            connection.getresponse().read()
            times.append((time.perf_counter() - begun) * 1000)
        connection.close()
    times.sort()
    return {
        "scrape_64_p50_ms": round(times[len(times) // 2], 2), "scrape_64_p99_ms": round(times[int(len(times) * 0.99)], 2),
        "scrape_64_samples": len(page.samples), "scrape_64_bytes": len(page.text),
    }


def start(options):
    """From the start of the program on an empty folder to its saying that it is ready."""
    times = []
    for number in range(3 if options.quick else 15):
        server = Server(options.folder / f"start-{number}", dev=False, metrics=fixed_address())
        begun = time.perf_counter()
        server.spawn()
        while not _is_ready(server.metrics):
            time.sleep(0.002)
        times.append((time.perf_counter() - begun) * 1000)
        server.close()
    return {"start_p50_ms": round(statistics.median(times)), "start_max_ms": round(max(times))}


def _is_ready(address):
    try:
        return get(address, "/readyz")[0] == 200
    except OSError:
        return False


def retention(options):
    """What the sweep of finished jobs costs those who work; the part of the same name of `silo-bench suite` measures it."""
    return _suite("retention", options)


def drop(options):
    """What dropping a tenant with very many jobs costs the others; the part of the same name of `silo-bench suite` measures it."""
    return _suite("drop", options)


def _suite(part, options):
    ended = run("silo-bench", "suite", "--only", part, *(["--quick"] if options.quick else []), timeout=1800)
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr)
    line = next(line for line in ended.stdout.splitlines() if line.startswith("BENCH "))
    figures = json.loads(line.removeprefix("BENCH "))
    return {name: value for name, value in figures.items() if name.startswith(f"{part}_")}


ALL = {"overhead": overhead, "scrape": scrape, "start": start, "retention": retention, "drop": drop}
