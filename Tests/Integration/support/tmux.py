"""A terminal whose screen can be read: tmux, with a shell of its own in it."""

import pathlib
import shutil
import subprocess
import tempfile

from .programs import environment, program
from .waiting import until

TMUX = shutil.which("tmux")


class Screen:
    """One window. Its server has a socket of its own, and ends with it."""

    def __init__(self, columns=80, lines=24, extra=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="silo-tmux-"))
        (self.folder / "conf").write_text("set -g status off\nset -g history-limit 0\nset -sg escape-time 10\n")
        # Not from the environment: bash takes none from there where it is root's.
        (self.folder / "rc").write_text("PS1='READY> '\n")
        plain = {name: value for name, value in environment().items() if name not in ("NO_COLOR", "TMUX")}
        path = f"{program('siloctl').parent}:{plain['PATH']}"
        self.environment = plain | {"PATH": path, "HOME": str(self.folder), "LC_ALL": "C.UTF-8"} | (extra or {})
        self.tmux("new-session", "-d", "-x", columns, "-y", lines, f"bash --noprofile --rcfile {self.folder}/rc")
        try:
            self.wait("READY>")
        except BaseException:
            self.close()
            raise

    def tmux(self, *words):
        ended = subprocess.run(
            [TMUX, "-S", str(self.folder / "socket"), "-f", str(self.folder / "conf"), *map(str, words)],
            capture_output=True, text=True, env=self.environment, timeout=60)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def close(self):
        self.tmux("kill-server")
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Typing

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def press(self, *keys):
        """By tmux's names, such as `Enter` and `C-c`."""
        self.tmux("send-keys", *keys)

    def run(self, line):
        self.type(line)
        self.press("Enter")

    def resize(self, columns, lines):
        self.tmux("resize-window", "-x", columns, "-y", lines)

    # Looking

    def lines(self, styled=False):
        return self.tmux("capture-pane", "-p", *(["-e"] if styled else [])).split("\n")[:-1]

    @property
    def text(self):
        return "\n".join(self.lines())

    def wait(self, condition, seconds=60, what=None):
        """Until the screen has a text, or `condition` of its lines holds; returns its lines."""
        holds = condition if callable(condition) else lambda lines: any(condition in line for line in lines)
        return until(lambda: holds(lines) and lines if (lines := self.lines()) else None, seconds, what or condition, lambda: self.text)

    def told(self, name):
        """What tmux says of the window, such as `alternate_on`."""
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    def child(self):
        """The process that the shell runs."""
        shell = self.told("pane_pid")
        children = pathlib.Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        return int(children[0]) if children else None
