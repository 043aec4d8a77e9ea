"""Medians of the runs, and what they are against the targets."""

import statistics
from dataclasses import dataclass

from .rows import ROWS

FIGURES = ("rate", "ack_p50_ms", "ack_p99_ms", "pick_p50_ms", "pick_p99_ms", "done_p50_ms", "done_p99_ms", "server_us",
           "client_us", "memory_mib")


@dataclass(frozen=True)
class Figure:
    """The median, the least and the greatest of the runs."""

    median: float
    least: float
    most: float

    @staticmethod
    def of(values):
        return Figure(statistics.median(values), min(values), max(values))


def total(counts):
    """Their sum; None when nobody counted."""
    counts = list(counts)
    return None if None in counts else sum(counts)


class Summary:
    """One row over all of its runs."""

    def __init__(self, name, results):
        self.name, self.results = name, results
        whole = [result for result in results if "error" not in result]
        self.errors = [result["error"] for result in results if "error" in result]
        self.runs = len(whole)
        self.figures = {key: Figure.of([result[key] for result in whole]) for key in FIGURES
                        if whole and all(key in result for result in whole)}
        self.left, self.doubled = (total(result[key] for result in whole) for key in ("left", "doubled"))

    def __getitem__(self, key):
        """The median, or None."""
        return self.figures[key].median if key in self.figures else None

    def medians(self):
        medians = {key: round(figure.median, 3) for key, figure in self.figures.items()}
        return medians | ({"error": self.errors[0]} if self.errors else {})

    def told(self, key):
        """What its driver said of itself, in any run."""
        return next((result[key] for result in self.results if key in result), None)


@dataclass(frozen=True)
class Verdict:
    """`value` is None where a row that it needs has no figure."""

    what: str
    value: float | None
    bound: float
    at_least: bool
    unit: str = "x"
    note: str = ""

    @property
    def word(self):
        if self.value is None:
            return "not measured"
        return "met" if (self.value >= self.bound if self.at_least else self.value <= self.bound) else "missed"


def verdicts(rows):
    """`rows`: summaries by name."""
    def median(row, key):
        return rows[row][key] if row in rows else None

    def ratio(what, key, ours, theirs, bound, at_least):
        mine, other = median(ours, key), median(theirs, key)
        return Verdict(what, mine / other if mine and other else None, bound, at_least)

    def latency(key, word, peers, bound):
        mine = median("silo", key)
        found = [(value, peer) for peer in peers if (value := median(peer, key))]
        least, peer = min(found, default=(None, "no peer"))
        return Verdict(f"{word}, `silo` over `{peer}`", mine / least if mine and least else None, bound, False)

    def server_time(row, peer, bound):
        theirs = median(peer, "server_us")
        note = f"`{peer}`: {theirs:.0f} µs" if theirs else ""
        return Verdict(f"server CPU a job, `{row}`", median(row, "server_us"), bound, False, "µs", note)

    # Clients of one kind are compared: compiled ones, or those in Python. At a light load every row enqueues one job a call, so
    # that a row with many a call is the same once more there.
    peers = [name for name in rows if not name.startswith("silo") and ROWS[name].batch == 1]
    result = [
        ratio("life cycles/s, `siloclient` over `rabbitmqbench` (libraries that send what they gather)", "rate", "siloclient",
              "rabbitmqbench", 1.3, True),
        ratio("life cycles/s, `silobench` over `rabbitmqbench` (a call for each job, over what is gathered)", "rate",
              "silobench", "rabbitmqbench", 1.3, True),
        ratio("life cycles/s, `silobench` over `rabbitmq` (unlike clients)", "rate", "silobench", "rabbitmq", 1.3, True),
        ratio("life cycles/s, `silo` over `rabbitmq`", "rate", "silo", "rabbitmq", 1.3, True),
        ratio("life cycles/s, `silobench` over `pgbench`", "rate", "silobench", "pgbench", 1.6, True),
        ratio("life cycles/s, `silobench-100` over `pgbench-100`", "rate", "silobench-100", "pgbench-100", 1.3, True),
    ]
    for percent in (50, 99):
        result.append(latency(f"ack_p{percent}_ms", f"enqueue acknowledged at a light load, p{percent}", ["beanstalkd"], 1.2))
    for key, word in (("pick", "picked up"), ("done", "done")):
        for percent in (50, 99):
            result.append(latency(f"{key}_p{percent}_ms", f"{word} at a light load, p{percent}", peers, 1.0))
    return result + [server_time("silobench", "pgbench", 130), server_time("silobench-100", "pgbench-100", 50)]
