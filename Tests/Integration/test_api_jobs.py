"""The life of a job as applications see it: every state, every result, every refusal (spec/api.md 6.3 to 6.10, design 5a)."""

import collections
import concurrent.futures
import threading
import time
import uuid

import pytest

from support.client import (
    CANCELLED, FAILED, FAILED_PRECONDITION, NOT_FOUND, RUNNING, SCHEDULED, SUCCEEDED, Client, new_id, packed, policy, refused, unpacked,
)
from support.generated import pb
from support.waiting import milliseconds

FAR = 4_102_444_800_000


def cancelled_while_waiting(client, **fields):
    id = client.enqueue(**fields)
    client.cancel(id)
    return id


def failed(client, value="why", **fields):
    id = client.enqueue(**fields)
    client.fail(client.lease_one(id), "BROKEN", value)
    return id


class TestGetJob:
    def test_a_new_job(self, client, group):
        before = milliseconds()
        id = client.enqueue(
            group, {"n": 1}, id=new_id(), priority=7, retry_policy=policy(2, 5, 50, 1.5), metadata={"a": "b"}
        )
        job = client.job(id, attempts=True)
        assert (job.id, job.priority, job.task_group, job.status) == (id, 7, group, SCHEDULED)
        assert unpacked(job.payload) == {"n": 1} and dict(job.metadata) == {"a": "b"}
        assert job.retry_policy == policy(2, 5, 50, 1.5)
        assert job.enqueue_time_ms == 0
        assert list(job.attempts) == [] and not job.HasField("result")
        now = milliseconds()
        assert before - 100 <= job.status_changed_at_ms <= now + 100
        assert before - 100 <= job.next_attempt_starts_after_ms <= now + 100

    def test_a_running_job(self, client):
        id = client.enqueue()
        before = milliseconds()
        task = client.lease_one(id)
        job = client.job(id, attempts=True)
        assert job.status == RUNNING and not job.HasField("result")
        assert not job.HasField("next_attempt_starts_after_ms")
        [attempt] = job.attempts
        assert (attempt.job_id, attempt.attempt_number, attempt.task_id) == (id, 1, task.id)
        assert attempt.status == pb.ATTEMPT_STATUS_RUNNING and not attempt.HasField("finished_at_ms")
        assert before - 100 <= attempt.started_at_ms <= milliseconds() + 100
        assert not attempt.HasField("result") and not attempt.HasField("error_code") and not attempt.HasField("error_data")
        assert list(client.job(id).attempts) == [], "attempts only when asked for"
        client.succeed(task)

    def test_a_succeeded_job(self, client):
        id = client.succeeded(value=[1, "two"])
        for job in [client.job(id), client.job(id, attempts=True)]:
            assert job.status == SUCCEEDED and unpacked(job.result) == [1, "two"]
            assert not job.HasField("next_attempt_starts_after_ms")
        [attempt] = job.attempts
        assert attempt.status == pb.ATTEMPT_STATUS_SUCCEEDED and unpacked(attempt.result) == [1, "two"]
        assert attempt.started_at_ms <= attempt.finished_at_ms == job.status_changed_at_ms
        assert not attempt.HasField("error_code") and not attempt.HasField("error_data")

    def test_a_failed_job(self, client):
        id = failed(client, {"why": None})
        job = client.job(id, attempts=True)
        assert job.status == FAILED and not job.HasField("result")
        [attempt] = job.attempts
        assert attempt.status == pb.ATTEMPT_STATUS_FAILED
        assert attempt.error_code == "BROKEN" and unpacked(attempt.error_data) == {"why": None}
        assert not attempt.HasField("result")

    def test_a_job_cancelled_while_it_waited_keeps_its_next_start(self, client):
        id = cancelled_while_waiting(client, start_at_ms=FAR)
        job = client.job(id, attempts=True)
        assert (job.status, job.next_attempt_starts_after_ms) == (CANCELLED, FAR)
        assert list(job.attempts) == [] and not job.HasField("result")

    def test_a_job_whose_worker_gave_up(self, client):
        id = client.enqueue(retry_policy=policy(5))
        client.give_up(client.lease_one(id))
        job = client.job(id, attempts=True)
        assert job.status == CANCELLED
        assert [a.status for a in job.attempts] == [pb.ATTEMPT_STATUS_CANCELLED]

    def test_a_job_that_waits_for_a_retry(self, client):
        id = client.enqueue(retry_policy=policy(3, 60_000, 3_600_000, 2))
        before = milliseconds()
        client.fail(client.lease_one(id))
        job = client.job(id, attempts=True)
        assert job.status == SCHEDULED
        assert 0 <= job.next_attempt_starts_after_ms - 120_000 - job.attempts[0].finished_at_ms <= 1
        assert job.attempts[0].finished_at_ms >= before - 100

    def test_attempts_come_in_order_and_are_numbered_through_retries_and_restarts(self, client):
        id = client.enqueue(retry_policy=policy(2))
        tasks = []
        for _ in range(3):
            tasks.append(client.lease_one(id))
            client.fail(tasks[-1])
        client.restart(id)
        tasks.append(client.take())
        assert (tasks[-1].attempt_number, tasks[-1].relative_attempt_number) == (4, 1)
        running = client.job(id, attempts=True).attempts
        assert [a.attempt_number for a in running] == [1, 2, 3, 4]
        assert running[3].status == pb.ATTEMPT_STATUS_RUNNING
        client.succeed(tasks[-1], "at last")
        attempts = client.job(id, attempts=True).attempts
        assert [a.attempt_number for a in attempts] == [1, 2, 3, 4]
        assert [a.task_id for a in attempts] == [t.id for t in tasks] and len({t.id for t in tasks}) == 4
        assert [a.status for a in attempts] == [pb.ATTEMPT_STATUS_FAILED] * 3 + [pb.ATTEMPT_STATUS_SUCCEEDED]
        assert unpacked(client.job(id).result) == "at last"

    def test_many_attempts_are_all_there(self, client):
        id = client.enqueue(retry_policy=policy(149))
        for n in range(150):
            client.fail(client.lease_one(id), f"E{n}", n)
        attempts = client.job(id, attempts=True).attempts
        assert [(a.attempt_number, a.error_code, unpacked(a.error_data)) for a in attempts] == [
            (n + 1, f"E{n}", n) for n in range(150)
        ]

    def test_an_answer_is_of_one_moment(self, server, client, group):
        """A running job that succeeds is one or the other to every reader, never a job that is scheduled."""
        seen = collections.Counter()
        busy = threading.Event()

        def others():
            with Client(server.address) as other:
                while not busy.is_set():
                    other.enqueue(f"noise {group}"[:60], payload="x" * 1000)

        with concurrent.futures.ThreadPoolExecutor() as pool, Client(server.address) as reader:
            noise = [pool.submit(others) for _ in range(4)]
            end = time.monotonic() + 6
            while time.monotonic() < end:
                for _ in range(10):
                    client.enqueue(group)
                futures = []
                for task in client.lease(group, 10):
                    futures += [reader.begin("GetJob", shard=task.shard, id=task.job_id) for _ in range(6)]
                    client.begin("ReportOutcome", shard=task.shard, task_id=task.id, success=packed(1))
                    futures += [reader.begin("GetJob", shard=task.shard, id=task.job_id) for _ in range(12)]
                seen.update(future.result().status for future in futures)
            busy.set()
            for future in noise:
                future.result()
        assert seen[SUCCEEDED] > 100 and seen[RUNNING] > 100, "both were seen"
        assert set(seen) == {RUNNING, SUCCEEDED}, seen

    def test_a_missing_job(self, client):
        with refused(NOT_FOUND, "job not found"):
            client.job(new_id())
        with refused(NOT_FOUND, "job not found"):
            client.job("")


