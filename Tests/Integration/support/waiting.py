"""Waiting for a condition instead of for a time."""

import time


def until(condition, seconds=30, what="the condition", explain=lambda: ""):
    """Asks again until `condition` gives something true, and returns that."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}\n{explain()}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def milliseconds():
    """Now, as the server counts: since 1970."""
    return int(time.time() * 1000)
