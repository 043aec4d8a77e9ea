"""Leases, heartbeats, outcomes, waiting for work, batches, and the order in which tasks come (spec/api.md 6.10 to 6.13, 8)."""

import grpc
import threading
import time
import uuid

import pytest

from support.client import (
    CANCELLED, FAILED, FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, RUNNING, SUCCEEDED, Client, packed, policy, refused,
    unpacked,
)
from support.generated import pb
from support.waiting import milliseconds, until


@pytest.fixture(scope="module")
def tenants(start_server):
    """A client of a server with tenancy and one shard."""
    with Client(start_server("--tenancy", "--shards", 1).address) as client:
        yield client


@pytest.fixture(scope="module")
def many_shards(start_server):
    with Client(start_server("--tenancy", "--shards", 8).address) as client:
        yield client


class TestLeaseTask:
    def refusal(self, id, reason, status):
        return refused(FAILED_PRECONDITION, f"cannot lease job {id}: {reason} (status: {status})")

    def test_it_leases_whatever_the_start_time(self, client, group):
        id = client.enqueue(group, {"p": 1}, start_at_ms=milliseconds() + 10**9, metadata={"k": "v"}, priority=3)
        task = client.lease_one(id)
        assert (task.job_id, task.attempt_number, task.relative_attempt_number) == (id, 1, 1)
        assert (task.priority, task.task_group, task.lease_ms, dict(task.metadata)) == (3, group, 10_000, {"k": "v"})
        assert unpacked(task.payload) == {"p": 1} and uuid.UUID(task.id)
        assert client.status(id) == RUNNING
        client.succeed(task)

    def test_refusals(self, client):
        id = client.enqueue()
        task = client.lease_one(id)
        with self.refusal(id, "job is currently running", "Running"):
            client.lease_one(id)
        client.succeed(task)
        with self.refusal(id, "job is already in terminal state", "Succeeded"):
            client.lease_one(id)
        failure = client.enqueue()
        client.fail(client.lease_one(failure))
        with self.refusal(failure, "job is already in terminal state", "Failed"):
            client.lease_one(failure)
        given_up = client.enqueue()
        client.give_up(client.lease_one(given_up))
        with self.refusal(given_up, "job has no pending task", "Cancelled"):
            client.lease_one(given_up)

    def test_what_it_leased_is_not_leased_again(self, client, group):
        task = client.lease_one(client.enqueue(group))
        assert client.lease(group) == []
        client.succeed(task)