class TestGetJobResult:
    def test_a_missing_job(self, client):
        with refused(NOT_FOUND, "job not found"):
            client.result(new_id())

    def test_an_unfinished_one(self, client):
        id = client.enqueue()
        with refused(FAILED_PRECONDITION, "job is not complete: status is Scheduled"):
            client.result(id)
        task = client.lease_one(id)
        with refused(FAILED_PRECONDITION, "job is not complete: status is Running"):
            client.result(id)
        client.succeed(task)

    def test_success(self, client):
        id = client.succeeded(value={"a": [1]})
        result = client.result(id)
        assert (result.id, result.status, result.WhichOneof("result")) == (id, pb.JOB_STATUS_SUCCEEDED, "success_data")
        assert unpacked(result.success_data) == {"a": [1]}
        assert result.finished_at_ms == client.job(id).status_changed_at_ms

    @pytest.mark.parametrize("success", [pb.SerializedBytes(), pb.SerializedBytes(msgpack=b"")])
    def test_success_without_bytes_is_a_success(self, client, success):
        id = client.enqueue()
        task = client.lease_one(id)
        client.call("ReportOutcome", shard=task.shard, task_id=task.id, success=success)
        result = client.result(id)
        assert result.status == SUCCEEDED and result.WhichOneof("result") == "success_data"
        assert result.success_data.msgpack == b""

    def test_failure(self, client):
        id = failed(client, "why")
        result = client.result(id)
        assert (result.status, result.failure.error_code, unpacked(result.failure.error_data)) == (FAILED, "BROKEN", "why")

    def test_a_failure_that_says_nothing_still_sets_its_data(self, client):
        id = client.enqueue()
        task = client.lease_one(id)
        client.call("ReportOutcome", shard=task.shard, task_id=task.id, failure=pb.Failure())
        failure = client.result(id).failure
        assert failure.error_code == "" and failure.HasField("error_data") and failure.error_data.msgpack == b""

    def test_cancelled_before_it_ran(self, client):
        id = cancelled_while_waiting(client)
        result = client.result(id)
        assert result.status == CANCELLED
        assert result.cancelled.cancelled_at_ms == result.finished_at_ms == client.job(id).status_changed_at_ms

    def test_given_up_by_the_worker(self, client):
        id = client.enqueue()
        client.give_up(client.lease_one(id))
        result = client.result(id)
        assert result.status == CANCELLED and result.cancelled.cancelled_at_ms == result.finished_at_ms > 0

    def test_cancelled_in_backoff_says_cancelled(self, client):
        """Upstream reports the last failure; here cancel is final and the result says so (design 5a)."""
        id = client.enqueue(retry_policy=policy(3, 3_600_000, 3_600_000, 1))
        client.fail(client.lease_one(id))
        client.cancel(id)
        assert client.status(id) == CANCELLED
        result = client.result(id)
        assert result.status == CANCELLED and result.WhichOneof("result") == "cancelled"

    def test_the_last_failure_counts(self, client):
        id = client.enqueue(retry_policy=policy(1))
        client.fail(client.lease_one(id), "FIRST", 1)
        client.fail(client.lease_one(id), "SECOND", 2)
        failure = client.result(id).failure
        assert (failure.error_code, unpacked(failure.error_data)) == ("SECOND", 2)


