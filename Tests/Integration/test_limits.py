"""Limits, imports, explanations and pauses from outside (spec/limits.md, spec/api.md 6.14 to 6.16)."""

import concurrent.futures
import time

import grpc
import pytest

from support.client import (
    FAILED, FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, RUNNING, SCHEDULED, SUCCEEDED, Client, new_id, refused,
)
from support.generated import pb
from support.waiting import until


def slots(key, most):
    return pb.Limit(concurrency=pb.ConcurrencyLimit(key=key, max_concurrency=most))


def rate(name, limit, milliseconds, hits=1, **fields):
    return pb.Limit(rate_limit=pb.GubernatorRateLimit(
        name=name, unique_key="all", limit=limit, duration_ms=milliseconds, hits=hits, **fields))


def floating(key, most, refresh_ms=60_000):
    return pb.Limit(floating_concurrency=pb.FloatingConcurrencyLimit(
        key=key, default_max_concurrency=most, refresh_interval_ms=refresh_ms, metadata={"a": "b"}))


def names(tasks):
    return [task.job_id for task in tasks]


class TestConcurrency:
    def test_a_key_has_no_more_holders_than_slots_and_a_freed_one_goes_to_the_next(self, client, group):
        ids = [client.enqueue(group, id=new_id(), limits=[slots(group, 2)]) for _ in range(4)]
        tasks = client.lease(group, 10)
        assert names(tasks) == ids[:2] and list(tasks[0].limits) == [slots(group, 2)]
        assert client.lease(group, 10) == []
        client.succeed(tasks[0])
        assert names(client.lease(group, 10)) == ids[2:3]
        client.fail(tasks[1])
        assert names(client.lease(group, 10)) == ids[3:]

    def test_a_worker_that_waits_gets_what_comes_free_at_once(self, client, group):
        first, second = (client.enqueue(group, id=new_id(), limits=[slots(group, 1)]) for _ in range(2))
        held = client.take(group)
        assert held.job_id == first
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(client.take, group)
            time.sleep(0.2)
            client.succeed(held)
            assert waiting.result(10).job_id == second

    def test_jobs_that_need_the_same_two_in_either_order_all_finish(self, client, group):
        x, y = slots(group + "x", 1), slots(group + "y", 1)
        ids = [client.enqueue(group, id=new_id(), limits=[x, y] if i % 2 else [y, x]) for i in range(200)]

        def work(_):
            while tasks := client.lease(group, 4, wait_ms=1000):
                for task in tasks:
                    client.succeed(task)

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(6)))
        assert {client.status(id) for id in ids} == {SUCCEEDED}

    def test_a_waiting_job_can_be_cancelled_and_holds_nothing(self, client, group):
        holder = client.enqueue(group, limits=[slots(group, 1)])
        waiting = client.enqueue(group, limits=[slots(group, 1), slots(group + "2", 1)])
        free = client.enqueue(group, limits=[slots(group + "2", 1)])
        assert set(names(client.lease(group, 10))) == {holder, free}
        with refused(FAILED_PRECONDITION, containing="no pending task to expedite"):
            client.expedite(waiting)
        with refused(FAILED_PRECONDITION, containing="no pending task in queue"):
            client.lease_one(waiting)
        client.cancel(waiting)
        client.delete(waiting)
        with refused(NOT_FOUND):
            client.job(waiting)


class TestFloating:
    def test_a_waiting_job_asks_for_a_refresh_and_a_raise_admits_at_once(self, client, group):
        ids = [client.enqueue(group, id=new_id(), limits=[floating(group, 1)]) for _ in range(3)]
        answer = client.call("LeaseTasks", task_group=group, max_tasks=5, worker_id="w")
        assert names(answer.tasks) == ids[:1] and len(answer.refresh_tasks) == 1
        refresh = answer.refresh_tasks[0]
        assert (refresh.queue_key, refresh.current_max_concurrency, dict(refresh.metadata)) == (group, 1, {"a": "b"})
        client.call("Heartbeat", shard=refresh.shard, task_id=refresh.id, worker_id="w")
        with refused(INVALID_ARGUMENT, containing="RefreshFloatingLimit"):
            client.call("ReportOutcome", shard=refresh.shard, task_id=refresh.id, cancelled=pb.Cancelled())
        client.call("ReportRefreshOutcome", shard=refresh.shard, task_id=refresh.id, success=pb.RefreshSuccess(new_max_concurrency=3))
        assert names(client.lease(group, 5)) == ids[1:]
        with refused(NOT_FOUND, "lease not found"):
            client.call("ReportRefreshOutcome", shard=refresh.shard, task_id=refresh.id, success=pb.RefreshSuccess(new_max_concurrency=3))


