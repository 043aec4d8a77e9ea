"""What runs in a producer's or worker's process: the load, and the clock beside it."""

import asyncio
import random
import resource
import signal
import string
import time
from dataclasses import dataclass

from .board import Board

#: Jobs a second of the light load; its first second warms up.
LIGHT_RATE = 50
FULL_JOBS_MAX = 600_000
PAYLOAD_BYTES = 200
#: Processes that work; as many enqueue under full load, and one under light load.
WORKERS = 2

now = time.monotonic_ns  # one clock for all processes of the machine
NOISE = "".join(random.Random(7).choice(string.ascii_letters + string.digits) for _ in range(65_536))


@dataclass(frozen=True)
class Load:
    """One phase. `light`: an open loop of LIGHT_RATE jobs a second, one a call; else closed loops with a bounded backlog."""

    board: Board
    light: bool
    seconds: float
    #: The most there can be.
    jobs: int
    producers: int


def payload(job):
    """Who it is and when it was sent, then noise."""
    head = f"{job:010d}{now():020d}"
    start = job * 31 % (len(NOISE) - PAYLOAD_BYTES)
    return head + NOISE[start:start + PAYLOAD_BYTES - len(head)]


class Client:
    """Handed to a driver's worker, which tells it of each job."""

    def __init__(self, load, index, driver):
        self.load, self.index, self.driver = load, index, driver
        self.board = load.board
        self.latencies = {"ack": [], "pick": [], "done": []}
        self.completed = 0
        self.cpu_before = 0

    @property
    def stopping(self):
        return self.board.stop.value != 0

    @property
    def light(self):
        return self.load.light

    async def start(self, place):
        """Says that it is ready and waits until all go together."""
        self.board.ready[place] = 1
        while not self.board.go.value:
            await asyncio.sleep(0.002)
        self.cpu_before = own_cpu()

    # A worker's side

    async def ready(self):
        await self.start(self.index)

    def got(self, *payloads):
        """The jobs are in hand."""
        for body in payloads:
            self._measure("pick", body)

    def done(self, *payloads):
        """Their completion was acknowledged; or, where the library does that out of sight, the handler has run."""
        for body in payloads:
            self.board.seen[self.index][int(body[:10])] += 1
            if not self.driver.hides_completion:
                self._measure("done", body)
        self.completed += len(payloads)
        self.board.done[self.index] = self.completed

    async def until_stopped(self):
        while not self.stopping:
            await asyncio.sleep(0.01)

    def _measure(self, what, body):
        if self.light and int(body[:10]) >= LIGHT_RATE:
            self.latencies[what].append((now() - int(body[10:30])) // 1000)

    # A producer's side

    async def produce(self):
        share = self.load.jobs // self.load.producers
        self.next = self.index * share
        self.end = self.next + share
        self.sent = self.acknowledged = 0
        await (self._at_a_rate() if self.light else self._as_fast_as_it_goes())
        self.board.finished[self.index] = 1

    async def _at_a_rate(self):
        calls, start = [], now()
        for job in range(self.load.jobs):
            wait = start + int(job * 1e9 / LIGHT_RATE) - now()
            if wait > 0:
                await asyncio.sleep(wait / 1e9)
            calls.append(asyncio.ensure_future(self._enqueue([job])))
        await asyncio.gather(*calls)

    async def _as_fast_as_it_goes(self):
        deadline = self.board.go.value + int(self.load.seconds * 1e9)

        async def lane():
            while self.next < self.end and now() < deadline:
                if self.sent - self.acknowledged + self.board.backlog > self.board.backlog_max:
                    await asyncio.sleep(0.001)
                    continue
                jobs = range(self.next, min(self.end, self.next + self.driver.batch))
                self.next = jobs.stop
                await self._enqueue(jobs)

        await asyncio.gather(*(lane() for _ in range(self.driver.inflight)))

    async def _enqueue(self, jobs):
        self.sent += len(jobs)
        before = now()
        await self.driver.enqueue([payload(job) for job in jobs])
        if self.light and jobs[0] >= LIGHT_RATE:
            self.latencies["ack"].append((now() - before) // 1000)
        for job in jobs:
            self.board.acknowledged[job] = 1
        self.acknowledged += len(jobs)
        self.board.enqueued[self.index] = self.acknowledged


def own_cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_client(role, index, row, folder, port, load, report):
    """The whole life of a client process. What it measured goes into the pipe `report`."""
    import uvloop

    from .rows import ROWS

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    driver = ROWS[row].driver(folder, port)
    client = Client(load, index, driver)

    async def life():
        if role == "producer":
            await driver.open_producer()
            await client.start(WORKERS + index)
            await client.produce()
        else:
            await driver.work(client)

    uvloop.run(life())
    report.send({"cpu": own_cpu() - client.cpu_before, **client.latencies})
