"""What `siloctl job` shows of a job in every state that it can be in."""

import json
import re

import pytest

from support.client import new_id, policy
from support.generated import pb
from support.siloctl import fields, iso, runner
from support.waiting import milliseconds

HOUR = 3_600_000


@pytest.fixture(scope="module")
def ctl(server):
    return runner(server.address)


def slow():
    retries = policy(3)
    retries.initial_interval_ms = retries.max_interval_ms = HOUR
    return retries


def at_a_limit(client):
    limit = pb.Limit(concurrency=pb.ConcurrencyLimit(key=new_id(), max_concurrency=1))
    client.enqueue("limited", limits=[limit])
    client.take("limited")
    return client.enqueue("limited", limits=[limit])


def leased(client, then, **options):
    id = client.enqueue(new_id(), **options)
    then(client.take(client.job(id).task_group))
    return id


def cancelled(client, id):
    client.cancel(id)
    return id


def imported(client, **fields):
    id = new_id()
    [result] = client.import_jobs({"id": id} | fields)
    assert result.success
    return id


FAILED_AT_NO_TIME = [pb.ImportAttempt(status=pb.ATTEMPT_STATUS_FAILED, error_code="E")]
#: How to come to each state, its word, and what its next attempt looks like.
STATES = {
    "scheduled": (lambda c: c.enqueue(start_at_ms=milliseconds() + HOUR), "scheduled", "later"),
    "never": (lambda c: c.enqueue(start_at_ms=2**63 - 1), "scheduled", "never"),
    "asked for the past": (lambda c: c.enqueue(start_at_ms=5), "scheduled", "due"),
    "ready": (lambda c: c.enqueue(), "scheduled", "due"),
    "at a limit": (at_a_limit, "scheduled", "due"),
    "running": (lambda c: leased(c, lambda task: None), "running", None),
    "backing off": (lambda c: leased(c, c.fail, retry_policy=slow()), "scheduled", "later"),
    "succeeded": (lambda c: leased(c, c.succeed), "succeeded", None),
    "failed": (lambda c: leased(c, c.fail), "failed", None),
    "cancelled": (lambda c: cancelled(c, c.enqueue(start_at_ms=milliseconds() + HOUR)), "cancelled", None),
    "cancelled while backing off": (lambda c: cancelled(c, leased(c, c.fail, retry_policy=slow())), "cancelled", None),
    "cancelled while running": (lambda c: cancelled(c, leased(c, lambda task: None)), "running", None),
    "imported with no times": (lambda c: imported(c, attempts=FAILED_AT_NO_TIME), "failed", None),
}


class TestStates:
    @pytest.mark.parametrize("state", STATES)
    def test_every_time_is_one(self, ctl, client, state):
        make, word, next_attempt = STATES[state]
        before = milliseconds()
        id = make(client)
        lines = ctl("job", "get", client.shard, id, "--attempts", "--utc", "--iso").splitlines()
        shown = fields(lines)
        assert shown["Status"] == (f"{word} (Waiting in SQL)" if next_attempt == "due" else word)
        kind = ctl("query", f"SELECT status_kind FROM jobs WHERE id = '{id}'", "--csv").split()[1]
        assert kind.lower() == ("waiting" if next_attempt == "due" else word)
        enqueued = shown["Enqueued"]
        assert iso(before - 1) <= enqueued <= iso(milliseconds())
        next_shown = shown.get("Next Attempt")
        forms = {None: "None", "never": "never", "later": r"(\d\S*Z)", "due": r"due since (\d\S*Z)"}
        match = re.fullmatch(forms[next_attempt], str(next_shown))
        assert match, next_shown
        if next_attempt == "later":
            assert match[1] > iso(milliseconds())
        if next_attempt == "due":
            assert enqueued <= match[1] <= iso(milliseconds())
        document = json.loads(ctl("job", "get", client.shard, id, "--json"))
        assert iso(document["enqueued_at_ms"]) == enqueued
        assert ("next_attempt_starts_after_ms" in document) == (next_attempt is not None)
        everything = "\n".join(lines) + ctl("job", "explain", client.shard, id).split("Job:")[1]
        assert not re.search(r"\b0 \(|\(0ms|1970|: *$", re.sub(r"^\w+:\n", "", everything, flags=re.MULTILINE), re.MULTILINE)

    def test_no_attempts_are_none(self, ctl, client):
        assert "Attempts:       none" in ctl("job", "get", client.shard, client.enqueue(), "--attempts").splitlines()

    def test_no_data_is_a_dash(self, ctl, client):
        id = imported(client, attempts=FAILED_AT_NO_TIME)
        assert ctl("job", "result", client.shard, id).splitlines()[-2:] == ["Error Data:", "-"]

    def test_an_import_brings_its_time_along(self, ctl, client):
        id = imported(client, enqueue_time_ms=1_700_000_000_123)
        assert "Enqueued:       2023-11-14T22:13:20.123Z" in ctl("job", "get", client.shard, id, "--utc", "--iso").splitlines()

    def test_the_start_that_was_asked_for_is_not_the_time_of_enqueue(self, ctl, client):
        start = milliseconds() + HOUR
        id = client.enqueue(start_at_ms=start)
        document = json.loads(ctl("job", "get", client.shard, id, "--json"))
        assert document["enqueue_time_ms"] == document["next_attempt_starts_after_ms"] == start > document["enqueued_at_ms"]
