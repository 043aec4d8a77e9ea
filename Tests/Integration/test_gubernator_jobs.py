"""Jobs whose rate limits a Gubernator keeps (spec/limits.md 8): an outage delays them, and neither loses nor frees them."""

import grpc
import pytest

from support.client import CANCELLED, FAILED, SCHEDULED, SUCCEEDED, Client
from support.generated import gubernator_pb, pb
from support.gubernator import Gubernator
from support.waiting import milliseconds, until

#: Faults that leave a check without a good answer: what brings each about, and what ends it.
FAULTS = {
    "it is away": (lambda g: g.stop(), lambda g: g.start()),
    "it answers nothing": (lambda g: g.pause(), lambda g: g.resume()),
    "its calls fail": (lambda g: setattr(g, "failure", grpc.StatusCode.INTERNAL), lambda g: g.heal()),
    "its entries have errors": (lambda g: setattr(g, "entry_error", "lost a peer"), lambda g: g.heal()),
    "its answers are short": (lambda g: setattr(g, "missing", 1000), lambda g: g.heal()),
}


@pytest.fixture
def gubernator():
    with Gubernator() as gubernator:
        yield gubernator


@pytest.fixture
def server(new_server, gubernator):
    return new_server("--shards", 1, "--gubernator", gubernator.address, "--gubernator-request-timeout-ms", 500)


@pytest.fixture
def client(server):
    with Client(server.address) as client:
        yield client


def rate(key, limit=1, duration=60_000, hits=1, initial=100, most=30_000, retries=0, **fields):
    """A rate limit that asks again after `initial` ms."""
    return pb.Limit(rate_limit=pb.GubernatorRateLimit(
        name="mail", unique_key=key, limit=limit, duration_ms=duration, hits=hits, **fields,
        retry_policy=pb.RateLimitRetryPolicy(
            initial_backoff_ms=initial, max_backoff_ms=most, backoff_multiplier=1.0, max_retries=retries,
        ),
    ))


def run_one(client, group, seconds=30):
    """Leases a task, ends it well, and gives its job's id."""
    task = client.take(group, seconds=seconds)
    client.succeed(task)
    return task.job_id


def ask_for_work(client, group, gubernator, key, times):
    """A worker asks until the rate limiter was asked so often about a key. It must get nothing."""
    def asked():
        assert client.lease(group, wait_ms=100) == []
        return gubernator.checks_of(key) >= times
    until(asked, 30, "the limiter to be asked", lambda: str(gubernator.sizes))


def test_a_job_under_its_limit_runs(client, gubernator, group):
    id = client.enqueue(group, limits=[rate("a", limit=5, duration=7000, hits=2, behavior=16, algorithm=1, burst=6)])
    assert run_one(client, group) == id
    assert gubernator.entries == [gubernator_pb.RateLimitReq(
        name="mail", unique_key="a", limit=5, duration=7000, hits=2, behavior=16, algorithm=gubernator_pb.LEAKY_BUCKET, burst=6,
    )]


def test_a_job_over_its_limit_is_put_off_until_the_reset_and_then_runs(client, gubernator, group):
    limit = rate("a", duration=4000)
    ids = [client.enqueue(group, limits=[limit]) for _ in range(2)]
    first = run_one(client, group)
    reset = gubernator.buckets.all["mail_a"].expires
    [second] = set(ids) - {first}
    assert client.lease(group, wait_ms=1000) == [] and client.status(second) == SCHEDULED
    assert run_one(client, group) == second
    assert reset <= milliseconds() < reset + 10_000
    # Once each, and again when the window ends; at that very millisecond there is no room yet.
    assert gubernator.checks_of("a") <= 5, "it asks when there may be room, not all the time"
    assert [client.status(id) for id in ids] == [SUCCEEDED] * 2


def test_every_limit_of_a_job_is_asked_in_order(client, gubernator, group):
    client.enqueue(group, limits=[rate("a"), rate("b")])
    run_one(client, group)
    assert [entry.unique_key for entry in gubernator.entries] == ["a", "b"]
    client.enqueue(group, limits=[rate("c"), rate("a"), rate("d")])
    assert client.lease(group, wait_ms=1000) == []
    assert gubernator.checks_of("c") == 1 and gubernator.checks_of("d") == 0, "it stands before the one that is full"


