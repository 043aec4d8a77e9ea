"""Bounds of fields and of answers (docs/bounds.md): what is past one is refused by name and writes nothing; what the bounds let in can
always be read. Limits and imports have tests of their own: test_limits_bad_input.py, test_import.py."""

import time

import grpc
import pytest

from support.client import (
    FAILED, INVALID_ARGUMENT, MESSAGE_MAX, NOT_FOUND, OUT_OF_RANGE, RUNNING, SUCCEEDED, Client, concurrency, floating, new_id, policy,
    refused,
)
from support.generated import pb

MIB = 1 << 20
PAYLOAD_MAX = 120 * MIB
HUGE = 90 * MIB
#: One text for Unicode and for Swift, two for everybody else.
COMPOSED, DECOMPOSED = "\u00e9", "e\u0301"


def raw(size, fill=b"\0"):
    return pb.SerializedBytes(msgpack=fill * size)


#: Calls with one field past its bound, and the message.
TEXTS = [
    ("LeaseTasks", dict(task_group="g" * 65, max_tasks=1), "task_group too long (must be <= 64 chars)"),
    ("LeaseTasks", dict(task_group="日" * 65, max_tasks=1), "task_group too long (must be <= 64 chars)"),
    ("LeaseTasks", dict(task_group="g" * HUGE, max_tasks=1), "task_group too long (must be <= 64 chars)"),
    ("LeaseTasks", dict(task_group="g", worker_id="w" * 1025, max_tasks=1), "worker_id too long (must be <= 1024 bytes)"),
    ("LeaseTask", dict(id="x", worker_id="w" * 1025), "worker_id too long (must be <= 1024 bytes)"),
    ("LeaseTask", dict(id="x" * 1025, worker_id="w"), "id too long (must be <= 1024 bytes)"),
    ("Heartbeat", dict(task_id="x", worker_id="w" * 1025), "worker_id too long (must be <= 1024 bytes)"),
    ("ReportOutcome", dict(task_id="x", failure=pb.Failure(code="c" * 16_385)), "failure.code too long (must be <= 16384 bytes)"),
    ("ReportOutcome", dict(task_id="x", failure=pb.Failure(data=raw(PAYLOAD_MAX + 1))), f"failure.data too large (must be <= {PAYLOAD_MAX} bytes)"),
    ("ReportOutcome", dict(task_id="x", success=raw(PAYLOAD_MAX + 1)), f"success too large (must be <= {PAYLOAD_MAX} bytes)"),
    ("ReportRefreshOutcome", dict(task_id="x", failure=pb.RefreshFailure(code="c" * 16_385)), "failure.code too long (must be <= 16384 bytes)"),
    ("ReportRefreshOutcome", dict(task_id="x", failure=pb.RefreshFailure(message="m" * 65_537)), "failure.message too long (must be <= 65536 bytes)"),
    ("Enqueue", dict(task_group="g" * HUGE), "task_group too long (must be <= 64 chars)"),
    ("Enqueue", dict(task_group="g", payload=raw(PAYLOAD_MAX + 1)), f"payload too large (must be <= {PAYLOAD_MAX} bytes)"),
    ("ExplainJob", dict(id="x" * 1025), "id too long (must be <= 1024 bytes)"),
    ("Pause", dict(target=pb.PauseTarget(task_group="g"), reason="r" * 1025), "reason too long (must be <= 1024 bytes)"),
    ("Pause", dict(target=pb.PauseTarget(task_group="g" * 65)), "target.task_group too long (must be <= 64 chars)"),
    ("Resume", dict(target=pb.PauseTarget(limit_key="k" * 1025)), "target.limit_key too long (must be <= 1024 bytes)"),
]


