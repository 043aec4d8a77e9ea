"""Starts, watches and ends the built programs."""

import json
import os
import pathlib
import signal
import subprocess

from .waiting import until

ROOT = pathlib.Path(__file__).parents[3]
#: How long a program may take to start or to stop before a test gives up: the machine may be busy.
PATIENCE = 90


def program(name):
    """The built program: what SILO_BIN names (or its neighbour), else the release build, else the debug build."""
    chosen = os.environ.get("SILO_BIN")
    if chosen:
        return pathlib.Path(chosen).resolve().with_name(name) if name != "silo" else pathlib.Path(chosen).resolve()
    for build in ("release", "debug"):
        path = ROOT / ".build" / build / name
        if path.exists():
            return path
    raise FileNotFoundError(f"{name} is not built: run swift build -c release --product {name}")


def environment(extra=None):
    """The environment of a program, without what could change its behaviour by accident."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("SILO_", "AWS_", "OTEL_"))}
    plain["LD_LIBRARY_PATH"] = f"{ROOT / '.deps/lib'}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    return plain | (extra or {})


def run(name, *arguments, extra=None, timeout=PATIENCE, stdin=None, cwd=None):
    """Runs a program to its end."""
    if name == "silo" and "--listen" in arguments and "--metrics" not in arguments:
        # What it says is looked at: a port of others must not come into it. First, for a mistake may be in what comes last.
        arguments = ("--metrics", "none", *arguments)
    return subprocess.run(
        [program(name), *map(str, arguments)], capture_output=True, text=True, timeout=timeout, env=environment(extra),
        input=stdin, cwd=cwd,
    )


class Server:
    """One `silo` process on a data folder of its own. It can be stopped, killed and started again on the same data."""

    def __init__(self, folder, *flags, data=None, listen="127.0.0.1:0", extra=None, dev=True, under=(), output=None,
                 metrics="127.0.0.1:0"):
        """`dev`: with LeaseTask and ResetShards. `under`: a command that runs it, such as prlimit. `output`: where its log goes
        instead of a file. `metrics`: where its port for operators listens."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = str(data or self.folder / "data")
        self.flags = [str(flag) for flag in flags]
        if dev and "--dev" not in self.flags:
            self.flags.append("--dev")
        self.under = [str(word) for word in under]
        self.output = output
        self.listen = listen
        self.metrics = metrics
        self.operator = None
        self.extra = extra or {}
        self.process = None
        self.address = None
        self.starts = 0

    # Life

    def start(self, patience=PATIENCE):
        """Starts it and waits until it serves."""
        self.spawn()
        started = until(lambda: self._started() or self._fail_if_ended(), patience, "the server to start", self.tail)
        self.address = started["grpc"]
        self.operator = started["metrics"]
        return self

    def spawn(self):
        """Starts the process without waiting for anything."""
        self.starts += 1
        self.log_path = self.folder / f"log-{self.starts}.jsonl"
        self.errors_path = self.folder / f"errors-{self.starts}.txt"
        with open(self.log_path, "wb") as log, open(self.errors_path, "wb") as errors:
            self.process = subprocess.Popen(
                [
                    *self.under, program("silo"), "--listen", self.listen, "--data", self.data, "--log-format", "json",
                    "--metrics", self.metrics, *self.flags,
                ],
                stdout=self.output or log, stderr=errors, env=environment(self.extra), cwd=self.folder,
            )

    def _started(self):
        return next((line for line in self.log() if line.get("message") == "server started"), None)

    def _fail_if_ended(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"silo ended with code {self.process.returncode}:\n{self.tail()}")

    def stop(self, signal_number=signal.SIGTERM, patience=PATIENCE):
        """Asks the server to end and returns its exit code."""
        self.process.send_signal(signal_number)
        return self.process.wait(patience)

    def kill(self):
        """Ends the process with no chance to clean up."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    # Looking at it

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])

    def log(self):
        """What it has logged since its last start, flat: the fields with level and target."""
        lines = []
        for text in self.log_path.read_text(errors="replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                lines.append({"level": "RAW", "message": text})
                continue
            lines.append({"level": line["level"], "target": line["target"]} | line["fields"])
        return lines

    def errors(self):
        """The lines of the error stream since the last start."""
        return self.errors_path.read_text(errors="replace").splitlines()

    def tail(self):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-25:] + self.errors()[-25:])

    def rss(self):
        """Resident memory in bytes."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()
