"""A file that all client processes map: flags, counters, and which job was acknowledged and seen by whom."""

import mmap
import os
import struct

#: Places of the 64 numbers at its start. The last four have one for each process of a role, at most 8.
GO, STOP, BACKLOG_MAX, READY_WORKERS, READY_PRODUCERS, ENQUEUED, DONE, FINISHED = 0, 1, 2, 8, 16, 24, 40, 56
PROCESSES_MAX = 8
HEADER = 64 * 8


class Board:
    def __init__(self, path, jobs, workers):
        self.jobs, self.workers = jobs, workers
        size = HEADER + jobs * (1 + workers)
        with open(path, "a+b") as file:
            if os.path.getsize(path) == 0:
                file.truncate(size)
            self.map = mmap.mmap(file.fileno(), size)

    def __getitem__(self, place):
        return struct.unpack_from("q", self.map, place * 8)[0]

    def __setitem__(self, place, value):
        struct.pack_into("q", self.map, place * 8, value)

    def sum(self, place):
        return sum(struct.unpack_from(f"{PROCESSES_MAX}q", self.map, place * 8))

    @property
    def backlog(self):
        return self.sum(ENQUEUED) - self.sum(DONE)

    def acknowledged(self, job):
        self.map[HEADER + job] = 1

    def seen(self, worker, job):
        place = HEADER + self.jobs * (1 + worker) + job
        self.map[place] = min(255, self.map[place] + 1)

    def audit(self):
        """Jobs that were acknowledged and never handed out, and those handed out more than once."""
        rows = [self.map[HEADER + self.jobs * row:HEADER + self.jobs * (row + 1)] for row in range(1 + self.workers)]
        times = [sum(column) for column in zip(*rows[1:])]
        return {
            "lost": sum(1 for acknowledged, seen in zip(rows[0], times) if acknowledged and not seen),
            "doubled": sum(1 for seen in times if seen > 1),
        }
