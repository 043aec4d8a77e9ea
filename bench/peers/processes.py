"""Server processes: where their programs lie, and what a whole tree of them takes of the machine."""

import os
import pathlib
import shutil

from .shared import ROOT

HOST = "127.0.0.1"
UNPACKED = ROOT / ".deps/peers/root"
PYTHON_PROGRAMS = ROOT / ".deps/peers/python/bin"


def tool(name):
    """A program of a peer: unpacked from Debian's package, from PyPI, or on the PATH."""
    for folder in (UNPACKED / "usr/bin", UNPACKED / "usr/sbin", PYTHON_PROGRAMS):
        if (folder / name).exists():
            return str(folder / name)
    found = shutil.which(name)
    if not found:
        raise FileNotFoundError(f"{name} is not installed")
    return found


def tool_environment(**extra):
    """The environment of such a program: libraries that came with it are found."""
    folders = [str(path) for path in UNPACKED.glob("usr/lib/*-linux-gnu")]
    return dict(os.environ, LD_LIBRARY_PATH=":".join(folders), **extra)


def tree(pid):
    """This process and all that it started, as far as they live."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(entry.name)):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        each = todo.pop()
        if os.path.exists(f"/proc/{each}"):
            found.append(each)
        todo += children.get(each, [])
    return found


def cpu_seconds(pids):
    """User and system time of these processes, and of those of their children that have ended."""
    ticks = sum(sum(map(int, fields[11:15])) for pid in pids if (fields := _stat(pid)))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pids):
    """Resident memory in which each shared page counts once."""
    kib = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as lines:
                kib += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):
            pass
    return kib / 1024


def _stat(pid):
    """The fields of a process after its name, from its state on."""
    try:
        with open(f"/proc/{pid}/stat") as text:
            return text.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
