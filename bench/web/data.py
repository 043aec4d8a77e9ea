"""The jobs that are looked at."""

import itertools
import time

import msgpack
from support.client import Client
from support.generated import pb

GROUPS = ["mail", "video", "report", "import", "export", "index", "thumb", "bill"]
DAY = 86_400_000
#: Of the ten jobs of each tenant. Two need the one slot of a limit.
KINDS = ["succeeded"] * 5 + ["later", "failed", "ready", "limited", "limited"]


def tenant_name(number):
    return f"tenant-{number:06}"


def job_id(number):
    return f"job-{number * 2_654_435_761 % (1 << 32):08x}-{number:07}"


def _message(number, tenants, shards, now):
    tenant, place = number % tenants, number // tenants
    kind = KINDS[place % len(KINDS)]
    customer = f"c{tenant * 7 + place:07}"
    message = pb.ImportJobRequest(
        shard=shards(tenant), id=job_id(number), tenant=tenant_name(tenant),
        priority=number % 100, task_group=GROUPS[tenant % len(GROUPS)],
        metadata={"customer": customer, "env": "prod" if tenant % 4 else "staging"},
        payload=pb.SerializedBytes(msgpack=msgpack.packb({"to": f"{customer}@example.com", "items": [place, tenant % 11]})),
        start_at_ms=now + DAY + number * DAY // 1_000_000 if kind == "later" else 0,
    )
    if kind == "limited":
        message.limits.append(pb.Limit(concurrency=pb.ConcurrencyLimit(key=f"api-{tenant % 100}", max_concurrency=1)))
    if kind in ("succeeded", "failed"):
        ended = now - number * DAY // 1_000_000
        attempt = pb.ImportAttempt(
            status=pb.ATTEMPT_STATUS_SUCCEEDED if kind == "succeeded" else pb.ATTEMPT_STATUS_FAILED, started_at_ms=ended - 1000,
            finished_at_ms=ended)
        if kind == "failed":
            attempt.error_code = f"ERROR_{tenant % 30}"
        message.attempts.append(attempt)
    return message


def fill(server, count, tenants):
    """Imports the jobs."""
    with Client(server.address) as client:
        now = int(time.time() * 1000)
        homes = {}

        def shard(tenant):
            if tenant not in homes:
                homes[tenant] = client.shard_of(tenant_name(tenant))
            return homes[tenant]

        source = (_message(number, tenants, shard, now) for number in range(count))
        waiting = []
        while batch := list(itertools.islice(source, 2000)):
            waiting.append(client.begin("ImportJobs", jobs=batch, timeout=600))
            if len(waiting) == 3:
                _check(waiting.pop(0))
        for call in waiting:
            _check(call)


def _check(call):
    bad = [result for result in call.result().results if not result.success]
    if bad:
        raise RuntimeError(f"a job was not taken: {bad[0]}")


def work(server):
    """Some workers come, and what they take ends."""
    with Client(server.address) as client:
        for number in range(60):
            tasks = client.lease(GROUPS[number % len(GROUPS)], 4, worker=f"worker-{number:02}")
            for index, task in enumerate(tasks):
                client.fail(task, "BROKEN") if index == 0 else client.succeed(task)