class TestLeaseTasks:
    def test_a_task_says_everything(self, client, group):
        id = client.enqueue(group, ["payload"], priority=9, metadata={"a": "b"}, retry_policy=policy(1))
        task = client.take(group)
        assert (task.job_id, task.attempt_number, task.relative_attempt_number, task.is_last_attempt) == (id, 1, 1, False)
        assert (task.priority, task.task_group, task.lease_ms) == (9, group, 10_000)
        assert dict(task.metadata) == {"a": "b"} and unpacked(task.payload) == ["payload"]
        assert list(task.limits) == [] and not task.HasField("tenant_id")
        client.succeed(task)

    def test_none_are_given_when_none_are_asked_for(self, client, group):
        client.enqueue(group)
        assert client.lease(group, 0) == [] and client.lease(group, 0, wait_ms=60_000) == []
        assert len(client.lease(group, 1)) == 1

    def test_no_more_are_given_than_asked_for(self, client, group):
        ids = {client.enqueue(group) for _ in range(7)}
        sizes, seen = [], set()
        for most in [2, 3, 2**32 - 1]:
            tasks = client.lease(group, most)
            sizes.append(len(tasks))
            seen |= {task.job_id for task in tasks}
        assert sizes == [2, 3, 2] and seen == ids

    def test_a_worker_needs_no_name_but_a_name_has_a_bound(self, client, group):
        client.enqueue(group)
        task = client.lease(group, worker="")[0]
        client.heartbeat(task, worker="")
        with refused(INVALID_ARGUMENT, containing="worker_id too long"):
            client.lease(group, worker="w" * 1025)
        client.succeed(task)

    def test_other_groups_are_left_alone(self, client, group):
        client.enqueue(group + "a")
        assert client.lease(group) == [] and client.lease(group + "b") == []
        assert len(client.lease(group + "a")) == 1

    def test_priority_comes_before_time_and_time_decides_among_equals(self, client, group):
        ids = [client.enqueue(group, priority=priority) for priority in [50, 10, 99, 10, 0, 50]]
        order = [task.job_id for task in client.lease(group, 10)]
        assert order == [ids[n] for n in [4, 1, 3, 0, 5, 2]]

    def test_an_old_start_gives_no_better_place(self, client, group):
        first = client.enqueue(group, start_at_ms=milliseconds() - 1000)
        older = client.enqueue(group, start_at_ms=milliseconds() - 100_000)
        assert [task.job_id for task in client.lease(group, 10)] == [first, older]

    def test_nothing_is_leased_before_its_time(self, client, group):
        due = milliseconds() + 700
        id = client.enqueue(group, start_at_ms=due)
        assert client.lease(group) == []
        task = client.take(group)
        assert task.job_id == id and milliseconds() >= due - 1
        assert client.job(id, attempts=True).attempts[0].started_at_ms >= due
        client.succeed(task)

    def test_many_workers_at_once_get_each_task_once(self, client, server, group):
        count = 400
        client.call("EnqueueBatch", shard=client.shard, jobs=[
            pb.EnqueueRequest(id=f"{group}-{n}", task_group=group) for n in range(count)
        ])
        leased, lock = [], threading.Lock()

        def work(number):
            with Client(server.address) as own:
                while tasks := own.lease(group, 3, worker=f"w{number}"):
                    with lock:
                        leased.extend(task.job_id for task in tasks)
                    own.call("ReportOutcomes", shard=tasks[0].shard, outcomes=[
                        pb.ReportOutcomeRequest(task_id=task.id, success=packed(number)) for task in tasks
                    ])

        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(leased) == sorted(f"{group}-{n}" for n in range(count))
        assert all(client.status(f"{group}-{n}") == SUCCEEDED for n in range(0, count, 37))

    def test_all_shards_are_asked_when_none_is_named(self, many_shards, group):
        names = [f"t{n}" for n in range(40)]
        for name in names:
            many_shards.enqueue(group, tenant=name)
        assert len({many_shards.shard_of(name) for name in names}) == 8, "the test wants work in every shard"
        tasks = many_shards.lease(group, 100)
        assert sorted(task.tenant_id for task in tasks) == sorted(names)
        assert all(task.shard == many_shards.shard_of(task.tenant_id) for task in tasks)

    def test_a_named_shard_alone_is_asked(self, many_shards, group):
        names = [f"t{n}" for n in range(40)]
        for name in names:
            many_shards.enqueue(group, tenant=name)
        shard = many_shards.shard_of("t0")
        tasks = many_shards.lease(group, 100, shard=shard)
        assert {task.tenant_id for task in tasks} == {name for name in names if many_shards.shard_of(name) == shard}