@pytest.mark.parametrize("fault", FAULTS)
def test_an_outage_delays_jobs_and_neither_loses_nor_frees_them(client, server, gubernator, group, fault):
    begin, end = FAULTS[fault]
    begin(gubernator)
    ids = [client.enqueue(group, limits=[rate("a", limit=3)]) for _ in range(5)]
    assert client.lease(group, 10, wait_ms=2500) == [], "nothing runs that nobody allowed"
    assert [client.status(id) for id in ids] == [SCHEDULED] * 5
    end(gubernator)
    ran = [run_one(client, group) for _ in range(3)]
    assert len(set(ran)) == 3 and set(ran) <= set(ids)
    assert client.lease(group, 10, wait_ms=1500) == [], "the limit holds after the outage too"
    assert sorted(client.status(id) for id in ids) == [SCHEDULED] * 2 + [SUCCEEDED] * 3
    messages = [line["message"] for line in server.log()]
    if fault in ("it is away", "it answers nothing", "its calls fail"):
        assert "rate checks fail; jobs that need them are put off" in messages and "rate checks are answered again" in messages


def test_an_outage_uses_up_no_retries(client, gubernator, group):
    gubernator.failure = grpc.StatusCode.UNAVAILABLE
    id = client.enqueue(group, limits=[rate("a", retries=1, initial=20)])
    ask_for_work(client, group, gubernator, "a", 5)
    assert client.status(id) == SCHEDULED
    gubernator.heal()
    assert run_one(client, group) == id


def test_a_killed_server_loses_no_job_that_waits_for_an_outage_to_end(server, gubernator, group):
    gubernator.entry_error = "lost a peer"
    with Client(server.address) as client:
        ids = {client.enqueue(group, limits=[rate("a", limit=5)]) for _ in range(5)}
        ask_for_work(client, group, gubernator, "a", 5)
    server.kill()
    gubernator.heal()
    server.start()
    with Client(server.address) as client:
        assert {run_one(client, group) for _ in ids} == ids


def test_an_error_entry_fails_its_own_job_only(client, gubernator, group):
    gubernator.entry_error, gubernator.spared_keys = "lost a peer", {"fine"}
    held = client.enqueue(group, limits=[rate("held")])
    fine = client.enqueue(group, limits=[rate("fine")])
    assert run_one(client, group) == fine
    assert client.lease(group, wait_ms=1000) == [] and client.status(held) == SCHEDULED
    gubernator.heal()
    assert run_one(client, group) == held


def test_past_max_retries_the_job_fails_with_rate_limited(client, gubernator, group):
    first = client.enqueue(group, limits=[rate("a")])
    assert run_one(client, group) == first
    gubernator.forget()
    # Its reset is further away than the longest wait: it asks again after 50 ms each time.
    id = client.enqueue(group, limits=[rate("a", retries=2, initial=50, most=50)])
    ask_for_work(client, group, gubernator, "a", 3)
    until(lambda: client.status(id) == FAILED, 30, "the job to fail")
    assert client.result(id).failure.error_code == "RATE_LIMITED"
    assert gubernator.checks_of("a") == 3, "once, and twice again"


def test_a_cancelled_job_is_asked_for_no_more(client, gubernator, group):
    gubernator.entry_error = "lost a peer"
    id = client.enqueue(group, limits=[rate("a", initial=50)])
    ask_for_work(client, group, gubernator, "a", 2)
    client.cancel(id)
    assert client.status(id) == CANCELLED
    # A check that was on its way may still arrive.
    assert client.lease(group, wait_ms=300) == []
    asked = gubernator.checks_of("a")
    assert client.lease(group, wait_ms=700) == [] and gubernator.checks_of("a") == asked


def test_the_checks_of_many_jobs_share_few_calls(new_server, gubernator, group):
    server = new_server("--shards", 1, "--gubernator", gubernator.address, "--gubernator-coalesce-ms", 20)
    with Client(server.address) as client:
        jobs = [pb.EnqueueRequest(task_group=group, limits=[rate(f"k{n}")]) for n in range(200)]
        results = client.call("EnqueueBatch", shard=client.shard, jobs=jobs).results
        ran = set()

        def work():
            tasks = client.lease(group, 200, wait_ms=1000)
            for task in tasks:
                client.succeed(task)
            ran.update(task.job_id for task in tasks)
            return len(ran) == 200

        until(work, 60, "the jobs to run", lambda: f"{len(ran)} ran; calls of {gubernator.sizes}")
        assert ran == {result.id for result in results}
        assert sorted(entry.unique_key for entry in gubernator.entries) == sorted(f"k{n}" for n in range(200)), "each once"
        assert max(gubernator.sizes) <= 100 and len(gubernator.sizes) <= 20, gubernator.sizes
