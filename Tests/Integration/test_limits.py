"""Concurrency limits, floating limits and rate limits from outside (spec/limits.md; the differences: docs/limits.md)."""

import collections
import concurrent.futures
import datetime
import random
import threading
import time

import pytest

from support.client import (
    CALENDAR, CANCELLED, FAILED, FAILED_PRECONDITION, INVALID_ARGUMENT, LEAKY, NOT_FOUND, RUNNING, SCHEDULED, SUCCEEDED,
    Client, concurrency, floating, ids_of, new_id, packed, policy, rate, rate_policy, refused, unpacked,
)
from support.generated import pb
from support.waiting import milliseconds, until

NIL = "00000000-0000-0000-0000-000000000000"
HOUR = 3_600_000


@pytest.fixture(scope="module")
def server(audited_server):
    return audited_server


@pytest.fixture(scope="module")
def tenants(start_server):
    """A server with tenancy and one shard."""
    return start_server("--tenancy", "--shards", 1)


def enqueue_all(client, group, limits, count, **fields):
    """So many jobs of ascending rank; gives their ids."""
    begin = milliseconds() - 1000
    return [client.enqueue(group, id=new_id(), limits=limits, start_at_ms=begin + n, **fields) for n in range(count)]


def run_all(client, group, workers, most=4, live=None, seconds=60):
    """Workers that succeed with all jobs of the group; gives the ids of the jobs in the order of their reports.

    With `live`, a dict from job id to the keys that it holds, they check that no key is held twice.
    """
    done, lock, holders, broken = [], threading.Lock(), collections.defaultdict(set), []
    end = time.monotonic() + seconds

    def work(number):
        while tasks := client.lease(group, most, f"w{number}", wait_ms=500):
            assert time.monotonic() < end, "the jobs take too long"
            with lock:
                for task in tasks:
                    for key in (live or {}).get(task.job_id, ()):
                        holders[key].add(task.id)
                        if len(holders[key]) > 1:
                            broken.append((key, set(holders[key])))
            for task in tasks:
                with lock:
                    for key in (live or {}).get(task.job_id, ()):
                        holders[key].discard(task.id)
                    done.append(task.job_id)
                client.succeed(task)

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    assert broken == []
    return done


def is_waiting(client, id):
    """Waits for a limit: has no ready row that LeaseTask could take, and no timer that Expedite could."""
    kinds = {o.kind for o in client.explain(id).obstacles if o.blocks_now}
    return bool(kinds & {pb.Obstacle.KIND_CONCURRENCY, pb.Obstacle.KIND_FLOATING, pb.Obstacle.KIND_RATE})


def started(client, *ids):
    """When the last attempts of jobs began, by the server's clock."""
    return [client.job(id, attempts=True).attempts[-1].started_at_ms for id in ids]


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


