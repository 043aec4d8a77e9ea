"""A wall clock that is behind the last write to a bucket: nothing about time may cost a shard.

While it is behind, reads are served, writes are refused with how far it is behind and when they will be taken, health says so, and
the shard serves by itself as soon as the clock has passed.
"""

import re

import grpc
import pytest
from grpc_health.v1 import health_pb2 as health_pb, health_pb2_grpc as health_rpc

from support.client import (
    FAILED_PRECONDITION, NOT_FOUND, RUNNING, SCHEDULED, UNAVAILABLE, Client, concurrency, packed, rate, refused,
)
from support.generated import pb
from support.waiting import until
from support.wallclock import WallClock

SERVING = health_pb.HealthCheckResponse.SERVING
NOT_SERVING = health_pb.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def clock(tmp_path):
    return WallClock(tmp_path)


@pytest.fixture
def server(new_server, clock, s3, request):
    place = f"s3://{s3.BUCKET}/{re.sub('[^a-z]', '-', request.node.name)}"
    return new_server("--shards", 1, data=place, extra=s3.environment | clock.environment)


def healths(client):
    stub = health_rpc.HealthStub(client.channel)
    return {stub.Check(health_pb.HealthCheckRequest(service=name), timeout=30).status for name in ["", "silo.v1.Silo"]}


def refusal(call, *arguments, **fields):
    """Why the call is UNAVAILABLE."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **fields)
    assert caught.value.code() == UNAVAILABLE, caught.value.details()
    return caught.value.details()


def seconds_behind(client):
    """How far the clock is behind, as a refused write says."""
    text = refusal(client.enqueue, timeout=5)
    found = re.search(r"clock is (\d+\.\d) s behind the last write here; .* when it has passed \d{4}-\d\d-\d\dT", text)
    assert found, text
    return float(found[1])


def try_to(call, *arguments, **fields):
    """The call's answer, or nothing when it was UNAVAILABLE. Nothing else may happen."""
    try:
        return call(*arguments, **fields)
    except grpc.RpcError as error:
        assert error.code() == UNAVAILABLE, error.details()
        return None


def serves_writes(client):
    return try_to(client.enqueue, "again", timeout=20)


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_a_start_with_the_clock_behind_serves_reads_and_takes_writes_once_it_has_passed(server, clock, ending):
    with Client(server.address) as client:
        waiting = client.enqueue(payload="kept")
        done = client.succeeded("done", "result")
        held = client.enqueue("held")
        client.take("held")
    getattr(server, ending)()
    clock.set(-60)
    server.start()
    with Client(server.address) as client:
        assert 50 < seconds_behind(client) <= 60.1
        assert healths(client) == {NOT_SERVING}
        job = client.job(waiting)
        assert (job.status, job.payload) == (SCHEDULED, packed("kept"))
        assert client.result(done).success_data == packed("result")
        assert client.status(held) == RUNNING
        assert [shard.shard_id for shard in client.shards()] == [client.shard], "the shard is still this server's"
        assert 40 < seconds_behind(client), "a refused write does not break the reads"
        assert client.status(waiting) == SCHEDULED
        assert any("clock is" in line.get("error", "") for line in server.log() if line["level"] == "ERROR")

        # The clock is set right: nobody has to restart anything.
        clock.set(0)
        until(lambda: serves_writes(client), 30, "writes to be taken", server.tail)
        until(lambda: healths(client) == {SERVING}, 10, "health to be well", server.tail)
        assert client.take("default").job_id == waiting


def test_what_only_reads_says_the_same_while_the_clock_is_behind(server, clock):
    with Client(server.address) as client:
        held = client.enqueue("held", limits=[concurrency("one")])
        client.take("held")
        ids = {
            "a limit's holder": held,
            "first in line": client.enqueue("held", limits=[concurrency("one")]),
            "second in line": client.enqueue("held", limits=[concurrency("one")]),
            "a rate limit": [client.enqueue("rated", limits=[rate("r", 1, 3_600_000)]) for _ in range(2)][1],
            "ready": [client.enqueue("ready") for _ in range(3)][2],
            "ended": client.succeeded("ended", 1),
            "later": client.enqueue("later", start_at_ms=2**50),
            "paused": client.enqueue("paused"),
        }
        client.pause("the night", task_group="paused")
        pauses = client.pauses()
        before = {what: client.explain(id) for what, id in ids.items()}
    server.kill()
    clock.set(-600)
    server.start()
    with Client(server.address) as client:
        assert seconds_behind(client) > 500
        assert client.pauses() == pauses
        for what, id in ids.items():
            now = client.explain(id)
            assert shape(now) == shape(before[what]), what
            assert ("takes no writes" in now.summary) == (now.status in (SCHEDULED, RUNNING)), now.summary
        holder, = client.explain(ids["first in line"]).obstacles[0].holders
        assert (holder.job_id, holder.worker_id) == (held, "worker")
        with refused(NOT_FOUND, "job not found"):
            client.explain("nobody")
        with refused(FAILED_PRECONDITION, containing="tenancy is disabled"):
            client.explain(held, tenant="acme", shard=client.shard)


def shape(answer):
    """What an explanation says, but for what a server that has just been started cannot know."""
    obstacles = [
        (o.kind, o.key, o.max, o.in_use, o.ahead, [h.job_id for h in o.holders], o.blocks_now)
        for o in answer.obstacles if o.kind != pb.Obstacle.KIND_NO_WORKER
    ]
    return answer.status, answer.task_group, answer.attempt, obstacles


def test_a_clock_that_catches_up_on_its_own_ends_it(server, clock):
    with Client(server.address) as client:
        client.enqueue()
    server.stop()
    clock.set(-6)
    server.start()
    with Client(server.address) as client:
        behind = seconds_behind(client)
        assert behind <= 6.1
        until(lambda: serves_writes(client), 60, "writes to be taken", server.tail)


def test_a_clock_that_is_set_back_under_a_running_server_loses_nothing(server, clock):
    with Client(server.address) as client:
        first = client.enqueue(payload=1)
        clock.set(-120)
        # The first write that meets it stops the shard, which opens again for reads.
        refusal(client.enqueue, timeout=30)
        assert until(lambda: try_to(client.job, first), 30, "reads to be served", server.tail).payload == packed(1)
        assert 110 < seconds_behind(client) <= 120.1
        assert healths(client) == {NOT_SERVING}
        clock.set(0)
        until(lambda: serves_writes(client), 30, "writes to be taken", server.tail)
        assert client.job(first).payload == packed(1)
        assert server.stop() == 0


def test_a_small_step_back_is_sat_out(server, clock):
    with Client(server.address) as client:
        client.enqueue()
        clock.set(-0.5)
        client.enqueue(timeout=30)
        assert not [line for line in server.log() if line["level"] in ("WARN", "ERROR")]


def test_a_server_whose_clock_is_behind_stops_and_starts_as_others_do(server, clock):
    with Client(server.address) as client:
        id = client.enqueue()
    server.kill()
    clock.set(-3600)
    for _ in range(2):
        server.start()
        with Client(server.address) as client:
            assert seconds_behind(client) > 3500
            assert client.status(id) == SCHEDULED
        assert server.stop() == 0
    clock.set(0)
    server.start()
    with Client(server.address) as client:
        client.enqueue()
        assert client.status(id) == SCHEDULED
