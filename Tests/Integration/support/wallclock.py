"""Moves the wall clock of a program that a test starts, and of nothing else."""

import pathlib
import struct
import subprocess

SOURCE = pathlib.Path(__file__).with_name("wallclock.c")


class WallClock:
    """A wall clock that is off by what the test says. Give `environment` to the program."""

    def __init__(self, folder):
        library = folder / "wallclock.so"
        # The compiler comes with Swift.
        subprocess.run(["clang", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
        self.path = folder / "wallclock"
        self.set(0)
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK": str(self.path)}

    def set(self, seconds):
        """From now on the program's clock is so far ahead of the machine's, or behind it."""
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(struct.pack("=q", int(seconds * 1000)))