class TestRetries:
    """spec/api.md 8.2."""

    def delays(self, client, count, retry_policy):
        id = client.enqueue(retry_policy=retry_policy)
        found = []
        for _ in range(count):
            client.fail(client.lease_one(id))
            job = client.job(id, attempts=True)
            last = job.attempts[-1]
            found.append((last.finished_at_ms, job.next_attempt_starts_after_ms - last.finished_at_ms))
        return found

    def test_the_nth_wait_is_initial_times_factor_to_the_n(self, client):
        assert [d for _, d in self.delays(client, 4, policy(9, 100_000, 10**12, 3))] == [300_000, 900_000, 2_700_000, 8_100_000]

    def test_waits_are_rounded_and_capped(self, client):
        assert [d for _, d in self.delays(client, 4, policy(9, 10_001, 20_000, 1.3))] == [13_001, 16_902, 20_000, 20_000]

    def test_no_maximum_means_no_wait(self, client):
        assert [d for _, d in self.delays(client, 2, policy(9, 100_000, 0, 3))] == [0, 0]

    @pytest.mark.parametrize("most, least, greatest", [(10**12, 100_000, 200_000), (120_000, 60_000, 120_000), (80_000, 40_000, 80_000)])
    def test_random_waits_are_spread_below_the_cap_too(self, client, most, least, greatest):
        waits = [d for _ in range(5) for _, d in self.delays(client, 4, policy(9, 100_000, most, 1, randomize=True))]
        assert all(least <= wait <= greatest for wait in waits)
        # Of twenty some lie in either half, and no two are alike.
        middle = (least + greatest) / 2
        assert min(waits) < middle < max(waits) and len(set(waits)) == 20

    def test_attempts_are_one_more_than_retries_and_the_last_is_marked(self, client):
        id = client.enqueue(retry_policy=policy(2))
        marks = []
        for _ in range(3):
            task = client.lease_one(id)
            marks.append(task.is_last_attempt)
            client.fail(task)
        assert marks == [False, False, True] and client.status(id) == FAILED

    def test_without_a_policy_there_is_one_attempt(self, client):
        id = client.enqueue()
        task = client.lease_one(id)
        assert task.is_last_attempt
        client.fail(task)
        assert client.status(id) == FAILED

    def test_a_retry_is_leased_when_its_time_comes(self, client, group):
        id = client.enqueue(group, retry_policy=policy(1, 400, 400, 1))
        first = client.take(group)
        client.fail(first)
        due = client.job(id).next_attempt_starts_after_ms
        second = client.take(group)
        assert milliseconds() >= due - 1 and second.job_id == id
        assert (second.attempt_number, second.relative_attempt_number, second.is_last_attempt) == (2, 2, True)
        client.succeed(second)


