"""The jobs that are asked about, the same for every engine."""

import dataclasses
import functools
import itertools
import json

import msgpack
from support.client import Client
from support.generated import pb

TENANTS = 20
CUSTOMER_JOBS = 100
GROUPS = ["mail", "video", "report", "import", "export", "index", "thumb", "bill"]
KINDS = ["welcome", "invoice", "reminder", "digest", "alert", "receipt"]
DAY = 86_400_000
#: Of a hundred jobs.
STATUSES = ["Succeeded"] * 70 + ["Waiting"] * 20 + ["Failed"] * 5 + ["Scheduled"] * 4 + ["Cancelled"]
ENDED = {"Succeeded": pb.ATTEMPT_STATUS_SUCCEEDED, "Failed": pb.ATTEMPT_STATUS_FAILED, "Cancelled": pb.ATTEMPT_STATUS_CANCELLED}


@dataclasses.dataclass
class Job:
    tenant: str
    id: str
    priority: int
    status: str
    group: str
    changed: int
    metadata: dict
    payload: dict

    @property
    def json(self):
        return json.dumps(self.payload, sort_keys=True, separators=(",", ":"))


def jobs(count, now):
    """Each tenant has a twentieth; each customer of a tenant a hundred jobs."""
    for number in range(count):
        tenant, place = number % TENANTS, number // TENANTS
        status = STATUSES[place * 37 % 100]
        customer = f"c{place // CUSTOMER_JOBS:05}"
        yield Job(
            f"tenant-{tenant:02}", f"job-{number * 2_654_435_761 % (1 << 32):08x}-{number:07}", number % 100, status,
            GROUPS[place * 7 % len(GROUPS)], now + DAY if status == "Scheduled" else now - DAY + number,
            {"customer": customer, "env": "prod" if place % 4 else "staging"},
            {"kind": KINDS[place % len(KINDS)], "amount": place * 13 % 1000, "customer": customer, "items": [place % 7, place % 11],
             "to": f"{customer}@example.com"},
        )


def _message(job, shard):
    message = pb.ImportJobRequest(
        shard=shard, id=job.id, tenant=job.tenant, priority=job.priority, task_group=job.group, metadata=job.metadata,
        payload=pb.SerializedBytes(msgpack=msgpack.packb(job.payload)),
        start_at_ms=job.changed if job.status == "Scheduled" else 0,
    )
    if job.status in ENDED:
        attempt = pb.ImportAttempt(status=ENDED[job.status], started_at_ms=job.changed - 1000, finished_at_ms=job.changed)
        if job.status == "Failed":
            attempt.error_code = "BROKEN"
        message.attempts.append(attempt)
    return message


def fill(server, count, now):
    """Imports the jobs into a server of one shard."""
    with Client(server.address) as client:
        shard = client.shard
        source = map(functools.partial(_message, shard=shard), jobs(count, now))
        waiting = []
        while batch := list(itertools.islice(source, 2000)):
            waiting.append(client.begin("ImportJobs", jobs=batch, timeout=600))
            if len(waiting) == 3:
                _check(waiting.pop(0))
        for call in waiting:
            _check(call)
        return shard


def _check(call):
    bad = [result for result in call.result().results if not result.success]
    if bad:
        raise RuntimeError(f"a job was not taken: {bad[0]}")
