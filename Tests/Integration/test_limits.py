"""Concurrency limits from outside, and what all limits have in common (spec/limits.md; the differences: docs/limits.md)."""

import concurrent.futures
import random
import time

import pytest

from support.client import (
    CANCELLED, FAILED, FAILED_PRECONDITION, INVALID_ARGUMENT, LEAKY, NOT_FOUND, RUNNING, SCHEDULED, SUCCEEDED, Client,
    concurrency, floating, ids_of, new_id, packed, policy, rate, rate_policy, refused, unpacked,
)
from support.generated import pb
from support.limits import enqueue_all, is_waiting, run_all, started
from support.waiting import milliseconds, until

HOUR = 3_600_000


@pytest.fixture(scope="module")
def server(audited_server):
    return audited_server


@pytest.fixture(scope="module")
def tenants(start_server):
    """A server with tenancy and one shard."""
    return start_server("--tenancy", "--shards", 1)


ENDS = {
    "success": lambda client, task: client.succeed(task),
    "failure": lambda client, task: client.fail(task),
    "cancelled": lambda client, task: client.give_up(task),
    "cancel and failure": lambda client, task: (client.cancel(task.job_id), client.fail(task)),
    "batch": lambda client, task: client.call(
        "ReportOutcomes", shard=task.shard, outcomes=[pb.ReportOutcomeRequest(task_id=task.id, success=packed(1))]),
}


