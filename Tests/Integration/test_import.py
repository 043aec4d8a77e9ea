"""ImportJobs from outside (spec/jobs.md 6.11, spec/api.md 6.15). Bounds of its fields: test_limits_bad_input.py."""

import uuid

import pytest

from support.client import (
    CANCELLED, FAILED, FAILED_PRECONDITION, NOT_FOUND, RUNNING, SCHEDULED, SUCCEEDED, Client, concurrency, floating, ids_of, new_id,
    packed, policy, rate, rate_policy, refused, unpacked,
)
from support.generated import pb
from support.siloctl import runner
from support.waiting import milliseconds
from support.web import Visitor

HOUR = 3_600_000
NIL = str(uuid.UUID(int=0))


@pytest.fixture(scope="module")
def server(audited_server):
    return audited_server


@pytest.fixture(scope="module")
def tenants(start_server):
    with Client(start_server("--tenancy", "--shards", 8).address) as client:
        yield client


def failure(number, code=None, data=None):
    """An attempt that failed; its times follow from its number."""
    return pb.ImportAttempt(
        status=pb.ATTEMPT_STATUS_FAILED, started_at_ms=number * 1000, finished_at_ms=number * 1000 + 500,
        error_code=code or f"E{number}", error_data=packed(data or f"error {number}"),
    )


def success(number, value="done"):
    return pb.ImportAttempt(
        status=pb.ATTEMPT_STATUS_SUCCEEDED, started_at_ms=number * 1000, finished_at_ms=number * 1000 + 500, result=packed(value),
    )


def cancelled(number):
    return pb.ImportAttempt(
        status=pb.ATTEMPT_STATUS_CANCELLED, started_at_ms=number * 1000, finished_at_ms=number * 1000 + 500,
    )


def failures(count):
    return [failure(n) for n in range(1, count + 1)]


def imported(client, **fields):
    """Imports one job, which must be taken; gives its id."""
    fields = {"id": new_id()} | fields
    result, = client.import_jobs(fields)
    assert (result.id, result.success, result.error) == (fields["id"], True, ""), result
    assert result.status == client.status(fields["id"], **{k: v for k, v in fields.items() if k in ("tenant", "shard")})
    return fields["id"]


def refusal(client, **fields):
    """Imports one job, which must be refused; gives the text."""
    before = client.counts()
    result, = client.import_jobs(fields)
    assert (result.id, result.success, result.status) == (fields["id"], False, FAILED), result
    assert client.counts() == before
    return result.error


def told(attempts):
    """Attempts that ended here, as whoever imports them tells of them."""
    return [
        pb.ImportAttempt(
            status=a.status, started_at_ms=a.started_at_ms, finished_at_ms=a.finished_at_ms,
            result=a.result if a.HasField("result") else None,
            error_code=a.error_code if a.HasField("error_code") else None,
            error_data=a.error_data if a.HasField("error_data") else None,
        ) for a in attempts
    ]


def seen(attempt):
    return (
        attempt.status, attempt.started_at_ms, attempt.finished_at_ms,
        attempt.result.msgpack, attempt.error_code, attempt.error_data.msgpack,
    )


