"""Why a job waits, pauses, and dropped holders, from outside."""

import time

import pytest

from support.client import SUCCEEDED, Client, new_id
from support.generated import pb
from support.waiting import until


def slots(key, most):
    return pb.Limit(concurrency=pb.ConcurrencyLimit(key=key, max_concurrency=most))


def rate(name, limit, milliseconds, hits=1, **fields):
    return pb.Limit(rate_limit=pb.GubernatorRateLimit(
        name=name, unique_key="all", limit=limit, duration_ms=milliseconds, hits=hits, **fields))


def names(tasks):
    return [task.job_id for task in tasks]


class TestExplainAndPause:
    def explain(self, client, id):
        return client.call("ExplainJob", shard=client.shard, id=id)

    def test_it_names_the_limit_who_holds_it_and_the_place_in_line(self, client, group):
        ids = [client.enqueue(group, id=new_id(), limits=[slots(group, 2)]) for _ in range(5)]
        tasks = client.lease(group, 10)
        answer = self.explain(client, ids[4])
        obstacle = answer.obstacles[0]
        assert (obstacle.kind, obstacle.key, obstacle.max, obstacle.in_use, obstacle.ahead, obstacle.blocks_now) == (
            pb.Obstacle.KIND_CONCURRENCY, group, 2, 2, 2, True)
        assert {h.job_id for h in obstacle.holders} == set(ids[:2]) and {h.task_id for h in obstacle.holders} == {t.id for t in tasks}
        assert self.explain(client, ids[0]).summary.startswith("It is running")

    def test_it_names_a_timer_a_rate_limit_and_a_missing_worker(self, client, group):
        later = client.enqueue(group, start_at_ms=int(time.time() * 1000) + 60_000)
        assert self.explain(client, later).obstacles[0].kind == pb.Obstacle.KIND_TIMER
        kinds = [o.kind for o in self.explain(client, client.enqueue(group)).obstacles]
        assert kinds == [pb.Obstacle.KIND_NO_WORKER]
        for _ in range(2):
            id = client.enqueue(group + "r", limits=[rate(group, 1, 60_000)])
        client.lease(group + "r")
        obstacle = self.explain(client, id).obstacles[0]
        assert obstacle.kind == pb.Obstacle.KIND_RATE and obstacle.until_ms > time.time() * 1000

    @pytest.mark.parametrize("what", ["whole_tenant", "task_group", "limit_key"])
    def test_nothing_new_starts_while_it_is_paused(self, new_server, what):
        server = new_server("--shards", 1, "--tenancy", "--audit-secs", 1)
        with Client(server.address, tenant="acme") as client:
            shard = client.shard
            running = client.enqueue("g", limits=[slots("k", 2)])
            task = client.take("g")
            ready = client.enqueue("g", limits=[slots("k", 2)])
            target = pb.PauseTarget(**{what: {"whole_tenant": True, "task_group": "g", "limit_key": "k"}[what]})
            assert not client.call("Pause", shard=shard, tenant="acme", target=target, reason="because").was_paused
            assert client.lease("g", 5) == []
            client.succeed(task)
            assert client.status(running) == SUCCEEDED
            server.kill()
            server.start()
        with Client(server.address, tenant="acme") as client:
            assert [p.reason for p in client.call("ListPauses", shard=shard).pauses] == ["because"]
            assert client.lease("g", 5) == []
            answer = client.call("ExplainJob", shard=shard, tenant="acme", id=ready)
            assert "because" in answer.summary and answer.obstacles[0].kind == pb.Obstacle.KIND_PAUSED
            assert client.call("Resume", shard=shard, tenant="acme", target=target).was_paused
            assert names(client.lease("g", 5, wait_ms=5000)) == [ready]
            shards = until(lambda: [s for s in client.call("GetNodeInfo").owned_shards if s.audits], 20, "an audit", server.tail)
            assert [s.ghost_holders for s in shards] == [0]

    def test_dropped_holders_let_others_in(self, client, group):
        ids = [client.enqueue(group, id=new_id(), limits=[slots(group, 1)]) for _ in range(2)]
        held = client.take(group)
        assert client.call("DropTenantHolders", shard=client.shard).holders_dropped >= 1
        assert client.take(group).job_id == ids[1]
        client.succeed(held)
