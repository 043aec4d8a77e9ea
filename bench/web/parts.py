"""The parts of `make bench-web`."""

import contextlib
import json
import re
import statistics
import threading
import time

from support.browser import Browser
from support.client import Client
from support.metrics import Page
from support.programs import run
from support.waiting import until

from . import data
from .visitor import Visitor, links, name

STREAMS = 20
#: The jobs of a list, by what leads to each.
JOBS = "return [...document.querySelectorAll('main tbody tr td:first-child a')].map(a => a.href)"
#: Addresses besides those that pages lead to: filters as somebody would set them.
ASKED = {
    "overview_day": "/?span=24h", "tenants_rate": "/tenants?sort=rate", "tenants_named": "/tenants?name=99",
    "limits_named": "/limits?name=api-7", "jobs_failed": "/jobs?status=Failed", "jobs_tenant": f"/jobs?tenant={data.tenant_name(77)}",
    "jobs_label": "/jobs?label=env%3Dstaging", "failures_code": "/failures?code=ERROR_7", "schedule_week": "/schedule?span=week",
    "search_tenant": f"/search?q={data.tenant_name(4242)}", "search_job": f"/search?q={data.job_id(4242)}",
    "search_key": "/search?q=api-42",
}


def found(visitor):
    """Pages by their names: those of the menu, and the first of each kind that these lead to."""
    pages = dict(ASKED)
    todo = ["/", "/help"]
    while todo:
        link = todo.pop(0)
        if name(link) in pages:
            continue
        pages[name(link)] = link
        with contextlib.suppress(RuntimeError):
            todo += links(visitor.get(link)[0])
    return pages


def pages(options, server):
    """Milliseconds until a page begins to come, p50 and p99 of 30 and more, and its bytes; one after another on one connection."""
    count = 10 if options.quick else 30
    figures, worst = {}, (0, "")
    with Visitor(server) as visitor:
        for page, link in sorted(found(visitor).items()):
            times, wholes, processor = [], [], _processor_seconds(server)
            try:
                for _ in range(count):
                    body, taken, whole = visitor.get(link)
                    times.append(taken)
                    wholes.append(whole)
            except RuntimeError as error:
                print(f"{page:<22}{error}", flush=True)
                continue
            cpu = (_processor_seconds(server) - processor) * 1000 / count
            times.sort()
            p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
            whole = statistics.median(wholes)
            worst = max(worst, (round(p99, 1), page))
            figures |= {f"{page}_p50_ms": round(p50, 1), f"{page}_p99_ms": round(p99, 1), f"{page}_bytes": len(body)}
            # It begins before all of it is known.
            if whole > 2 * p50 + 10:
                figures[f"{page}_whole_p50_ms"] = round(whole, 1)
            mark = "  over its target" if p99 > 100 or len(body) > 200_000 else ""
            print(f"{page:<22}{p50:>9.1f}{p99:>9.1f} ms{whole:>9.1f} ms whole{cpu:>9.1f} ms of processor{len(body):>10} bytes{mark}", flush=True)
    sizes = [value for key, value in figures.items() if key.endswith("_bytes")]
    return figures | {"worst_page": worst[1], "worst_page_p99_ms": worst[0], "largest_page_bytes": max(sizes)}