class TestNew:
    def test_an_empty_list(self, client):
        assert client.import_jobs() == []

    @pytest.mark.parametrize("attempts, retries, status, number", [
        ([], None, SCHEDULED, 1),
        ([], 3, SCHEDULED, 1),
        ([success(1)], None, SUCCEEDED, None),
        ([failure(1), success(2)], None, SUCCEEDED, None),
        ([*failures(9), success(10)], 2, SUCCEEDED, None),
        ([cancelled(1)], 5, CANCELLED, None),
        ([failure(1), cancelled(2)], 5, CANCELLED, None),
        ([failure(1)], None, FAILED, None),
        ([failure(1)], 0, FAILED, None),
        ([failure(1)], 1, SCHEDULED, 2),
        (failures(2), 1, FAILED, None),
        (failures(2), 2, SCHEDULED, 3),
        (failures(3), 2, FAILED, None),
        (failures(50), 50, SCHEDULED, 51),
        (failures(51), 50, FAILED, None),
    ])
    def test_the_attempts_decide_the_state(self, client, group, attempts, retries, status, number):
        before = client.counts()
        began = milliseconds()
        fields = dict(retry_policy=policy(retries)) if retries is not None else {}
        id = imported(client, task_group=group, attempts=attempts, payload=packed("p"), **fields)
        finished = status != SCHEDULED
        assert client.counts() == (before[0] + 1, before[1] + finished)
        job = client.job(id, attempts=True)
        assert job.status == status and job.HasField("retry_policy") == (retries is not None)
        assert [seen(a) for a in job.attempts] == [seen(a) for a in attempts]
        assert [a.attempt_number for a in job.attempts] == list(range(1, len(attempts) + 1))
        assert len({uuid.UUID(a.task_id) for a in job.attempts}) == len(attempts) and {a.job_id for a in job.attempts} <= {id}
        if finished:
            assert job.status_changed_at_ms == attempts[-1].finished_at_ms and client.lease(group) == []
            result = client.result(id)
            assert (result.status, result.finished_at_ms) == (status, attempts[-1].finished_at_ms)
        else:
            assert began <= job.status_changed_at_ms <= milliseconds() and began <= job.next_attempt_starts_after_ms <= milliseconds()
            task = client.take(group)
            assert (task.job_id, task.attempt_number, task.relative_attempt_number) == (id, number, number)
            assert unpacked(task.payload) == "p" and task.is_last_attempt == (number == (retries or 0) + 1)
            client.succeed(task)

    def test_everything_of_it_is_kept(self, client, group):
        start = milliseconds() + HOUR
        fields = dict(
            id=new_id(), task_group=group, priority=7, enqueue_time_ms=123_456, start_at_ms=start, payload=packed({"a": [1]}),
            retry_policy=policy(4, 5, 6, 1.5, True), metadata={"k": "v", "": "ä"},
            limits=[concurrency("c" + group, 2), rate("r" + group, 5, 1000, retry_policy=rate_policy(1, 2, 3, 4.0)), floating("f" + group, 3)],
        )
        imported(client, **fields)
        job = client.job(fields["id"])
        assert (job.id, job.task_group, job.priority, job.payload) == (fields["id"], group, 7, fields["payload"])
        assert job.enqueue_time_ms == 123_456 and job.next_attempt_starts_after_ms == start
        assert job.retry_policy == fields["retry_policy"] and dict(job.metadata) == fields["metadata"] and list(job.limits) == fields["limits"]
        assert client.lease(group) == []

    @pytest.mark.parametrize("time", [0, -1, -2**63])
    def test_times_of_zero_or_less_are_now(self, client, group, time):
        began = milliseconds()
        job = client.job(imported(client, task_group=group, enqueue_time_ms=time, start_at_ms=time))
        for moment in (job.enqueue_time_ms, job.next_attempt_starts_after_ms):
            assert began <= moment <= milliseconds()
        assert ids_of(client.lease(group)) == [job.id]

    def test_a_start_in_the_past_is_kept_and_due(self, client, group):
        id = imported(client, task_group=group, start_at_ms=1000)
        assert client.job(id).next_attempt_starts_after_ms == 1000 and ids_of(client.lease(group)) == [id]

    def test_a_later_start_is_that_of_the_next_attempt(self, client, group):
        due = milliseconds() + 400
        id = imported(client, task_group=group, attempts=failures(1), retry_policy=policy(1), start_at_ms=due)
        assert client.lease(group) == [] and client.job(id).next_attempt_starts_after_ms == due
        task = client.take(group, seconds=10)
        assert (task.job_id, task.attempt_number) == (id, 2) and due <= milliseconds() < due + 3000

    @pytest.mark.parametrize("attempts, bad", [
        ([success(1), success(2)], 1), ([success(1), failure(2)], 1), ([cancelled(1), failure(2)], 1),
        ([failure(1), success(2), success(3)], 2), ([failure(1), cancelled(2), failure(3), success(4)], 2),
    ])
    def test_only_the_last_attempt_may_be_no_failure(self, client, attempts, bad):
        id = new_id()
        text = f"import attempt {bad} must be Failed (only the last attempt may be non-Failed)"
        assert refusal(client, id=id, attempts=attempts) == f"INVALID_ARGUMENT: {text}"
        with refused(NOT_FOUND, "job not found"):
            client.job(id)

    def test_an_attempt_that_runs_is_none(self, client):
        for attempts in ([pb.ImportAttempt()], [failure(1), pb.ImportAttempt(started_at_ms=5)]):
            assert refusal(client, id=new_id(), attempts=attempts) == "INVALID_ARGUMENT: import attempts must be terminal (not Running)"

    def test_attempts_come_back_byte_for_byte(self, client):
        every = bytes(range(256)) * 10
        attempts = [
            pb.ImportAttempt(status=2, started_at_ms=-5, finished_at_ms=-5, error_code="", error_data=pb.SerializedBytes(msgpack=every)),
            pb.ImportAttempt(status=2, started_at_ms=2**63 - 1, finished_at_ms=-2**63, error_code="日本\0 \U0001F600", error_data=pb.SerializedBytes()),
            pb.ImportAttempt(status=2, error_code="x" * 10_000),
            pb.ImportAttempt(status=2, started_at_ms=1, finished_at_ms=2, error_data=pb.SerializedBytes(msgpack=bytes(1 << 20))),
            # A result of a failure and an error of a success say nothing.
            pb.ImportAttempt(status=2, result=packed("no"), error_code="E"),
            pb.ImportAttempt(status=1, started_at_ms=9, finished_at_ms=10, result=pb.SerializedBytes(msgpack=every), error_code="no"),
        ]
        id = imported(client, attempts=attempts)
        found = client.job(id, attempts=True)
        attempts[4].ClearField("result"), attempts[5].ClearField("error_code")
        assert [seen(a) for a in found.attempts] == [seen(a) for a in attempts]
        assert all(a.HasField("error_data") for a in found.attempts[:5]) and not found.attempts[5].HasField("error_code")
        assert found.result.msgpack == every and client.result(id).success_data.msgpack == every

    def test_results_are_what_the_last_attempt_says(self, client):
        assert unpacked(client.result(imported(client, attempts=[failure(1), success(2, "value")])).success_data) == "value"
        failed = client.result(imported(client, attempts=[failure(1), failure(2, "CODE", ["why"])])).failure
        assert failed.error_code == "CODE" and unpacked(failed.error_data) == ["why"]
        result = client.result(imported(client, attempts=[failure(1), cancelled(2)]))
        assert result.cancelled.cancelled_at_ms == 2500

    def test_no_bytes_are_a_result(self, client):
        id = imported(client, attempts=[pb.ImportAttempt(status=1, finished_at_ms=7)])
        assert client.result(id).HasField("success_data") and client.job(id).HasField("result")

    @pytest.mark.parametrize("moment", [-2**63, -1, 0, 2**63 - 1])
    @pytest.mark.parametrize("make", [success, failure, cancelled])
    def test_times_at_the_ends_of_the_scale_harm_nobody(self, server, client, moment, make):
        attempt = make(1)
        attempt.started_at_ms, attempt.finished_at_ms = -moment - 1, moment
        id = imported(client, attempts=[attempt])
        assert client.job(id).status_changed_at_ms == moment == client.result(id).finished_at_ms
        assert client.explain(id).summary.startswith("It has ended")
        assert Visitor(server.operator).get(f"/job?id={id}").status == 200
        assert id in runner(server.address)("job", "get", id, "--attempts")
        if make is failure:
            client.restart(id)
            client.cancel(id)
        client.delete(id)

    def test_the_page_of_a_job_that_ended_long_before_it_began(self, server, client):
        ends = pb.ImportAttempt(status=2, started_at_ms=2**63 - 1, finished_at_ms=-2**63, error_code="E")
        id = imported(client, attempts=[ends, failure(1), ends], enqueue_time_ms=2**63 - 1)
        page = Visitor(server.operator).get(f"/job?id={id}")
        assert page.status == 200 and page.text.count(">0 ms</td>") == 2 and "lifeline" in page.text
        shown = runner(server.address)("job", "get", id, "--attempts")
        assert shown.count("never") >= 4 and client.job(id).id == id

    @pytest.mark.parametrize("start", [2**63 - 1, 2**62])
    def test_a_start_at_the_end_of_the_scale(self, client, group, start):
        id = imported(client, task_group=group, start_at_ms=start, enqueue_time_ms=start, priority=99, limits=[concurrency(group)])
        assert client.job(id).next_attempt_starts_after_ms == start and client.explain(id).obstacles[0].kind == pb.Obstacle.KIND_TIMER
        client.expedite(id)
        assert ids_of(client.lease(group)) == [id]

    def test_an_imported_cancelled_job_may_be_cancelled_once_more(self, client):
        id = imported(client, attempts=[cancelled(1)])
        client.cancel(id)
        with refused(FAILED_PRECONDITION, "job is already cancelled"):
            client.cancel(id)
        assert client.job(id).status_changed_at_ms == 1500

    def test_a_thousand_in_one_call(self, client, group):
        before = client.counts()
        jobs = [{"id": f"{group}{n:04}", "task_group": group, "attempts": failures(n % 3), "retry_policy": policy(1)} for n in range(1000)]
        results = client.import_jobs(*jobs)
        assert [r.id for r in results] == [j["id"] for j in jobs] and all(r.success for r in results)
        assert [r.status for r in results] == [(SCHEDULED, SCHEDULED, FAILED)[n % 3] for n in range(1000)]
        assert client.counts() == (before[0] + 1000, before[1] + 333)
        tasks = client.lease(group, 9999)
        assert {t.job_id: t.attempt_number for t in tasks} == {j["id"]: n % 3 + 1 for n, j in enumerate(jobs) if n % 3 < 2}


