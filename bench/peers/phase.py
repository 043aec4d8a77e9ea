"""One phase of load on a queue that runs: starts the client processes, lets them go together, waits until all jobs are done."""

import os
import time

from .board import SPAWN, Board
from .client import FULL_JOBS_MAX, LIGHT_RATE, WORKERS, Load, now, run_client
from .processes import cpu_seconds, memory_mib
from .shared import until

#: Seconds for the clients to start, and for jobs to make no progress before a phase is given up.
START_SECONDS, STALL_SECONDS = 40, 15


class Meter:
    """CPU time of a server's whole tree of processes, and of the processes that this one starts and ends within."""

    def __init__(self, driver):
        self.driver = driver

    def __enter__(self):
        self.server, self.clients = self._now()

    def __exit__(self, *_):
        server, clients = self._now()
        self.server, self.clients = server - self.server, clients - self.clients

    def _now(self):
        times = os.times()
        return cpu_seconds(self.driver.server_pids()), times.children_user + times.children_system


class Phase:
    def __init__(self, row, driver, light, seconds):
        self.row, self.driver = row, driver
        self.producers = 1 if light else WORKERS
        jobs = int(LIGHT_RATE * seconds) if light else FULL_JOBS_MAX
        self.board = Board(jobs, WORKERS, backlog_max=max(500, 4 * driver.batch * driver.inflight * self.producers))
        self.load = Load(self.board, light, seconds, jobs, self.producers)

    def run(self):
        """What was measured, by name; latencies as lists of microseconds."""
        roles = [("worker", number) for number in range(WORKERS)] + [("producer", number) for number in range(self.producers)]
        pipes = [SPAWN.Pipe(duplex=False) for _ in roles]
        clients = [
            SPAWN.Process(target=run_client, args=(*role, self.row, self.driver.folder, self.driver.port, self.load, report))
            for role, (_, report) in zip(roles, pipes)
        ]
        try:
            for client in clients:
                client.start()
            until(lambda: self._ready(clients), START_SECONDS, "the clients")
            meter = Meter(self.driver)
            with meter:
                seconds = self._drive(clients)
            memory = memory_mib(self.driver.server_pids())
        finally:
            self._stop(clients)
        reports = [answers.recv() for answers, _ in pipes if answers.poll()]
        return self._figures(seconds, meter.server, memory, reports)

    def _ready(self, clients):
        self._check(clients)
        return sum(self.board.ready) == len(clients)

    @staticmethod
    def _check(clients):
        if any(client.exitcode for client in clients):
            raise RuntimeError("a client failed; its error stands above")

    def _drive(self, clients):
        """Seconds from go until every enqueued job was done."""
        start = now()
        self.board.go.value = start
        done, progress = 0, time.monotonic()
        while sum(self.board.finished) < self.producers or self.board.backlog > 0:
            self._check(clients)
            if sum(self.board.done) != done:
                done, progress = sum(self.board.done), time.monotonic()
            if time.monotonic() - progress > STALL_SECONDS:
                raise RuntimeError(f"no job was done for {STALL_SECONDS} s; {done} before, {self.board.backlog} waited")
            time.sleep(0.005)
        return (now() - start) / 1e9

    def _stop(self, clients):
        self.board.stop.value = 1
        for client in clients:
            if client.pid is None:
                continue
            client.join(8)
            if client.is_alive():
                client.kill()
                client.join()

    def _figures(self, seconds, server_cpu, memory, reports):
        done = sum(self.board.done)
        latencies = {name: [value for report in reports for value in report[name]] for name in ("ack", "pick", "done")}
        return {
            "rate": done / seconds, "memory_mib": memory, **self.board.audit(), **latencies,
            "server_us": server_cpu / done * 1e6, "client_us": sum(report["cpu"] for report in reports) / done * 1e6,
        }
