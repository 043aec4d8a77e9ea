"""What a call takes at a light load before any queue does anything: .deps/peers/python/bin/python -m bench.peers.floor

Starts a server, and 50 times a second syncs 4 KiB, asks for what is in memory, and enqueues a job, in turn.
"""

import asyncio
import os
import pathlib
import statistics
import tempfile
import time

import grpc.aio

from .client import LIGHT_RATE
from .rows import ROWS
from .shared import ROOT, free_port

CALLS = 300


def percentile(samples, share):
    return sorted(samples)[int(len(samples) * share)] * 1000


async def paced(calls):
    """Each of `calls` in turn, `LIGHT_RATE` times a second; how long each took, by its name."""
    took = {name: [] for name in calls}
    for _ in range(CALLS):
        for name, call in calls.items():
            begin = time.perf_counter()
            await call()
            took[name].append(time.perf_counter() - begin)
            await asyncio.sleep(1 / LIGHT_RATE)
    return took


async def measure(driver, folder):
    file = os.open(folder / "bare", os.O_RDWR | os.O_CREAT)
    os.write(file, bytes(4096 * CALLS))
    os.fsync(file)
    position = iter(range(0, 4096 * CALLS, 4096))

    async def sync():
        os.pwrite(file, os.urandom(4096), next(position))
        os.fdatasync(file)

    await driver.open_producer()
    return await paced({
        "fdatasync of 4 KiB": sync,
        "GetClusterInfo, which answers from memory": lambda: driver.stub.GetClusterInfo(driver.pb.GetClusterInfoRequest()),
        "Enqueue": lambda: driver.enqueue(["x" * 200]),
    })


def main():
    with tempfile.TemporaryDirectory(prefix="bench-floor-", dir=ROOT / ".build") as name:
        folder = pathlib.Path(name)
        driver = ROWS["silo"].driver(folder, free_port())
        driver.start()
        try:
            took = asyncio.run(measure(driver, folder))
        finally:
            driver.stop()
    for name, samples in took.items():
        print(f"{name:45} p50 {percentile(samples, 0.5):5.2f} ms  p99 {percentile(samples, 0.99):5.2f} ms")


if __name__ == "__main__":
    main()