class TestConcurrency:
    @pytest.mark.parametrize("most", [1, 3, 10])
    def test_a_key_has_no_more_holders_than_slots(self, client, group, most):
        ids = enqueue_all(client, group, [concurrency(group, most)], most + 2)
        tasks = client.lease(group, 100)
        assert ids_of(tasks) == ids[:most] and client.lease(group, 100) == []
        client.succeed(tasks[0])
        assert ids_of(client.lease(group, 100)) == [ids[most]], "one came free and one starts"
        client.succeed(tasks[-1] if most > 1 else client_task(client, group, ids[most]))
        assert ids_of(client.lease(group, 100)) == [ids[most + 1]]

    @pytest.mark.parametrize("end", ENDS)
    def test_whatever_ends_an_attempt_frees_its_slot_at_once(self, client, group, end):
        first, second, third = enqueue_all(client, group, [concurrency(group)], 3)
        task = client.take(group)
        assert task.job_id == first and client.lease(group) == []
        ENDS[end](client, task)
        assert ids_of(client.lease(group, 5)) == [second], "no wait is needed, and one slot is one job"
        assert client.status(third) == SCHEDULED

    def test_a_freed_slot_wakes_a_worker_that_waits(self, client, group):
        first, second = enqueue_all(client, group, [concurrency(group)], 2)
        held = client.take(group)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(client.take, group)
            client.wait_for_worker(second)
            assert not waiting.done()
            client.succeed(held)
            freed = time.monotonic()
            assert waiting.result(30).job_id == second
            assert time.monotonic() - freed < 2, "it is woken, it does not poll"

    def test_one_freed_slot_wakes_one_of_many_workers(self, client, group):
        enqueue_all(client, group, [concurrency(group)], 4)
        held = client.take(group)
        futures = [client.begin("LeaseTasks", task_group=group, max_tasks=5, worker_id="w", wait_ms=1500) for _ in range(3)]
        until(lambda: client.explain(held.job_id).workers_waiting == 3 or client.explain(
            client.enqueue(group, start_at_ms=milliseconds() + HOUR)).workers_waiting == 3, what="three waiting workers")
        client.succeed(held)
        assert sorted(len(f.result().tasks) for f in futures) == [0, 0, 1]

    def test_a_job_of_two_keys_holds_both_and_frees_both(self, client, group):
        a, b = concurrency(group + "a"), concurrency(group + "b")
        both = client.enqueue(group, limits=[a, b])
        for limits in ([a], [b], [b, a]):
            client.enqueue(group, limits=limits)
        task = client.take(group)
        assert task.job_id == both and client.lease(group, 9) == []
        client.succeed(task)
        assert len(client.lease(group, 9)) == 2, "one for a and one for b, and none for both"

    def test_a_waiting_job_holds_nothing_of_what_it_could_have(self, client, group):
        """All or nothing: upstream would have the job hold `a` while it waits for `b`."""
        a, b = concurrency(group + "a"), concurrency(group + "b")
        holder = client.enqueue(group, limits=[b])
        waiting = client.enqueue(group, limits=[a, b])
        free = client.enqueue(group, limits=[a])
        tasks = {t.job_id: t for t in client.lease(group, 9)}
        assert set(tasks) == {holder, free} and is_waiting(client, waiting)
        client.succeed(tasks[holder])
        assert client.lease(group, 9) == [], "now a is taken"
        client.succeed(tasks[free])
        assert ids_of(client.lease(group, 9)) == [waiting]

    def test_of_three_jobs_with_a_wide_and_a_narrow_key_one_runs_at_a_time(self, client, group):
        limits = [concurrency(group + "wide", 3), concurrency(group + "narrow", 1)]
        ids = enqueue_all(client, group, limits, 3)
        for id in ids:
            task = client.take(group)
            assert task.job_id == id and client.lease(group, 9) == []
            assert client.enqueue(group, id=new_id(), limits=[concurrency(group + "wide", 2)])
            other = client.take(group)
            client.succeed(other), client.succeed(task)

    def test_each_job_is_held_to_its_own_maximum_and_lowering_it_evicts_nobody(self, client, group):
        running = enqueue_all(client, group, [concurrency(group, 2)], 2)
        tasks = client.lease(group, 9)
        assert ids_of(tasks) == running
        lower = client.enqueue(group, limits=[concurrency(group, 1)])
        higher = client.enqueue(group, limits=[concurrency(group, 3)])
        assert ids_of(client.lease(group, 9)) == [higher] and {client.status(id) for id in running} == {RUNNING}
        for task in [*tasks, client_task(client, group, higher)]:
            assert client.lease(group, 9) == [] and is_waiting(client, lower)
            client.succeed(task)
        assert ids_of(client.lease(group, 9)) == [lower]

    def test_keys_that_look_alike_are_others(self, client, group):
        keys = ["", " ", "a", "A", "á", "a\u0301", "a\0", "\0a", "a/b", "a%2Fb", "日本", "x" * 900]
        ids = {client.enqueue(group, limits=[concurrency(group + key)]) for key in keys}
        assert len(ids) == len(keys) and set(ids_of(client.lease(group, 99))) == ids

    def test_thirty_two_limits_of_one_job(self, client, group):
        limits = [concurrency(f"{group}-{n}") for n in range(32)]
        first = client.enqueue(group, limits=limits)
        rest = [client.enqueue(group, limits=[limit]) for limit in limits]
        task = client.take(group)
        assert task.job_id == first and list(task.limits) == limits and client.lease(group, 99) == []
        client.succeed(task)
        assert set(ids_of(client.lease(group, 99))) == set(rest)


def client_task(client, group, id):
    """The running attempt of a job, as reports name it."""
    attempt = client.job(id, attempts=True).attempts[-1]
    assert attempt.status == pb.ATTEMPT_STATUS_RUNNING
    return pb.Task(id=attempt.task_id, job_id=id, shard=client.shard, task_group=group)


