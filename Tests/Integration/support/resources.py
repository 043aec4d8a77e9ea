"""What a running server holds: memory, descriptors, disk. It must come back to rest after a load.

    rest = Rest(server)
    ... load ...
    rest.returns(memory=64 << 20)
"""

import os
import pathlib
import threading
import time

from .waiting import until

MIB = 1 << 20


def memory(pid):
    """Resident bytes now, and the most there ever were."""
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return tuple(int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def disk(folder):
    """Bytes that the files of a folder take on the disk."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


class Peak:
    """The most memory while the body runs; begins anew from what there is, whatever was before."""

    def __init__(self, pid):
        self.pid = pid
        self.bytes = 0

    def __enter__(self):
        try:
            # Resets VmHWM.
            pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")
            self._thread = None
        except OSError:
            self._over = threading.Event()
            self._thread = threading.Thread(target=self._watch)
            self._thread.start()
        return self

    def _watch(self):
        while not self._over.wait(0.02):
            self.bytes = max(self.bytes, memory(self.pid)[0])

    def __exit__(self, *_):
        if self._thread:
            self._over.set()
            self._thread.join()
        else:
            self.bytes = memory(self.pid)[1]


class Rest:
    """What a server holds at rest, to be compared with later."""

    def __init__(self, server, settle=2):
        """`settle`: seconds in which memory does not grow any more before it counts as at rest."""
        self.server = server
        self.pid = server.process.pid
        least = memory(self.pid)[0]
        since = time.monotonic()

        def is_settled():
            nonlocal least, since
            now = memory(self.pid)[0]
            if abs(now - least) > MIB:
                least, since = now, time.monotonic()
            return time.monotonic() - since > settle

        until(is_settled, 60, "the server to settle")
        self.memory = memory(self.pid)[0]
        self.descriptors = descriptors(self.pid)

    def __str__(self):
        return f"{self.memory / MIB:.0f} MiB, {self.descriptors} descriptors"

    def returns(self, memory_more=128 * MIB, descriptors_more=16, seconds=60):
        """Waits until the server is back at what it held, give or take a bound for caches and pools."""
        until(
            lambda: memory(self.pid)[0] <= self.memory + memory_more and descriptors(self.pid) <= self.descriptors + descriptors_more,
            seconds, "the server to come back to rest",
            lambda: f"at rest: {self}; now: {memory(self.pid)[0] / MIB:.0f} MiB, {descriptors(self.pid)} descriptors",
        )
