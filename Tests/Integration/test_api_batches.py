"""EnqueueBatch and ReportOutcomes from outside."""

import grpc
import uuid

import pytest

from support.client import (
    ALREADY_EXISTS, CANCELLED, FAILED, INVALID_ARGUMENT, NOT_FOUND, RUNNING, SUCCEEDED, Client, new_id, packed, refused,
    unpacked,
)
from support.generated import pb

NIL = str(uuid.UUID(int=0))


@pytest.fixture(scope="module")
def tenants(start_server):
    """A client of a server with tenancy and one shard."""
    with Client(start_server("--tenancy", "--shards", 1).address) as client:
        yield client


class TestEnqueueBatch:
    def batch(self, client, jobs, **fields):
        shard = fields.pop("shard", None) or client.shard
        return list(client.call("EnqueueBatch", shard=shard, jobs=jobs, **fields).results)

    def test_ids_come_in_the_order_of_the_jobs(self, client, group):
        ids = [new_id() for _ in range(50)]
        jobs = [pb.EnqueueRequest(id=id, task_group=group, payload=packed(id)) for id in ids]
        jobs.insert(25, pb.EnqueueRequest(task_group=group))
        results = self.batch(client, jobs)
        assert [r.id for r in results if r.id in ids] == ids and len(results) == 51
        assert {(r.code, r.error) for r in results} == {(0, "")}
        assert uuid.UUID(results[25].id).version == 7
        assert all(client.job(id).payload == packed(id) for id in ids)

    def test_an_empty_batch(self, client):
        assert self.batch(client, []) == [] and self.batch(client, [], all_or_nothing=True) == []

    def test_each_on_its_own(self, client, group):
        existing = client.enqueue(group, id=new_id(), payload="old")
        good, twice, other = new_id(), new_id(), new_id()
        before = client.counts()[0]
        results = self.batch(client, [
            pb.EnqueueRequest(id=good, task_group=group),
            pb.EnqueueRequest(id=existing, task_group=group, payload=packed("new")),
            pb.EnqueueRequest(id=twice, task_group=group, payload=packed(1)),
            pb.EnqueueRequest(task_group=""),
            pb.EnqueueRequest(task_group=group, priority=100),
            pb.EnqueueRequest(id=twice, task_group=group, payload=packed(2)),
            pb.EnqueueRequest(task_group=group, tenant="t"),
            pb.EnqueueRequest(task_group=group, shard=NIL),
            pb.EnqueueRequest(task_group=group, limits=[pb.Limit(concurrency=pb.ConcurrencyLimit(key="k"))]),
            pb.EnqueueRequest(id=other, task_group=group, shard=client.shard),
        ])
        codes = [grpc_code(r.code) for r in results]
        assert codes == [
            "OK", "ALREADY_EXISTS", "OK", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "ALREADY_EXISTS", "FAILED_PRECONDITION",
            "INVALID_ARGUMENT", "INVALID_ARGUMENT", "OK",
        ]
        assert results[1].error == f"job already exists with id {existing}"
        assert results[3].error == "task_group is required" and results[4].error == "priority must be between 0 and 99"
        assert client.job(twice).payload == packed(1) and client.job(existing).payload == packed("old")
        assert client.counts()[0] == before + 3

    @pytest.mark.parametrize("bad, code, text", [
        (dict(task_group=""), INVALID_ARGUMENT, "jobs[2]: task_group is required"),
        (dict(task_group="g", priority=100), INVALID_ARGUMENT, "jobs[2]: priority must be between 0 and 99"),
        (dict(task_group="g", shard=NIL), INVALID_ARGUMENT, "shard must be empty or the shard of the batch"),
    ])
    def test_all_or_nothing_stores_nothing_when_one_is_bad(self, client, bad, code, text):
        ids = [new_id() for _ in range(4)]
        jobs = [pb.EnqueueRequest(id=id, task_group="g") for id in ids]
        jobs.insert(2, pb.EnqueueRequest(**bad))
        before = client.counts()
        with refused(code, containing=text):
            self.batch(client, jobs, all_or_nothing=True)
        assert client.counts() == before
        for id in ids:
            with refused(NOT_FOUND, "job not found"):
                client.job(id)

    def test_all_or_nothing_with_an_existing_or_repeated_id(self, client, group):
        existing = client.enqueue(id=new_id())
        fresh = new_id()
        before = client.counts()
        for ids in [[fresh, existing], [fresh, fresh]]:
            with refused(ALREADY_EXISTS, containing=f"job already exists with id {ids[1]}"):
                self.batch(client, [pb.EnqueueRequest(id=id, task_group=group) for id in ids], all_or_nothing=True)
        assert client.counts() == before and client.lease(group) == []
        with refused(NOT_FOUND, "job not found"):
            client.job(fresh)

    def test_all_or_nothing_stores_all_when_all_are_good(self, client, group):
        results = self.batch(client, [pb.EnqueueRequest(task_group=group) for _ in range(30)], all_or_nothing=True)
        assert len({t.job_id for t in client.lease(group, 100)} & {r.id for r in results}) == 30

    def test_ten_thousand_are_taken_and_one_more_refused(self, client, group):
        results = self.batch(client, [pb.EnqueueRequest(task_group=group)] * 10_000)
        assert len({r.id for r in results}) == 10_000
        with refused(INVALID_ARGUMENT, containing="10000"):
            self.batch(client, [pb.EnqueueRequest(task_group=group)] * 10_001)

    def test_every_job_names_its_own_tenant(self, tenants, group):
        shard = tenants.shard_of("a")
        results = self.batch(tenants, [
            pb.EnqueueRequest(task_group=group, tenant="a"), pb.EnqueueRequest(task_group=group, tenant="b"),
            pb.EnqueueRequest(task_group=group),
        ], shard=shard)
        assert [grpc_code(r.code) for r in results] == ["OK", "OK", "INVALID_ARGUMENT"]
        assert results[2].error == "tenant id required"
        assert sorted(t.tenant_id for t in tenants.lease(group, 10)) == ["a", "b"]


