"""ExplainJob from outside (proto/silo/v1/silo.proto, docs/limits.md; spec/api.md 6.16)."""

import pytest

from support.client import (
    CANCELLED, FAILED, FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, RUNNING, SCHEDULED, SUCCEEDED, Client, concurrency,
    floating, new_id, packed, policy, rate, rate_policy, refused,
)
from support.generated import pb
from support.waiting import milliseconds, until

HOUR = 3_600_000
NO_TENANCY = "tenant must not be provided when tenancy is disabled on the server"
NIL = "00000000-0000-0000-0000-000000000000"
TIMER, CONCURRENCY, FLOATING, RATE, READY, NO_WORKER, PAUSED = (
    pb.Obstacle.KIND_TIMER, pb.Obstacle.KIND_CONCURRENCY, pb.Obstacle.KIND_FLOATING, pb.Obstacle.KIND_RATE,
    pb.Obstacle.KIND_READY_QUEUE, pb.Obstacle.KIND_NO_WORKER, pb.Obstacle.KIND_PAUSED,
)


@pytest.fixture(scope="module")
def server(audited_server):
    return audited_server


@pytest.fixture(scope="module")
def tenants(start_server):
    """A server with tenancy and one shard."""
    return start_server("--tenancy", "--shards", 1, "--audit-secs", 1)


@pytest.fixture
def acme(tenants):
    """A client of one tenant, which leaves no pause behind."""
    with Client(tenants.address, tenant="acme") as client:
        yield client
        for pause in client.pauses():
            fields = {"tenant": pause.tenant} if pause.HasField("tenant") else {}
            client.call("Resume", shard=client.shard, target=pause.target, **fields)


def kinds(answer):
    return [obstacle.kind for obstacle in answer.obstacles]


def polled(client, group):
    """A worker has asked for the group: it has one."""
    assert client.lease(group) == []


def fill(client, group, count, limits, **fields):
    """Jobs of ascending rank, stored together; gives their ids."""
    begin = milliseconds() - 100_000
    results = client.call("EnqueueBatch", shard=client.shard, jobs=[
        pb.EnqueueRequest(task_group=group, limits=limits, start_at_ms=begin + n, tenant=client.tenant, **fields) for n in range(count)
    ]).results
    assert {r.code for r in results} == {0}
    return [r.id for r in results]


class TestNoTenancy:
    @pytest.mark.parametrize("method, fields", [
        ("Enqueue", {"task_group": "g"}), ("GetJob", {"id": "a"}), ("GetJobResult", {"id": "a"}), ("DeleteJob", {"id": "a"}),
        ("CancelJob", {"id": "a"}), ("RestartJob", {"id": "a"}), ("ExpediteJob", {"id": "a"}), ("LeaseTask", {"id": "a", "worker_id": "w"}),
        ("ExplainJob", {"id": "a"}), ("DropTenantHolders", {}), ("DropLimitHolders", {"limit_key": "k"}),
        ("Pause", {"target": pb.PauseTarget(whole_tenant=True)}), ("Pause", {"target": pb.PauseTarget(task_group="g")}),
        ("Pause", {"target": pb.PauseTarget(limit_key="k")}), ("Resume", {"target": pb.PauseTarget(whole_tenant=True)}),
        ("Resume", {"target": pb.PauseTarget(task_group="g")}), ("Resume", {"target": pb.PauseTarget(limit_key="k")}),
    ])
    def test_what_names_a_tenant_is_refused_by_every_call_of_a_client(self, client, method, fields):
        with refused(FAILED_PRECONDITION, NO_TENANCY):
            client.call(method, shard=client.shard, tenant="acme", **fields)
        assert client.pauses() == []

    def test_in_a_batch_or_an_import_the_entry_is_refused(self, client):
        job = {"shard": client.shard, "task_group": "g", "tenant": "acme"}
        [result] = client.call("EnqueueBatch", shard=client.shard, jobs=[pb.EnqueueRequest(**job)]).results
        assert (result.code, result.error) == (FAILED_PRECONDITION.value[0], NO_TENANCY)
        [result] = client.import_jobs(job | {"id": new_id()})
        assert NO_TENANCY in result.error

    def test_of_a_worker_it_is_ignored(self, client, group):
        client.enqueue(group)
        task = client.take(group)
        for method, fields in [("Heartbeat", {"worker_id": "worker"}), ("ReportOutcome", {"success": packed(1)})]:
            client.call(method, shard=task.shard, task_id=task.id, tenant_id="acme", **fields)
        assert client.status(task.job_id) == SUCCEEDED


