"""The test worker, which is made of the Swift client, as a process."""

import json
import os
import signal
import subprocess

from .programs import PATIENCE, environment, program
from .waiting import until


class SwiftWorker:
    """A `silo-test-worker` process and what it wrote so far."""

    def __init__(self, folder, address, group, *flags, extra=None):
        self.path = folder / f"worker-{os.urandom(4).hex()}.jsonl"
        with open(self.path, "wb") as output:
            self.process = subprocess.Popen(
                [program("silo-test-worker"), "--address", address, "--group", group, *map(str, flags)],
                stdout=output, stderr=subprocess.STDOUT, env=environment(extra),
            )
        until(lambda: self.events("ready"), PATIENCE, "the worker to start", self.text)

    def text(self):
        return self.path.read_text(errors="replace")

    def events(self, kind=None, name=None):
        lines = [json.loads(line) for line in self.text().splitlines() if line.endswith("}")]
        return [line for line in lines if kind in (None, line["event"]) and name in (None, line.get("name"))]

    def wait_for(self, kind, name=None, seconds=PATIENCE):
        return until(lambda: self.events(kind, name), seconds, f"{kind} of {name}", self.text)[0]

    def tell_to_stop(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self, patience=PATIENCE):
        """Asks it to end, and waits for that."""
        self.tell_to_stop()
        assert self.process.wait(patience) == 0, self.text()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