class TestWaiting:
    """LeaseTasks with `wait_ms`, an extension."""

    @pytest.fixture(params=["one shard", "eight shards"])
    def where(self, request, client, many_shards):
        """A client and the fields that its enqueue needs."""
        return (client, {}) if request.param == "one shard" else (many_shards, {"tenant": "abc"})

    def test_it_answers_at_once_when_there_is_work(self, where, group):
        client, fields = where
        id = client.enqueue(group, **fields)
        begun = time.monotonic()
        assert [t.job_id for t in client.lease(group, 10, wait_ms=50_000)] == [id]
        assert time.monotonic() - begun < 10

    def test_it_answers_at_once_without_a_wait(self, where, group):
        client, _ = where
        begun = time.monotonic()
        assert client.lease(group) == [] and client.lease(group, wait_ms=0) == []
        assert time.monotonic() - begun < 5

    def test_it_waits_as_long_as_it_was_told(self, where, group):
        client, _ = where
        begun = time.monotonic()
        assert client.lease(group, wait_ms=600) == []
        assert 0.59 < time.monotonic() - begun < 15

    def test_an_enqueue_wakes_it(self, where, group):
        client, fields = where
        waiting = client.begin("LeaseTasks", task_group=group, max_tasks=5, worker_id="w", wait_ms=50_000)
        time.sleep(0.2)
        assert not waiting.done()
        begun = time.monotonic()
        id = client.enqueue(group, **fields)
        assert [t.job_id for t in waiting.result().tasks] == [id]
        assert time.monotonic() - begun < 10

    def test_one_task_wakes_one_of_many(self, where, group):
        client, fields = where
        waiting = [
            client.begin("LeaseTasks", task_group=group, max_tasks=5, worker_id=f"w{n}", wait_ms=50_000) for n in range(8)
        ]
        time.sleep(0.2)
        ids = []
        for done in range(1, 4):
            ids.append(client.enqueue(group, **fields))
            until(lambda: sum(w.done() for w in waiting) == done, what=f"{done} waiting calls to be answered")
        answers = [w.result() for w in waiting if w.done()]
        assert sorted(t.job_id for a in answers for t in a.tasks) == sorted(ids)
        for w in waiting:
            w.cancel()

    def test_a_due_time_wakes_it(self, where, group):
        client, fields = where
        due = milliseconds() + 500
        id = client.enqueue(group, start_at_ms=due, **fields)
        [task] = client.lease(group, wait_ms=50_000)
        assert task.job_id == id and due - 1 <= milliseconds() < due + 10_000

    def test_a_retry_wakes_it(self, client, group):
        id = client.enqueue(group, retry_policy=policy(1))
        task = client.take(group)
        waiting = client.begin("LeaseTasks", task_group=group, max_tasks=5, worker_id="w", wait_ms=50_000)
        time.sleep(0.1)
        client.fail(task)
        assert [t.job_id for t in waiting.result().tasks] == [id]

    def test_an_expedite_and_a_restart_wake_it(self, client, group):
        id = client.enqueue(group, start_at_ms=milliseconds() + 10**9)
        waiting = client.begin("LeaseTasks", task_group=group, max_tasks=5, worker_id="w", wait_ms=50_000)
        time.sleep(0.1)
        client.expedite(id)
        [task] = waiting.result().tasks
        assert task.job_id == id
        client.succeed(task)

        id = client.enqueue(group)
        client.fail(client.take(group))
        waiting = client.begin("LeaseTasks", task_group=group, max_tasks=5, worker_id="w", wait_ms=50_000)
        time.sleep(0.1)
        client.restart(id)
        assert [t.job_id for t in waiting.result().tasks] == [id]

    def test_a_wait_that_was_called_off_takes_no_task(self, where, group):
        client, fields = where
        for _ in range(20):
            waiting = client.begin("LeaseTasks", task_group=group, max_tasks=5, worker_id="gone", wait_ms=50_000)
            time.sleep(0.01)
            waiting.cancel()
        time.sleep(0.3)
        ids = {client.enqueue(group, **fields) for _ in range(5)}
        tasks = client.lease(group, 10, worker="here", wait_ms=20_000)
        found = {t.job_id for t in tasks}
        while found < ids:
            more = client.lease(group, 10, worker="here", wait_ms=20_000)
            assert more, "tasks went to waits that were called off"
            found |= {t.job_id for t in more}
        assert found == ids
        assert all(client.job(id, attempts=True, **fields).attempts[0].attempt_number == 1 for id in ids)

    def test_a_task_enqueued_right_after_the_call_was_called_off_goes_to_another(self, where, group):
        """Whatever the server has heard first, another worker gets the task before any lease could expire."""
        client, fields = where
        for n in range(100):
            waiting = client.begin("LeaseTasks", task_group=group, max_tasks=1, worker_id="gone", wait_ms=50_000)
            time.sleep(0.0005 * (n % 8))
            waiting.cancel()
            id = client.enqueue(group, **fields)
            tasks = client.lease(group, 1, worker="here", wait_ms=8_000)
            assert [t.job_id for t in tasks] == [id], f"round {n}: the task stayed with a worker that was gone"
            client.succeed(tasks[0])

    def test_calling_off_while_a_task_is_given_loses_nothing(self, where, group):
        """An answer that was on its way when the client called off is lost with its lease; every task comes all the same."""
        client, fields = where
        ids = {}
        for n in range(40):
            waiting = client.begin("LeaseTasks", task_group=f"{n}{group[:50]}", max_tasks=1, worker_id="gone", wait_ms=50_000)
            time.sleep(0.001 * (n % 5))
            enqueued = client.begin(
                "Enqueue", task_group=f"{n}{group[:50]}", retry_policy=policy(1), **client._addressed(dict(fields))
            )
            time.sleep(0.0004 * (n % 7))
            waiting.cancel()
            ids[n] = enqueued.result().id
        attempts = []
        for n, id in ids.items():
            tasks = client.lease(f"{n}{group[:50]}", 1, worker="here", wait_ms=30_000)
            assert [t.job_id for t in tasks] == [id], f"round {n}: the task did not come again"
            attempts.append(tasks[0].attempt_number)
            client.succeed(tasks[0])
        assert set(attempts) <= {1, 2} and attempts.count(1) >= 10, attempts

    def test_a_client_that_vanishes_takes_no_task(self, client, server, group):
        for _ in range(5):
            with Client(server.address) as other:
                other.begin("LeaseTasks", task_group=group, max_tasks=5, worker_id="gone", wait_ms=50_000)
                time.sleep(0.05)
        time.sleep(0.3)
        id = client.enqueue(group)
        assert client.take(group, seconds=8).job_id == id

    def test_a_deadline_ends_the_wait(self, client, group):
        with refused(grpc.StatusCode.DEADLINE_EXCEEDED):
            client.lease(group, wait_ms=50_000, timeout=0.3)
        id = client.enqueue(group)
        assert client.take(group, seconds=8).job_id == id

    def test_hundreds_wait_and_each_is_served(self, client, group):
        waiting = [
            client.begin("LeaseTasks", task_group=group, max_tasks=1, worker_id=f"w{n}", wait_ms=55_000) for n in range(300)
        ]
        until(lambda: not any(w.done() for w in waiting))
        client.call("EnqueueBatch", shard=client.shard, jobs=[
            pb.EnqueueRequest(id=f"{group}-{n}", task_group=group) for n in range(300)
        ])
        got = [t.job_id for w in waiting for t in w.result().tasks]
        assert sorted(got) == sorted(f"{group}-{n}" for n in range(300))