class TestLifeAfterwards:
    def test_retries_go_on_where_the_import_left_off(self, client, group):
        id = imported(client, task_group=group, attempts=failures(2), retry_policy=policy(3))
        for number in (3, 4):
            task = client.take(group)
            assert (task.attempt_number, task.relative_attempt_number, task.is_last_attempt) == (number, number, number == 4)
            client.fail(task, f"REAL{number}")
        job = client.job(id, attempts=True)
        assert job.status == FAILED and [a.error_code for a in job.attempts] == ["E1", "E2", "REAL3", "REAL4"]
        assert client.result(id).failure.error_code == "REAL4"

    def test_a_restart_goes_on_with_the_numbers(self, client, group):
        id = imported(client, task_group=group, attempts=failures(3))
        client.restart(id)
        task = client.take(group)
        assert (task.attempt_number, task.relative_attempt_number) == (4, 1)
        client.succeed(task, "now")
        assert [a.attempt_number for a in client.job(id, attempts=True).attempts] == [1, 2, 3, 4]
        assert unpacked(client.result(id).success_data) == "now"

    def test_a_cancelled_one_may_be_restarted_and_a_succeeded_one_not(self, client, group):
        id = imported(client, task_group=group, attempts=[cancelled(1)])
        client.restart(id)
        assert client.take(group).attempt_number == 2
        done = imported(client, task_group=group, attempts=[success(1)])
        with refused(FAILED_PRECONDITION, f"cannot restart job {done}: job already succeeded (status: Succeeded)"):
            client.restart(done)
        for id in (done, imported(client, attempts=failures(1))):
            with refused(FAILED_PRECONDITION, "job is already in terminal state"):
                client.cancel(id)

    def test_a_later_one_may_be_expedited_and_cancelled(self, client, group):
        fields = dict(task_group=group, attempts=failures(1), retry_policy=policy(1), start_at_ms=milliseconds() + HOUR)
        first, second = imported(client, **fields), imported(client, **fields)
        client.expedite(first)
        client.cancel(second)
        assert [(t.job_id, t.attempt_number) for t in client.lease(group, 9)] == [(first, 2)]
        result = client.result(second)
        assert result.status == CANCELLED and result.HasField("cancelled")

    def test_deleting_it_deletes_its_attempts_and_frees_its_id(self, client, group):
        before = client.counts()
        id = imported(client, task_group=group, attempts=failures(5), metadata={"a": "b"})
        client.delete(id)
        assert client.counts() == before
        assert client.enqueue(group, id=id) == id
        task = client.take(group)
        assert task.attempt_number == 1
        client.fail(task, "ONLY")
        assert [a.error_code for a in client.job(id, attempts=True).attempts] == ["ONLY"]
        client.delete(id)
        imported(client, id=id, attempts=[success(1)])
        assert len(client.job(id, attempts=True).attempts) == 1

    def test_a_worker_that_waits_is_woken(self, client, group):
        future = client.begin("LeaseTasks", task_group=group, max_tasks=5, worker_id="w", wait_ms=30_000)
        client.wait_for_worker(client.enqueue(group, start_at_ms=milliseconds() + HOUR))
        result, = client.import_jobs({"id": new_id(), "task_group": group, "attempts": failures(1), "retry_policy": policy(1)})
        assert result.success and ids_of(future.result().tasks) == [result.id]

    def test_an_old_start_gives_no_better_place(self, client, group):
        old = milliseconds() - HOUR
        first, older, urgent = (imported(client, task_group=group, start_at_ms=s, priority=p) for s, p in [(old + 10, 50), (old, 50), (old + 10, 0)])
        assert ids_of(client.lease(group, 9)) == [urgent, first, older]


