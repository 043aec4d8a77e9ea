"""Runs `siloctl` as a person or a program would."""

import contextlib
import datetime
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios

from .programs import environment, program, run


def runner(address, *options, extra=None):
    def ctl(*arguments, code=0, stdin=None, **other):
        ended = run("siloctl", "--address", f"http://{address}", *options, *arguments, stdin=stdin, extra=extra, **other)
        assert ended.returncode == code, f"exit code {ended.returncode}: {ended.stdout}{ended.stderr}"
        if code:
            assert ended.stdout == "", "a failure prints nothing on standard output"
            return ended.stderr
        assert ended.stderr == ""
        return ended.stdout

    return ctl


def iso(ms):
    """A moment as `--utc --iso` shows it."""
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fields(lines):
    """The names and values of a block such as that of `job get`."""
    return dict(re.split(r":\s+", line, maxsplit=1) for line in lines if re.match(r"[A-Z].*:\s+\S", line))


class Terminal:
    """A program at a terminal of its own; one that `controls` it sends the program Ctrl-C and the like."""

    def __init__(self, name, *arguments, extra=None, cwd=None, controls=False, columns=80, lines=40):
        self.here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        plain = {name: value for name, value in environment().items() if name != "NO_COLOR"} | {"TERM": "xterm"}
        self.process = subprocess.Popen(
            [program(name) if "/" not in name else name, *map(str, arguments)], stdin=there, stdout=there, stderr=there,
            env=plain | (extra or {}), cwd=cwd, start_new_session=True, close_fds=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controls else None,
        )
        os.close(there)
        self.text = ""

    def read(self, until=None, patience=60):
        """Reads to the end, or until the text has what `until` looks for."""
        deadline = datetime.datetime.now() + datetime.timedelta(seconds=patience)
        with contextlib.suppress(OSError):  # the end of a terminal is an error
            while until is None or not re.search(until, self.text):
                left = (deadline - datetime.datetime.now()).total_seconds()
                assert left > 0 and select.select([self.here], [], [], left)[0], self.text
                piece = os.read(self.here, 65536)
                if not piece:
                    break
                self.text += piece.decode(errors="replace")
        return self.text

    def write(self, text):
        os.write(self.here, text.encode())

    def end(self, patience=60):
        code = self.process.wait(patience)
        os.close(self.here)
        return code


def as_json(text):
    """The JSON document, which must be sorted by key."""
    document = json.loads(text)
    assert list(document) == sorted(document)
    return document


def pretty(text):
    """The same, indented by two spaces."""
    document = as_json(text)
    assert re.search(r'^  "', text, re.MULTILINE)
    return document
