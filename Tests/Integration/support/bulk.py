"""Bulk actions, begun and waited for."""

from .generated import pb
from .waiting import milliseconds, until

CANCEL, RESTART, EXPEDITE, DELETE = (
    pb.BULK_ACTION_KIND_CANCEL, pb.BULK_ACTION_KIND_RESTART, pb.BULK_ACTION_KIND_EXPEDITE, pb.BULK_ACTION_KIND_DELETE,
)
GOES_ON, DONE, STOPPED, BROKEN = (
    pb.BULK_ACTION_STATE_RUNNING, pb.BULK_ACTION_STATE_DONE, pb.BULK_ACTION_STATE_STOPPED, pb.BULK_ACTION_STATE_FAILED,
)
HOUR = 3_600_000
FAILURE, SUCCESS = pb.ATTEMPT_STATUS_FAILED, pb.ATTEMPT_STATUS_SUCCEEDED


def start(client, kind, condition, **more):
    return client.call("StartBulkAction", kind=kind, condition=condition, **more).action


def plan(client, kind, condition, **more):
    return client.call("StartBulkAction", kind=kind, condition=condition, dry_run=True, **more).plan


def action(client, id):
    return client.call("GetBulkAction", id=id).action


def ended(client, id, seconds=60):
    return until(lambda: (now := action(client, id)).state != GOES_ON and now, seconds, "the action to end")


def do(client, kind, condition, **more):
    return ended(client, start(client, kind, condition, **more).id)


def reasons(action):
    return {refusal.reason: refusal.jobs for refusal in action.refusals}


def enqueue_many(client, group, count, **more):
    shard = more.get("shard") or client.shard_of(more.get("tenant"))
    jobs = [pb.EnqueueRequest(**{"shard": shard, "id": f"{group}-{n:05}", "task_group": group} | more) for n in range(count)]
    for first in range(0, count, 5000):
        client.call("EnqueueBatch", shard=shard, jobs=jobs[first:first + 5000])


def attempt(outcome):
    at = milliseconds()
    return pb.ImportAttempt(status=outcome, started_at_ms=at, finished_at_ms=at, error_code="E")


def import_many(client, group, count, outcome, **more):
    for result in client.import_jobs(*(
        {"id": f"{group}-{n:05}", "task_group": group, "attempts": [attempt(outcome)]} | more for n in range(count)
    )):
        assert result.success, result.error