def scheduled_ready(client, group):
    return imported(client, task_group=group, retry_policy=policy(9))


def scheduled_later(client, group):
    return imported(client, task_group=group, retry_policy=policy(9), start_at_ms=milliseconds() + HOUR)


def scheduled_waiting(client, group):
    client.enqueue("other " + group[-50:], limits=[concurrency("reimport" + group)])
    return imported(client, task_group=group, retry_policy=policy(9), limits=[concurrency("reimport" + group)])


def scheduled_holding(client, group):
    return imported(client, task_group=group, retry_policy=policy(9), limits=[concurrency("reimport" + group)])


def scheduled_put_off(client, group):
    client.enqueue("other " + group[-50:], limits=[rate("reimport" + group, 1, HOUR)])
    return imported(client, task_group=group, limits=[rate("reimport" + group, 1, HOUR, retry_policy=rate_policy(9, HOUR, HOUR))])


def failed(client, group):
    return imported(client, task_group=group, retry_policy=policy(0), attempts=failures(1))


def really_failed(client, group):
    id = client.enqueue(group)
    client.fail(client.lease_one(id), "REAL", "why")
    return id


def in_backoff(client, group):
    id = client.enqueue(group, retry_policy=policy(3, HOUR, HOUR))
    client.fail(client.lease_one(id), "REAL", "why")
    return id


def cancelled_by_call(client, group):
    id = imported(client, task_group=group, retry_policy=policy(9), attempts=failures(2))
    client.cancel(id)
    return id


