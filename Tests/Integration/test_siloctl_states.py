"""What `siloctl job` shows of a job in every state that it can be in."""

import json
import re

import pytest

from support.client import new_id, policy
from support.generated import pb
from support.siloctl import runner
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
        lines = ctl("job", "get", client.shard, id, "--attempts").splitlines()
        fields = dict(re.split(r":\s+", line, maxsplit=1) for line in lines if re.match(r"[A-Z].*:\s+\S", line))
        assert fields["Status"] == word
        enqueued = int(re.fullmatch(r"\d+ \((\d+)ms\)", fields["Enqueued"])[1])
        assert before - 1 <= enqueued <= milliseconds()
        shown = fields.get("Next Attempt")
        forms = {None: "None", "never": "never", "later": r"\d+ \((\d+)ms\)", "due": r"due since \d+ \((\d+)ms\)"}
        match = re.fullmatch(forms[next_attempt], str(shown))
        assert match, shown
        if next_attempt == "later":
            assert int(match[1]) > milliseconds()
        if next_attempt == "due":
            assert enqueued <= int(match[1]) <= milliseconds()
        document = json.loads(ctl("job", "get", client.shard, id, "--json"))
        assert document["enqueued_at_ms"] == enqueued
        assert ("next_attempt_starts_after_ms" in document) == (next_attempt is not None)
        everything = "\n".join(lines) + ctl("job", "explain", client.shard, id).split("Job:")[1]
        assert not re.search(r"\b0 \(|\(0ms|1970|: *$", everything.replace("Attempts:\n", ""), re.MULTILINE)

    def test_no_attempts_are_none(self, ctl, client):
        assert "Attempts:       none" in ctl("job", "get", client.shard, client.enqueue(), "--attempts").splitlines()

    def test_no_data_is_a_dash(self, ctl, client):
        id = imported(client, attempts=FAILED_AT_NO_TIME)
        assert ctl("job", "result", client.shard, id).splitlines()[-2:] == ["Error Data:", "-"]

    def test_an_import_brings_its_time_along(self, ctl, client):
        id = imported(client, enqueue_time_ms=1_700_000_000_123)
        assert "Enqueued:       1700000000 (1700000000123ms)" in ctl("job", "get", client.shard, id).splitlines()

    def test_the_start_that_was_asked_for_is_not_the_time_of_enqueue(self, ctl, client):
        start = milliseconds() + HOUR
        id = client.enqueue(start_at_ms=start)
        document = json.loads(ctl("job", "get", client.shard, id, "--json"))
        assert document["enqueue_time_ms"] == document["next_attempt_starts_after_ms"] == start > document["enqueued_at_ms"]