class TestSettled:
    def test_a_missing_job(self, client):
        with refused(NOT_FOUND, "job not found"):
            client.explain(new_id())

    def test_addresses_are_checked_as_everywhere(self, client):
        id = client.enqueue()
        for shard, code, text in [("x", INVALID_ARGUMENT, "invalid shard ID: x"), (NIL, NOT_FOUND, "shard not found")]:
            with refused(code, text):
                client.explain(id, shard=shard)
        with refused(FAILED_PRECONDITION, containing="tenancy is disabled"):
            client.explain(id, tenant="a", shard=client.shard)
        with refused(INVALID_ARGUMENT, "id too long (must be <= 1024 bytes)"):
            client.explain("x" * 1025)

    def test_a_running_job(self, client, group):
        id = client.enqueue(group, retry_policy=policy(1))
        client.fail(client.take(group))
        task = client.take(group, worker="worker-7")
        answer = client.explain(id)
        assert (answer.id, answer.status, answer.task_group, answer.attempt, list(answer.obstacles)) == (id, RUNNING, group, 2, [])
        assert "running" in answer.summary and "attempt 2" in answer.summary and "worker-7" in answer.summary
        assert "cancelled" not in answer.summary
        client.cancel(id)
        assert "cancelled" in client.explain(id).summary and client.explain(id).status == RUNNING
        client.give_up(task)

    def test_finished_jobs(self, client, group):
        done = client.succeeded(group)
        broken = client.enqueue(group)
        client.fail(client.lease_one(broken))
        called_off = client.enqueue(group)
        client.cancel(called_off)
        for id, status, word in [(done, SUCCEEDED, "Succeeded"), (broken, FAILED, "Failed"), (called_off, CANCELLED, "Cancelled")]:
            answer = client.explain(id)
            assert (answer.status, list(answer.obstacles), answer.attempt) == (status, [], 1)
            assert answer.summary.startswith("It has ended") and word in answer.summary
            assert not answer.HasField("earliest_start_at_ms") and not answer.HasField("estimated_start_at_ms")

    def test_explaining_changes_nothing(self, client, group):
        fill(client, group, 3, [concurrency(group), rate(group, 2, HOUR), floating(group + "f")])
        ids = fill(client, group, 2, [concurrency(group)])
        before = [client.job(id) for id in ids], client.counts()
        for id in ids * 3:
            client.explain(id)
        assert ([client.job(id) for id in ids], client.counts()) == before and len(client.lease(group, 9)) == 1


