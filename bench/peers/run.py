"""One run of one row: a fresh folder, a server, light load, full load, and whether the queue was empty in the end."""

import contextlib
import os
import pathlib
import shutil
import signal
import time

from .client import LIGHT_RATE, PAYLOAD_BYTES
from .driver import ToolDriver
from .machine import sync_times
from .phase import Meter, Phase
from .processes import memory_mib
from .rows import ROWS
from .shared import free_port, until

#: Rest after a row: deleting thousands of files slows syncs down for a while.
SETTLE_SECONDS = 3


def run(name, options, folder):
    """What was measured, by name; or `error`. Beside it what else a report tells of the row."""
    folder = pathlib.Path(folder) / name
    folder.mkdir()
    folder.chmod(0o755)
    result = {"row": name, "sync": sync_times(folder, 1 / LIGHT_RATE)}
    driver = None
    try:
        driver = ROWS[name].driver(folder, free_port())
        result |= {"versions": driver.versions(), "acknowledged": driver.acknowledged, "client": driver.client}
        driver.start()
        driver.prepare()
        result |= with_tool(driver, options) if isinstance(driver, ToolDriver) else with_clients(name, driver, options)
    except Exception as error:  # whatever a peer does, the others are measured
        result["error"] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    finally:
        with undisturbed():
            if driver:
                driver.stop()
            if options.keep:
                folder.rename(folder.with_name(f"{name}-{time.time_ns()}"))
            else:
                shutil.rmtree(folder, ignore_errors=True)
        os.sync()
        time.sleep(SETTLE_SECONDS)
    return result


@contextlib.contextmanager
def undisturbed():
    """Puts off the signals that end this program: no server and no folder is left behind."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def with_tool(driver, options):
    meter = Meter(driver)
    figures = driver.run_tool(options.seconds, PAYLOAD_BYTES, meter)
    jobs = figures.pop("jobs")
    return figures | {
        "memory_mib": memory_mib(driver.server_pids()),
        "server_us": meter.server / jobs * 1e6, "client_us": meter.clients / jobs * 1e6,
    }


def with_clients(name, driver, options):
    light = Phase(name, driver, light=True, seconds=max(3, options.seconds * 0.8)).run()
    full = Phase(name, driver, light=False, seconds=options.seconds).run()
    # Libraries write completions after our handler has run.
    until(lambda: driver.remaining() == 0, 30, "an empty queue", lambda: f"{driver.remaining()} jobs are left")
    result = {key: full[key] for key in ("rate", "memory_mib", "server_us", "client_us")}
    for key in ("left", "doubled"):
        result[key] = light[key] + full[key]
    for key in ("ack", "pick", "done"):
        result |= percentiles(key, light[key])
    return result


def percentiles(name, microseconds):
    """Milliseconds, by name."""
    if not microseconds:
        return {}
    ordered = sorted(microseconds)
    return {f"{name}_p{percent}_ms": ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] / 1000 for percent in (50, 99)}