def _processor_seconds(server):
    fields = open(f"/proc/{server.process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


@contextlib.contextmanager
def watching(server, count):
    """So many browsers have the overview open."""
    visitors = [Visitor(server) for _ in range(count)]
    events = [0] * count

    def read(index):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for _ in visitors[index].events("overview-15m"):
                events[index] += 1

    threads = []
    for index, visitor in enumerate(visitors):
        visitor.get("/")
        threads.append(threading.Thread(target=read, args=[index], daemon=True))
        threads[-1].start()
    try:
        yield
        if count and not all(events):
            raise RuntimeError("a stream gave nothing")
    finally:
        for visitor in visitors:
            # Ends whoever reads.
            if visitor.connection.sock:
                visitor.connection.sock.shutdown(2)
            visitor.close()
        for thread in threads:
            thread.join(10)
        # The server notices with its next event; so many streams more would be too many of one address.
        until(lambda: Page.of(server).sum("silo_http_connections") < 4, 30, "the streams to end")


def streams(options, server):
    """Life cycles a second, one job a call, with twenty streams of the overview over those without, in turn; and how much of one
    processor the streams take of a server that has nothing else to do, which other work on the machine bends less."""
    rounds, seconds = (2, 3) if options.quick else (6, 5)
    # In turn, and more than once: files are merged for a while after an import.
    idle = [{count: _idle_share(server, count, 2 * seconds) for count in (0, STREAMS)} for _ in range(rounds)]
    rates = {0: [], STREAMS: []}
    for number in range(rounds + 1):
        for count in sorted(rates, reverse=number % 2 == 0):
            with watching(server, count):
                ended = run(
                    "silo-bench", "--address", f"http://{server.address}", "--duration-secs", seconds, "--workers", 64,
                    "--enqueuers", 64, "--channels", 2, "--backlog", 1000, "--max-tasks-per-poll", 1, "--tenant-count", 32, "--json",
                    timeout=300)
            if ended.returncode != 0:
                raise RuntimeError(ended.stderr)
            # The first round warms up.
            if number > 0:
                rates[count].append(json.loads(ended.stdout)["completed_per_s"])
                print(f"{count:>3} streams{rates[count][-1]:>10.0f} life cycles/s", flush=True)
    shares = [with_streams / without for with_streams, without in zip(rates[STREAMS], rates[0])]
    return {
        "streams_rate_share": round(statistics.median(shares), 3), "streams_none_per_s": round(statistics.median(rates[0])),
        "streams_processor_share": round(statistics.median(one[STREAMS] - one[0] for one in idle), 4),
    }


def _idle_share(server, count, seconds):
    """How much of one processor the server takes."""
    with watching(server, count):
        before = _processor_seconds(server)
        time.sleep(seconds)
        return (_processor_seconds(server) - before) / seconds


def live(options, server):
    """Milliseconds from an acknowledged job to the event that counts it."""
    delays = []
    with Visitor(server) as visitor, Client(server.address) as client:
        visitor.get("/")
        events = visitor.events("overview-15m")

        def backlog():
            for regions in events:
                if "waits" not in regions:
                    continue
                match = re.search(r'Backlog</h\d><p class="value">([\d,]+)', regions["waits"])
                if not match:
                    raise RuntimeError(f"no backlog in {regions['waits']}")
                return int(match[1].replace(",", ""))
            raise RuntimeError("the stream has ended")

        before = backlog()
        for number in range(5 if options.quick else 20):
            # At any time between two events.
            time.sleep(number * 0.137 % 1)
            client.enqueue("mail", number, tenant=data.tenant_name(number))
            begun = time.perf_counter()
            while (now := backlog()) <= before:
                pass
            delays.append((time.perf_counter() - begun) * 1000)
            before = now
    return {"live_p50_ms": round(statistics.median(delays)), "live_max_ms": round(max(delays))}


def browser(options, server):
    """Milliseconds from a key to the next page of jobs in Chromium, p50 and the longest; no job comes twice."""
    with Browser() as chromium:
        figures = {}
        for listed, link in {"all": "/jobs", "failed": "/jobs?status=Failed"}.items():
            chromium.go(f"http://{server.operator}{link}")
            times, seen = [], set()
            for _ in range(10 if options.quick else 100):
                ids = chromium.run(JOBS)
                if not ids or seen.intersection(ids):
                    raise RuntimeError(f"{link}: page {len(times)} has {len(ids)} jobs, of which some were on another")
                seen.update(ids)
                begun = time.perf_counter()
                chromium.press("n")
                chromium.wait(lambda b, ids=ids: b.run(JOBS) not in ([], ids), what="the next page")
                times.append((time.perf_counter() - begun) * 1000)
            figures |= {
                f"browser_{listed}_jobs": len(seen), f"browser_{listed}_p50_ms": round(statistics.median(times)),
                f"browser_{listed}_max_ms": round(max(times))}
    return figures


ALL = {"pages": pages, "streams": streams, "live": live, "browser": browser}
