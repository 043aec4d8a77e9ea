"""Measures the web page, on this machine: `make bench-web`, or with `ARGS='--only pages --quick'`.

A server with one shard holds a million jobs of a hundred thousand tenants, with limits, labels, failures and jobs for later, on local
disk, under .build, in a fresh folder that is gone afterwards. A part is a function of `parts` that takes the options and the server and
gives figures by name.
"""

import argparse
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


def main():
    names = list(parts.ALL)
    arguments = argparse.ArgumentParser(prog="bench-web", description=__doc__.splitlines()[0])
    arguments.add_argument("--only", help=f"some parts, with commas between them: {', '.join(names)}")
    arguments.add_argument("--jobs", type=int, default=1_000_000, help="how many there are (1000000)")
    arguments.add_argument("--tenants", type=int, default=100_000, help="whose they are (100000)")
    arguments.add_argument("--shards", type=int, default=1, help="where they are (1)")
    arguments.add_argument("--quick", action="store_true", help="short windows, few rounds")
    options = arguments.parse_args()
    chosen = options.only.split(",") if options.only else names
    unknown = set(chosen) - set(names)
    if unknown:
        arguments.error(f"there is no part {', '.join(sorted(unknown))}: those are {', '.join(names)}")

    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="web-", dir=ROOT / ".build"))
    figures = {}
    try:
        with Server(folder, "--shards", options.shards, "--tenancy", dev=False) as server:
            begun = time.monotonic()
            data.fill(server, options.jobs, options.tenants)
            print(f"{options.jobs} jobs imported in {time.monotonic() - begun:.0f} s", flush=True)
            data.work(server)
            for name in chosen:
                figures |= parts.ALL[name](options, server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("BENCH " + json.dumps(figures))


main()
