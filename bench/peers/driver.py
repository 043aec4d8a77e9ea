"""What a queue must be able to do to be measured."""

import os
import pathlib
import signal
import socket
import subprocess

from .processes import HOST, tool_environment, tree
from .shared import until


class Driver:
    """One queue. The first half is called by the runner, the second in the processes of its clients."""

    #: What an acknowledgement means, and how it is synced.
    acknowledged = ""
    client = "Python"
    #: The library acknowledges a completion after our handler, where we do not see it.
    hides_completion = False

    def __init__(self, folder, port, batch, inflight):
        """`batch`: jobs in a call. `inflight`: calls at once in each client process."""
        self.folder, self.port, self.batch, self.inflight = pathlib.Path(folder), port, batch, inflight
        self.servers = []

    def versions(self):
        raise NotImplementedError

    def start(self):
        raise NotImplementedError

    def prepare(self):
        """Makes the queue on the server that runs."""

    def remaining(self):
        """Jobs that the server still has."""
        raise NotImplementedError

    def spawn(self, command, port=None, **options):
        """Starts a server and waits until its port is open."""
        options.setdefault("env", tool_environment())
        with open(self.folder / "server.log", "ab") as log:
            server = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        self.servers.append(server)

        def is_open():
            if server.poll() is not None:
                raise RuntimeError(f"its server ended with code {server.returncode}: {self.last_words()}")
            with socket.socket() as probe:
                return probe.connect_ex((HOST, port or self.port)) == 0

        until(is_open, 60, "its port")

    def last_words(self):
        lines = (self.folder / "server.log").read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no word")

    def stop(self, signal_number=signal.SIGTERM):
        for server in reversed(self.servers):
            everyone = tree(server.pid)
            if server.poll() is None:
                server.send_signal(signal_number)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                for pid in everyone:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                server.wait()
        self.servers = []

    def server_pids(self):
        return [pid for server in self.servers for pid in tree(server.pid)]

    # In a client's process

    async def open_producer(self):
        raise NotImplementedError

    async def enqueue(self, payloads):
        """Returns when all are acknowledged."""
        raise NotImplementedError

    async def work(self, client):
        """Opens, says `client.ready()`, and works until `client.stopping`."""
        raise NotImplementedError


class ToolDriver:
    """Mixed into a queue that is loaded by a compiled tool, so that no time of Python's is measured."""

    client = "compiled"

    def run_tool(self, seconds, payload_bytes, meter):
        """Runs the load within `with meter:`. Returns `rate` (life cycles a second), `jobs`, `left` and `doubled`."""
        raise NotImplementedError
