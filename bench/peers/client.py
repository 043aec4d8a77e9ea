"""What runs in a producer's or worker's process: the load, and the clock beside it."""

import asyncio
import json
import random
import resource
import signal
import string
import time
from dataclasses import dataclass

from . import board as places
from .board import Board

now = time.monotonic_ns  # one clock for all processes of the machine
NOISE = "".join(random.Random(7).choice(string.ascii_letters + string.digits) for _ in range(65_536))


@dataclass(frozen=True)
class Load:
    """One phase. `light`: an open loop of `rate` jobs a second, one a call; else closed loops with a bounded backlog."""

    board: str
    light: bool
    jobs: int
    seconds: float
    rate: int
    payload_bytes: int
    producers: int
    workers: int


def payload(job, size):
    """Who it is and when it was sent, then noise."""
    head = f"{job:010d}{now():020d}"
    start = job * 31 % (len(NOISE) - size)
    return head + NOISE[start:start + size - len(head)]


class Client:
    """Handed to a driver's worker, which tells it of each job."""

    def __init__(self, load, index, driver):
        self.load, self.index, self.driver = load, index, driver
        self.board = Board(load.board, load.jobs, load.workers)
        self.latencies = {"ack": [], "pick": [], "done": []}
        self.completed = 0
        self.cpu_before = 0

    @property
    def stopping(self):
        return self.board[places.STOP] != 0

    @property
    def light(self):
        return self.load.light

    async def start(self, place):
        """Says that it is ready and waits until all go together."""
        self.board[place + self.index] = 1
        while not self.board[places.GO]:
            await asyncio.sleep(0.002)
        self.cpu_before = own_cpu()

    # A worker's side

    async def ready(self):
        await self.start(places.READY_WORKERS)

    def got(self, *payloads):
        """The jobs are in hand."""
        for body in payloads:
            self._measure("pick", body)

    def done(self, *payloads):
        """Their completion was acknowledged; or, where the library does that out of sight, the handler has run."""
        for body in payloads:
            self.board.seen(self.index, int(body[:10]))
            if not self.driver.hides_completion:
                self._measure("done", body)
        self.completed += len(payloads)
        self.board[places.DONE + self.index] = self.completed

    async def until_stopped(self):
        while not self.stopping:
            await asyncio.sleep(0.01)

    def _measure(self, what, body):
        if self.light and int(body[:10]) >= self.load.rate:  # the first second warms up
            self.latencies[what].append((now() - int(body[10:30])) // 1000)

    # A producer's side

    async def produce(self):
        share = self.load.jobs // self.load.producers
        self.next = self.index * share
        self.end = self.next + share
        self.sent = self.acknowledged = 0
        await (self._at_a_rate() if self.light else self._as_fast_as_it_goes())
        self.board[places.FINISHED + self.index] = 1

    async def _at_a_rate(self):
        calls, start = [], now()
        for job in range(int(self.load.rate * self.load.seconds)):
            wait = start + int(job * 1e9 / self.load.rate) - now()
            if wait > 0:
                await asyncio.sleep(wait / 1e9)
            calls.append(asyncio.ensure_future(self._enqueue([job])))
        await asyncio.gather(*calls)

    async def _as_fast_as_it_goes(self):
        deadline = self.board[places.GO] + int(self.load.seconds * 1e9)

        async def lane():
            while self.next < self.end and now() < deadline:
                if self.sent - self.acknowledged + self.board.backlog > self.board[places.BACKLOG_MAX]:
                    await asyncio.sleep(0.001)
                    continue
                jobs = range(self.next, min(self.end, self.next + self.driver.batch))
                self.next = jobs.stop
                await self._enqueue(jobs)

        await asyncio.gather(*(lane() for _ in range(self.driver.inflight)))

    async def _enqueue(self, jobs):
        self.sent += len(jobs)
        before = now()
        await self.driver.enqueue([payload(job, self.load.payload_bytes) for job in jobs])
        if self.light and jobs[0] >= self.load.rate:
            self.latencies["ack"].append((now() - before) // 1000)
        for job in jobs:
            self.board.acknowledged(job)
        self.acknowledged += len(jobs)
        self.board[places.ENQUEUED + self.index] = self.acknowledged


def own_cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_client(role, index, row, folder, port, load):
    """The whole life of a client process."""
    import uvloop

    from .rows import ROWS

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    driver = ROWS[row].driver(folder, port)
    client = Client(load, index, driver)

    async def life():
        if role == "producer":
            await driver.open_producer()
            await client.start(places.READY_PRODUCERS)
            await client.produce()
        else:
            await driver.work(client)

    uvloop.run(life())
    with open(f"{load.board}.{role}{index}.json", "w") as file:
        json.dump({"cpu": own_cpu() - client.cpu_before, **client.latencies}, file)