def imported_as_cancelled(client, group):
    return imported(client, task_group=group, attempts=[failure(1), cancelled(2)])


def given_up(client, group):
    id = client.enqueue(group, retry_policy=policy(9))
    client.give_up(client.lease_one(id))
    return id


def restarted(client, group):
    id = imported(client, task_group=group, attempts=failures(2))
    client.restart(id)
    return id


PRIOR = [
    scheduled_ready, scheduled_later, scheduled_waiting, scheduled_holding, scheduled_put_off, failed, really_failed, in_backoff,
    cancelled_by_call, imported_as_cancelled, given_up, restarted,
]


class TestAgain:
    """An import of a job that is stored adds attempts to it."""

    @pytest.mark.parametrize("outcome", ["success", "failure", "cancelled", "pending"])
    @pytest.mark.parametrize("prior", PRIOR, ids=lambda f: f.__name__)
    def test_from_every_state_to_every_state(self, client, group, prior, outcome):
        id = prior(client, group)
        before, was = client.counts(), client.job(id, attempts=True)
        existing = told(was.attempts)
        new = {"success": success, "cancelled": cancelled}.get(outcome, failure)(77)
        retries = len(existing) + 1 if outcome == "pending" else 0
        began = milliseconds()
        imported(client, id=id, task_group="ignored", attempts=[*existing, new], retry_policy=policy(retries))
        job = client.job(id, attempts=True)
        status = {"success": SUCCEEDED, "failure": FAILED, "cancelled": CANCELLED, "pending": SCHEDULED}[outcome]
        assert job.status == status and [seen(a) for a in job.attempts] == [*map(seen, was.attempts), seen(new)]
        assert [a.task_id for a in job.attempts[:-1]] == [a.task_id for a in was.attempts], "what is stored stays"
        finished = (was.status in (FAILED, CANCELLED), status != SCHEDULED)
        assert client.counts() == (before[0], before[1] - finished[0] + finished[1])
        if outcome == "pending":
            assert job.next_attempt_starts_after_ms >= began
        else:
            assert job.status_changed_at_ms == client.result(id).finished_at_ms == 77_500
            assert client.lease(group, 9) == [], "nothing of it is left to lease"
        if outcome == "pending" and not was.limits:
            task = client.take(group)
            assert (task.job_id, task.attempt_number, task.relative_attempt_number) == (id, len(job.attempts) + 1, len(job.attempts) + 1)
            assert not client.heartbeat(task).cancelled, "a cancellation from before is forgotten"
            assert client.lease(group, 9) == [], "there is one attempt"
            client.succeed(task)

    def test_a_succeeded_job_is_left_alone(self, client, group):
        for id in (imported(client, attempts=[success(1)]), client.succeeded(group)):
            existing = told(client.job(id, attempts=True).attempts)
            for attempts in ([], existing, [*existing, success(9)]):
                assert refusal(client, id=id, attempts=attempts) == (
                    f"FAILED_PRECONDITION: cannot reimport job {id}: job already succeeded (status: Succeeded)")

    @pytest.mark.parametrize("attempts, reason", [
        ([], "reimport has 0 attempts but job has 2 existing attempts"),
        (failures(1), "reimport has 1 attempts but job has 2 existing attempts"),
        (failures(2), "reimport must include at least one new attempt"),
        ([failure(1), failure(3), failure(3)], "existing attempt 2 does not match reimport data"),
        ([failure(2), failure(1), failure(3)], "existing attempt 1 does not match reimport data"),
        ([success(1), failure(2), failure(3)], "existing attempt 1 does not match reimport data"),
        ([failure(1), cancelled(2), failure(3)], "existing attempt 2 does not match reimport data"),
        ([failure(1, code="E"), failure(2), failure(3)], "existing attempt 1 does not match reimport data"),
        ([failure(1, data="?"), failure(2), failure(3)], "existing attempt 1 does not match reimport data"),
        # Before "at least one new".
        ([failure(1), failure(2, "E")], "existing attempt 2 does not match reimport data"),
    ])
    @pytest.mark.parametrize("status", [FAILED, SCHEDULED])
    def test_what_is_stored_must_be_told_the_same(self, client, status, attempts, reason):
        id = imported(client, attempts=failures(2), retry_policy=policy(5 if status == SCHEDULED else 0))
        before = client.job(id, attempts=True)
        name = "Scheduled" if status == SCHEDULED else "Failed"
        assert refusal(client, id=id, attempts=attempts, retry_policy=policy(9)) == (
            f"FAILED_PRECONDITION: cannot reimport job {id}: {reason} (status: {name})")
        assert client.job(id, attempts=True) == before, "a refusal changes nothing"

    @pytest.mark.parametrize("field, value", [
        ("started_at_ms", 1), ("finished_at_ms", 1), ("error_code", ""), ("error_data", packed(0)), ("error_data", pb.SerializedBytes()),
    ])
    def test_every_field_counts(self, client, field, value):
        id = imported(client, attempts=failures(1))
        other = failure(1)
        if hasattr(value, "CopyFrom"):
            getattr(other, field).CopyFrom(value)
        else:
            setattr(other, field, value)
        assert "existing attempt 1 does not match" in refusal(client, id=id, attempts=[other, failure(2)])

    def test_a_result_counts_too(self, client):
        id = imported(client, attempts=[cancelled(1)])
        assert "existing attempt 1 does not match" in refusal(client, id=id, attempts=[success(1), failure(2)])
        imported(client, id=id, attempts=[cancelled(1), success(2)])
        assert client.status(id) == SUCCEEDED

    def test_the_new_attempts_obey_the_order(self, client):
        id = imported(client, attempts=[cancelled(1)])
        text = "import attempt {} must be Failed (only the last attempt may be non-Failed)"
        assert text.format(2) in refusal(client, id=id, attempts=[cancelled(1), success(2), failure(3)])
        assert text.format(3) in refusal(client, id=id, attempts=[cancelled(1), failure(2), cancelled(3), failure(4)])
        imported(client, id=id, attempts=[cancelled(1), failure(2), cancelled(3)])

    def test_only_the_retry_policy_is_replaced(self, client, group):
        start = milliseconds() + HOUR
        id = imported(
            client, task_group=group, priority=3, enqueue_time_ms=5, payload=packed("old"), metadata={"a": "old"},
            limits=[concurrency(group)], attempts=failures(1), retry_policy=policy(1), start_at_ms=start,
        )
        imported(
            client, id=id, task_group="new", priority=9, enqueue_time_ms=6, payload=packed("new"), metadata={"b": "new"},
            limits=[rate(group, 1, 1)], attempts=failures(2), retry_policy=policy(7, 1, 2, 3.0), start_at_ms=start + 5,
        )
        job = client.job(id)
        assert (job.task_group, job.priority, job.enqueue_time_ms, unpacked(job.payload)) == (group, 3, 5, "old")
        assert dict(job.metadata) == {"a": "old"} and list(job.limits) == [concurrency(group)]
        assert job.retry_policy == policy(7, 1, 2, 3.0) and job.next_attempt_starts_after_ms == start + 5
        imported(client, id=id, attempts=failures(3))
        assert not client.job(id).HasField("retry_policy") and client.status(id) == FAILED

    def test_a_job_that_ran_here_goes_on_elsewhere_and_comes_back(self, client, group):
        id = client.enqueue(group, retry_policy=policy(1))
        client.fail(client.take(group), "ONE"), client.fail(client.take(group), "TWO")
        attempts = told(client.job(id, attempts=True).attempts)
        imported(client, id=id, attempts=[*attempts, failure(3)], retry_policy=policy(3))
        task = client.take(group)
        assert task.attempt_number == 4 and task.is_last_attempt
        client.succeed(task, "at last")
        assert [a.error_code for a in client.job(id, attempts=True).attempts] == ["ONE", "TWO", "E3", ""]

    def test_a_cancelled_job_may_be_cancelled_anew(self, client, group):
        id = cancelled_by_call(client, group)
        imported(client, id=id, attempts=failures(3), retry_policy=policy(9))
        client.cancel(id)
        assert client.status(id) == CANCELLED
        with refused(FAILED_PRECONDITION, "job is already cancelled"):
            client.cancel(id)

    def test_twice_in_one_call(self, client):
        id = new_id()
        first, second, third = client.import_jobs({"id": id, "attempts": failures(1)}, {"id": id, "attempts": failures(1)}, {"id": id, "attempts": failures(2)})
        assert first.success and third.success and not second.success and "at least one new attempt" in second.error
        assert len(client.job(id, attempts=True).attempts) == 2