class TestTenants:
    def test_the_same_key_is_another_limit_of_another_tenant(self, tenants, group):
        with Client(tenants.address) as client:
            ids = {t: [client.enqueue(group, id=f"{group}{t}{n}", tenant=t, limits=[concurrency("shared")]) for n in range(2)] for t in "abc"}
            tasks = client.lease(group, 99)
            assert sorted(t.job_id for t in tasks) == [ids[t][0] for t in "abc"]
            client.succeed(next(t for t in tasks if t.tenant_id == "b"))
            assert [(t.tenant_id, t.job_id) for t in client.lease(group, 99)] == [("b", ids["b"][1])]

    def test_so_are_floating_and_rate_limits(self, tenants, group):
        with Client(tenants.address) as client:
            for tenant in "ab":
                for limit in (floating("f"), rate("r", 1, HOUR)):
                    for n in range(2):
                        client.enqueue(group, tenant=tenant, limits=[limit], priority=n)
            tasks, refreshes = client.lease_with_refreshes(group, 99)
            assert sorted((t.tenant_id, t.priority) for t in tasks) == [("a", 0), ("a", 0), ("b", 0), ("b", 0)]
            assert sorted((r.tenant_id, r.queue_key) for r in refreshes) == [("a", "f"), ("b", "f")]
            a, b = sorted(refreshes, key=lambda r: r.tenant_id)
            with refused(NOT_FOUND, "lease not found"):
                client.call("ReportRefreshOutcome", shard=a.shard, task_id=a.id, tenant_id="b", success=pb.RefreshSuccess(new_max_concurrency=9))
            with refused(INVALID_ARGUMENT, containing="tenant_id is required"):
                client.call("ReportRefreshOutcome", shard=a.shard, task_id=a.id, success=pb.RefreshSuccess(new_max_concurrency=9))
            client.refresh(a, 2)
            assert [(t.tenant_id, t.priority) for t in client.lease(group, 99)] == [("a", 1)], "the other tenant's is as it was"
            client.refresh(b, 1)

    def test_a_tenant_with_a_full_key_does_not_hold_up_another(self, tenants, group):
        with Client(tenants.address) as client:
            for _ in range(300):
                client.enqueue(group, tenant="full", limits=[concurrency("k")])
            client.take(group)
            id = client.enqueue(group, tenant="other")
            assert ids_of(client.lease(group, 5)) == [id]


class TestTaskGroups:
    def test_a_key_is_one_limit_for_all_groups(self, client, group):
        groups = [f"{group}-{n}" for n in range(3)]
        for g in groups * 2:
            client.enqueue(g, limits=[concurrency(group, 2)])
        tasks = [task for g in groups for task in client.lease(g, 9)]
        assert len(tasks) == 2
        done = 0
        while tasks:
            client.succeed(tasks.pop())
            done += 1
            tasks += [task for g in groups for task in client.lease(g, 9)]
            assert len(tasks) <= 2 and {t.task_group for t in tasks} <= set(groups)
        assert done == 6

    def test_a_slot_freed_in_one_group_wakes_the_worker_of_another(self, client, group):
        first = client.enqueue(group + "-a", limits=[concurrency(group)])
        second = client.enqueue(group + "-b", limits=[concurrency(group)])
        held = client.take(group + "-a")
        assert held.job_id == first
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(client.take, group + "-b")
            client.wait_for_worker(second)
            client.succeed(held)
            assert waiting.result(10).job_id == second


