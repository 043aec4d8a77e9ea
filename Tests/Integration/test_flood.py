"""The worst of each kind, all at once, at a server with little memory: it lives, answers others, and comes back to rest.

How long each kind goes on: SILO_FLOOD_SECONDS, 8 unless it is set; `make flood` takes a minute.
"""

import concurrent.futures
import contextlib
import multiprocessing
import os
import random
import resource
import threading
import time

import grpc
import pytest

from support.client import SUCCEEDED, Client, new_id, packed, policy
from support.generated import pb
from support.resources import MIB, Peak, Rest, memory

SECONDS = float(os.environ.get("SILO_FLOOD_SECONDS", 8))
#: What the server's process may map beyond what it has mapped at rest.
MEMORY = 4 << 30
#: Resident memory at the worst. Nine runs of 8 s on two busy processors: 307 to 527 MiB; three of 30 to 45 s: 856, 948, above 1,000.
PEAK = 1200 * MIB
#: And when all is over, beyond what it was at rest (46 MiB): jobs that were stored meanwhile are held in windows, 128 MiB at most, and
#: the store has as much in hand. Six runs: 135 to 295 MiB more at once, below the bound within a second.
REST_MORE = 256 * MIB
#: Seconds that one call of somebody else takes, who waits for the disk behind payloads of hundreds of MiB. Six runs, on two processors
#: that a dozen others wanted: 4.0 to 15.1.
SLOWEST = 30
#: What a flood may be answered: it was taken, or it was told what is wrong or to come back later.
EXPECTED = {
    grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.CANCELLED, grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.FAILED_PRECONDITION,
}


class Floods:
    """Kinds of requests, each made again and again from threads of its own until the time is over."""

    def __init__(self, address, seconds):
        self.address = address
        self.end = time.monotonic() + seconds
        self.answers = {}
        self.threads = []
        self.lock = threading.Lock()

    def add(self, kind, request, threads=2):
        for seed in range(threads):
            self.threads.append(threading.Thread(target=self._run, args=(kind, request, seed)))

    def _run(self, kind, request, seed):
        chance = random.Random(f"{kind} {seed}")
        with Client(self.address) as client:
            while time.monotonic() < self.end:
                try:
                    request(client, chance)
                    code = grpc.StatusCode.OK
                except grpc.RpcError as error:
                    code = error.code()
                with self.lock:
                    codes = self.answers.setdefault(kind, {})
                    codes[code] = codes.get(code, 0) + 1

    def run(self):
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join()


def huge_group_names(client, chance):
    client.lease("g" * chance.choice([65, 1000, 4 << 20]), timeout=30)


def random_group_names(client, chance):
    client.lease(f"{chance.getrandbits(160):x}", timeout=30)


def waits_that_are_given_up(client, chance):
    calls = [client.begin("LeaseTasks", task_group=f"w{chance.randrange(50)}", worker_id="w", max_tasks=1, wait_ms=60_000) for _ in range(50)]
    for call in calls:
        call.cancel()


def batches_without_payload(client, chance):
    jobs = [pb.EnqueueRequest(task_group="bulk") for _ in range(10_000)]
    client.call("EnqueueBatch", shard=client.shard, jobs=jobs, timeout=60)


def large_payloads(client, chance):
    client.enqueue("large", pb.SerializedBytes(msgpack=bytes(10 << 20)), timeout=60)


def large_results(client, chance):
    client.enqueue("results")
    for task in client.lease("results", 1):
        client.call("ReportOutcome", shard=task.shard, task_id=task.id, success=pb.SerializedBytes(msgpack=bytes(20 << 20)))


def large_answers(client, chance):
    client.lease("large", 100, answer_bytes_max=1 << 40)


def many_attempts(client, chance):
    attempts = [pb.ImportAttempt(status=2, started_at_ms=1, finished_at_ms=2, error_code="E" * 200) for _ in range(20_000)]
    id = new_id()
    client.import_jobs({"id": id, "attempts": attempts}, timeout=60)
    client.job(id, attempts=True)
    client.delete(id)


def new_limits(client, chance):
    limits = [pb.Limit(concurrency=pb.ConcurrencyLimit(key=f"{chance.getrandbits(64)}", max_concurrency=1)) for _ in range(32)]
    client.enqueue("limited", limits=limits)


def unknown_jobs(client, chance):
    client.cancel(new_id())


KINDS = [
    huge_group_names, random_group_names, waits_that_are_given_up, batches_without_payload, large_payloads, large_results, large_answers,
    many_attempts, new_limits, unknown_jobs,
]


def as_others_do(address, end):
    """Whole lives of jobs of somebody who floods nothing; each must be answered. How long each call took, from a process of its own."""
    took = []

    def timed(call, *arguments, **fields):
        begun = time.monotonic()
        try:
            return call(*arguments, **fields)
        finally:
            took.append(time.monotonic() - begun)

    with Client(address) as client:
        while time.monotonic() < end:
            while True:
                try:
                    id = timed(client.enqueue, "quiet", 1, retry_policy=policy(1))
                    break
                except grpc.RpcError as error:
                    # It is told to come back, and does.
                    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
                    time.sleep(0.05)
            task = timed(client.take, "quiet")
            assert task.job_id == id
            timed(client.heartbeat, task)
            timed(client.succeed, task)
            assert timed(client.status, id) == SUCCEEDED
    return took


@pytest.fixture
def small_server(new_server):
    server = new_server()
    with open(f"/proc/{server.process.pid}/statm") as statm:
        mapped = int(statm.read().split()[0]) * os.sysconf("SC_PAGESIZE")
    resource.prlimit(server.process.pid, resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    return server


def test_the_worst_of_each_kind_at_once(small_server):
    server = small_server
    rest = Rest(server)
    floods = Floods(server.address, SECONDS)
    for kind in KINDS:
        floods.add(kind.__name__, kind)
    others = concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with Peak(rest.pid) as peak, others as pool:
        quiet = pool.submit(as_others_do, server.address, floods.end)
        floods.run()
        took = quiet.result()
    assert server.is_running, server.tail()
    print(f"\nat rest {rest}; peak {peak.bytes / MIB:.0f} MiB; {len(took)} quiet calls, slowest {max(took, default=0):.1f} s")
    for kind, codes in sorted(floods.answers.items()):
        print(f"  {kind}: " + ", ".join(f"{count} {code.name}" for code, count in codes.items()))
    assert took and max(took) < SLOWEST, f"{max(took, default=0):.1f} s"
    assert peak.bytes < PEAK, f"{peak.bytes / MIB:.0f} MiB"
    assert set(floods.answers) == {kind.__name__ for kind in KINDS}
    for kind, codes in floods.answers.items():
        assert set(codes) <= EXPECTED, (kind, codes)
    with contextlib.closing(Client(server.address)) as client:
        assert client.status(client.enqueue("after")) == 0
    begun = time.monotonic()
    rest.returns(memory_more=REST_MORE, seconds=90)
    print(f"  after {time.monotonic() - begun:.0f} s {memory(rest.pid)[0] / MIB:.0f} MiB")