class TestRunning:
    TEXT = "cannot reimport job {}: job is currently running (status: Running)"

    def running(self, client, group, count=1):
        ids = [client.enqueue(group, retry_policy=policy(3)) for _ in range(count)]
        tasks = {t.job_id: t for t in client.lease(group, count)}
        return ids, [tasks[id] for id in ids]

    def test_alone_it_fails_the_call(self, client, group):
        (id,), (task,) = self.running(client, group)
        for attempts in ([], failures(1), [success(1)]):
            with refused(FAILED_PRECONDITION, self.TEXT.format(id)):
                client.import_jobs({"id": id, "attempts": attempts})
        assert client.status(id) == RUNNING and not client.heartbeat(task).cancelled
        client.succeed(task)
        assert len(client.job(id, attempts=True).attempts) == 1

    def test_several_alone_name_the_first(self, client, group):
        ids, _ = self.running(client, group, 3)
        with refused(FAILED_PRECONDITION, self.TEXT.format(ids[1])):
            client.import_jobs(*({"id": id} for id in (ids[1], ids[0], ids[2])))

    @pytest.mark.parametrize("others", [[{}], [{}, {}], [{"priority": 100}]], ids=["one good", "two good", "one bad"])
    def test_beside_others_it_stops_nobody(self, client, group, others):
        """Upstream fails the whole call, of which it may have done a part."""
        (id,), (task,) = self.running(client, group)
        jobs = [{"id": new_id()} | other for other in others]
        *results, last = client.import_jobs(*jobs, {"id": id, "attempts": failures(1)})
        assert (last.id, last.success, last.status, last.error) == (id, False, FAILED, f"FAILED_PRECONDITION: {self.TEXT.format(id)}")
        assert [r.success for r in results] == ["priority" not in job for job in jobs]
        assert client.status(id) == RUNNING
        client.succeed(task)

    def test_a_job_leased_to_a_worker_and_imported_after_its_end(self, client, group):
        (id,), (task,) = self.running(client, group)
        client.fail(task, "E")
        imported(client, id=id, attempts=[*told(client.job(id, attempts=True).attempts), success(2)])
        assert client.status(id) == SUCCEEDED and client.lease(group) == []