class TestOrder:
    def test_waiting_jobs_start_by_priority_and_then_by_time(self, client, group):
        holder = client.enqueue(group, limits=[concurrency(group)])
        task = client.take(group)
        assert task.job_id == holder
        now = milliseconds()
        # Priority, start before now; and in which order they start.
        wanted = [(50, 1000, 3), (99, 0, 5), (1, 0, 1), (0, 0, 0), (50, 900, 4), (1, -0, 2)]
        ids = {}
        for n, (priority, before, place) in enumerate(wanted):
            ids[place] = client.enqueue(group, id=f"{group}-{n}", priority=priority, start_at_ms=now - before, limits=[concurrency(group)])
        seen = []
        while len(seen) < len(wanted):
            client.succeed(task)
            task = client.take(group, seconds=10)
            seen.append(task.job_id)
        assert seen == [ids[place] for place in range(len(wanted))]

    def test_priority_counts_first_and_nobody_has_waited_before_it_came(self, client, group):
        client.enqueue(group, limits=[concurrency(group)])
        task = client.take(group)
        now = milliseconds()
        ages = {"fresh and urgent": (0, 0), "two minutes old": (1, 120_000), "half a minute old": (1, 30_000)}
        ids = {client.enqueue(group, priority=p, start_at_ms=now - age, limits=[concurrency(group)]): name for name, (p, age) in ages.items()}
        seen = []
        while len(seen) < 3:
            client.succeed(task)
            task = client.take(group, seconds=10)
            seen.append(ids[task.job_id])
        assert seen == ["fresh and urgent", "two minutes old", "half a minute old"]

    def test_a_newcomer_does_not_overtake_those_that_wait(self, client, group):
        ids = enqueue_all(client, group, [concurrency(group)], 3)
        held = client.take(group)
        client.succeed(held)
        late = client.enqueue(group, limits=[concurrency(group)], start_at_ms=0)
        order = run_all(client, group, 1, most=1)
        assert order == [*ids[1:], late]

    def test_jobs_of_other_keys_are_not_held_up(self, client, group):
        enqueue_all(client, group, [concurrency(group)], 500)
        client.take(group)
        free = client.enqueue(group, priority=99, limits=[concurrency(group + "free")])
        plain = client.enqueue(group, priority=99)
        assert set(ids_of(client.lease(group, 9))) == {free, plain}