class TestRates:
    @pytest.mark.parametrize("algorithm", [0, 1])
    def test_jobs_become_due_when_the_bucket_allows(self, client, group, algorithm):
        for _ in range(5):
            client.enqueue(group, limits=[rate(group, 2, 1000, algorithm=algorithm)])
        begun = time.monotonic()
        starts = []
        while len(starts) < 5:
            tasks = client.lease(group, 5, wait_ms=5000)
            starts += [time.monotonic() - begun] * len(tasks)
        assert starts[1] < 0.4, "what the bucket has room for starts at once"
        # Two windows later, or three leaks of half a second.
        least = 2.0 if algorithm == 0 else 1.5
        assert least - 0.1 <= starts[4] < least + 5

    def test_a_bound_on_retries_fails_the_job_with_a_code(self, client, group):
        client.enqueue(group, limits=[rate(group, 1, 60_000)])
        assert len(client.lease(group)) == 1
        policy = pb.RateLimitRetryPolicy(initial_backoff_ms=1, max_backoff_ms=5, backoff_multiplier=1, max_retries=2)
        id = client.enqueue(group, limits=[rate(group, 1, 60_000, retry_policy=policy)])
        until(lambda: client.status(id) == FAILED, 20, "the job to fail", lambda: "")
        assert client.result(id).failure.error_code == "RATE_LIMITED"

    def test_an_absent_policy_is_shown_with_its_defaults(self, client, group):
        id = client.enqueue(group, limits=[rate(group, 1, 1000)])
        policy = client.job(id).limits[0].rate_limit.retry_policy
        assert (policy.initial_backoff_ms, policy.max_backoff_ms, policy.backoff_multiplier, policy.max_retries) == (100, 30000, 2, 0)


class TestBadInput:
    @pytest.mark.parametrize("limits, message", [
        ([slots("", 1)], "limits[0].concurrency.key is required"),
        ([slots("x", 0)], "limits[0].concurrency.max_concurrency must be at least 1, not 0"),
        ([slots("x" * 1025, 1)], "limits[0].concurrency.key too long (must be <= 1024 bytes)"),
        ([slots("a", 1), slots("a", 2)], "limits[1] names the same limit as an earlier entry"),
        ([slots("a", 1), floating("a", 2)], "limits[1] names the same limit as an earlier entry"),
        ([slots(str(i), 1) for i in range(33)], "limits has too many entries (max 32)"),
        ([floating("x", 0)], "limits[0].floating_concurrency.default_max_concurrency must be at least 1, not 0"),
        ([floating("x", 1, -1)], "limits[0].floating_concurrency.refresh_interval_ms must be between 1 and 315360000000, not -1"),
        ([rate("n", 0, 1000)], "limits[0].rate_limit.limit must be between 1 and 1000000000000, not 0"),
        ([rate("n", -5, 1000)], "limits[0].rate_limit.limit must be between 1 and 1000000000000, not -5"),
        ([rate("n", 1, 0)], "limits[0].rate_limit.duration_ms must be between 1 and 315360000000, not 0"),
        ([rate("n", 1, 2**62)], None),
        ([rate("n", 1, 1000, hits=2)], None),
        ([rate("n", 1, 1000, hits=-1)], None),
        ([rate("n", 1, 6, behavior=4)], None),
        ([rate("n", 1, 1000, retry_policy=pb.RateLimitRetryPolicy(backoff_multiplier=float("nan")))], None),
        ([rate("n", 1, 1000, retry_policy=pb.RateLimitRetryPolicy(initial_backoff_ms=-1))], None),
    ])
    def test_it_is_refused_by_name_and_nothing_is_written(self, client, limits, message):
        before = client.counts()
        with refused(INVALID_ARGUMENT, message, containing="limits"):
            client.enqueue(limits=limits)
        assert client.counts() == before


class TestImport:
    def call(self, client, *jobs):
        return list(client.call("ImportJobs", jobs=[pb.ImportJobRequest(**({"shard": client.shard, "task_group": "i"} | job)) for job in jobs]).results)

    def failed(self, number):
        return pb.ImportAttempt(status=2, started_at_ms=number, finished_at_ms=number + 1, error_code=f"E{number}")

    def test_each_entry_has_its_own_result(self, client):
        good, done = new_id(), new_id()
        results = self.call(
            client, {"id": good}, {"id": ""}, {"id": new_id(), "task_group": ""}, {"id": new_id(), "priority": 100},
            {"id": new_id(), "attempts": [pb.ImportAttempt(status=1), self.failed(1)]},
            {"id": new_id(), "attempts": [pb.ImportAttempt(status=0)]},
            {"id": done, "attempts": [self.failed(1), pb.ImportAttempt(status=1, started_at_ms=5, finished_at_ms=9)]},
        )
        assert [r.success for r in results] == [True, False, False, False, False, False, True]
        assert results[1].error == "INVALID_ARGUMENT: job id is required for import"
        assert "import attempt 1 must be Failed" in results[4].error and "terminal" in results[5].error
        assert client.status(good) == SCHEDULED and client.status(done) == SUCCEEDED
        assert [a.attempt_number for a in client.job(done, attempts=True).attempts] == [1, 2]
        assert client.job(done).status_changed_at_ms == 9

    def test_attempts_are_added_to_a_job_that_is_stored(self, client):
        id = new_id()
        assert self.call(client, {"id": id, "attempts": [self.failed(1)]})[0].status == FAILED
        assert "at least one new attempt" in self.call(client, {"id": id, "attempts": [self.failed(1)]})[0].error
        assert "does not match" in self.call(client, {"id": id, "attempts": [self.failed(2), self.failed(3)]})[0].error
        again = self.call(client, {
            "id": id, "attempts": [self.failed(1), self.failed(2)], "retry_policy": pb.RetryPolicy(retry_count=5)})[0]
        assert again.success and again.status == SCHEDULED
        assert client.lease_one(id).attempt_number == 3
        with refused(FAILED_PRECONDITION, f"cannot reimport job {id}: job is currently running (status: Running)"):
            self.call(client, {"id": id, "attempts": [self.failed(1)]})
        assert client.status(id) == RUNNING


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