class TestTimers:
    def test_a_start_that_lies_ahead(self, client, group):
        start = milliseconds() + HOUR
        polled(client, group)
        answer = client.explain(client.enqueue(group, start_at_ms=start))
        obstacle, = answer.obstacles
        assert (obstacle.kind, obstacle.until_ms, obstacle.blocks_now) == (TIMER, start, True)
        assert (answer.status, answer.earliest_start_at_ms, answer.attempt) == (SCHEDULED, start, 1)
        assert obstacle.text in answer.summary and "59 min" in answer.summary

    def test_a_retry_that_waits(self, client, group):
        id = client.enqueue(group, retry_policy=policy(1, HOUR, HOUR))
        client.fail(client.take(group))
        answer = client.explain(id)
        obstacle, = answer.obstacles
        assert (obstacle.kind, obstacle.until_ms, answer.attempt) == (TIMER, client.job(id).next_attempt_starts_after_ms, 2)
        assert "attempt 2" in obstacle.text and "failed" in obstacle.text

    def test_limits_that_would_be_in_its_way_then_are_told_too(self, client, group):
        fill(client, group, 1, [concurrency(group)])
        holder = client.take(group)
        answer = client.explain(client.enqueue(group, start_at_ms=milliseconds() + HOUR, limits=[concurrency(group), rate(group, 1, HOUR)]))
        assert [(o.kind, o.blocks_now) for o in answer.obstacles] == [(TIMER, True), (CONCURRENCY, False)]
        assert [h.job_id for h in answer.obstacles[1].holders] == [holder.job_id]

    def test_a_job_that_a_rate_limit_put_off(self, client, group):
        fill(client, group, 1, [rate(group, 1, HOUR)])
        client.take(group)
        id = client.enqueue(group, limits=[rate(group, 1, HOUR, retry_policy=rate_policy(3, 50_000, 50_000))])
        answer = client.explain(id)
        assert [(o.kind, o.blocks_now) for o in answer.obstacles] == [(TIMER, True), (RATE, False)]
        assert "rate limit" in answer.obstacles[0].text
        assert 0 < answer.obstacles[0].until_ms - milliseconds() <= 50_000


class TestReady:
    def test_next_in_line_with_a_worker(self, client, group):
        polled(client, group)
        answer = client.explain(client.enqueue(group))
        assert list(answer.obstacles) == [] and answer.summary.startswith("Nothing is in its way") and group in answer.summary

    def test_no_worker_ever_asked(self, client, group):
        answer = client.explain(client.enqueue(group))
        obstacle, = answer.obstacles
        assert (obstacle.kind, obstacle.blocks_now) == (NO_WORKER, True) and group in obstacle.text
        assert not answer.HasField("last_poll_at_ms") and answer.workers_waiting == 0

    def test_when_a_worker_last_asked(self, client, group):
        began = milliseconds()
        polled(client, group)
        answer = client.explain(client.enqueue(group))
        assert began <= answer.last_poll_at_ms <= milliseconds() and answer.workers_waiting == 0

    def test_workers_that_wait_are_counted(self, client, group):
        id = client.enqueue(group, start_at_ms=milliseconds() + HOUR)
        futures = [client.begin("LeaseTasks", task_group=group, max_tasks=1, worker_id="w", wait_ms=60_000) for _ in range(3)]
        until(lambda: client.explain(id).workers_waiting == 3, what="three waiting workers")
        for future in futures:
            future.cancel()
        until(lambda: client.explain(id).workers_waiting == 0, 5, "the workers to be gone")

    def test_jobs_before_it_are_counted_by_rank(self, client, group):
        polled(client, group)
        ids = fill(client, group, 30, [])
        urgent = client.enqueue(group, priority=0, start_at_ms=milliseconds() - HOUR)
        last = client.enqueue(group, priority=99)
        # An old start gives no better place than its arrival.
        for id, ahead in [(urgent, 30), (ids[0], 0), (ids[17], 17), (last, 31)]:
            found = {o.kind: o for o in client.explain(id).obstacles}
            assert set(found) == ({READY} if ahead else set()) and (not ahead or (found[READY].ahead, found[READY].blocks_now) == (ahead, True))
        client.lease(group, 10)
        assert client.explain(last).obstacles[0].ahead == 21

    def test_those_of_other_tenants_are_not(self, acme, group):
        polled(acme, group)
        for _ in range(5):
            acme.enqueue(group, tenant="other")
        assert kinds(acme.explain(acme.enqueue(group))) == []