class TestOperations:
    """Cancel, delete, restart, expedite and LeaseTask of jobs that wait for a limit or are ready and hold it."""

    def full(self, client, group, count=2):
        """A running job that holds the only slot, and jobs that wait for it: (task, ids)."""
        ids = enqueue_all(client, group, [concurrency(group)], count + 1)
        return client.take(group), ids[1:]

    def test_a_cancelled_waiter_is_passed_over(self, client, group):
        task, ids = self.full(client, group, 5)
        for id in ids[:3]:
            client.cancel(id)
            assert client.status(id) == CANCELLED and client.result(id).HasField("cancelled")
        client.succeed(task)
        assert ids_of(client.lease(group, 9)) == [ids[3]], "exactly one slot came free"

    def test_cancelling_every_waiter_leaves_an_empty_line(self, client, group):
        task, ids = self.full(client, group, 3)
        for id in ids:
            client.cancel(id)
        client.succeed(task)
        assert client.lease(group, 9) == []
        last = client.enqueue(group, limits=[concurrency(group)])
        assert ids_of(client.lease(group, 9)) == [last]

    def test_cancelling_a_ready_job_frees_its_slot(self, client, group):
        ready, waiting = enqueue_all(client, group, [concurrency(group)], 2)
        client.cancel(ready)
        assert ids_of(client.lease(group, 9)) == [waiting]

    def test_cancelling_a_running_job_frees_its_slot_when_the_worker_answers(self, client, group):
        task, (waiting,) = self.full(client, group, 1)
        client.cancel(task.job_id)
        assert client.lease(group, 9) == [], "the attempt goes on, and so does its slot"
        assert client.heartbeat(task).cancelled
        client.give_up(task)
        assert ids_of(client.lease(group, 9)) == [waiting] and client.status(task.job_id) == CANCELLED

    def test_waiting_and_ready_jobs_cannot_be_deleted(self, client, group):
        ready, waiting = enqueue_all(client, group, [concurrency(group)], 2)
        for id in (ready, waiting):
            with refused(FAILED_PRECONDITION, f"cannot delete job {id}: job is currently running or has pending requests"):
                client.delete(id)
            client.cancel(id)
            client.delete(id)
            with refused(NOT_FOUND, "job not found"):
                client.job(id)
        again = client.enqueue(group, id=ready, limits=[concurrency(group)])
        assert ids_of(client.lease(group, 9)) == [again]

    def test_a_restarted_job_obeys_its_limits(self, client, group):
        """Upstream lets the first attempt after a restart pass."""
        task, (waiting,) = self.full(client, group, 1)
        client.cancel(waiting)
        client.restart(waiting)
        assert client.lease(group, 9) == [] and is_waiting(client, waiting)
        client.succeed(task)
        again = client.take(group)
        assert (again.job_id, again.attempt_number, again.relative_attempt_number) == (waiting, 1, 1)
        client.fail(again)
        other = client.enqueue(group, limits=[concurrency(group)])
        held = client.take(group)
        assert held.job_id == other
        client.restart(waiting)
        assert client.lease(group, 9) == []
        client.succeed(held)
        assert client.take(group).attempt_number == 2

    def test_an_expedited_job_obeys_its_limits(self, client, group):
        task, _ = self.full(client, group, 0)
        later = client.enqueue(group, limits=[concurrency(group)], start_at_ms=milliseconds() + HOUR)
        client.expedite(later)
        assert client.lease(group, 9) == [] and is_waiting(client, later)
        with refused(FAILED_PRECONDITION, f"cannot expedite job {later}: job has no pending task to expedite (status: Scheduled)"):
            client.expedite(later)
        client.succeed(task)
        assert ids_of(client.lease(group, 9)) == [later]

    def test_an_expedited_retry_obeys_its_limits(self, client, group):
        retried = client.enqueue(group, limits=[concurrency(group)], retry_policy=policy(1, HOUR, HOUR))
        client.fail(client.take(group))
        other = client.enqueue(group, limits=[concurrency(group)])
        task = client.take(group)
        client.expedite(retried)
        assert task.job_id == other and client.lease(group, 9) == []
        client.succeed(task)
        assert (again := client.take(group)).job_id == retried and again.attempt_number == 2

    def test_lease_task_refuses_a_job_that_waits(self, client, group):
        _, (waiting,) = self.full(client, group, 1)
        with refused(FAILED_PRECONDITION, f"cannot lease job {waiting}: job has no pending task in queue (status: Scheduled)"):
            client.lease_one(waiting)
        assert client.status(waiting) == SCHEDULED

    def test_lease_task_of_a_ready_job_gives_its_slot_back(self, client, group):
        """The helper ignores limits: what it leases holds nothing, and frees nothing when it ends."""
        first, second, third = enqueue_all(client, group, [concurrency(group)], 3)
        alone = client.lease_one(first)
        held = client.take(group)
        assert held.job_id == second
        client.succeed(alone)
        assert client.lease(group, 9) == [] and client.status(third) == SCHEDULED
        client.succeed(held)
        assert ids_of(client.lease(group, 9)) == [third]

    def test_lease_task_of_a_later_job_passes_a_full_limit(self, client, group):
        task, _ = self.full(client, group, 0)
        later = client.enqueue(group, limits=[concurrency(group), rate(group, 1, HOUR)], start_at_ms=milliseconds() + HOUR)
        alone = client.lease_one(later)
        client.succeed(alone), client.succeed(task)
        next_one = client.enqueue(group, limits=[concurrency(group), rate(group, 1, HOUR)])
        assert ids_of(client.lease(group, 9)) == [next_one], "it used no slot and no hit"