class TestTexts:
    @pytest.mark.parametrize("method, fields, message", TEXTS, ids=lambda v: v[:40] if isinstance(v, str) else "")
    def test_what_is_past_its_bound_is_refused_by_name(self, client, method, fields, message):
        before = client.counts()
        with refused(INVALID_ARGUMENT, message):
            client.call(method, shard=client.shard, **fields)
        assert client.counts() == before

    @pytest.mark.parametrize("method", ["Heartbeat", "ReportOutcome", "ReportRefreshOutcome"])
    def test_a_workers_tenant_too(self, start_server, method):
        with Client(start_server("--tenancy", "--shards", 1).address) as tenants:
            with refused(INVALID_ARGUMENT, "invalid tenant id"):
                tenants.call(method, shard=tenants.shard_of("a"), task_id="x", tenant_id="t" * 65)

    def test_quoted_texts_are_cut(self, client):
        with refused(INVALID_ARGUMENT, containing="invalid shard ID: xxx") as caught:
            client.call("GetJob", shard="x" * HUGE, id="x")
        assert len(caught.value.details()) < 1100
        results = client.import_jobs(*({"id": f"n{n}", "shard": "y" * 100_000} for n in range(20)))
        assert all(r.error.startswith("INVALID_ARGUMENT: invalid shard ID: yyy") and len(r.error) < 1100 for r in results)

    def test_outcomes_of_a_batch_are_refused_each_on_its_own(self, client, group):
        for n in range(3):
            client.enqueue(group, id=group + str(n))
        tasks = client.lease(group, 3)
        outcomes = [pb.ReportOutcomeRequest(task_id=t.id, success=raw(1)) for t in tasks]
        outcomes[1] = pb.ReportOutcomeRequest(task_id=tasks[1].id, failure=pb.Failure(code="c" * 16_385))
        results = client.call("ReportOutcomes", shard=client.shard, outcomes=outcomes).results
        assert [(r.task_id, r.code) for r in results] == [(t.id, n) for t, n in zip(tasks, (0, INVALID_ARGUMENT.value[0], 0))]
        assert results[1].error == "failure.code too long (must be <= 16384 bytes)"
        assert [client.status(t.job_id) for t in tasks] == [SUCCEEDED, RUNNING, SUCCEEDED]
        client.succeed(tasks[1])

    def test_very_many_messages_in_a_small_request_are_refused(self, client):
        # Two bytes each.
        body = pb.ImportJobsRequest(jobs=[pb.ImportJobRequest()] * 400_000).SerializeToString()
        call = client.channel.unary_unary("/silo.v1.Silo/ImportJobs")
        with refused(INVALID_ARGUMENT, containing="there are too many nested messages"):
            call(body, timeout=60)


class TestLargeJobs:
    """Payload, result and errors fit into an answer each; all together are read in parts."""

    @pytest.fixture(scope="class")
    def client(self, start_server):
        """Of a server that nobody else waits for."""
        with Client(start_server("--shards", 1).address) as client:
            yield client

    @pytest.fixture(scope="class")
    def large(self, client):
        """A job with a payload of 80 MiB, two failures of 50 MiB, and a result of 70 MiB."""
        id = client.enqueue("large", raw(80 * MIB, b"p"), id=new_id(), retry_policy=policy(5), metadata={"k": "v"}, timeout=120)
        for n in range(2):
            task = client.lease_one(id, timeout=120)
            failure = pb.Failure(code=f"E{n}", data=raw(50 * MIB, b"%d" % n))
            with client.holding(task):
                client.call("ReportOutcome", shard=task.shard, task_id=task.id, failure=failure, timeout=120)
        task = client.lease_one(id, timeout=120)
        with client.holding(task):
            client.call("ReportOutcome", shard=task.shard, task_id=task.id, success=raw(70 * MIB, b"r"), timeout=120)
        return id

    def get(self, client, id, **fields):
        return client.call("GetJob", shard=client.shard, id=id, timeout=120, **fields)

    def test_all_of_it_is_refused_and_the_message_says_how_to_read_it(self, client, large):
        for fields in (dict(), dict(include_attempts=True), dict(include_attempts=True, omit_payload=True, omit_result=True)):
            with refused(OUT_OF_RANGE, containing="set answer_bytes_max, then ask again with omit_payload"):
                self.get(client, large, **fields)

    def test_its_result_is_read_by_itself(self, client, large):
        assert client.result(large).success_data.msgpack == b"r" * (70 * MIB)

    def test_what_is_left_out_is_said(self, client, large):
        job = self.get(client, large, omit_payload=True)
        assert job.payload_omitted and not job.result_omitted and not job.HasField("payload") and len(job.result.msgpack) == 70 * MIB
        job = self.get(client, large, omit_result=True)
        assert not job.payload_omitted and job.result_omitted and not job.HasField("result") and len(job.payload.msgpack) == 80 * MIB
        job = self.get(client, large, omit_payload=True, omit_result=True)
        assert (job.id, job.status, dict(job.metadata), job.task_group) == (large, SUCCEEDED, {"k": "v"}, "large")
        assert not job.attempts and not job.HasField("next_attempt")
        last = self.get(client, large, omit_payload=True, omit_result=True, include_attempts=True, attempts_from=3)
        assert [a.attempt_number for a in last.attempts] == [3] and not last.HasField("next_attempt")

    @pytest.mark.parametrize("most", [1, 60 * MIB, 100 * MIB, 130 * MIB, 2**64 - 1])
    def test_it_is_read_in_parts(self, client, large, most):
        job = self.get(client, large, include_attempts=True, answer_bytes_max=most)
        parts = [job]
        attempts = list(job.attempts)
        while parts[-1].HasField("next_attempt"):
            number = parts[-1].next_attempt
            assert number == len(attempts) + 1
            parts.append(self.get(
                client, large, include_attempts=True, answer_bytes_max=most, omit_payload=True, omit_result=True, attempts_from=number,
            ))
            attempts += parts[-1].attempts
            assert len(parts) < 9
        assert [(a.attempt_number, a.error_code) for a in attempts] == [(1, "E0"), (2, "E1"), (3, "")]
        assert [a.error_data.msgpack for a in attempts[:2]] == [b"0" * (50 * MIB), b"1" * (50 * MIB)]
        assert attempts[2].result.msgpack == b"r" * (70 * MIB)
        for part in parts:
            assert part.ByteSize() <= max(min(most, MESSAGE_MAX), 71 * MIB)
            large_ones = [len(part.payload.msgpack), len(part.result.msgpack), *(a.ByteSize() for a in part.attempts)]
            assert part.ByteSize() <= most or sum(size > MIB for size in large_ones) == 1
        assert job.payload_omitted == (most < 80 * MIB) and job.result_omitted == (most < 70 * MIB or most > 80 * MIB)

    def test_the_last_attempts_come_first_where_not_all_have_room(self, client, group):
        id = client.enqueue(group, "p", retry_policy=policy(9))
        for number in range(6):
            client.fail(client.lease_one(id), f"E{number}", "x" * 1000)
        def numbers(**fields):
            job = self.get(client, id, include_attempts=True, **fields)
            assert not job.HasField("next_attempt")
            return [attempt.attempt_number for attempt in job.attempts]
        assert numbers(attempts_last=2) == [5, 6] and numbers(attempts_last=99) == [1, 2, 3, 4, 5, 6]
        assert numbers(attempts_before=3) == [1, 2] and numbers(attempts_from=2, attempts_before=5, attempts_last=2) == [3, 4]
        assert numbers(attempts_before=1, attempts_last=2) == [] and numbers(attempts_from=9) == []
        assert numbers(attempts_last=9, answer_bytes_max=3000) == [5, 6]
        client.take(group)
        assert numbers(attempts_last=2) == [6, 7]

    def test_a_small_job_is_whole_however_it_is_read(self, client, group):
        id = client.enqueue(group, "p", retry_policy=policy(3))
        for _ in range(3):
            client.fail(client.lease_one(id))
        client.succeed(client.lease_one(id), "r")
        whole = client.job(id, attempts=True)
        assert self.get(client, id, include_attempts=True, answer_bytes_max=MIB) == whole
        assert not (whole.payload_omitted or whole.result_omitted or whole.HasField("next_attempt"))

    def test_the_largest_payload_and_result_are_taken_and_read(self, client, group):
        id = client.enqueue(group, raw(PAYLOAD_MAX), metadata={str(n): "v" * 65_534 for n in range(16)}, timeout=120)
        task = client.lease_one(id, timeout=120)
        with client.holding(task):
            client.call("ReportOutcome", shard=task.shard, task_id=task.id, success=raw(PAYLOAD_MAX), timeout=120)
        assert len(client.result(id, timeout=120).success_data.msgpack) == PAYLOAD_MAX
        assert len(self.get(client, id, omit_result=True).payload.msgpack) == PAYLOAD_MAX
        assert len(self.get(client, id, omit_payload=True).result.msgpack) == PAYLOAD_MAX
        client.delete(id)