class TestCancel:
    def test_missing(self, client):
        with refused(NOT_FOUND, "job not found"):
            client.cancel(new_id())

    def test_a_waiting_job_ends_at_once_and_is_never_leased(self, client, group):
        id = client.enqueue(group)
        client.cancel(id)
        assert client.status(id) == CANCELLED
        assert client.lease(group) == []
        with refused(FAILED_PRECONDITION, f"cannot lease job {id}: job is cancelled (status: Cancelled)"):
            client.lease_one(id)

    def test_twice(self, client):
        id = cancelled_while_waiting(client)
        with refused(FAILED_PRECONDITION, "job is already cancelled"):
            client.cancel(id)

    def test_a_finished_job(self, client):
        for id in [client.succeeded(), failed(client)]:
            with refused(FAILED_PRECONDITION, "job is already in terminal state"):
                client.cancel(id)

    def test_a_running_job_is_told_by_its_heartbeat(self, client):
        id = client.enqueue()
        task = client.lease_one(id)
        assert not client.heartbeat(task).cancelled
        before = milliseconds()
        client.cancel(id)
        assert client.status(id) == RUNNING
        beat = client.heartbeat(task)
        assert beat.cancelled and before - 100 <= beat.cancelled_at_ms <= milliseconds() + 100
        with refused(FAILED_PRECONDITION, "job is already cancelled"):
            client.cancel(id)
        client.give_up(task)
        assert client.status(id) == CANCELLED
        with refused(FAILED_PRECONDITION, "job is already cancelled"):
            client.cancel(id)

    def test_a_success_that_comes_all_the_same_counts(self, client):
        id = client.enqueue()
        task = client.lease_one(id)
        client.cancel(id)
        client.succeed(task, "done anyway")
        assert client.status(id) == SUCCEEDED and unpacked(client.result(id).success_data) == "done anyway"
        with refused(FAILED_PRECONDITION):
            client.cancel(id)

    def test_no_attempt_starts_after_it(self, client, group):
        """A failure reported after the cancel is not retried (design 5a: cancel is final)."""
        id = client.enqueue(group, retry_policy=policy(5))
        task = client.take(group)
        client.cancel(id)
        client.fail(task)
        assert client.status(id) == CANCELLED and client.result(id).WhichOneof("result") == "cancelled"
        assert client.lease(group) == []

    def test_given_up_by_the_worker_first(self, client):
        """No flag is set by a worker's report: the first cancel is taken, the second is refused."""
        id = client.enqueue()
        client.give_up(client.lease_one(id))
        client.cancel(id)
        assert client.status(id) == CANCELLED
        with refused(FAILED_PRECONDITION, "job is already cancelled"):
            client.cancel(id)

    def test_a_job_in_backoff(self, client, group):
        id = client.enqueue(group, retry_policy=policy(5, 150, 150, 1))
        client.fail(client.take(group))
        client.cancel(id)
        job = client.job(id, attempts=True)
        assert job.status == CANCELLED and len(job.attempts) == 1
        # Longer than its backoff was.
        assert client.lease(group, wait_ms=500) == []


