"""What metrics, access checks and traces cost the rate of one job a call."""

import contextlib
import json
import statistics
import threading

from support.collector import Collector
from support.metrics import get
from support.programs import Server, run

#: What each server does besides its work.
KINDS = {
    "bare": (), "metrics": ("metrics",), "access": ("access",), "traces": ("traces",), "together": ("metrics", "access", "traces"),
}


def overhead(options):
    """Life cycles a second, one job a call, of servers that are scraped each second, that check tokens, that record one trace in a
    hundred, and that do all of it, over those of one that does nothing of the kind; in turn. And the processor time of the server
    for one, which other work on the machine bends less."""
    rounds, seconds = (2, 2) if options.quick else (8, 4)
    with contextlib.ExitStack() as stack:
        collector = stack.enter_context(Collector())
        collector.keeps = False
        runs = {name: _Run(name, does, options.folder, collector, stack) for name, does in KINDS.items()}
        for number in range(rounds + 1):
            for name in sorted(runs, reverse=number % 2 == 0):
                # The first round warms up.
                runs[name].load(seconds, is_kept=number > 0)
        assert collector.exports > 0
    bare = runs.pop("bare")
    figures = {"bare_per_s": round(bare.rate), "bare_cpu_us": round(bare.cost, 1)}
    for name, one in runs.items():
        figures |= {f"{name}_rate_share": round(one.rate / bare.rate, 3), f"{name}_cpu_share": round(bare.cost / one.cost, 3)}
    return figures


class _Run:
    """A server, and what was measured of it."""

    def __init__(self, name, does, folder, collector, stack):
        self.token, flags, traced = None, [], {}
        folder = folder / name
        if "access" in does:
            folder.mkdir()
            tokens = folder / "tokens.jsonl"
            made = run("siloctl", "token", "new", "--name", "bench", "--role", "admin", "--file", tokens)
            self.token, flags = made.stdout.strip(), ["--tokens-file", tokens]
        if "traces" in does:
            traced = {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}",
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01",
            }
        without = {} if "metrics" in does else {"metrics": "none"}
        self.server = stack.enter_context(Server(folder / "server", "--shards", 1, *flags, dev=False, extra=traced, **without))
        if "metrics" in does:
            stack.enter_context(_scraping(self.server))
        self.rates, self.costs = [], []

    def load(self, seconds, is_kept):
        before = self._processor_seconds()
        ended = run(
            "silo-bench", "--address", f"http://{self.server.address}", "--duration-secs", seconds, "--workers", 64,
            "--enqueuers", 64, "--channels", 2, "--backlog", 1000, "--max-tasks-per-poll", 1, "--json",
            *(["--auth-token", self.token] if self.token else []), timeout=300,
        )
        totals = json.loads(ended.stdout)
        if is_kept:
            self.rates.append(totals["completed_per_s"])
            self.costs.append((self._processor_seconds() - before) / totals["completed"] * 1e6)

    @property
    def rate(self):
        return statistics.median(self.rates)

    @property
    def cost(self):
        return statistics.median(self.costs)

    def _processor_seconds(self):
        fields = open(f"/proc/{self.server.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100


@contextlib.contextmanager
def _scraping(server):
    over = threading.Event()

    def scrape():
        while not over.wait(1):
            get(server.operator, "/metrics")

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