class TestFairness:
    def test_tenants_take_turns(self, tenants, group):
        """A tenant with a thousand jobs does not hold up one with ten (design 5a)."""
        shard = tenants.shard_of("big")
        tenants.call("EnqueueBatch", shard=shard, jobs=[
            pb.EnqueueRequest(id=f"b{n}", tenant="big", task_group=group) for n in range(1000)
        ])
        for tenant in ["small", "tiny"]:
            tenants.call("EnqueueBatch", shard=shard, jobs=[
                pb.EnqueueRequest(id=f"s{n}", tenant=tenant, task_group=group) for n in range(10)
            ])
        order = []
        while len(order) < 90:
            order += [task.tenant_id for task in tenants.lease(group, 5)]
        assert order.count("small") == order.count("tiny") == 10
        last = max(n for n, name in enumerate(order) if name != "big")
        assert last < 60, f"the last small job came at place {last}"

    def test_equal_tenants_are_served_alike(self, tenants, group):
        names = [f"equal-{n}" for n in range(5)]
        for name in names:
            tenants.call("EnqueueBatch", shard=tenants.shard_of(name), jobs=[
                pb.EnqueueRequest(tenant=name, task_group=group) for _ in range(100)
            ])
        order = []
        while len(order) < 250:
            order += [task.tenant_id for task in tenants.lease(group, 10)]
        counts = {name: order[:250].count(name) for name in names}
        assert max(counts.values()) - min(counts.values()) <= 16, counts

    def test_turns_are_taken_by_one_task_calls_too(self, tenants, group):
        for name in ["x", "y"]:
            tenants.call("EnqueueBatch", shard=tenants.shard_of(name), jobs=[
                pb.EnqueueRequest(tenant=name, task_group=group) for _ in range(60)
            ])
        order = [tenants.lease(group, 1)[0].tenant_id for _ in range(48)]
        assert abs(order.count("x") - 24) <= 8, order

    def test_a_priority_counts_within_a_tenant_only(self, tenants, group):
        tenants.call("EnqueueBatch", shard=tenants.shard_of("urgent"), jobs=[
            pb.EnqueueRequest(tenant="urgent", task_group=group, priority=0) for _ in range(200)
        ])
        tenants.enqueue(group, tenant="patient", priority=99)
        order = [task.tenant_id for task in tenants.lease(group, 60)]
        assert "patient" in order


class TestHeartbeat:
    def test_only_the_owner_renews(self, client, group):
        client.enqueue(group)
        task = client.take(group, worker="owner")
        with refused(FAILED_PRECONDITION, "lease owner mismatch"):
            client.heartbeat(task, worker="other")
        beat = client.heartbeat(task, worker="owner")
        assert not beat.cancelled and not beat.HasField("cancelled_at_ms")
        client.succeed(task)
        with refused(NOT_FOUND, "lease not found"):
            client.heartbeat(task, worker="owner")