class TestFloating:
    def two(self, client, group, most=1, **fields):
        """A running job that holds the only slot, and one that waits: (task, refresh, id of the other)."""
        first, second = enqueue_all(client, group, [floating(group, most, **fields)], 2)
        tasks, refreshes = client.lease_with_refreshes(group, 1)
        assert ids_of(tasks) == [first] and len(refreshes) == 1, "refreshes come on top of max_tasks"
        return tasks[0], refreshes[0], second

    def test_a_refresh_says_everything(self, client, group):
        _, refresh, _ = self.two(client, group, metadata={"account": "42", "": "empty"})
        assert (refresh.queue_key, refresh.current_max_concurrency, refresh.last_refreshed_at_ms) == (group, 1, 0)
        assert dict(refresh.metadata) == {"account": "42", "": "empty"}
        assert (refresh.lease_ms, refresh.shard, refresh.task_group) == (10_000, client.shard, group)
        assert not refresh.HasField("tenant_id")
        client.refresh(refresh, 1)

    def test_nobody_is_asked_while_nobody_waits(self, client, group):
        enqueue_all(client, group, [floating(group, 2)], 2)
        tasks, refreshes = client.lease_with_refreshes(group)
        assert len(tasks) == 2 and refreshes == []
        assert client.lease_with_refreshes(group) == ([], [])
        client.enqueue(group, limits=[floating(group, 2)])
        assert [r.queue_key for r in client.lease_with_refreshes(group)[1]] == [group], "now one waits"

    def test_one_refresh_however_many_wait(self, client, group):
        for n in range(30):
            client.enqueue(f"{group}-{n % 3}", limits=[floating(group)])
        found = []
        for _ in range(2):
            for n in range(3):
                found += client.lease_with_refreshes(f"{group}-{n}", 99)[1]
        assert len(found) == 1
        client.refresh(found[0], 1)

    def test_a_refresh_wakes_a_worker_that_waits(self, client, group):
        client.enqueue(group, limits=[floating(group)])
        client.take(group)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(client.take_refresh, group)
            watched = client.enqueue(group, start_at_ms=milliseconds() + HOUR)
            client.wait_for_worker(watched)
            client.enqueue(group, limits=[floating(group)])
            client.refresh(waiting.result(10), 1)

    def test_a_raise_starts_as_many_as_it_allows_at_once(self, client, group):
        ids = enqueue_all(client, group, [floating(group)], 6)
        tasks, (refresh,) = client.lease_with_refreshes(group)
        assert ids_of(tasks) == ids[:1]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(client.lease, group, 99, wait_ms=30_000)
            client.wait_for_worker(ids[5])
            client.refresh(refresh, 4)
            assert ids_of(waiting.result(10)) == ids[1:4]
        client.succeed(tasks[0])
        assert ids_of(client.lease(group, 99)) == ids[4:5]

    def test_a_lowered_maximum_drains(self, client, group):
        ids = enqueue_all(client, group, [floating(group, 3)], 5)
        tasks, (refresh,) = client.lease_with_refreshes(group)
        assert ids_of(tasks) == ids[:3]
        client.refresh(refresh, 1)
        assert {client.status(id) for id in ids[:3]} == {RUNNING}, "nobody is evicted"
        for task in tasks[:2]:
            client.succeed(task)
            assert client.lease(group, 99) == []
        client.succeed(tasks[2])
        assert ids_of(client.lease(group, 99)) == ids[3:4]

    def test_zero_closes_it_until_the_next_refresh(self, client, group):
        task, refresh, waiting = self.two(client, group, refresh_ms=300)
        asked = milliseconds()
        client.refresh(refresh, 0)
        client.succeed(task)
        tasks, refreshes = client.lease_with_refreshes(group, wait_ms=10_000)
        assert tasks == [] and [r.current_max_concurrency for r in refreshes] == [0]
        assert asked <= refreshes[0].last_refreshed_at_ms <= milliseconds() - 295, "the interval has passed"
        assert client.status(waiting) == SCHEDULED
        client.refresh(refreshes[0], 1)
        assert ids_of(client.lease(group)) == [waiting]

    def test_the_interval_is_the_least_time_between_refreshes(self, client, group):
        _, refresh, _ = self.two(client, group, refresh_ms=1000)
        client.refresh(refresh, 1)
        again = client.take_refresh(group)
        passed = milliseconds() - again.last_refreshed_at_ms
        assert 995 <= passed < 4000
        client.refresh(again, 1)
        assert client.lease_with_refreshes(group) == ([], []), "not before its time"

    def test_failures_are_asked_again_with_growing_waits(self, client, group):
        task, refresh, waiting = self.two(client, group)
        waits = []
        for _ in range(2):
            failed = time.monotonic()
            client.fail_refresh(refresh)
            refresh = client.take_refresh(group)
            waits.append(time.monotonic() - failed)
            assert (refresh.current_max_concurrency, refresh.last_refreshed_at_ms) == (1, 0)
        assert 0.95 <= waits[0] < 1.9 and 1.95 <= waits[1] < 5
        client.refresh(refresh, 2)
        assert ids_of(client.lease(group)) == [waiting]

    def test_a_success_forgets_the_failures_before_it(self, client, group):
        _, refresh, _ = self.two(client, group, refresh_ms=1)
        client.fail_refresh(refresh)
        client.refresh(client.take_refresh(group), 1)
        again = client.take_refresh(group)
        failed = time.monotonic()
        client.fail_refresh(again)
        client.refresh(client.take_refresh(group), 9)
        assert 0.95 <= time.monotonic() - failed < 1.9, "one second again, not two"

    def test_a_failure_that_nobody_waits_for_is_not_asked_again(self, client, group):
        task, refresh, waiting = self.two(client, group)
        client.cancel(waiting)
        client.fail_refresh(refresh)
        assert client.lease_with_refreshes(group, wait_ms=1300) == ([], [])
        client.succeed(task)

    def test_the_first_job_sets_the_state_and_each_job_keeps_its_own_words(self, client, group):
        first = client.enqueue(group, limits=[floating(group, 1, 60_000, {"who": "first"})])
        second = client.enqueue(group, limits=[floating(group, 5, 1, {"who": "second"})])
        tasks, (refresh,) = client.lease_with_refreshes(group)
        assert ids_of(tasks) == [first], "the second's maximum does not count"
        assert dict(refresh.metadata) == {"who": "first"}
        assert list(client.job(second).limits) == [floating(group, 5, 1, {"who": "second"})]
        client.refresh(refresh, 2)
        task = client.take(group)
        assert task.job_id == second and list(task.limits) == [floating(group, 5, 1, {"who": "second"})]

    def test_the_refresh_goes_to_a_group_that_waits_and_counts_for_all(self, client, group):
        groups = [f"{group}-{n}" for n in range(3)]
        client.enqueue(groups[0], limits=[floating(group)])
        client.take(groups[0])
        client.enqueue(groups[1], limits=[floating(group)])
        client.enqueue(groups[2], limits=[floating(group)])
        found = {g: client.lease_with_refreshes(g)[1] for g in groups}
        assert found[groups[0]] == [] and sum(map(len, found.values())) == 1
        client.refresh(next(r for refreshes in found.values() for r in refreshes), 3)
        assert [len(client.lease(g)) for g in groups] == [0, 1, 1]

    def test_it_and_a_fixed_limit_of_the_same_key_are_one_limit(self, client, group):
        client.enqueue(group, limits=[floating(group, 1)])
        task = client.take(group)
        fixed = client.enqueue(group, limits=[concurrency(group, 1)])
        assert client.lease(group) == []
        client.succeed(task)
        assert ids_of(client.lease(group)) == [fixed]

    def test_with_a_fixed_limit_beside_it(self, client, group):
        limits = [floating(group + "f", 2), concurrency(group + "u", 1)]
        first, second = enqueue_all(client, group, limits, 2)
        task = client.take(group)
        assert task.job_id == first
        other = client.enqueue(group, limits=[limits[0]])
        assert ids_of(client.lease(group)) == [other], "the waiting job holds nothing of the floating limit"
        client.succeed(task)
        assert ids_of(client.lease(group)) == [second]

    @pytest.mark.parametrize("outcome", [
        dict(success=packed(1)), dict(failure=pb.Failure(code="X")), dict(cancelled=pb.Cancelled()),
    ], ids=lambda o: next(iter(o)))
    def test_a_jobs_outcome_does_not_end_a_refresh(self, client, group, outcome):
        _, refresh, waiting = self.two(client, group)
        text = "task is a RefreshFloatingLimit: report it with ReportRefreshOutcome"
        with refused(INVALID_ARGUMENT, text):
            client.call("ReportOutcome", shard=refresh.shard, task_id=refresh.id, **outcome)
        results = client.call("ReportOutcomes", shard=refresh.shard, outcomes=[
            pb.ReportOutcomeRequest(task_id=refresh.id, **outcome)]).results
        assert [(r.code, r.error) for r in results] == [(INVALID_ARGUMENT.value[0], text)]
        client.refresh(refresh, 2)
        assert ids_of(client.lease(group)) == [waiting], "the refresh was as good as before"

    def test_a_refreshs_outcome_does_not_end_a_job(self, client, group):
        task, refresh, _ = self.two(client, group)
        for report in (lambda: client.refresh(task, 5), lambda: client.fail_refresh(task)):
            with refused(INVALID_ARGUMENT, "task is not a RefreshFloatingLimit: report it with ReportOutcome"):
                report()
        assert client.status(task.job_id) == RUNNING
        client.succeed(task), client.refresh(refresh, 1)

    def test_outcomes_of_no_refresh(self, client, group):
        _, refresh, _ = self.two(client, group)
        with refused(INVALID_ARGUMENT, "missing outcome"):
            client.call("ReportRefreshOutcome", shard=refresh.shard, task_id=refresh.id)
        for id in (NIL, "", "no uuid", refresh.id[:-1]):
            with refused(NOT_FOUND, "lease not found"):
                client.call("ReportRefreshOutcome", shard=refresh.shard, task_id=id, failure=pb.RefreshFailure())
        with refused(NOT_FOUND, "shard not found"):
            client.call("ReportRefreshOutcome", shard=NIL, task_id=refresh.id, failure=pb.RefreshFailure())
        client.refresh(refresh, 1)
        for report in (lambda: client.refresh(refresh, 5), lambda: client.fail_refresh(refresh), lambda: client.heartbeat(refresh)):
            with refused(NOT_FOUND, "lease not found"):
                report()

    def test_a_heartbeat_is_the_owners(self, client, group):
        _, refresh, _ = self.two(client, group)
        assert not client.heartbeat(refresh).cancelled
        with refused(FAILED_PRECONDITION, "lease owner mismatch"):
            client.heartbeat(refresh, worker="another")
        client.refresh(refresh, 1)

    def test_the_largest_maximum_is_taken(self, client, group):
        _, refresh, waiting = self.two(client, group, refresh_ms=100)
        client.refresh(refresh, 2**32 - 1)
        assert ids_of(client.lease(group)) == [waiting]


