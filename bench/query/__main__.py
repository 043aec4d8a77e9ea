"""Measures what statements cost, on this machine: `make bench-query`, or with `ARGS='--only scans --quick'`.

Two servers with one shard each hold a million jobs and ten thousand, on local disk, under .build, in fresh folders that are gone
afterwards. A part is a function of `parts` that takes the options and the servers and gives figures by name.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "Tests/Integration"))

from support.programs import Server  # noqa: E402

from . import data, parts  # noqa: E402

SETTINGS = "[server]\nstatement_timeout_ms = 0\n"


@dataclasses.dataclass
class Store:
    server: Server
    count: int
    now: int
    shard: str = ""


def opened(folder, count, stack):
    folder.mkdir()
    (folder / "silo.toml").write_text(SETTINGS)
    server = stack.enter_context(
        Server(folder, "--shards", 1, "--tenancy", "--config", folder / "silo.toml", dev=False, metrics="none"))
    store = Store(server, count, int(time.time() * 1000))
    begun = time.monotonic()
    store.shard = data.fill(server, count, store.now)
    print(f"{count} jobs imported in {time.monotonic() - begun:.0f} s", flush=True)
    return store


def main():
    names = list(parts.ALL)
    arguments = argparse.ArgumentParser(prog="bench-query", description=__doc__.splitlines()[0])
    arguments.add_argument("--only", help=f"some parts, with commas between them: {', '.join(names)}")
    arguments.add_argument("--jobs", type=int, default=1_000_000, help="how many the larger server has (1000000)")
    arguments.add_argument("--quick", action="store_true", help="short windows, few rounds")
    options = arguments.parse_args()
    chosen = options.only.split(",") if options.only else names
    unknown = set(chosen) - set(names)
    if unknown:
        arguments.error(f"there is no part {', '.join(sorted(unknown))}: those are {', '.join(names)}")

    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
    options.folder = pathlib.Path(tempfile.mkdtemp(prefix="query-", dir=ROOT / ".build"))
    figures = {}
    try:
        with contextlib.ExitStack() as stack:
            counts = {"many": options.jobs, "few": 10_000}
            stores = {size: opened(options.folder / size, count, stack) for size, count in counts.items()}
            for name in chosen:
                figures |= parts.ALL[name](options, stores)
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
    print("BENCH " + json.dumps(figures))


main()