class TestLater:
    def test_jobs_of_later_hold_nothing(self, client, group):
        later = [client.enqueue(group, limits=[concurrency(group)], start_at_ms=milliseconds() + HOUR) for _ in range(10)]
        now = client.enqueue(group, limits=[concurrency(group)])
        task = client.take(group)
        assert task.job_id == now
        client.succeed(task)
        assert {client.status(id) for id in later} == {SCHEDULED} and client.lease(group, 99) == []

    def test_one_that_comes_due_while_the_limit_is_full_waits_for_it(self, client, group):
        client.enqueue(group, limits=[concurrency(group)])
        task = client.take(group)
        due = milliseconds() + 300
        later = client.enqueue(group, limits=[concurrency(group)], start_at_ms=due)
        other = client.enqueue(group, limits=[concurrency(group + "2")], start_at_ms=due)
        assert not is_waiting(client, later), "its time has not come"
        assert client.take(group, seconds=10).job_id == other and milliseconds() >= due
        until(lambda: is_waiting(client, later), 10, "the job to wait for the limit")
        client.succeed(task)
        assert ids_of(client.lease(group, 9)) == [later]
        assert started(client, later)[0] >= due

    def test_it_may_be_cancelled_then(self, client, group):
        client.enqueue(group, limits=[concurrency(group)])
        task = client.take(group)
        later = client.enqueue(group, limits=[concurrency(group)], start_at_ms=milliseconds() + 50)
        until(lambda: is_waiting(client, later), 10, "the job to wait for the limit")
        client.cancel(later)
        assert client.status(task.job_id) == RUNNING
        client.succeed(task)
        assert client.lease(group, 9) == []

    def test_an_old_start_is_kept_and_gives_no_better_place(self, client, group):
        client.enqueue(group, limits=[concurrency(group)])
        task = client.take(group)
        an_hour_ago = milliseconds() - HOUR
        new = client.enqueue(group, limits=[concurrency(group)])
        old = client.enqueue(group, limits=[concurrency(group)], start_at_ms=an_hour_ago)
        assert client.job(old).next_attempt_starts_after_ms == an_hour_ago
        client.succeed(task)
        assert ids_of(client.lease(group, 9)) == [new] and client.status(old) == SCHEDULED


class TestRetries:
    def test_nothing_is_held_between_attempts(self, client, group):
        limits = [concurrency(group)]
        retried = client.enqueue(group, limits=limits, retry_policy=policy(1, 400, 400), payload="retried")
        first = client.take(group)
        others = [client.enqueue(group, limits=limits) for _ in range(2)]
        failed_at = milliseconds()
        client.fail(first)
        for other in others:
            task = client.take(group, seconds=5)
            assert task.job_id == other, "others use the slot meanwhile"
            if other == others[0]:
                client.succeed(task)
        until(lambda: is_waiting(client, retried), 10, "the retry to wait for the limit")
        assert milliseconds() - failed_at >= 380
        client.succeed(task)
        again = client.take(group)
        assert (again.job_id, again.attempt_number, unpacked(again.payload)) == (retried, 2, "retried") and again.id != first.id
        assert list(again.limits) == limits

    def test_a_retry_without_a_wait_and_a_waiter_never_run_together(self, client, group):
        a = client.enqueue(group, limits=[concurrency(group)], retry_policy=policy(3))
        b = client.enqueue(group, limits=[concurrency(group)])
        seen = []
        task = client.take(group)
        while True:
            seen.append((task.job_id, task.attempt_number))
            assert client.lease(group, 9) == [], "one at a time"
            if task.job_id == a and task.attempt_number < 4:
                client.fail(task)
            else:
                client.succeed(task)
            if len(seen) == 5:
                break
            task = client.take(group, seconds=10)
        assert sorted(seen) == sorted([(a, 1), (a, 2), (a, 3), (a, 4), (b, 1)])
        assert {client.status(id) for id in (a, b)} == {SUCCEEDED}

    def test_a_failed_attempt_frees_one_slot_of_two(self, client, group):
        a = client.enqueue(group, id=new_id(), limits=[concurrency(group, 2)], retry_policy=policy(1, HOUR, HOUR))
        b = client.enqueue(group, id=new_id(), limits=[concurrency(group, 2)])
        tasks = {t.job_id: t for t in client.lease(group, 9)}
        assert set(tasks) == {a, b}
        waiting = enqueue_all(client, group, [concurrency(group, 2)], 2)
        client.fail(tasks[a])
        assert len(client.lease(group, 9)) == 1 and client.lease(group, 9) == []
        client.cancel(a)
        assert client.lease(group, 9) == [], "a job in backoff holds nothing that its cancel could free"
        client.succeed(tasks[b])
        assert len(client.lease(group, 9)) == 1 and {client.status(id) for id in waiting} == {RUNNING}


