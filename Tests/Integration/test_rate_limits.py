"""Rate limits from outside (spec/limits.md; the differences: docs/limits.md)."""

import collections
import datetime
import time

import pytest

from support.client import (
    CALENDAR, CANCELLED, FAILED, LEAKY, SCHEDULED, concurrency, floating, ids_of, policy, rate, rate_policy, unpacked,
)
from support.generated import pb
from support.limits import enqueue_all, is_waiting, started
from support.waiting import milliseconds, until

HOUR = 3_600_000


@pytest.fixture(scope="module")
def server(audited_server):
    return audited_server


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
        assert 500 <= starts[250] and 1500 <= starts[750] and starts[999] < 30_000
        # A caller may hear of a start late, of none early.
        assert all(starts[n + 250] - starts[n] >= 200 for n in range(750)), windows
