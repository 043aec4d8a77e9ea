"""Limits hold, and nothing acknowledged is lost, however the server ends: kill -9 at random instants under load.

SILO_KILLS says how often (15), SILO_SEED with which chance (a new one; printed).
"""

import os
import random
import time

import pytest

from support.client import LEAKY, RUNNING, SCHEDULED, SUCCEEDED, Client, concurrency, floating, ids_of, policy, rate, rate_policy
from support.generated import pb
from support.limit_load import LimitLoad
from support.ports import fixed_address
from support.waiting import milliseconds, until

KILLS = int(os.environ.get("SILO_KILLS", 15))
HOUR = 3_600_000


def errors(server):
    return [line for line in server.log() if line["level"].lower() == "error"]


def test_limits_hold_through_kills_and_every_job_ends(new_server, seed):
    chance = random.Random(seed)
    server = new_server("--tenancy", "--shards", 2, "--audit-secs", 1, listen=fixed_address(chance))
    load = LimitLoad(server.address, seed, tenants=("a", "b", "c", "d"), backlog=400).begin()
    alarms = []
    for _ in range(KILLS):
        time.sleep(chance.choice([0.05, 0.2, 0.5, 1.0]) * chance.random() * 2)
        server.kill()
        alarms += errors(server)
        if chance.random() < 0.1:
            server.spawn()
            time.sleep(chance.random() * 0.15)
            server.kill()
        server.start()
        if load.violations:
            break
    load.drain()
    problems = load.judge()
    most = {f"{tenant} {key}": count for (tenant, key), count in sorted(load.most.items())}
    report = f"{len(load.jobs)} jobs, {dict(load.acknowledged)}; refreshes {dict(load.refreshes)}; starts {load.starts}; at once {most}; seed {seed}"
    print(report)
    assert problems == [], "\n".join([f"{len(problems)} problems", *problems[:20], report])
    # It was a load: keys were full, rates were used, limits were refreshed.
    for tenant in load.tenants:
        assert load.most[tenant, "one"] == load.most[tenant, "x"] == 1, report
    assert max(load.most[tenant, "five"] for tenant in load.tenants) >= 3 and sum(load.starts.values()) > 20, report
    assert load.refreshes["success"] > 0 and load.acknowledged["LeaseTasks"] > KILLS, report
    with Client(server.address) as client:
        assert client.ghosts() == 0, "slots that nobody holds"
        load.check_all_is_free(client)
    # Once more, from storage alone.
    server.kill()
    alarms += errors(server)
    server.start()
    assert load.violations == []
    with Client(server.address) as client:
        load.check_all_is_free(client)
        assert client.ghosts() == 0
    assert alarms + errors(server) == [], "no audit found anything, not even for a moment"


