"""Whatever was acknowledged stays, however the server ends: kill -9 at random instants under load, graceful stops between.

SILO_KILLS says how often (15), SILO_SEED with which chance (a new one; printed).
"""

import os
import random
import signal
import time

import pytest

from support.client import Client, hash_text, packed, policy
from support.generated import pb
from support.load import Load
from support.ports import fixed_address

KILLS = int(os.environ.get("SILO_KILLS", 15))


def test_nothing_acknowledged_is_lost_by_kills(new_server, seed):
    chance = random.Random(seed)
    server = new_server("--tenancy", "--shards", 2, listen=fixed_address(chance))
    load = Load(server.address, seed).begin()
    kills = graceful = early = 0
    for _ in range(KILLS):
        time.sleep(chance.choice([0.02, 0.1, 0.3, 0.8]) * chance.random() * 2)
        way = chance.choices(["kill", "stop", "kill at start"], [7, 2, 1])[0]
        if way == "stop":
            graceful += 1
            assert server.stop(chance.choice([signal.SIGTERM, signal.SIGINT])) == 0, server.tail()
        else:
            server.kill()
            kills += 1
        if way == "kill at start":
            early += 1
            server.spawn()
            time.sleep(chance.random() * 0.15)
            server.kill()
        server.start()
        if load.violations:
            break
    load.drain()
    problems = load.judge()
    report = (
        f"{len(load.jobs)} jobs, {dict(load.acknowledged)}; {kills} kills, {early} of them at start, {graceful} stops; seed {seed}"
    )
    print(report)
    assert problems == [], "\n".join([f"{len(problems)} problems", *problems[:20], report])
    assert load.acknowledged["Enqueue"] > KILLS and load.acknowledged["LeaseTasks"] > KILLS, "there was hardly any load"
    # Once more, from storage alone.
    server.kill()
    server.start()
    assert load.judge() == []


def test_leases_outlive_a_restart(new_server):
    """A worker goes on after the server was killed: its lease, its heartbeat and its outcome still count."""
    server = new_server("--shards", 1, listen=fixed_address())
    with Client(server.address) as client:
        ids = [client.enqueue(payload=n, retry_policy=policy(1)) for n in range(3)]
        tasks = {task.job_id: task for task in client.lease(most=3)}
        client.cancel(ids[2])
    server.kill()
    server.start()
    with Client(server.address) as client:
        assert client.lease() == [], "leased tasks are not handed out again"
        assert not client.heartbeat(tasks[ids[0]]).cancelled
        assert client.heartbeat(tasks[ids[2]]).cancelled
        client.succeed(tasks[ids[0]], "after the restart")
        client.fail(tasks[ids[1]])
        client.give_up(tasks[ids[2]])
        assert client.result(ids[0]).success_data == packed("after the restart")
        again = client.take()
        assert (again.job_id, again.attempt_number) == (ids[1], 2)
        client.succeed(again)
        assert client.counts() == (3, 3)


def test_leases_start_anew_with_the_server_and_then_expire(new_server):
    """A worker could not renew its lease while nobody served, so it has the full time again; after it the job is retried."""
    server = new_server("--shards", 1)
    with Client(server.address) as client:
        id = client.enqueue(retry_policy=policy(1))
        client.heartbeat(client.take())
    server.kill()
    started_at = time.monotonic()
    server.start()
    with Client(server.address) as client:
        task = client.take(seconds=30)
        assert (task.job_id, task.attempt_number) == (id, 2)
        assert time.monotonic() - started_at > 9.9
        assert client.job(id, attempts=True).attempts[0].error_code == "WORKER_CRASHED"


@pytest.mark.parametrize("way", ["kill", "stop"])
def test_everything_of_a_job_survives(new_server, way):
    server = new_server("--shards", 3, "--tenancy")
    with Client(server.address, tenant="日本") as client:
        shards = [(s.shard_id, s.range_start, s.range_end) for s in client.shards()]
        done = client.succeeded(value={"big": "x" * 100_000})
        failed = client.enqueue(retry_policy=policy(1))
        for n in range(2):
            client.fail(client.lease_one(failed), f"E{n}", n)
        waiting = client.enqueue(
            "later", ["payload"], start_at_ms=int(time.time() * 1000) + 10**9, priority=7, metadata={"k": "v"},
            retry_policy=policy(3, 1, 2, 1.5, True),
        )
        cancelled = client.enqueue()
        client.cancel(cancelled)
        deleted = client.succeeded()
        client.delete(deleted)
        ids = [done, failed, waiting, cancelled]
        before = [client.job(id, attempts=True) for id in ids], [client.result(id) for id in [done, failed, cancelled]]
        counts = client.counts()
    if way == "kill":
        server.kill()
    else:
        assert server.stop() == 0
    server.start()
    with Client(server.address, tenant="日本") as client:
        assert [(s.shard_id, s.range_start, s.range_end) for s in client.shards()] == shards, "shards keep their ids"
        after = [client.job(id, attempts=True) for id in ids], [client.result(id) for id in [done, failed, cancelled]]
        assert after == before
        assert client.counts() == counts == (4, 3)


def test_order_and_due_times_survive_a_restart(new_server):
    server = new_server("--shards", 1)
    with Client(server.address) as client:
        ids = [client.enqueue(priority=p) for p in [5, 1, 9, 1]]
        due = client.enqueue("due", start_at_ms=int(time.time() * 1000) + 1500)
    server.kill()
    server.start()
    with Client(server.address) as client:
        assert [t.job_id for t in client.lease(most=10)] == [ids[1], ids[3], ids[0], ids[2]]
        assert client.take("due").job_id == due


def test_a_backlog_of_fifty_thousand_is_served_after_a_kill(new_server):
    server = new_server("--shards", 1)
    with Client(server.address) as client:
        for first in range(0, 50_000, 5_000):
            client.call("EnqueueBatch", shard=client.shard, jobs=[
                pb.EnqueueRequest(id=f"j{n:05}", task_group="g", payload=packed(n)) for n in range(first, first + 5_000)
            ])
    server.kill()
    server.start()
    with Client(server.address) as client:
        assert client.counts() == (50_000, 0)
        seen = set()
        while tasks := client.lease("g", 5_000):
            seen |= {task.job_id for task in tasks}
            results = client.call("ReportOutcomes", shard=tasks[0].shard, outcomes=[
                pb.ReportOutcomeRequest(task_id=t.id, success=t.payload) for t in tasks
            ]).results
            assert not any(r.code for r in results)
        assert seen == {f"j{n:05}" for n in range(50_000)}
        assert client.counts() == (50_000, 50_000)


def test_a_second_start_with_another_shard_count_keeps_the_map(new_server):
    server = new_server("--shards", 2)
    with Client(server.address) as client:
        id = client.enqueue()
        before = [s.shard_id for s in client.shards()]
    server.stop()
    server.flags = ["--shards", "5"]
    server.start()
    with Client(server.address) as client:
        assert [s.shard_id for s in client.shards()] == before
        assert client.job(id).id == id and client.shard == client.shard_of("-") and hash_text("-")
