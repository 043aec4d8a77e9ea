"""Floating limits from outside (spec/limits.md; the differences: docs/limits.md)."""

import concurrent.futures
import time

import pytest

from support.client import (
    FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, RUNNING, SCHEDULED, concurrency, floating, ids_of, packed, refused,
)
from support.generated import pb
from support.limits import enqueue_all
from support.waiting import milliseconds

NIL = "00000000-0000-0000-0000-000000000000"
HOUR = 3_600_000


@pytest.fixture(scope="module")
def server(audited_server):
    return audited_server


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