class TestManyAttempts:
    COUNT = 100_000

    def attempts(self, count):
        return [pb.ImportAttempt(status=2, started_at_ms=n, finished_at_ms=n + 1, error_code="E") for n in range(count)]

    def test_a_job_with_very_many_is_taken_added_to_read_and_deleted(self, client, group):
        id, other = new_id(), client.enqueue(group)
        held = client.take(group)
        fields = dict(id=id, shard=client.shard, task_group=group)
        result, = client.import_jobs(fields | {"attempts": self.attempts(self.COUNT)}, timeout=120)
        assert (result.success, result.status) == (True, FAILED)
        result, = client.import_jobs(fields | {"attempts": self.attempts(self.COUNT + 1)}, timeout=120)
        assert (result.success, result.status) == (True, FAILED), result.error
        job = client.job(id, attempts=True, timeout=120)
        assert [a.attempt_number for a in job.attempts] == list(range(1, self.COUNT + 2))

        numbers, start = [], 1
        while start:
            part = client.call(
                "GetJob", shard=client.shard, id=id, include_attempts=True, answer_bytes_max=4 * MIB, attempts_from=start, timeout=120,
            )
            assert part.ByteSize() <= 4 * MIB
            numbers += [a.attempt_number for a in part.attempts]
            start = part.next_attempt
        assert numbers == list(range(1, self.COUNT + 2))

        client.delete(id, timeout=120)
        with refused(NOT_FOUND, "job not found"):
            client.job(id)
        # Nothing of it is left for the next of that name.
        client.enqueue(group, id=id)
        assert not client.job(id, attempts=True).attempts
        client.heartbeat(held)
        client.succeed(held)
        assert client.status(other) == SUCCEEDED


