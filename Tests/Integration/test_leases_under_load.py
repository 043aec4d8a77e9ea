"""A worker that renews in time keeps its lease, whatever else the server has to do."""

import concurrent.futures
import signal
import threading
import time

import grpc

from support.client import FAILED, NOT_FOUND, RESOURCE_EXHAUSTED, SCHEDULED, SUCCEEDED, Client, new_id, packed, policy, refused
from support.generated import pb
from support.waiting import until


class Beating:
    """Renews leases from a thread of its own, and notes how long each answer took."""

    def __init__(self, address, tasks, every=3.0):
        self.client = Client(address)
        self.tasks = list(tasks)
        self.every = every
        self.took = []
        self.refused = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._over.wait(self.every):
            for task in self.tasks:
                begun = time.monotonic()
                try:
                    self.client.heartbeat(task)
                except grpc.RpcError as error:
                    self.refused.append(f"{error.code().name}: {error.details()}")
                self.took.append(time.monotonic() - begun)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        self.client.close()


def batch(client, count, group):
    """One EnqueueBatch; True when the shard took it."""
    jobs = [pb.EnqueueRequest(id=new_id(), task_group=group) for _ in range(count)]
    try:
        answer = client.call("EnqueueBatch", shard=client.shard, jobs=jobs, timeout=120)
        return all(result.code == 0 for result in answer.results)
    except grpc.RpcError as error:
        assert error.code() == RESOURCE_EXHAUSTED, error
        return False


def test_a_crowd_of_bulk_loads_takes_nobodys_lease(new_server):
    server = new_server()
    with Client(server.address) as client:
        held = client.enqueue("held", retry_policy=policy(1))
        task = client.take("held")
        with Beating(server.address, [task]) as beats:
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                clients = [Client(server.address) for _ in range(8)]
                taken = list(pool.map(lambda index: batch(clients[index % 8], 10_000, "bulk"), range(40)))
                for other in clients:
                    other.close()
        assert sum(taken) >= 8
        assert beats.refused == []
        assert max(beats.took, default=0) < 5, "heartbeats go before new work"
        client.succeed(task)
        assert [a.status for a in client.job(held, attempts=True).attempts] == [1], "one attempt, which succeeded"
        assert client.status(held) == SUCCEEDED


def test_a_server_that_was_stopped_for_longer_than_a_lease_takes_nobodys_job(new_server):
    server = new_server()
    with Client(server.address) as client:
        ids = [client.enqueue("g", retry_policy=policy(1)) for _ in range(20)]
        tasks = client.lease("g", 20)
        assert len(tasks) == 20
        for task in tasks:
            client.heartbeat(task)
        server.process.send_signal(signal.SIGSTOP)
        try:
            # What passes here passes while nobody serves: there is nothing to wait for but time.
            threading.Event().wait(14)
        finally:
            server.process.send_signal(signal.SIGCONT)
        for task in tasks:
            client.heartbeat(task)
            client.succeed(task)
        assert all(len(client.job(id, attempts=True).attempts) == 1 for id in ids)
        # A worker that is really gone is noticed all the same.
        lost = client.enqueue("g")
        client.heartbeat(client.take("g"))
        until(lambda: client.status(lost) == FAILED, 30, "the lease to end")


def test_a_lease_that_nobody_heard_of_costs_no_attempt(new_server):
    server = new_server()
    with Client(server.address) as client:
        id = client.enqueue("g")
        first = client.take("g")
        again = client.take("g", seconds=60)
        assert (first.job_id, again.job_id) == (id, id)
        assert (again.attempt_number, again.is_last_attempt) == (1, True)
        with refused(NOT_FOUND):
            client.succeed(first)
        client.heartbeat(again)
        client.succeed(again)
        assert client.status(id) == SUCCEEDED


def test_an_answer_with_tasks_stays_below_what_clients_take(new_server):
    server = new_server()
    with Client(server.address) as client, Client(server.address, options=[("grpc.max_receive_message_length", 4 << 20)]) as small:
        ids = {client.enqueue("g", pb.SerializedBytes(msgpack=bytes(300_000))) for _ in range(20)}
        got = []
        while len(got) < 20:
            tasks = small.lease("g", 20)
            assert tasks
            got += tasks
            for task in tasks:
                small.succeed(task)
        assert {task.job_id for task in got} == ids
        for _ in range(20):
            client.enqueue("g", pb.SerializedBytes(msgpack=bytes(300_000)))
        assert len(client.lease("g", 20, answer_bytes_max=32 << 20)) == 20


def test_shards_with_work_are_asked_first_and_waiting_workers_are_woken_by_any(new_server):
    server = new_server("--tenancy", "--shards", "8")
    with Client(server.address) as client:
        by_shard = {}
        for index in range(400):
            by_shard.setdefault(client.shard_of(f"t{index}"), f"t{index}")
        assert len(by_shard) == 8
        for tenant in by_shard.values():
            for _ in range(3):
                client.enqueue("g", tenant=tenant)
        got = []
        while len(got) < 24:
            tasks = client.lease("g", 5)
            assert tasks, "a stored job is seen by the next request"
            got += tasks
        assert len({task.id for task in got}) == 24
        assert client.lease("g", 5) == []
        for tenant in by_shard.values():
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(client.take, "g")
                until(lambda: client.explain(client.enqueue("other", tenant=tenant), tenant=tenant), what="the server")
                id = client.enqueue("g", tenant=tenant)
                assert waiting.result(30).job_id == id


def test_reports_and_heartbeats_get_in_while_new_work_is_refused(new_server):
    """The mailbox is full of new work; what workers hold is renewed and ended all the same."""
    server = new_server()
    with Client(server.address) as client:
        for _ in range(50):
            client.enqueue("held")
        tasks = client.lease("held", 50)
        stop = threading.Event()
        refusals = []

        def flood():
            with Client(server.address) as other:
                jobs = [pb.EnqueueRequest(task_group="bulk", payload=packed(None)) for _ in range(10_000)]
                while not stop.is_set():
                    try:
                        other.call("EnqueueBatch", shard=other.shard, jobs=jobs, timeout=120)
                    except grpc.RpcError as error:
                        refusals.append(error.code())

        floods = [threading.Thread(target=flood) for _ in range(6)]
        for thread in floods:
            thread.start()
        try:
            for task in tasks:
                client.heartbeat(task)
                client.succeed(task)
        finally:
            stop.set()
            for thread in floods:
                thread.join()
        assert set(refusals) <= {RESOURCE_EXHAUSTED}
        assert all(client.status(task.job_id) == SUCCEEDED for task in tasks)
        assert client.status(client.enqueue("g")) == SCHEDULED
