"""One phase of load on a queue that runs: starts the client processes, lets them go together, waits until all jobs are done."""

import json
import multiprocessing
import os
import pathlib
import time
from dataclasses import replace

from . import board as places
from .board import Board
from .client import now, run_client
from .processes import cpu_seconds, memory_mib
from .shared import until

SPAWN = multiprocessing.get_context("spawn")
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
    def __init__(self, row, driver, load):
        self.row, self.driver = row, driver
        self.load = replace(load, board=str(driver.folder / f"board-{'light' if load.light else 'full'}"))
        self.board = Board(self.load.board, load.jobs, load.workers)
        self.board[places.BACKLOG_MAX] = max(500, 4 * driver.batch * driver.inflight * load.producers)
        self.roles = [("worker", n) for n in range(load.workers)] + [("producer", n) for n in range(load.producers)]

    def run(self):
        """What was measured, by name; latencies as lists of microseconds."""
        clients = [
            SPAWN.Process(target=run_client, args=(role, number, self.row, self.driver.folder, self.driver.port, self.load))
            for role, number in self.roles
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
        return self._figures(seconds, meter.server, memory)

    def _ready(self, clients):
        self._check(clients)
        return self.board.sum(places.READY_WORKERS) + self.board.sum(places.READY_PRODUCERS) == len(clients)

    @staticmethod
    def _check(clients):
        if any(client.exitcode for client in clients):
            raise RuntimeError("a client failed; its error stands above")

    def _drive(self, clients):
        """Seconds from go until every enqueued job was done."""
        start = now()
        self.board[places.GO] = start
        done, progress = 0, time.monotonic()
        while True:
            finished = self.board.sum(places.FINISHED) == self.load.producers
            if finished and self.board.backlog <= 0:
                return (now() - start) / 1e9
            self._check(clients)
            if self.board.sum(places.DONE) != done:
                done, progress = self.board.sum(places.DONE), time.monotonic()
            if time.monotonic() - progress > STALL_SECONDS:
                raise RuntimeError(f"no job was done for {STALL_SECONDS} s; {done} before, {self.board.backlog} waited")
            time.sleep(0.005)

    def _stop(self, clients):
        self.board[places.STOP] = 1
        for client in clients:
            if client.pid is None:
                continue
            client.join(8)
            if client.is_alive():
                client.kill()
                client.join()

    def _figures(self, seconds, server_cpu, memory):
        done = self.board.sum(places.DONE)
        reports = [json.loads(path.read_text()) for role, number in self.roles
                   if (path := pathlib.Path(f"{self.load.board}.{role}{number}.json")).exists()]
        latencies = {name: [value for report in reports for value in report[name]] for name in ("ack", "pick", "done")}
        return {
            "rate": done / seconds, "memory_mib": memory, **self.board.audit(), **latencies,
            "server_us": server_cpu / done * 1e6, "client_us": sum(report["cpu"] for report in reports) / done * 1e6,
        }