class TestKilled:
    """One kill, at a known state."""

    @pytest.fixture
    def server(self, new_server):
        server = new_server("--shards", 1, "--audit-secs", 1)
        yield server
        assert errors(server) == []

    def kill(self, server):
        server.kill()
        server.start()

    def test_holders_and_waiters_and_their_order_stay(self, server):
        with Client(server.address) as client:
            now = milliseconds()
            held = [client.enqueue(id=f"held-{n}", limits=[concurrency("k", 2)], start_at_ms=1 + n) for n in range(2)]
            tasks = client.lease(most=1)
            waiting = [client.enqueue(id=f"w-{n}", priority=p, start_at_ms=now, limits=[concurrency("k", 2)]) for n, p in enumerate([9, 0, 5])]
            mixed = client.enqueue(limits=[concurrency("k", 2), concurrency("other")], priority=99)
            assert ids_of(tasks) == held[:1]
        self.kill(server)
        with Client(server.address) as client:
            ready = client.lease(most=9)
            assert ids_of(ready) == held[1:], "the other slot is of the job that was ready"
            assert client.explain(waiting[0]).obstacles[0].in_use == 2
            order = []
            running = [*tasks, *ready]
            while running:
                client.succeed(running.pop(0))
                new = client.lease(most=9)
                assert len(new) <= 1 and len(running) + len(new) <= 2
                order += ids_of(new)
                running += new
            assert order == [waiting[1], waiting[2], waiting[0], mixed]
            assert client.ghosts() == 0

    def test_a_thousand_lines_are_read_again(self, server):
        """The lines of waiting jobs are read in the background after opening: no newcomer goes before them."""
        with Client(server.address) as client:
            jobs = [pb.EnqueueRequest(task_group="g", id=f"{k:04}-{n}", limits=[concurrency(f"k{k}")], start_at_ms=1 + n) for k in range(1500) for n in range(3)]
            client.call("EnqueueBatch", shard=client.shard, jobs=jobs)
            first = client.lease("g", 9999)
            assert len(first) == 1500 and {t.job_id[-1] for t in first} == {"0"}
        self.kill(server)
        with Client(server.address) as client:
            late = client.enqueue("g", id="late", priority=0, limits=[concurrency("k1499")], start_at_ms=5)
            assert client.lease("g", 9999) == []
            for expected in "12":
                results = client.call("ReportOutcomes", shard=client.shard, outcomes=[
                    pb.ReportOutcomeRequest(task_id=t.id, success=t.payload) for t in first]).results
                assert not any(r.code for r in results)
                first = client.lease("g", 9999)
                while len(first) < 1500 and (more := client.lease("g", 9999, wait_ms=2000)):
                    first += more
                assert len(first) == 1500 and {t.job_id[-1] for t in first} == {expected}
            assert client.status(late) == SCHEDULED
            client.call("ReportOutcomes", shard=client.shard, outcomes=[pb.ReportOutcomeRequest(task_id=t.id, success=t.payload) for t in first])
            assert client.take("g").job_id == late
            # The last of each key has ended: every key is free.
            assert client.counts() == (4501, 4500)
            client.succeed(client_task(client, late))

    @pytest.mark.parametrize("algorithm", [0, LEAKY])
    def test_what_a_bucket_gave_is_remembered(self, server, algorithm):
        with Client(server.address) as client:
            ids = [client.enqueue(id=f"j{n}", start_at_ms=1 + n, limits=[rate("r", 2, 2400, algorithm=algorithm)]) for n in range(3)]
            assert ids_of(client.lease(most=9)) == ids[:2]
        self.kill(server)
        with Client(server.address) as client:
            assert client.lease(most=9) == []
            assert client.take(seconds=10).job_id == ids[2]
            first, _, last = (client.job(id, attempts=True).attempts[0].started_at_ms for id in ids)
            wait = 2400 if algorithm == 0 else 1200
            assert wait - 1 <= last - first < wait + 1500

    def test_what_a_bucket_promised_is_remembered(self, server):
        with Client(server.address) as client:
            ids = [client.enqueue(id=f"j{n}", start_at_ms=1 + n, limits=[rate("r", 2, HOUR)]) for n in range(4)]
            client.take()
        self.kill(server)
        with Client(server.address) as client:
            assert ids_of(client.lease(most=9)) == ids[1:2], "the second was ready, and stays so; no third comes"
            client.enqueue(limits=[rate("r", 2, HOUR)])
            assert client.lease(most=9) == []

    def test_the_value_of_a_floating_limit_and_its_refresh_stay(self, server):
        with Client(server.address) as client:
            ids = [client.enqueue(id=f"j{n}", start_at_ms=1 + n, limits=[floating("f", 1, 100, {"a": "b"})]) for n in range(5)]
            first, (refresh,) = client.lease_with_refreshes()
            client.refresh(refresh, 2)
            second = client.take()
            assert ids_of([*first, second]) == ids[:2]
            leased = client.take_refresh()
        self.kill(server)
        with Client(server.address) as client:
            assert client.lease(most=9) == [] and client.explain(ids[2]).obstacles[0].max == 2
            assert not client.heartbeat(leased).cancelled
            client.refresh(leased, 3)
            assert ids_of(client.lease(most=9)) == ids[2:3]
        self.kill(server)
        with Client(server.address) as client:
            again = client.take_refresh()
            assert again.current_max_concurrency == 3 and dict(again.metadata) == {"a": "b"} and again.last_refreshed_at_ms > 0
            client.refresh(again, 4)
            assert ids_of(client.lease(most=9)) == ids[3:4]

    def test_a_failed_refresh_keeps_its_wait(self, server):
        with Client(server.address) as client:
            for _ in range(2):
                client.enqueue(limits=[floating("f", 1)])
            task, (refresh,) = client.lease_with_refreshes()
            failed = time.monotonic()
            client.fail_refresh(refresh)
        self.kill(server)
        with Client(server.address) as client:
            client.refresh(client.take_refresh(), 1)
            assert 0.95 <= time.monotonic() - failed < 5

    def test_a_job_that_was_put_off_comes_back_and_its_refusals_count_on(self, server):
        with Client(server.address) as client:
            client.enqueue(limits=[rate("r", 1, HOUR)])
            client.take()
            id = client.enqueue(limits=[rate("r", 1, HOUR, retry_policy=rate_policy(2, 400, 400))])
        self.kill(server)
        with Client(server.address) as client:
            until(lambda: client.status(id) not in (SCHEDULED, RUNNING), 20, "the job to fail")
            assert client.result(id).failure.error_code == "RATE_LIMITED"

    def test_reports_cancels_and_imports_just_before_a_kill_freed_what_they_freed(self, server):
        with Client(server.address) as client:
            ways = ["success", "failure", "cancel", "import", "retry"]
            ids = {way: [client.enqueue(way, id=f"{way}-{n}", limits=[concurrency(way)], start_at_ms=1 + n, retry_policy=policy(1, HOUR, HOUR)) for n in range(2)] for way in ways}
            client.succeed(client.take("success")), client.fail(client.take("failure"))
            client.cancel(ids["cancel"][0])
            client.import_jobs({"id": ids["import"][0], "attempts": [pb.ImportAttempt(status=1)]})
            client.fail(client.take("retry"))
        self.kill(server)
        with Client(server.address) as client:
            for way in ways:
                task = client.take(way, seconds=10)
                assert task.job_id == ids[way][1] and client.lease(way) == []
                client.succeed(task)
            assert client.status(ids["success"][0]) == SUCCEEDED and client.ghosts() == 0


def client_task(client, id):
    """The running attempt of a job, as reports name it."""
    attempt = client.job(id, attempts=True).attempts[-1]
    return pb.Task(id=attempt.task_id, job_id=id, shard=client.shard)
