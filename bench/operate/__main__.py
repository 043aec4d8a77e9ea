"""Measures what operating Silo costs, on this machine: `make bench-operate`, or with `ARGS='--only scrape --quick'`.

A part is a function of `parts` that takes the options and gives figures by name. Servers listen on loopback, on free ports, with fresh
folders under .build; both are gone afterwards.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "Tests/Integration"))

from . import parts  # noqa: E402


def main():
    names = list(parts.ALL)
    arguments = argparse.ArgumentParser(prog="bench-operate", description=__doc__.splitlines()[0])
    arguments.add_argument("--only", help=f"some parts, with commas between them: {', '.join(names)}")
    arguments.add_argument("--quick", action="store_true", help="short windows, few rounds")
    options = arguments.parse_args()
    chosen = options.only.split(",") if options.only else names
    unknown = set(chosen) - set(names)
    if unknown:
        arguments.error(f"there is no part {', '.join(sorted(unknown))}: those are {', '.join(names)}")

    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
    options.folder = pathlib.Path(tempfile.mkdtemp(prefix="operate-", dir=ROOT / ".build"))
    figures = {}
    try:
        for name in chosen:
            own = parts.ALL[name](options)
            figures |= own
            for figure, value in own.items():
                print(f"{name:<10}{figure:<32}{value:>12}", flush=True)
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
    print("BENCH " + json.dumps(figures))


main()
