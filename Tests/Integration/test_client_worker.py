"""The Swift client's worker against real servers: busy handlers, connections that go dead, servers that are away, stops."""

import os
import subprocess
import time

import pytest

from support.client import RUNNING, SUCCEEDED, Client, policy
from support.ports import fixed_address
from support.proxy import Proxy
from support.swift_worker import SwiftWorker
from support.waiting import until


@pytest.fixture
def new_worker(tmp_path):
    workers = []

    def start(address, group, *flags):
        workers.append(SwiftWorker(tmp_path, address, group, *flags))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


@pytest.fixture
def new_proxy():
    proxies = []

    def start(target):
        proxies.append(Proxy(target))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.close()


def attempts(client, id):
    return [attempt.attempt_number for attempt in client.job(id, attempts=True).attempts]


class TestBusyHandlers:
    def test_more_computing_handlers_than_cores_lose_no_lease(self, server, client, group, new_worker):
        """Each computes for longer than a lease and never gives up its thread."""
        count = 2 * os.cpu_count() + 1
        worker = new_worker(server.address, group, "--concurrency", count + 1)
        jobs = {f"busy-{n}": client.enqueue(group, {"name": f"busy-{n}", "spin": 13}, retry_policy=policy(3)) for n in range(count)}
        until(lambda: len(worker.events("begin")) >= os.cpu_count(), what="a handler on each core", explain=worker.text)
        # Polls go on: a job that comes now is leased, though no thread is free for it.
        late = client.enqueue(group, {"name": "late"})
        until(lambda: client.status(late) == RUNNING, 5, "the late job to be leased", worker.text)
        assert not worker.events("end")
        # Reports go on: the first outcomes are stored while other handlers compute.
        until(lambda: worker.events("end"), 60, "a handler to end", worker.text)
        until(lambda: any(client.status(id) == SUCCEEDED for id in jobs.values()), 5, "its outcome", worker.text)
        assert len(worker.events("end")) < count

        for id in [*jobs.values(), late]:
            until(lambda: client.status(id) == SUCCEEDED, 120, f"job {id}", worker.text)
            assert attempts(client, id) == [1]
        assert sorted(event["name"] for event in worker.events("begin")) == sorted([*jobs, "late"])
        assert worker.events("error") == []
        worker.stop()


@pytest.fixture
def behind_proxy(new_server, new_proxy):
    """A server that names a proxy as its address, the proxy, and a client that goes round it."""
    address = fixed_address()
    proxy = new_proxy(address)
    new_server("--shards", 1, "--advertise", proxy.address, listen=address)
    with Client(address) as client:
        yield proxy, client


class TestDeadConnections:
    def test_a_lease_is_kept_over_a_new_connection(self, behind_proxy, group, new_worker):
        proxy, client = behind_proxy
        worker = new_worker(proxy.address, group)
        id = client.enqueue(group, {"name": "long", "sleep": 25}, retry_policy=policy(3))
        worker.wait_for("begin", "long")
        proxy.swallow_existing()
        until(lambda: client.status(id) == SUCCEEDED, 60, "the job", worker.text)
        assert attempts(client, id) == [1]
        assert proxy.connections > 1
        worker.stop()

    def test_a_handler_is_ended_before_the_next_holder_starts_and_the_worker_recovers(self, behind_proxy, group, new_worker):
        proxy, client = behind_proxy
        worker = new_worker(proxy.address, group)
        client.enqueue(group, {"name": "long", "sleep": 90}, retry_policy=policy(3))
        worker.wait_for("begin", "long")
        proxy.swallow_all()
        task = client.take(group, "other", 60)
        taken = time.monotonic()
        assert task.attempt_number == 1, "the server heard nothing of the first: it is not counted"
        ended = worker.wait_for("end", "long", 1)
        assert ended["isCancelled"] and ended["at"] < taken
        client.succeed(task)

        proxy.heal()
        id = client.enqueue(group, {"name": "next"})
        # A ping of ten seconds and the five that its answer may take.
        until(lambda: client.status(id) == SUCCEEDED, 30, "the next job", worker.text)
        assert [event["name"] for event in worker.events("begin")] == ["long", "next"]
        worker.stop()


class TestServerAway:
    def test_an_outcome_waits_for_the_server_and_so_does_the_stop(self, new_server, group, new_worker):
        server = new_server.prepare("--shards", 1, listen=fixed_address()).start()
        with Client(server.address) as client:
            worker = new_worker(server.address, group)
            id = client.enqueue(group, {"name": "done", "sleep": 3}, retry_policy=policy(3))
            worker.wait_for("begin", "done")
            server.kill()
            worker.wait_for("end", "done")
            worker.tell_to_stop()
            # Longer than eight retries take.
            with pytest.raises(subprocess.TimeoutExpired):
                worker.process.wait(30)
            server.start()
            assert worker.process.wait(30) == 0
            assert client.status(id) == SUCCEEDED and attempts(client, id) == [1]
            assert not [event for event in worker.events("error") if "reporting" in event["text"]]

    def test_a_stopped_worker_gives_up_when_its_patience_ends(self, new_server, group, new_worker):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            worker = new_worker(server.address, group, "--patience", 3)
            client.enqueue(group, {"name": "done", "sleep": 2})
            worker.wait_for("begin", "done")
            server.kill()
            worker.wait_for("end", "done")
            worker.stop(30)
            assert [event for event in worker.events("error") if "reporting" in event["text"]], worker.text()


class TestStop:
    def test_no_lease_is_lost_by_workers_that_stop_while_they_are_answered(self, server, client, group, new_worker):
        """Workers come and go while jobs arrive; whatever was leased is run, so every job has one attempt."""
        ids = []
        for _ in range(12):
            worker = new_worker(server.address, group)
            ids += [client.enqueue(group, {"name": str(len(ids) + n)}, retry_policy=policy(3)) for n in range(5)]
            worker.tell_to_stop()
            ids += [client.enqueue(group, {"name": str(len(ids) + n)}, retry_policy=policy(3)) for n in range(20)]
            began = time.monotonic()
            assert worker.process.wait(30) == 0
            # The request for work that waits at the server ends by itself.
            assert time.monotonic() - began < 10
        last = new_worker(server.address, group)
        for id in ids:
            until(lambda: client.status(id) == SUCCEEDED, 30, f"job {id}", last.text)
            assert attempts(client, id) == [1]
        last.stop()
