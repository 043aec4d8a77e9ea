"""The wall clock of a running server is set forwards by an hour: dates come, lengths of time take as long as they should."""

import time

import pytest

from support.client import FAILED, RUNNING, SCHEDULED, Client, pb
from support.waiting import until
from support.wallclock import WallClock

HOUR = 3600


@pytest.fixture
def clock(tmp_path):
    return WallClock(tmp_path)


@pytest.fixture
def client(new_server, clock):
    with Client(new_server("--shards", 1, extra=clock.environment).address) as client:
        yield client


def in_seconds(seconds):
    return int((time.time() + seconds) * 1000)


def took(call):
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def test_a_job_due_in_an_hour_starts_within_a_second_or_two(client, clock):
    due = client.enqueue("dates", start_at_ms=in_seconds(HOUR))
    assert client.lease("dates") == []
    clock.set(HOUR + 1)

    def start():
        assert [task.job_id for task in client.lease("dates", wait_ms=15_000)] == [due]
    assert took(start) < 5


def test_leases_and_backoff_take_as_long_as_they_should(client, clock):
    policy = pb.RetryPolicy(retry_count=1, initial_interval_ms=4000, max_interval_ms=4000, backoff_factor=1)
    retried = client.enqueue("lengths", retry_policy=policy)
    held = client.enqueue("held")
    client.fail(client.lease("lengths")[0])
    lease = client.lease("held")[0]
    client.heartbeat(lease)
    begun = time.monotonic()
    clock.set(HOUR)
    assert client.status(retried) == SCHEDULED
    shown = client.job(retried).next_attempt_starts_after_ms
    assert abs(shown - in_seconds(HOUR + 4)) < 4500, "told by the clock as it is now"
    assert client.lease("lengths", wait_ms=2000) == []
    assert [task.job_id for task in client.lease("lengths", wait_ms=10_000)] == [retried]
    assert 3.5 < time.monotonic() - begun < 7
    assert until(lambda: client.status(held) != RUNNING and client.status(held), what="the end of the lease") == FAILED
    assert 9 < time.monotonic() - begun < 14


def test_a_batch_runs_in_its_order_and_an_old_start_gets_no_better_place(client):
    ids = [f"step-{number}" for number in range(1, 13)]
    client.call("EnqueueBatch", shard=client.shard, jobs=[pb.EnqueueRequest(id=id, task_group="order", priority=50) for id in ids])
    old = client.enqueue("order", priority=99, start_at_ms=in_seconds(-10 * 24 * HOUR))
    urgent = client.enqueue("order", priority=0)
    assert [task.job_id for task in client.lease("order", most=20)] == [urgent, *ids, old]


def test_a_restarted_job_that_was_expedited_does_not_wait_for_its_date(client):
    id = client.enqueue("restarts", start_at_ms=in_seconds(HOUR))
    client.expedite(id)
    client.fail(client.lease("restarts")[0])
    assert client.status(id) == FAILED
    client.restart(id)
    assert [task.job_id for task in client.lease("restarts")] == [id]