class TestShardsAndTenants:
    def test_results_come_in_the_order_of_the_entries(self, tenants):
        names = [f"tenant-{n}" for n in range(40)]
        assert len({tenants.shard_of(name) for name in names}) == 8
        jobs = [{"id": f"job-{n}", "tenant": name, "attempts": [success(1, n)] if n % 2 else []} for n, name in enumerate(names)]
        results = tenants.import_jobs(*jobs)
        assert [(r.id, r.success, r.status) for r in results] == [(j["id"], True, SUCCEEDED if j["attempts"] else SCHEDULED) for j in jobs]
        for n, name in enumerate(names):
            found = tenants.job(f"job-{n}", tenant=name, attempts=True)
            assert [unpacked(a.result) for a in found.attempts] == ([n] if n % 2 else [])
            with refused(NOT_FOUND, "job not found"):
                tenants.job(f"job-{n}", tenant=name + "-other")

    def test_each_entry_is_refused_on_its_own(self, tenants):
        before = tenants.counts()
        own, other = tenants.shard_of("a"), next(s.shard_id for s in tenants.shards() if s.shard_id != tenants.shard_of("a"))
        prefix = new_id()
        entries = [
            (dict(tenant="a"), None),
            (dict(tenant="a", shard="nonsense"), "INVALID_ARGUMENT: invalid shard ID: nonsense"),
            (dict(tenant="a", shard=""), "INVALID_ARGUMENT: invalid shard ID: "),
            (dict(tenant="a", shard=NIL), "NOT_FOUND: shard not found"),
            (dict(tenant="a", shard=other), "FAILED_PRECONDITION: tenant 'a' is not within shard"),
            (dict(shard=own), "INVALID_ARGUMENT: tenant id required"),
            (dict(tenant="", shard=own), "INVALID_ARGUMENT: tenant id required"),
            (dict(tenant="x" * 65, shard=own), "INVALID_ARGUMENT: invalid tenant id"),
            (dict(tenant="b"), None),
            (dict(tenant="b", priority=100), "INVALID_ARGUMENT: priority must be"),
            (dict(tenant="b", shard=other if tenants.shard_of("b") != other else own), "FAILED_PRECONDITION: tenant 'b'"),
        ]
        results = tenants.import_jobs(*({"id": f"{prefix}-{n}"} | fields for n, (fields, _) in enumerate(entries)))
        assert [r.id for r in results] == [f"{prefix}-{n}" for n in range(len(entries))]
        for result, (_, text) in zip(results, entries, strict=True):
            assert result.success == (text is None) and result.error.startswith(text or ""), result
            assert result.status == (SCHEDULED if text is None else FAILED)
        assert tenants.counts() == (before[0] + 2, before[1])

    def test_all_refused_is_no_error_of_the_call(self, tenants):
        results = tenants.import_jobs({"id": "", "tenant": "a"}, {"id": "x", "tenant": "a", "shard": NIL})
        assert [r.success for r in results] == [False, False]

    def test_running_jobs_of_several_tenants(self, tenants, group):
        names = ["a", "b", "c"]
        for name in names:
            tenants.enqueue(group, id=group, tenant=name)
            tenants.lease_one(group, tenant=name)
        entries = [{"id": group, "tenant": name, "attempts": [success(1)]} for name in names]
        with refused(FAILED_PRECONDITION, TestRunning.TEXT.format(group)):
            tenants.import_jobs(*entries)
        results = tenants.import_jobs(*entries, {"id": group, "tenant": "d"})
        assert [r.success for r in results] == [False, False, False, True]

    def test_the_same_id_of_two_tenants_is_two_jobs(self, tenants):
        id = new_id()
        first, second = tenants.import_jobs({"id": id, "tenant": "a", "attempts": failures(1)}, {"id": id, "tenant": "b", "attempts": [success(1)]})
        assert (first.status, second.status) == (FAILED, SUCCEEDED)

    def test_without_tenancy_a_tenant_is_refused(self, client):
        good, bad = client.import_jobs({"id": new_id()}, {"id": new_id(), "tenant": "a", "shard": client.shard})
        assert good.success and bad.error == (
            "FAILED_PRECONDITION: tenant must not be provided when tenancy is disabled on the server")


