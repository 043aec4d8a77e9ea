"""bench/RESULTS.md: the machine, the figures, the targets, and how each row's acknowledgement is synced."""

import datetime

from .client import LIGHT_RATE
from .rows import ROWS

NOTES = """\
A *life cycle* is one job enqueued and acknowledged, handed to a worker, and its completion acknowledged. The full load is a
closed loop: the next job goes out when one came back acknowledged, with a bounded number between. The light load is {rate} jobs a
second, one job a call, and told of rows with one job a call; latencies count from sending the enqueue to its acknowledgement
(*ack*), to the job being in the worker's hands (*picked up*), and to the acknowledgement of its completion (*done*). *Server CPU*
is user and system time of the server's whole tree of processes under full load, over the jobs done; *client CPU* the same of the
clients.

Compare rows of one kind. Those with compiled clients measure the server. Those in Python share the machine with clients that take
more of it than the server does, so they say what a program in Python gets, not what the server can do. A dash: the tool cannot
tell, or the library acknowledges out of the handler's sight.
"""

#: At a light load: what each is called in a table.
LATENCIES = {"ack": "ack", "pick": "picked up", "done": "done"}


def document(summaries, verdicts, machine, runs_title):
    return "\n".join([
        "# Silo beside other queues", "",
        f"Written by `make bench-peers` ({runs_title}). [README.md](README.md) says how it is measured.", "",
        "![The same as a chart](peers.svg)", "",
        "## Targets", "", *targets(verdicts), "",
        "## Figures", "", NOTES.format(rate=LIGHT_RATE), *kinds(summaries),
        "## Versions, and what an acknowledgement means", "", *acknowledgements(summaries), "",
        "## Machine", "", *(f"- {name}: {text}" for name, text in machine.items()), "",
    ])


def today():
    return datetime.date.today().isoformat()


def targets(verdicts):
    yield "| | measured | target | |"
    yield "|---|---:|---:|---|"
    for each in verdicts:
        sign = "≥" if each.at_least else "≤"
        unit = f" {each.unit}" if each.unit != "x" else " ×"
        digits = 2 if each.unit == "x" else 0
        value = "–" if each.value is None else f"{each.value:.{digits}f}{unit}"
        note = f" ({each.note})" if each.note else ""
        yield f"| {each.what}{note} | {value} | {sign} {each.bound:g}{unit} | {each.word} |"


def kinds(summaries):
    for title, compiled, single in (
        ("Compiled clients, one job a call", True, True), ("Compiled clients, many jobs a call", True, False),
        ("Clients in Python, one job a call", False, True), ("Clients in Python, many jobs a call", False, False),
    ):
        rows = [each for each in summaries
                if (each.told("client") == "compiled") is compiled and (ROWS[each.name].batch == 1) is single]
        if rows:
            yield from [f"### {title}", "", *figures(rows, LATENCIES if single else {}), ""]


def figures(summaries, latencies):
    """`latencies`: those that are told of these rows."""
    columns = ["row", "jobs a call", "life cycles/s (least–most)", *(f"{word} p50 / p99 ms" for word in latencies.values()),
               "server CPU µs a job", "client CPU µs a job", "server MiB", "left / twice"]
    yield f"| {' | '.join(columns)} |"
    yield f"|---|{'---:|' * (len(columns) - 1)}"
    for row in sorted(summaries, key=lambda each: -(each["rate"] or 0)):
        if row.runs == 0:
            yield f"| {row.name} | {ROWS[row.name].batch} | {cell(row.errors[0])} |{' |' * (len(columns) - 3)}"
            continue
        failed = f"; {len(row.errors)} of {len(row.results)} runs failed: {cell(row.errors[0])}" if row.errors else ""
        rate = row.figures["rate"]
        yield " ".join([
            f"| {row.name} | {ROWS[row.name].batch} | {rate.median:,.0f} ({rate.least:,.0f}–{rate.most:,.0f}){failed}",
            *(f"| {number(row[f'{key}_p50_ms'], 2)} / {number(row[f'{key}_p99_ms'], 2)}" for key in latencies),
            *(f"| {number(row[key])}" for key in ("server_us", "client_us", "memory_mib")),
            f"| {number(row.left)} / {number(row.doubled)} |",
        ])


def acknowledgements(summaries):
    yield "| row | versions | acknowledged |"
    yield "|---|---|---|"
    for row in summaries:
        versions = ", ".join(f"{name} {version}" for name, version in (row.told("versions") or {}).items())
        yield f"| {row.name} | {versions or '–'} | {row.told('acknowledged') or '–'} |"


def number(value, digits=0):
    return "–" if value is None else f"{value:,.{digits}f}"


def cell(text):
    return text.replace("|", "/")
