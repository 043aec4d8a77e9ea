"""What all client processes share: flags, counters, and which job was acknowledged and seen by whom."""

from multiprocessing import get_context

SPAWN = get_context("spawn")
#: Counters have one place for each process of a role, at most so many.
PROCESSES_MAX = 8


class Board:
    def __init__(self, jobs, workers, backlog_max):
        self.backlog_max = backlog_max
        self.go, self.stop = SPAWN.RawValue("q"), SPAWN.RawValue("b")
        self.ready, self.enqueued, self.done, self.finished = (SPAWN.RawArray("q", PROCESSES_MAX) for _ in range(4))
        self.acknowledged = SPAWN.RawArray("B", jobs)
        self.seen = [SPAWN.RawArray("B", jobs) for _ in range(workers)]

    @property
    def backlog(self):
        return sum(self.enqueued) - sum(self.done)

    def audit(self):
        """Jobs that were acknowledged and not done, and those that were done more than once."""
        times = list(map(sum, zip(*self.seen)))
        return {
            "left": sum(1 for acknowledged, seen in zip(self.acknowledged, times) if acknowledged and not seen),
            "doubled": sum(1 for seen in times if seen > 1),
        }