class TestLimits:
    def test_an_imported_job_obeys_them(self, client, group):
        ids = [imported(client, task_group=group, limits=[concurrency(group)], start_at_ms=n + 1) for n in range(3)]
        for id in ids:
            task = client.take(group)
            assert task.job_id == id and client.lease(group, 9) == []
            client.succeed(task)

    def test_so_does_the_pending_attempt_of_one_with_a_past(self, client, group):
        client.enqueue(group, limits=[concurrency(group), rate(group, 5, HOUR)])
        held = client.take(group)
        id = imported(client, task_group=group, limits=[concurrency(group), rate(group, 5, HOUR)], attempts=failures(1), retry_policy=policy(1))
        assert client.lease(group) == [] and client.explain(id).obstacles[0].key == group
        client.succeed(held)
        task = client.take(group)
        assert (task.job_id, task.attempt_number) == (id, 2)

    def test_finished_and_later_ones_hold_nothing(self, client, group):
        limits = [concurrency(group), rate(group, 1, HOUR), floating(group + "f")]
        imported(client, task_group=group, limits=limits, attempts=[success(1)])
        imported(client, task_group=group, limits=limits, attempts=failures(1))
        imported(client, task_group=group, limits=limits, start_at_ms=milliseconds() + HOUR)
        id = client.enqueue(group, limits=limits)
        assert ids_of(client.lease(group, 9)) == [id]

    def test_an_import_that_ends_a_ready_job_frees_its_slot(self, client, group):
        first, second = (imported(client, task_group=group, limits=[concurrency(group)], start_at_ms=n) for n in (1, 2))
        imported(client, id=first, attempts=[success(1)])
        assert ids_of(client.lease(group, 9)) == [second]

    def test_an_import_that_ends_a_waiting_job_leaves_the_holder_alone(self, client, group):
        first, second, third = (imported(client, task_group=group, limits=[concurrency(group)], start_at_ms=n) for n in (1, 2, 3))
        task = client.take(group)
        imported(client, id=second, attempts=[success(1)])
        assert client.lease(group, 9) == []
        client.succeed(task)
        assert ids_of(client.lease(group, 9)) == [third] and client.status(first) == SUCCEEDED

    def test_a_holder_that_is_imported_again_and_goes_on_holds_one_slot(self, client, group):
        first, second = (
            imported(client, task_group=group, limits=[concurrency(group)], retry_policy=policy(9), start_at_ms=n) for n in (1, 2)
        )
        imported(client, id=first, attempts=failures(1), retry_policy=policy(9), start_at_ms=1)
        tasks = client.lease(group, 9)
        assert len(tasks) == 1 and client.lease(group, 9) == []
        client.succeed(tasks[0])
        rest = client.lease(group, 9)
        assert len(rest) == 1 and {tasks[0].job_id, rest[0].job_id} == {first, second}

    def test_a_job_put_off_by_a_rate_limit_may_be_imported_again(self, client, group):
        id = scheduled_put_off(client, group)
        imported(client, id=id, attempts=[failure(1), success(2)])
        assert client.status(id) == SUCCEEDED and client.explain(id).summary.startswith("It has ended")


class TestDurability:
    @pytest.mark.parametrize("way", ["kill", "stop"])
    def test_what_was_imported_survives(self, new_server, way):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            ids = [
                imported(client, attempts=attempts, retry_policy=policy(2), task_group="g", limits=[concurrency("k", 1)])
                for attempts in ([], failures(1), failures(3), [failure(1), success(2)], [cancelled(1)])
            ]
            again = imported(client, attempts=failures(1))
            imported(client, id=again, attempts=[failure(1), success(2)])
            before = [client.job(id, attempts=True) for id in [*ids, again]]
            counts = client.counts()
        server.kill() if way == "kill" else server.stop()
        server.start()
        with Client(server.address) as client:
            assert [client.job(id, attempts=True) for id in [*ids, again]] == before and client.counts() == counts == (6, 4)
            for id, number in zip(ids, [1, 2]):
                task = client.take("g")
                assert (task.job_id, task.attempt_number) == (id, number) and client.lease("g", 9) == []
                client.succeed(task)