class TestRestart:
    def refusal(self, id, reason, status):
        return refused(FAILED_PRECONDITION, f"cannot restart job {id}: {reason} (status: {status})")

    def test_missing(self, client):
        with refused(NOT_FOUND, "job not found"):
            client.restart(new_id())

    def test_a_succeeded_job(self, client):
        id = client.succeeded()
        with self.refusal(id, "job already succeeded", "Succeeded"):
            client.restart(id)

    def test_one_that_is_not_finished(self, client):
        id = client.enqueue()
        with self.refusal(id, "job is still in progress", "Scheduled"):
            client.restart(id)
        task = client.lease_one(id)
        with self.refusal(id, "job is still in progress", "Running"):
            client.restart(id)
        client.succeed(task)

    def test_a_failed_job_runs_again_with_all_its_retries(self, client, group):
        id = client.enqueue(group, retry_policy=policy(1))
        for _ in range(2):
            client.fail(client.take(group))
        assert client.status(id) == FAILED
        client.restart(id)
        assert client.status(id) == SCHEDULED
        for n, last in [(1, False), (2, True)]:
            task = client.take(group)
            assert (task.attempt_number, task.relative_attempt_number, task.is_last_attempt) == (n + 2, n, last)
            client.fail(task)
        assert client.status(id) == FAILED

    def test_a_cancelled_job_runs_again_and_can_be_cancelled_again(self, client, group):
        id = cancelled_while_waiting(client, group=group)
        client.restart(id)
        job = client.job(id, attempts=True)
        assert job.status == SCHEDULED and list(job.attempts) == []
        task = client.take(group)
        assert (task.job_id, task.relative_attempt_number) == (id, 1)
        assert not client.heartbeat(task).cancelled, "the mark is cleared"
        client.cancel(id)
        assert client.heartbeat(task).cancelled
        client.give_up(task)
        client.restart(id)
        client.succeed(client.take(group))
        assert client.status(id) == SUCCEEDED

    def test_a_start_time_still_ahead_is_kept(self, client, group):
        id = cancelled_while_waiting(client, group=group, start_at_ms=FAR)
        client.restart(id)
        assert client.job(id).next_attempt_starts_after_ms == FAR and client.lease(group) == []