class TestRates:
    def run_and_time(self, client, group, ids, seconds=30):
        """Has a worker take all jobs as they come, and gives their starts, in order, from the first."""
        left = len(ids)
        end = time.monotonic() + seconds
        while left:
            assert time.monotonic() < end, f"{left} jobs did not come"
            tasks = client.lease(group, 99, wait_ms=5000)
            left -= len(tasks)
            for task in tasks:
                client.succeed(task)
        begins = sorted(started(client, *ids))
        return [begin - begins[0] for begin in begins]

    def check(self, starts, due, late=700):
        """Each start must be at its due time: not a millisecond before, and soon after."""
        assert all(at <= start < at + late for start, at in zip(starts, due, strict=True)), (starts, due)

    def test_a_token_bucket_is_a_window_from_the_first_start(self, client, group):
        ids = enqueue_all(client, group, [rate(group, 2, 1000)], 5)
        self.check(self.run_and_time(client, group, ids), [0, 0, 1000, 1000, 2000])

    def test_a_leaky_bucket_gives_room_back_evenly(self, client, group):
        ids = enqueue_all(client, group, [rate(group, 2, 1600, algorithm=LEAKY)], 5)
        self.check(self.run_and_time(client, group, ids), [0, 0, 799, 1598, 2397])

    def test_a_leaky_bucket_with_a_burst(self, client, group):
        ids = enqueue_all(client, group, [rate(group, 1, 800, algorithm=LEAKY, burst=3)], 5)
        self.check(self.run_and_time(client, group, ids), [0, 0, 0, 799, 1598])

    def test_a_leaky_bucket_with_a_burst_below_its_limit(self, client, group):
        ids = enqueue_all(client, group, [rate(group, 2, 1600, algorithm=LEAKY, burst=1)], 3)
        self.check(self.run_and_time(client, group, ids), [0, 799, 1598])

    def test_hits_are_what_a_start_uses(self, client, group):
        three = enqueue_all(client, group, [rate(group, 4, 1000, hits=3)], 2)
        assert ids_of(client.lease(group, 9)) == three[:1]
        one = client.enqueue(group, limits=[rate(group + "x", 4, 1000, hits=1)])
        assert ids_of(client.lease(group, 9)) == [one], "another bucket"
        task = client.take(group)
        assert task.job_id == three[1]
        first, second = started(client, *three)
        assert 1000 <= second - first < 1700

    def test_different_hits_share_what_there_is(self, client, group):
        big = client.enqueue(group, limits=[rate(group, 4, HOUR, hits=3)])
        small = client.enqueue(group, limits=[rate(group, 4, HOUR, hits=1)])
        more = client.enqueue(group, limits=[rate(group, 4, HOUR, hits=1)])
        assert set(ids_of(client.lease(group, 9))) == {big, small} and is_waiting(client, more)

    def test_no_hits_never_wait(self, client, group):
        client.enqueue(group, limits=[rate(group, 1, HOUR)])
        blocked = client.enqueue(group, limits=[rate(group, 1, HOUR)])
        client.take(group)
        client.cancel(blocked)
        looking = enqueue_all(client, group, [rate(group, 1, HOUR, hits=0)], 3)
        assert ids_of(client.lease(group, 9)) == looking

    def test_no_more_become_ready_while_the_worker_is_away(self, client, group):
        """A worker that comes back does not find what several windows would have allowed."""
        ids = enqueue_all(client, group, [rate(group, 2, 200)], 8)
        until(lambda: not is_waiting(client, ids[1]), 10, "the first two to be ready")
        time.sleep(0.9)
        assert ids_of(client.lease(group, 99)) == ids[:2]

    def test_the_first_two_starts_open_one_window_however_late_they_are(self, client, group):
        ids = enqueue_all(client, group, [rate(group, 1, 800)], 2)
        time.sleep(0.5)
        self.check(self.run_and_time(client, group, ids), [0, 800])

    def test_both_parts_of_the_name_tell_buckets_apart(self, client, group):
        names = [("a", "b"), ("a", "c"), ("b", "b"), ("a/b", "c"), ("a", "b/c")]
        ids = {client.enqueue(group, limits=[rate(group + n, 1, HOUR, key=k)]) for n, k in names}
        again = [client.enqueue(group, limits=[rate(group + n, 1, HOUR, key=k)]) for n, k in names]
        assert set(ids_of(client.lease(group, 99))) == ids and all(is_waiting(client, id) for id in again)

    def test_task_groups_share_a_bucket(self, client, group):
        first = client.enqueue(group + "-a", limits=[rate(group, 1, HOUR)])
        second = client.enqueue(group + "-b", limits=[rate(group, 1, HOUR)])
        assert ids_of(client.lease(group + "-a")) == [first] and client.lease(group + "-b") == [] and is_waiting(client, second)

    def test_a_job_that_waits_for_a_rate_holds_no_slot(self, client, group):
        slot, hit = concurrency(group), rate(group, 1, HOUR)
        task = self.start_one(client, group, [hit])
        for limits in ([slot, hit], [hit, slot]):
            client.enqueue(group, limits=limits)
        free = client.enqueue(group, limits=[slot])
        assert ids_of(client.lease(group, 9)) == [free]
        client.succeed(task)

    def test_a_job_that_waits_for_one_rate_uses_no_hit_of_the_other(self, client, group):
        one, other = rate(group + "1", 1, HOUR), rate(group + "2", 1, HOUR)
        self.start_one(client, group, [other])
        waiting = client.enqueue(group, limits=[one, other])
        free = client.enqueue(group, limits=[one])
        assert ids_of(client.lease(group, 9)) == [free] and is_waiting(client, waiting)

    def test_slots_rates_and_floating_limits_together(self, client, group):
        limits = [concurrency(group + "c", 2), rate(group, 3, 1000), floating(group + "f", 3), concurrency(group + "d", 3)]
        ids = enqueue_all(client, group, limits, 7)
        self.check(self.run_and_time(client, group, ids), [0, 0, 0, 1000, 1000, 1000, 2000])
        # All is free again.
        assert len(client.lease(group, 9)) == 0
        last = enqueue_all(client, group, [limits[0], limits[2]], 3)
        assert ids_of(client.lease(group, 9)) == last[:2]

    def start_one(self, client, group, limits):
        id = client.enqueue(group, limits=limits)
        task = client.take(group)
        assert task.job_id == id
        return task

    def test_what_never_started_uses_nothing(self, client, group):
        ready, waiting, third = enqueue_all(client, group, [rate(group, 1, HOUR)], 3)
        client.cancel(ready)
        assert ids_of(client.lease(group, 9)) == [waiting]
        client.cancel(waiting)
        assert client.lease(group, 9) == [], "but what has started has used its hit, whatever becomes of it"
        assert is_waiting(client, third)

    def test_every_attempt_uses_hits(self, client, group):
        id = client.enqueue(group, limits=[rate(group, 1, 700)], retry_policy=policy(2))
        for n in range(3):
            task = client.take(group)
            assert (task.job_id, task.attempt_number) == (id, n + 1)
            client.fail(task)
        begins = [a.started_at_ms for a in client.job(id, attempts=True).attempts]
        self.check([begin - begins[0] for begin in begins], [0, 700, 1400], late=1200)

    def test_expedited_and_restarted_jobs_wait_too(self, client, group):
        self.start_one(client, group, [rate(group, 1, HOUR)])
        later = client.enqueue(group, limits=[rate(group, 1, HOUR)], start_at_ms=milliseconds() + 2 * HOUR)
        cancelled = client.enqueue(group, limits=[rate(group, 1, HOUR)])
        client.cancel(cancelled)
        client.restart(cancelled)
        client.expedite(later)
        assert client.lease(group, 9) == [] and is_waiting(client, later) and is_waiting(client, cancelled)

    def test_a_reset_always_has_room(self, client, group):
        self.start_one(client, group, [rate(group, 1, HOUR)])
        for _ in range(2):
            id = client.enqueue(group, limits=[rate(group, 1, HOUR, behavior=pb.GUBERNATOR_BEHAVIOR_RESET_REMAINING)])
            assert ids_of(client.lease(group, 9)) == [id]
        assert is_waiting(client, client.enqueue(group, limits=[rate(group, 1, HOUR)]))

    @pytest.mark.parametrize("drains", [False, True])
    def test_drain_over_limit_uses_up_what_is_left(self, client, group, drains):
        self.start_one(client, group, [rate(group, 5, HOUR)])
        behavior = pb.GUBERNATOR_BEHAVIOR_DRAIN_OVER_LIMIT if drains else 0
        large = client.enqueue(group, limits=[rate(group, 5, HOUR, hits=5, behavior=behavior)])
        assert is_waiting(client, large)
        client.cancel(large)
        small = client.enqueue(group, limits=[rate(group, 5, HOUR)])
        assert is_waiting(client, small) == drains

    def test_bits_about_gubernators_nodes_mean_nothing(self, client, group):
        behavior = pb.GUBERNATOR_BEHAVIOR_NO_BATCHING | pb.GUBERNATOR_BEHAVIOR_GLOBAL
        ids = enqueue_all(client, group, [rate(group, 1, HOUR, behavior=behavior)], 2)
        assert ids_of(client.lease(group, 9)) == ids[:1]

    PERIODS = ["minute", "hour", "day", "week", "month", "year"]

    @staticmethod
    def end_of(period):
        """When the calendar period ends that it is now, in UTC."""
        now = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
        day = now.replace(hour=0, minute=0)
        end = {
            "minute": now + datetime.timedelta(minutes=1),
            "hour": now.replace(minute=0) + datetime.timedelta(hours=1),
            "day": day + datetime.timedelta(days=1),
            "week": day + datetime.timedelta(days=7 - day.weekday()),
            "month": (day.replace(day=1) + datetime.timedelta(days=32)).replace(day=1),
            "year": day.replace(year=day.year + 1, month=1, day=1),
        }[period]
        return int(end.timestamp() * 1000)

    @pytest.mark.parametrize("number, period", enumerate(PERIODS))
    def test_a_calendar_period_ends_with_the_calendar(self, client, group, number, period):
        limit = rate(group, 1, number, behavior=CALENDAR)
        before = self.end_of(period)
        self.start_one(client, group, [limit])
        after = self.end_of(period)
        id = client.enqueue(group, limits=[limit])
        if before != after:
            return self.test_a_calendar_period_ends_with_the_calendar(client, group + "x", number, period)
        obstacle, = [o for o in client.explain(id).obstacles if o.kind == pb.Obstacle.KIND_RATE]
        assert obstacle.until_ms == before and before > milliseconds() - 1000
        assert list(client.job(id).limits)[0].rate_limit.duration_ms == number

    def test_a_bound_on_refusals_fails_the_job(self, client, group):
        self.start_one(client, group, [rate(group, 1, HOUR)])
        begun = milliseconds()
        limits = [concurrency(group), rate(group, 1, HOUR, retry_policy=rate_policy(2, 100, 1000, 2.0))]
        id = client.enqueue(group, limits=limits, payload="p")
        free = client.enqueue(group, limits=[concurrency(group)])
        tasks = client.lease(group, 9)
        assert ids_of(tasks) == [free], "it holds nothing between its refusals"
        client.succeed(tasks[0])
        until(lambda: client.status(id) == FAILED, 20, "the job to fail")
        job = client.job(id, attempts=True)
        assert 300 <= job.status_changed_at_ms - begun < 5000, "after 100 and 200 ms"
        assert [(a.attempt_number, a.status, a.error_code) for a in job.attempts] == [(1, pb.ATTEMPT_STATUS_FAILED, "RATE_LIMITED")]
        text = unpacked(client.result(id).failure.error_data)
        assert client.result(id).failure.error_code == "RATE_LIMITED"
        assert f"{group}/all" in text and "3 times" in text and "2 retries" in text
        assert client.lease(group, 9) == []
        client.restart(id)
        until(lambda: client.status(id) == FAILED, 20, "the restarted job to fail")
        assert client.job(id, attempts=True).attempts[-1].attempt_number == 2

    def test_its_retry_policy_for_attempts_does_not_count(self, client, group):
        self.start_one(client, group, [rate(group, 1, HOUR)])
        id = client.enqueue(group, limits=[rate(group, 1, HOUR, retry_policy=rate_policy(1))], retry_policy=policy(9))
        until(lambda: client.status(id) == FAILED, 20, "the job to fail")

    def test_room_that_comes_in_time_starts_it(self, client, group):
        self.start_one(client, group, [rate(group, 1, 700)])
        limit = rate(group, 1, 700, retry_policy=rate_policy(1, 10, 10_000))
        id = client.enqueue(group, limits=[limit])
        assert client.lease(group) == []
        assert client.take(group, seconds=10).job_id == id

    def test_one_that_was_put_off_can_be_cancelled_and_expedited(self, client, group):
        self.start_one(client, group, [rate(group, 1, HOUR)])
        limits = [rate(group, 1, HOUR, retry_policy=rate_policy(3, HOUR, HOUR))]
        ids = enqueue_all(client, group, limits, 2)
        client.cancel(ids[0])
        assert client.status(ids[0]) == CANCELLED
        client.expedite(ids[1])
        assert client.status(ids[1]) == SCHEDULED and client.lease(group) == []
        client.cancel(ids[1])
        client.delete(ids[1])

    def test_two_kinds_of_bucket_under_one_name_begin_anew(self, client, group):
        """A limit that changes its algorithm is another bucket; what was used before does not count."""
        self.start_one(client, group, [rate(group, 1, HOUR)])
        id = client.enqueue(group, limits=[rate(group, 1, HOUR, algorithm=LEAKY)])
        assert ids_of(client.lease(group, 9)) == [id]

    def test_a_thousand_jobs_of_a_quick_bucket(self, client, group):
        ids = [r.id for r in client.call("EnqueueBatch", shard=client.shard, jobs=[
            pb.EnqueueRequest(task_group=group, limits=[rate(group, 250, 500)]) for _ in range(1000)
        ]).results]
        starts = self.run_and_time(client, group, ids)
        windows = collections.Counter(start // 500 for start in starts)
        assert starts[249] < 500 <= starts[250] and starts[749] < 1500 + 1200 and starts[999] < 4000
        # A caller may hear of a start late, of none early.
        assert all(starts[n + 250] - starts[n] >= 200 for n in range(750)), windows


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