class TestManyJobs:
    def test_more_than_any_batch_are_imported_and_answered_one_by_one(self, client, group):
        count, before = 25_000, client.counts()
        jobs = [{"id": f"{group}{n:06}", "task_group": group, "shard": client.shard} for n in range(count)]
        jobs[20_001]["priority"] = 100
        jobs[3] = jobs[2]
        results = client.import_jobs(*jobs, timeout=120)
        assert [r.id for r in results] == [j["id"] for j in jobs]
        refusals = {n: r.error for n, r in enumerate(results) if not r.success}
        assert refusals == {
            3: f"FAILED_PRECONDITION: cannot reimport job {jobs[2]['id']}: reimport must include at least one new attempt (status: Scheduled)",
            20_001: "INVALID_ARGUMENT: priority must be between 0 and 99",
        }
        assert client.counts() == (before[0] + count - 2, before[1])

    def test_other_calls_are_served_meanwhile(self, client, group):
        jobs = [{"id": f"{group}{n:06}", "task_group": "elsewhere", "shard": client.shard} for n in range(100_000)]
        future = client.begin("ImportJobs", jobs=[pb.ImportJobRequest(**job) for job in jobs], timeout=120)
        slowest, served = 0, 0
        while not future.done():
            begun = time.monotonic()
            client.succeeded(group)
            slowest, served = max(slowest, time.monotonic() - begun), served + 1
        assert all(r.success for r in future.result().results) and served > 3 and slowest < 5

    @pytest.mark.parametrize("method, field, entry", [
        ("EnqueueBatch", "jobs", pb.EnqueueRequest(task_group="g")), ("ReportOutcomes", "outcomes", pb.ReportOutcomeRequest(task_id="x")),
    ])
    def test_what_becomes_durable_in_one_write_has_a_bound(self, client, method, field, entry):
        before = client.counts()
        with refused(INVALID_ARGUMENT, f"{field} has too many entries (max 10000)"):
            client.call(method, shard=client.shard, **{field: [entry] * 10_001})
        assert client.counts() == before


class TestNamesAreBytes:
    """What Unicode holds equal is not the same name: nothing is merged."""

    METADATA = {COMPOSED: "one", DECOMPOSED: "two", "A\u030a": "three", "\u00c5": "four", "\u212b": "five"}

    def test_metadata_of_jobs(self, client, group):
        id = client.enqueue(group, metadata=self.METADATA, limits=[floating(group, metadata=self.METADATA)])
        assert dict(client.job(id).metadata) == self.METADATA
        assert dict(client.job(id).limits[0].floating_concurrency.metadata) == self.METADATA
        # With one in line before it, so that the limit is refreshed.
        client.enqueue(group, limits=[floating(group)])
        (task,), (refresh,) = client.lease_with_refreshes(group)
        assert dict(task.metadata) == dict(refresh.metadata) == self.METADATA
        client.succeed(task)
        client.delete(id)

    def test_metadata_of_imports(self, client):
        id = new_id()
        assert client.import_jobs({"id": id, "metadata": self.METADATA})[0].success
        assert dict(client.job(id).metadata) == self.METADATA

    def test_they_count_against_the_bound(self, client):
        entries = {str(n): "" for n in range(15)} | {COMPOSED: "", DECOMPOSED: ""}
        with refused(INVALID_ARGUMENT, "metadata has too many entries (max 16)"):
            client.enqueue(metadata=entries)

    def test_ids_groups_and_keys(self, client, group):
        client.enqueue(group + COMPOSED, id=group + COMPOSED, limits=[concurrency(group + COMPOSED)])
        client.enqueue(group + DECOMPOSED, id=group + DECOMPOSED, limits=[concurrency(group + DECOMPOSED)])
        for name in (COMPOSED, DECOMPOSED):
            task, = client.lease(group + name, 9)
            assert task.job_id == group + name
            # Another worker, whatever Unicode says.
            other = DECOMPOSED if name == COMPOSED else COMPOSED
            held = client.lease_one(client.enqueue(group), worker=name)
            with refused(grpc.StatusCode.FAILED_PRECONDITION, "lease owner mismatch"):
                client.heartbeat(held, worker=other)
            client.heartbeat(held, worker=name)
            client.succeed(held), client.succeed(task)

    def test_an_import_tells_errors_apart(self, client):
        id = new_id()
        attempts = [pb.ImportAttempt(status=2, error_code=COMPOSED), pb.ImportAttempt(status=2, error_code="E")]
        assert client.import_jobs({"id": id, "attempts": attempts[:1]})[0].success
        attempts[0].error_code = DECOMPOSED
        assert "existing attempt 1 does not match reimport data" in client.import_jobs({"id": id, "attempts": attempts})[0].error
        assert client.status(id) == FAILED