class TestExpiry:
    """One wait for ten seconds: leases of jobs and of refreshes that nobody reports, beside some that are renewed."""

    KINDS = {
        "fails": dict(), "is retried": dict(retry_policy=policy(1, HOUR, HOUR)), "was cancelled": dict(), "is renewed": dict(),
    }

    @pytest.fixture(scope="class")
    def expired(self, client):
        """(task of each kind, its two waiters, and of floating limits: holder, refresh, waiter of a dropped and a renewed one)"""
        held, waiting, floats = {}, {}, {}
        begun = time.monotonic()
        for kind, fields in self.KINDS.items():
            client.enqueue(kind, limits=[concurrency(kind)], **fields)
            held[kind] = client.take(kind)
            # A lease that nobody heard of is given back without being counted.
            client.heartbeat(held[kind])
            waiting[kind] = enqueue_all(client, kind, [concurrency(kind)], 2)
        client.cancel(held["was cancelled"].job_id)
        for kind in ("dropped", "renewed"):
            ids = enqueue_all(client, kind, [floating(kind)], 2)
            (holder,), (refresh,) = client.lease_with_refreshes(kind)
            floats[kind] = holder, refresh, ids[1]
        renewed = [held["is renewed"], floats["renewed"][1], *(f[0] for f in floats.values())]
        again = []

        def all_expired():
            for task in renewed:
                client.heartbeat(task)
            again.extend(client.lease_with_refreshes("dropped")[1])
            return again and not any(is_waiting(client, waiting[kind][0]) for kind in self.KINDS if kind != "is renewed")

        until(all_expired, 30, "the leases to end")
        assert 9.5 < time.monotonic() - begun < 20
        return held, waiting, floats, again

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "is renewed"])
    def test_the_slot_of_a_job_that(self, client, expired, kind):
        held, waiting, *_ = expired
        tasks = client.lease(kind, 9)
        assert ids_of(tasks) == waiting[kind][:1], "one slot is one job"
        with refused(NOT_FOUND, "lease not found"):
            client.succeed(held[kind])
        assert client.lease(kind, 9) == [], "a late report frees nothing more"
        client.succeed(tasks[0])
        assert ids_of(client.lease(kind, 9)) == waiting[kind][1:]
        job = client.job(held[kind].job_id, attempts=True)
        assert job.status == {"fails": FAILED, "is retried": SCHEDULED, "was cancelled": CANCELLED}[kind]
        assert job.attempts[0].error_code == ("" if kind == "was cancelled" else "WORKER_CRASHED")

    def test_a_renewed_lease_keeps_its_slot(self, client, expired):
        task = expired[0]["is renewed"]
        assert client.status(task.job_id) == RUNNING and client.lease("is renewed", 9) == []
        client.succeed(task)

    def test_an_unreported_refresh_is_asked_for_again(self, client, expired):
        _, _, floats, again = expired
        assert len(again) == 1 and again[0].id != floats["dropped"][1].id
        assert (again[0].current_max_concurrency, again[0].last_refreshed_at_ms) == (1, 0), "all else is as it was"
        with refused(NOT_FOUND, "lease not found"):
            client.refresh(floats["dropped"][1], 9)
        assert client.lease("dropped", 9) == []
        client.refresh(again[0], 2)
        assert ids_of(client.lease("dropped", 9)) == [floats["dropped"][2]]

    def test_a_renewed_refresh_is_not(self, client, expired):
        _, refresh, waiting = expired[2]["renewed"]
        assert client.lease_with_refreshes("renewed") == ([], [])
        client.refresh(refresh, 2)
        assert ids_of(client.lease("renewed", 9)) == [waiting]


