"""Measures life cycles on data in a bucket: `make bench-bucket`, or with `ARGS='--beside FOLDER'`, which names another build's programs.

The bucket is SeaweedFS's on this machine, and every PUT takes 20 ms longer. Each row is a server with one shard on a prefix of its own,
loaded by batches of a hundred: with everything in the bucket, and with its log on the local disk. Rows are measured in turn.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "Tests/Integration"))

from support.ports import fixed_address  # noqa: E402
from support.programs import PATIENCE, environment, program, run  # noqa: E402
from support.seaweed import Seaweed  # noqa: E402
from support.waiting import until  # noqa: E402

from .proxy import SlowPuts  # noqa: E402

PUT_SECONDS = 0.02


def measure(silo, seaweed, proxy, folder, seconds, flags=()):
    """Life cycles a second of one server on fresh data, and PUTs for a thousand of them."""
    address, prefix = fixed_address(random), folder.name
    own = seaweed.environment | {"AWS_ENDPOINT": proxy.endpoint}
    with open(folder / "silo.txt", "wb") as log:
        server = subprocess.Popen(
            [silo, "--listen", address, "--data", f"s3://{seaweed.BUCKET}/{prefix}", "--shards", "1", *map(str, flags)],
            stdout=log, stderr=log, env=environment(own), cwd=folder)
    try:
        until(lambda: answers(address, server), PATIENCE, "the server to listen", lambda: (folder / "silo.txt").read_text())
        puts = proxy.puts
        ended = run(
            "silo-bench", "--address", f"http://{address}", "--duration-secs", seconds, "--workers", 4, "--enqueuers", 4, "--channels", 2,
            "--batch", 100, "--max-tasks-per-poll", 100, "--backlog", 4000, "--json", timeout=seconds + PATIENCE)
        if ended.returncode != 0:
            raise RuntimeError(f"silo-bench failed: {ended.stderr}\n{(folder / 'silo.txt').read_text()[-3000:]}")
        totals = json.loads(ended.stdout)
        return totals["completed_per_s"], (proxy.puts - puts) / totals["completed"] * 1000
    finally:
        server.kill()
        server.wait(PATIENCE)


def answers(address, server):
    if server.poll() is not None:
        raise RuntimeError(f"silo ended with {server.returncode}")
    host, port = address.rsplit(":", 1)
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def main():
    arguments = argparse.ArgumentParser(prog="bench-bucket", description=__doc__.splitlines()[0])
    arguments.add_argument("--beside", type=pathlib.Path, help="a folder with the silo of another build, to be measured in turn")
    arguments.add_argument("--quick", action="store_true", help="short windows, one round")
    options = arguments.parse_args()
    rounds, seconds = (1, 4) if options.quick else (3, 10)

    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bucket-", dir=ROOT / ".build"))
    rows = {"bucket": (program("silo"), False), "bucket_local_log": (program("silo"), True)}
    if options.beside:
        rows["beside"] = (options.beside / "silo", False)
    rates, puts = {name: [] for name in rows}, {name: [] for name in rows}
    seaweed = Seaweed(folder / "s3")
    seaweed.volumes = 400
    seaweed.start()
    try:
        with SlowPuts(int(seaweed.ports["s3"]), PUT_SECONDS) as proxy:
            for number in range(rounds):
                for name, (silo, is_log_local) in rows.items():
                    own = folder / f"{name}-{number}"
                    own.mkdir()
                    flags = ["--log", own / "log"] if is_log_local else []
                    rate, written = measure(silo, seaweed, proxy, own, seconds, flags)
                    print(f"{name:<18}{rate:>10.0f} life cycles/s{written:>10.2f} PUTs for a thousand", flush=True)
                    rates[name].append(rate)
                    puts[name].append(written)
    finally:
        seaweed.close()
        shutil.rmtree(folder, ignore_errors=True)
    figures = {f"{name}_per_s": round(statistics.median(values)) for name, values in rates.items()}
    figures |= {f"{name}_puts_per_1000": round(statistics.median(values), 2) for name, values in puts.items()}
    if options.beside:
        figures["bucket_share"] = round(figures["bucket_per_s"] / figures["beside_per_s"], 3)
    print("BENCH " + json.dumps(figures))


main()
