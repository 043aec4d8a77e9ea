"""Measures Silo beside other queues: python -m bench.peers (make bench-peers)."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from . import chart, machine, report
from .rows import ROWS
from .run import run
from .shared import ROOT
from .summary import Figure, Summary, verdicts


def arguments():
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    parser.add_argument("--peers", metavar="ROWS", help=f"some rows, with commas between them: {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true", help="one run with short windows, to see that every row works")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="how long the full load enqueues (10)")
    parser.add_argument("--data", metavar="FOLDER", help="where to make the queues' folders; on a disk (.build here)")
    parser.add_argument("--keep", action="store_true", help="keep those folders, with the servers' output")
    parser.add_argument("--out", metavar="FOLDER",
                        help="where RESULTS.md and peers.svg go (bench; with --quick or --peers .build/peers)")
    options = parser.parse_args()
    options.rows = options.peers.split(",") if options.peers else list(ROWS)
    if unknown := [name for name in options.rows if name not in ROWS]:
        parser.error(f"no row is called {unknown[0]}; there are {', '.join(ROWS)}")
    if options.quick:
        options.runs, options.seconds = 1, 3
    if options.peers and options.out and pathlib.Path(options.out).resolve() == ROOT / "bench":
        parser.error("bench/RESULTS.md is of all rows: name another folder with --out, or leave out --peers")
    options.out = pathlib.Path(options.out or (ROOT / ".build/peers" if options.quick or options.peers else ROOT / "bench"))
    options.data = pathlib.Path(options.data or ROOT / ".build")
    return options


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if machine.file_system(options.data) in machine.IN_MEMORY:
        sys.exit(f"{options.data} is in memory, where a sync costs nothing: name a folder on a disk with --data")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-peers-", dir=options.data))
    folder.chmod(0o755)
    os.environ["TMPDIR"] = str(folder)  # what clients leave behind goes with it
    about = {"Date": report.today()} | machine.describe(folder)
    try:
        results = measure(options, folder)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    write(options, about, results)


def measure(options, folder):
    """Run by run, not row by row: what changes on the machine over time meets all alike."""
    results, begin = [], time.monotonic()
    turns = [(number, name) for number in range(options.runs) for name in options.rows]
    for turn, (number, name) in enumerate(turns):
        result = run(name, options, folder)
        results.append(result)
        left = (time.monotonic() - begin) / (turn + 1) * (len(turns) - turn - 1)
        what = result.get("error") or f"{result['rate']:,.0f} life cycles/s, server {result['server_us']:.0f} µs a job"
        print(f"{turn + 1:3}/{len(turns)}  run {number + 1}  {name:18} {what}  ({left / 60:.0f} min left)", flush=True)
    return results


def write(options, about, results):
    syncs = {kind: Figure.of([result["sync"][kind] for result in results]) for kind in ("back to back", "paced")}
    about["fdatasync of 4 KiB"] = "; ".join(
        f"{kind} {sync.median:.2f} ms ({sync.least:.2f}–{sync.most:.2f})" for kind, sync in syncs.items())
    summaries = [Summary(name, [result for result in results if result["row"] == name]) for name in options.rows]
    judged = verdicts({summary.name: summary for summary in summaries})
    runs = f"medians of {options.runs} runs in turn, {options.seconds:g} s of full load" if options.runs > 1 else "one run"
    text = report.document(summaries, judged, about, runs)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "RESULTS.md").write_text(text)
    (options.out / "peers.svg").write_text(chart.svg(summaries))
    print(f"\n{text}\nwritten to {options.out}/RESULTS.md and peers.svg")
    print("BENCH " + json.dumps({
        "rows": {row.name: row.medians() for row in summaries},
        "targets": {each.what: {"measured": each.value, "bound": each.bound, "verdict": each.word} for each in judged},
    }))


if __name__ == "__main__":
    main()