class TestManyWorkers:
    def test_jobs_that_need_the_same_keys_in_any_order_all_finish(self, client, group):
        """A(X,Y) against B(Y,X), and triples: upstream's jobs block each other for ever."""
        chance = random.Random(7)
        keys = [f"{group}-{n}" for n in range(4)]
        live = {}
        for _ in range(400):
            wanted = chance.sample(keys, chance.choice([1, 2, 2, 3]))
            live[client.enqueue(group, limits=[concurrency(key) for key in wanted], priority=chance.choice([0, 50, 99]))] = wanted
        assert sorted(run_all(client, group, 6, live=live)) == sorted(live)
        assert {client.status(id) for id in live} == {SUCCEEDED}

    def test_hundreds_of_jobs_on_one_slot_each_run_once(self, client, group):
        ids = client.call("EnqueueBatch", shard=client.shard, jobs=[
            pb.EnqueueRequest(task_group=group, limits=[concurrency(group)]) for _ in range(300)
        ]).results
        live = {r.id: [group] for r in ids}
        assert sorted(run_all(client, group, 6, live=live)) == sorted(live), "each exactly once"

    def test_reports_at_once_free_as_many_slots(self, client, group):
        ids = enqueue_all(client, group, [concurrency(group, 20)], 60)
        tasks = client.lease(group, 99)
        assert ids_of(tasks) == ids[:20]
        futures = [client.begin("ReportOutcome", shard=t.shard, task_id=t.id, success=packed(1)) for t in tasks]
        for future in futures:
            future.result()
        assert ids_of(client.lease(group, 99)) == ids[20:40] and client.lease(group, 99) == []

    def test_enqueues_at_once_take_no_more_than_the_slots(self, client, group):
        futures = [
            client.begin("Enqueue", shard=client.shard, task_group=group, limits=[concurrency(group, 7)]) for _ in range(200)
        ]
        assert len({f.result().id for f in futures}) == 200
        assert len(client.lease(group, 999)) == 7


class TestReadBack:
    def test_limits_come_back_in_their_order_with_what_was_left_out(self, client, group):
        sent = [
            rate("r", 5, 1000, hits=2, key="k", algorithm=LEAKY, burst=9, behavior=1 | 2 | 16, retry_policy=rate_policy(4, 1, 2, 1.5)),
            concurrency("c", 2**32 - 1),
            floating("f", 2**32 - 1, 12345, {"a": "b", "ä": "ö"}),
            rate("absent", 5, 1000), rate("zeros", 5, 1000, retry_policy=pb.RateLimitRetryPolicy()),
        ]
        id = client.enqueue(group, limits=[sent[0], pb.Limit(), *sent[1:]])
        wanted = [pb.Limit() for _ in sent]
        for message, limit in zip(wanted, sent):
            message.CopyFrom(limit)
        # Only an absent policy is filled in; one of zeros counts as it is.
        wanted[3].rate_limit.retry_policy.CopyFrom(pb.RateLimitRetryPolicy(
            initial_backoff_ms=100, max_backoff_ms=30_000, backoff_multiplier=2.0, max_retries=0,
        ))
        assert list(client.job(id).limits) == wanted
        assert client.job(id).limits[4].rate_limit.HasField("retry_policy")
        task = client.take(group)
        assert list(task.limits) == wanted
        client.succeed(task)
        assert list(client.job(id).limits) == wanted

    def test_they_come_back_from_a_large_job_too(self, client, group):
        """A job over 4 KiB is not copied into its ready row."""
        limits = [concurrency(group), floating(group + "f", 1, metadata={"k": "v" * 9000})]
        ids = enqueue_all(client, group, limits, 2, payload="x" * 10_000)
        task = client.take(group)
        assert task.job_id == ids[0] and list(task.limits) == limits and client.lease(group) == []
        client.succeed(task)
        assert list(client.take(group).limits) == limits

    def test_an_unknown_algorithm_is_a_token_bucket(self, client, group):
        ids = enqueue_all(client, group, [rate(group, 1, HOUR, algorithm=7)], 2)
        assert client.job(ids[0]).limits[0].rate_limit.algorithm == pb.GUBERNATOR_ALGORITHM_TOKEN_BUCKET
        assert ids_of(client.lease(group, 9)) == ids[:1]