class TestExpedite:
    def refusal(self, id, reason, status):
        return refused(FAILED_PRECONDITION, f"cannot expedite job {id}: {reason} (status: {status})")

    def test_missing(self, client):
        with refused(NOT_FOUND, "job not found"):
            client.expedite(new_id())

    def test_refusals(self, client):
        succeeded, failure = client.succeeded(), failed(client)
        with self.refusal(succeeded, "job is already in terminal state", "Succeeded"):
            client.expedite(succeeded)
        with self.refusal(failure, "job is already in terminal state", "Failed"):
            client.expedite(failure)
        cancelled = cancelled_while_waiting(client)
        with self.refusal(cancelled, "job is cancelled", "Cancelled"):
            client.expedite(cancelled)
        given_up = client.enqueue()
        client.give_up(client.lease_one(given_up))
        with self.refusal(given_up, "job has no pending task to expedite", "Cancelled"):
            client.expedite(given_up)
        running = client.enqueue()
        task = client.lease_one(running)
        with self.refusal(running, "job is currently running", "Running"):
            client.expedite(running)
        client.cancel(running)
        with self.refusal(running, "job is cancelled", "Running"):
            client.expedite(running)
        client.give_up(task)
        ready = client.enqueue()
        with self.refusal(ready, "task is already ready to run (not future-scheduled)", "Scheduled"):
            client.expedite(ready)

    def test_a_future_job_starts_now(self, client, group):
        id = client.enqueue(group, start_at_ms=FAR)
        assert client.lease(group) == []
        client.expedite(id)
        job = client.job(id)
        assert job.status == SCHEDULED and job.next_attempt_starts_after_ms <= milliseconds() + 100
        assert job.enqueue_time_ms == FAR
        task = client.take(group)
        assert (task.job_id, task.attempt_number) == (id, 1)
        client.succeed(task)

    def test_a_retry_starts_now_and_keeps_its_number(self, client, group):
        id = client.enqueue(group, retry_policy=policy(1, 10**9, 10**9, 1))
        client.fail(client.take(group))
        client.expedite(id)
        task = client.take(group)
        assert (task.attempt_number, task.relative_attempt_number) == (2, 2)
        client.succeed(task)


class TestDelete:
    def test_missing_is_no_error(self, client):
        client.delete(new_id())

    def test_an_unfinished_job(self, client):
        id = client.enqueue()
        message = f"cannot delete job {id}: job is currently running or has pending requests"
        with refused(FAILED_PRECONDITION, message):
            client.delete(id)
        task = client.lease_one(id)
        with refused(FAILED_PRECONDITION, message):
            client.delete(id)
        client.succeed(task)
        assert client.status(id) == SUCCEEDED

    @pytest.mark.parametrize("make", [lambda c: c.succeeded(), failed, cancelled_while_waiting])
    def test_a_finished_job_is_gone_and_its_id_is_free(self, client, make):
        before = client.counts()
        id = make(client)
        assert client.counts() == (before[0] + 1, before[1] + 1)
        client.delete(id)
        assert client.counts() == before
        with refused(NOT_FOUND, "job not found"):
            client.job(id)
        with refused(NOT_FOUND, "job not found"):
            client.result(id)
        client.delete(id)
        assert client.counts() == before
        client.enqueue(id=id)
        job = client.job(id, attempts=True)
        assert job.status == SCHEDULED and list(job.attempts) == [], "nothing of the old job shows"
        assert client.lease_one(id).attempt_number == 1


class TestLargestKeys:
    """Every field at its bound at once, made of bytes that cost an escaping key encoding most; then a flush and a restart."""

    @pytest.fixture(scope="class")
    def own(self, start_server):
        server = start_server("--shards", 1, "--tenancy")
        with Client(server.address, tenant="\x00" * 64) as client:
            yield server, client

    @pytest.mark.parametrize("scalar", ["\x00", "\x01", "x", "ÿ", "🎈"])
    def test_they_are_stored_served_and_deleted(self, own, scalar):
        server, client = own
        size = len(scalar.encode())
        id = (uuid.uuid4().hex + scalar * 1024)
        id = id.encode()[:1024].decode(errors="ignore")
        group = scalar * 64
        metadata = {scalar * (63 - n): scalar * (65534 // size) for n in range(16)}
        client.enqueue(group, "p", id=id, metadata=metadata)
        assert dict(client.job(id).metadata) == metadata
        client.call("FlushShard", shard=client.shard)
        task = client.take(group, worker="w" * 1024)
        assert dict(task.metadata) == metadata
        client.call("Heartbeat", shard=task.shard, task_id=task.id, worker_id="w" * 1024, tenant_id=task.tenant_id)
        client.succeed(task, "r")
        assert unpacked(client.result(id).success_data) == "r"
        client.delete(id)
        with refused(NOT_FOUND, "job not found"):
            client.job(id)
        assert not [line for line in server.log() if line["level"] == "ERROR"]