class TestReportOutcomes:
    def test_each_has_its_own_result(self, client, group):
        ids = [client.enqueue(group, priority=n) for n in range(5)]
        tasks = client.lease(group, 5)
        assert [t.job_id for t in tasks] == ids
        outcomes = [
            pb.ReportOutcomeRequest(task_id=tasks[0].id, success=packed("fine")),
            pb.ReportOutcomeRequest(task_id=tasks[1].id, failure=pb.Failure(code="E", data=packed("bad"))),
            pb.ReportOutcomeRequest(task_id=tasks[2].id, cancelled=pb.Cancelled()),
            pb.ReportOutcomeRequest(task_id=NIL, success=packed(1)),
            pb.ReportOutcomeRequest(task_id="nonsense", success=packed(1)),
            pb.ReportOutcomeRequest(task_id=tasks[3].id),
            pb.ReportOutcomeRequest(task_id=tasks[0].id, success=packed("twice")),
            pb.ReportOutcomeRequest(task_id=tasks[3].id, shard=NIL, success=packed(1)),
            pb.ReportOutcomeRequest(task_id=tasks[4].id, shard=client.shard, tenant_id="ignored", success=packed("last")),
        ]
        results = list(client.call("ReportOutcomes", shard=client.shard, outcomes=outcomes).results)
        assert [grpc_code(r.code) for r in results] == [
            "OK", "OK", "OK", "NOT_FOUND", "NOT_FOUND", "INVALID_ARGUMENT", "NOT_FOUND", "INVALID_ARGUMENT", "OK",
        ]
        assert [r.task_id for r in results] == [o.task_id for o in outcomes]
        assert [results[n].error for n in [0, 3, 4, 5, 6]] == [
            "", "lease not found", "lease not found", "missing outcome", "lease not found",
        ]
        assert [client.status(id) for id in ids] == [SUCCEEDED, FAILED, CANCELLED, RUNNING, SUCCEEDED]
        assert unpacked(client.result(ids[0]).success_data) == "fine"
        client.succeed(tasks[3])

    def test_an_empty_batch(self, client):
        assert list(client.call("ReportOutcomes", shard=client.shard).results) == []

    def test_more_than_ten_thousand_are_refused(self, client):
        with refused(INVALID_ARGUMENT, containing="10000"):
            client.call("ReportOutcomes", shard=client.shard, outcomes=[pb.ReportOutcomeRequest(task_id=NIL)] * 10_001)

    def test_a_batch_that_drains_a_thousand(self, client, group):
        client.call("EnqueueBatch", shard=client.shard, jobs=[pb.EnqueueRequest(task_group=group)] * 1000)
        before = client.counts()
        tasks = client.lease(group, 1000)
        results = client.call("ReportOutcomes", shard=client.shard, outcomes=[
            pb.ReportOutcomeRequest(task_id=t.id, success=packed(n)) for n, t in enumerate(tasks)
        ]).results
        assert len(results) == 1000 and not any(r.code for r in results)
        assert client.counts() == (before[0], before[1] + 1000)
        assert all(unpacked(client.result(t.job_id).success_data) == n for n, t in list(enumerate(tasks))[::97])

    def test_tenants_of_their_own(self, tenants, group):
        for name in ["a", "b"]:
            tenants.enqueue(group, tenant=name)
        tasks = {t.tenant_id: t for t in tenants.lease(group, 10)}
        results = tenants.call("ReportOutcomes", shard=tenants.shard_of("a"), outcomes=[
            pb.ReportOutcomeRequest(task_id=tasks["a"].id, tenant_id="a", success=packed(1)),
            pb.ReportOutcomeRequest(task_id=tasks["b"].id, tenant_id="a", success=packed(1)),
            pb.ReportOutcomeRequest(task_id=tasks["b"].id, success=packed(1)),
            pb.ReportOutcomeRequest(task_id=tasks["b"].id, tenant_id="b", success=packed(1)),
        ]).results
        assert [grpc_code(r.code) for r in results] == ["OK", "NOT_FOUND", "INVALID_ARGUMENT", "OK"]


def grpc_code(number):
    return next(code.name for code in grpc.StatusCode if code.value[0] == number)