class TestSlots:
    def test_who_holds_it_and_who_goes_before(self, client, group):
        ids = fill(client, group, 6, [concurrency(group, 3)])
        tasks = client.lease(group, 2, worker="worker-7")
        answer = client.explain(ids[5])
        obstacle, = answer.obstacles
        assert (obstacle.kind, obstacle.key, obstacle.max, obstacle.in_use, obstacle.ahead) == (CONCURRENCY, group, 3, 3, 2)
        assert obstacle.blocks_now and not obstacle.ahead_is_least
        running = {h.job_id: h for h in obstacle.holders if h.task_id}
        assert {id: running[id].task_id for id in running} == {t.job_id: t.id for t in tasks}
        for holder in running.values():
            assert (holder.worker_id, holder.task_group) == ("worker-7", group)
            assert holder.since_ms == client.job(holder.job_id, attempts=True).attempts[0].started_at_ms
        ready, = [h for h in obstacle.holders if not h.task_id]
        assert (ready.job_id, ready.worker_id, ready.since_ms, ready.task_group) == (ids[2], "", 0, group)
        assert "2 running" in obstacle.text and "1 ready" in obstacle.text and "2 jobs wait before it" in obstacle.text
        assert obstacle.text in answer.summary
        assert [client.explain(id).obstacles[0].ahead for id in ids[3:]] == [0, 1, 2]
        assert "first in line" in client.explain(ids[3]).obstacles[0].text

    def test_no_more_than_twenty_holders_are_named(self, client, group):
        ids = fill(client, group, 30, [concurrency(group, 29)])
        client.lease(group, 99)
        obstacle = client.explain(ids[29]).obstacles[0]
        assert (obstacle.in_use, len({h.job_id for h in obstacle.holders})) == (29, 20)

    def test_positions_with_a_thousand_waiting_jobs(self, client, group):
        """In one line of equal limits, and in several lines at one key."""
        key = concurrency(group)
        holder = client.enqueue(group, limits=[key], start_at_ms=1)
        task = client.take(group)
        assert task.job_id == holder
        ids = fill(client, group, 1000, [key])
        mixed = fill(client, group, 300, [key, concurrency(group + "2")])
        for place, id in [*((n, ids[n]) for n in (0, 1, 499, 998, 999)), (1000, mixed[0]), (1299, mixed[299])]:
            obstacle = client.explain(id).obstacles[0]
            assert obstacle.ahead == place and not obstacle.ahead_is_least
        last = client.enqueue(group, limits=[key], start_at_ms=2)
        assert client.explain(last).obstacles[0].ahead == 1300, "an old start gives no better place than its arrival"
        least = client.enqueue(group, limits=[key], priority=99)
        assert client.explain(least).obstacles[0].ahead == 1301
        client.cancel(last), client.cancel(ids[0])
        assert client.explain(least).obstacles[0].ahead == 1299
        client.succeed(task)
        assert client.explain(least).obstacles[0].ahead == 1298
        client.succeed(client.take(group))
        assert client.explain(least).obstacles[0].ahead == 1297

    def test_every_limit_that_has_no_room_is_told(self, client, group):
        a, b, free = concurrency(group + "a"), concurrency(group + "b", 2), concurrency(group + "c")
        fill(client, group, 1, [a]), fill(client, group, 2, [b])
        assert len(client.lease(group, 9)) == 3
        id = client.enqueue(group, limits=[free, a, b])
        found = {o.key: o for o in client.explain(id).obstacles}
        assert set(found) == {group + "a", group + "b"} and (found[group + "b"].in_use, found[group + "b"].max) == (2, 2)
        assert [o.blocks_now for o in found.values()].count(True) == 1, "it waits at one"
        assert client.explain(id).summary.endswith("1 more thing in its way.")

    def test_a_job_that_waits_for_slots_of_a_group_without_worker(self, client, group):
        fill(client, group + "-a", 1, [concurrency(group)])
        client.take(group + "-a")
        answer = client.explain(client.enqueue(group + "-b", limits=[concurrency(group)]))
        assert [(o.kind, o.blocks_now) for o in answer.obstacles] == [(CONCURRENCY, True), (NO_WORKER, False)]

    def test_an_estimate_comes_from_the_pace_of_late(self, client, group):
        ids = fill(client, group, 12, [concurrency(group)])
        task = client.take(group)
        assert not client.explain(ids[11]).HasField("estimated_start_at_ms"), "nothing was seen yet"
        begun = milliseconds()
        for _ in range(5):
            client.succeed(task)
            task = client.take(group)
        passed = milliseconds() - begun
        answer = client.explain(ids[11])
        obstacle = answer.obstacles[0]
        assert obstacle.ahead == 5 and obstacle.HasField("estimate_ms") and 0 <= obstacle.estimate_ms <= passed * 6 + 1000
        assert abs(answer.estimated_start_at_ms - milliseconds() - obstacle.estimate_ms) < 2000
        client.succeed(task)

    def test_a_floating_limit(self, client, group):
        ids = fill(client, group, 3, [floating(group, 1)])
        tasks, (refresh,) = client.lease_with_refreshes(group)
        obstacle, = client.explain(ids[2]).obstacles
        assert (obstacle.kind, obstacle.key, obstacle.max, obstacle.in_use, obstacle.ahead) == (FLOATING, group, 1, 1, 1)
        assert [h.task_id for h in obstacle.holders] == [tasks[0].id] and obstacle.blocks_now
        client.refresh(refresh, 2)
        assert len(client.lease(group)) == 1
        obstacle, = client.explain(ids[2]).obstacles
        assert (obstacle.max, obstacle.in_use, obstacle.ahead, len(obstacle.holders)) == (2, 2, 0, 2)