class TestExpiry:
    def test_leases_end_after_ten_seconds_unless_renewed(self, client, group):
        """Four jobs side by side, since each has to wait for its lease to end."""
        plain = client.enqueue(group)
        retried = client.enqueue(group, retry_policy=policy(1))
        flagged = client.enqueue(group, retry_policy=policy(5))
        kept = client.enqueue(group)
        tasks = {task.job_id: task for task in client.lease(group, 4, worker="crashed")}
        assert set(tasks) == {plain, retried, flagged, kept}
        # Leases that nobody heard of are given back without being counted.
        for task in tasks.values():
            client.heartbeat(task, worker="crashed")
        client.cancel(flagged)
        leased_at = milliseconds()
        while milliseconds() < leased_at + 9_000:
            client.heartbeat(tasks[kept], worker="crashed")
            assert client.status(plain) == RUNNING or milliseconds() > leased_at + 9_900
            time.sleep(0.5)

        again = client.lease(group, 1, worker="next", wait_ms=30_000)
        assert [t.job_id for t in again] == [retried], "only the job with a retry comes again"
        assert milliseconds() - leased_at >= 9_900
        assert (again[0].attempt_number, again[0].is_last_attempt) == (2, True) and again[0].id != tasks[retried].id
        until(lambda: client.status(plain) == FAILED and client.status(flagged) == CANCELLED)

        [attempt] = client.job(plain, attempts=True).attempts
        assert attempt.status == pb.ATTEMPT_STATUS_FAILED and attempt.error_code == "WORKER_CRASHED"
        text = unpacked(attempt.error_data)
        assert text.startswith("lease expired at ") and text.endswith("worker=crashed")
        assert client.result(plain).failure.error_code == "WORKER_CRASHED"
        assert client.result(flagged).WhichOneof("result") == "cancelled", "a cancelled job is not retried"
        assert client.status(kept) == RUNNING, "a renewed lease does not end"

        for id in [plain, retried, flagged]:
            with refused(NOT_FOUND, "lease not found"):
                client.succeed(tasks[id])
            with refused(NOT_FOUND, "lease not found"):
                client.heartbeat(tasks[id], worker="crashed")
        client.succeed(again[0])
        client.succeed(tasks[kept])
        assert [client.status(id) for id in [retried, kept]] == [SUCCEEDED, SUCCEEDED]


class TestReportOutcome:
    def test_only_the_first_report_counts(self, client):
        for first in [client.succeed, client.fail, client.give_up]:
            id = client.enqueue()
            task = client.lease_one(id)
            first(task)
            state = client.job(id, attempts=True)
            for second in [client.succeed, client.fail, client.give_up]:
                with refused(NOT_FOUND, "lease not found"):
                    second(task)
            assert client.job(id, attempts=True) == state

    def test_any_caller_that_knows_the_task_may_report(self, client, server):
        id = client.enqueue()
        task = client.lease_one(id, worker="one")
        with Client(server.address) as other:
            other.succeed(task)
        assert client.status(id) == SUCCEEDED

    def test_two_reports_at_once(self, client):
        for _ in range(20):
            task = client.lease_one(client.enqueue(retry_policy=policy(1)))
            futures = [
                client.begin("ReportOutcome", shard=task.shard, task_id=task.id, failure=pb.Failure(code=str(n)))
                for n in range(4)
            ]
            codes = [f.code() for f in futures]
            assert sorted(c.name for c in codes) == ["NOT_FOUND"] * 3 + ["OK"]
            assert len(client.job(task.job_id, attempts=True).attempts) == 1


class TestAdmin:
    def test_flush_compact_and_storage_info(self, client):
        for _ in range(3):
            client.enqueue()
            assert client.call("FlushShard", shard=client.shard).status == f"flushed shard {client.shard}"
        info = client.call("GetShardStorageInfo", shard=client.shard)
        assert info.l0_sst_count + info.sorted_run_count > 0
        assert info.total_l0_size + info.total_sorted_run_size > 0
        assert info.sorted_run_count == len(info.sorted_runs)
        assert info.total_sorted_run_size == sum(run.estimated_size for run in info.sorted_runs)
        assert client.call("CompactShard", shard=client.shard).status == f"full compaction submitted for shard {client.shard}"

        def compacted():
            info = client.call("GetShardStorageInfo", shard=client.shard)
            return info.sorted_run_count == 1 and info.l0_sst_count == 0

        until(compacted, 60, "the compaction to end")
        assert client.enqueue()