class TestRates:
    def test_when_it_is_due(self, client, group):
        limit = rate(group, 2, HOUR, key="k")
        ids = fill(client, group, 7, [limit])
        client.lease(group, 9)
        end = client.job(ids[0], attempts=True).attempts[0].started_at_ms + HOUR
        # Two an hour: places 0 and 1 at the end of this window, 2 and 3 an hour later.
        for n, id in enumerate(ids[2:]):
            obstacle, = client.explain(id).obstacles
            assert (obstacle.kind, obstacle.key, obstacle.max, obstacle.in_use, obstacle.ahead) == (RATE, f"{group}/k", 2, 2, n)
            assert obstacle.until_ms == end + n // 2 * HOUR and obstacle.blocks_now
            assert client.explain(id).earliest_start_at_ms == obstacle.until_ms
        assert "59 min" in client.explain(ids[2]).summary

    def test_a_leaky_bucket(self, client, group):
        ids = fill(client, group, 4, [rate(group, 2, HOUR, algorithm=pb.GUBERNATOR_ALGORITHM_LEAKY_BUCKET)])
        client.lease(group, 9)
        start = client.job(ids[0], attempts=True).attempts[0].started_at_ms
        for n, id in enumerate(ids[2:], 1):
            obstacle, = client.explain(id).obstacles
            assert obstacle.kind == RATE and abs(obstacle.until_ms - (start + n * HOUR // 2)) <= 1000

    def test_a_bucket_full_of_promises_has_no_time(self, client, group):
        """Ready jobs hold its room; the window opens when the first of them starts."""
        polled(client, group)
        ids = fill(client, group, 2, [rate(group, 1, HOUR)])
        answer = client.explain(ids[1])
        obstacle, = answer.obstacles
        assert obstacle.kind == RATE and not obstacle.HasField("until_ms") and not answer.HasField("earliest_start_at_ms")
        client.take(group)
        assert client.explain(ids[1]).obstacles[0].HasField("until_ms")

    def test_what_it_says_comes_true(self, client, group):
        ids = fill(client, group, 2, [rate(group, 1, 900)])
        client.take(group)
        due = client.explain(ids[1]).obstacles[0].until_ms
        assert client.take(group, seconds=10).job_id == ids[1]
        assert due <= client.job(ids[1], attempts=True).attempts[0].started_at_ms < due + 700

    def test_with_slots_no_estimate_lies_before_what_is_certain(self, client, group):
        fill(client, group, 1, [concurrency(group), rate(group, 1, HOUR)])
        client.take(group)
        answer = client.explain(client.enqueue(group, limits=[concurrency(group), rate(group, 1, HOUR)], start_at_ms=milliseconds() + 100_000))
        assert {CONCURRENCY, RATE, TIMER} == set(kinds(answer))
        assert not answer.HasField("estimated_start_at_ms"), "a full limit gives nothing to go by"
