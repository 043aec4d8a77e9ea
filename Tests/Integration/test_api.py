"""What the API takes and refuses: shard ids, tenants, bounds of fields, their order, tokens, sizes (spec/api.md 1 to 3)."""

import uuid

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.client import (
    ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT, MESSAGE_MAX, NOT_FOUND, OUT_OF_RANGE, PERMISSION_DENIED, RESOURCE_EXHAUSTED,
    SCHEDULED, UNAUTHENTICATED, UNIMPLEMENTED, Client, hash_text, new_id, packed, policy, refused,
)
from support.generated import pb
from support.waiting import milliseconds

NIL = str(uuid.UUID(int=0))

#: Calls that name a shard and go through its resolution, with what they need besides.
ROUTED = {
    "Enqueue": dict(task_group="g"),
    "EnqueueBatch": dict(jobs=[pb.EnqueueRequest(task_group="g")]),
    "GetJob": dict(id="x"),
    "GetJobResult": dict(id="x"),
    "DeleteJob": dict(id="x"),
    "CancelJob": dict(id="x"),
    "RestartJob": dict(id="x"),
    "ExpediteJob": dict(id="x"),
    "LeaseTask": dict(id="x", worker_id="w"),
    "LeaseTasks": dict(task_group="g", max_tasks=1),
    "ReportOutcome": dict(task_id=NIL, cancelled=pb.Cancelled()),
    "ReportOutcomes": dict(),
    "ReportRefreshOutcome": dict(task_id=NIL, success=pb.RefreshSuccess(new_max_concurrency=1)),
    "Heartbeat": dict(task_id=NIL, worker_id="w"),
    "DropTenantHolders": dict(),
    "DropLimitHolders": dict(limit_key="k"),
    "ExplainJob": dict(id="x"),
    "Pause": dict(target=pb.PauseTarget(limit_key="k")),
    "Resume": dict(target=pb.PauseTarget(limit_key="k")),
    "ListPauses": dict(),
}
#: Calls that look only at what this node has open.
LOCAL = ["FlushShard", "CompactShard", "GetShardStorageInfo"]
#: Those that name one job of one tenant, or a tenant alone.
JOB_CALLS = [
    "Enqueue", "GetJob", "GetJobResult", "DeleteJob", "CancelJob", "RestartJob", "ExpediteJob", "LeaseTask", "DropTenantHolders",
    "DropLimitHolders", "ExplainJob", "Pause", "Resume",
]
WORKER_CALLS = ["ReportOutcome", "ReportRefreshOutcome", "Heartbeat"]


@pytest.fixture(scope="module")
def tenants_server(start_server):
    return start_server("--tenancy", "--dev")


@pytest.fixture(scope="module")
def tenants(tenants_server):
    """A client of a server with tenancy and eight shards, as no particular tenant."""
    with Client(tenants_server.address) as client:
        yield client


class TestShardIDs:
    @pytest.mark.parametrize("method", ROUTED)
    @pytest.mark.parametrize("text", ["", "nonsense", "12345678-1234-1234-1234-12345678901", "1-2-3-4-5", "ж" * 36])
    def test_text_that_is_no_uuid_is_refused_and_named(self, client, method, text):
        with refused(INVALID_ARGUMENT, f"invalid shard ID: {text}".strip()):
            client.call(method, shard=text, **ROUTED[method])

    @pytest.mark.parametrize("method", LOCAL)
    def test_operators_calls_refuse_it_too(self, client, method):
        with refused(INVALID_ARGUMENT, "invalid shard ID: nonsense"):
            client.call(method, shard="nonsense")

    @pytest.mark.parametrize("method", ROUTED)
    def test_an_unknown_shard_is_not_found(self, client, method):
        with refused(NOT_FOUND, "shard not found") as caught:
            client.call(method, shard=NIL, **ROUTED[method])
        keys = {key for key, _ in caught.value.trailing_metadata() or ()}
        assert not any(key.startswith("x-silo-shard-owner") for key in keys), "nobody owns a shard that is not there"

    @pytest.mark.parametrize("method", LOCAL)
    def test_operators_calls_say_that_it_is_not_here(self, client, method):
        with refused(NOT_FOUND, f"shard {NIL} not found on this node"):
            client.call(method, shard=NIL)

    @pytest.mark.parametrize("form", [
        str.upper, lambda t: t.replace("-", ""), lambda t: "{" + t + "}", lambda t: "urn:uuid:" + t,
        lambda t: "urn:uuid:" + t.upper(), lambda t: "{" + t.upper() + "}",
    ])
    def test_every_text_form_of_a_uuid_names_the_shard(self, client, form):
        id = client.enqueue(shard=form(client.shard))
        assert client.job(id, shard=form(client.shard)).id == id

    def test_lease_task_echoes_the_shard_as_it_was_written(self, client):
        written = client.shard.upper()
        id = client.enqueue("echo")
        task = client.lease_one(id, shard=written)
        assert task.shard == written
        client.succeed(task)

    def test_lease_tasks_names_the_shard_in_lower_case(self, client):
        client.enqueue("lower")
        task = client.lease("lower", shard=client.shard.upper())[0]
        assert task.shard == client.shard == client.shard.lower()
        client.succeed(task)


class TestFields:
    """spec/api.md 2.5, by Enqueue."""

    @pytest.mark.parametrize("priority", [0, 1, 50, 99])
    def test_priorities_from_0_to_99_are_kept(self, client, priority):
        assert client.job(client.enqueue(priority=priority)).priority == priority

    @pytest.mark.parametrize("priority", [100, 2**31, 2**32 - 1])
    def test_a_larger_priority_is_refused(self, client, priority):
        with refused(INVALID_ARGUMENT, "priority must be between 0 and 99"):
            client.enqueue(priority=priority)

    def test_a_task_group_is_required(self, client):
        with refused(INVALID_ARGUMENT, "task_group is required"):
            client.enqueue("")

    @pytest.mark.parametrize("letter", ["g", "日", "🎈"])
    def test_a_task_group_has_at_most_64_scalars(self, client, letter):
        assert client.job(client.enqueue(letter * 64)).task_group == letter * 64
        with refused(INVALID_ARGUMENT, "task_group too long (must be <= 64 chars)"):
            client.enqueue(letter * 65)

    def test_sixteen_metadata_entries_are_kept_and_seventeen_refused(self, client):
        entries = {f"key-{n}": f"value-{n}" for n in range(16)}
        assert dict(client.job(client.enqueue(metadata=entries)).metadata) == entries
        with refused(INVALID_ARGUMENT, "metadata has too many entries (max 16)"):
            client.enqueue(metadata=entries | {"one": "more"})

    @pytest.mark.parametrize("letter", ["k", "ж", "🎈"])
    def test_a_metadata_key_has_fewer_than_64_scalars(self, client, letter):
        assert dict(client.job(client.enqueue(metadata={letter * 63: "v"})).metadata) == {letter * 63: "v"}
        with refused(INVALID_ARGUMENT, "metadata key too long (must be < 64 chars)"):
            client.enqueue(metadata={letter * 64: "v"})

    def test_a_metadata_value_has_fewer_than_65535_bytes(self, client):
        assert dict(client.job(client.enqueue(metadata={"k": "v" * 65534})).metadata) == {"k": "v" * 65534}
        assert client.enqueue(metadata={"k": "ж" * 32767})
        for value in ["v" * 65535, "ж" * 32768]:
            with refused(INVALID_ARGUMENT, "metadata value too long (must be < u16::MAX bytes)"):
                client.enqueue(metadata={"k": value})

    def test_sixteen_of_the_largest_metadata_values_are_kept(self, client):
        entries = {f"{n:063}": chr(65 + n) * 65534 for n in range(16)}
        assert dict(client.job(client.enqueue(metadata=entries)).metadata) == entries

    def test_empty_metadata_keys_and_values_and_odd_text_are_kept(self, client):
        entries = {"": "", "\x00": "\x00\x00", "nul\x00inside": "ÿ\u0001", "𝔘": "\U0010ffff"}
        assert dict(client.job(client.enqueue(metadata=entries)).metadata) == entries

    @pytest.mark.parametrize("id", ["a", " ", "\x00", "nul\x00inside", "日本" * 50, "../../etc", "x" * 1024, "ÿ\x01\x00\x01"])
    def test_any_text_may_be_a_job_id(self, client, id):
        unique = (uuid.uuid4().hex + id)[:1024]
        assert client.enqueue(id=unique) == unique
        assert client.job(unique).id == unique

    def test_a_job_id_has_a_bound_that_the_message_names(self, client):
        with refused(INVALID_ARGUMENT, containing="id too long"):
            client.enqueue(id="x" * 1025)

    @pytest.mark.parametrize("method", ["GetJob", "CancelJob", "DeleteJob", "RestartJob", "ExpediteJob", "GetJobResult"])
    def test_so_it_has_in_other_calls(self, client, method):
        with refused(INVALID_ARGUMENT, containing="id too long"):
            client.call(method, shard=client.shard, id="x" * 100_000)

    def test_an_empty_id_makes_the_server_choose_a_uuid_of_version_4(self, client):
        ids = {client.enqueue() for _ in range(20)}
        assert len(ids) == 20
        assert all(uuid.UUID(id).version == 7 and id == str(uuid.UUID(id)) for id in ids)

    @pytest.mark.parametrize("start", [0, -1, -(2**63)])
    def test_a_start_of_zero_or_less_means_now(self, client, start):
        before = milliseconds()
        job = client.job(client.enqueue(start_at_ms=start))
        assert job.status == SCHEDULED and job.enqueue_time_ms == start
        assert before - 1000 <= job.next_attempt_starts_after_ms <= milliseconds() + 1000

    @pytest.mark.parametrize("start", [4_102_444_800_000, 2**62, 2**63 - 1])
    def test_a_start_far_in_the_future_is_kept(self, client, group, start):
        job = client.job(client.enqueue(group, start_at_ms=start))
        assert (job.enqueue_time_ms, job.next_attempt_starts_after_ms) == (start, start)
        assert client.lease(group) == []

    def test_a_retry_policy_is_kept_as_sent(self, client):
        odd = pb.RetryPolicy(
            retry_count=2**32 - 1, initial_interval_ms=2**63 - 1, max_interval_ms=2**63 - 1, backoff_factor=1.7e308, randomize_interval=True
        )
        for sent in [pb.RetryPolicy(), odd, policy(3, 100, 1000, 2)]:
            assert client.job(client.enqueue(retry_policy=sent)).retry_policy == sent
        assert not client.job(client.enqueue()).HasField("retry_policy")

    @pytest.mark.parametrize("most", [0, 2**63 - 1])
    def test_the_largest_waits_harm_nobody(self, client, group, most):
        id = client.enqueue(group, retry_policy=policy(1, 2**62, most, 1.7e308, True))
        client.fail(client.lease_one(id))
        assert client.status(id) == SCHEDULED
        client.succeed(client.lease_one(id))

    @pytest.mark.parametrize("fields, message", [
        (dict(initial_interval_ms=-1), "initial_interval_ms must be between 0 and 9223372036854775807, not -1"),
        (dict(max_interval_ms=-(2**63)), "max_interval_ms must be between 0 and 9223372036854775807, not -9223372036854775808"),
        *((dict(backoff_factor=factor), f"backoff_factor must be a finite number of at least 0, not {text}")
          for factor, text in ((-0.5, "-0.5"), (float("nan"), "nan"), (float("inf"), "inf"), (-float("inf"), "-inf"))),
    ])
    def test_a_retry_policy_without_sense_is_refused(self, client, fields, message):
        retry_policy = pb.RetryPolicy(retry_count=1, **fields)
        with refused(INVALID_ARGUMENT, f"retry_policy.{message}"):
            client.enqueue(retry_policy=retry_policy)
        result, = client.import_jobs({"id": new_id(), "retry_policy": retry_policy})
        assert result.error == f"INVALID_ARGUMENT: retry_policy.{message}"

    def test_a_factor_or_intervals_that_are_absent_mean_retries_without_a_wait(self, client, group):
        for sent in (pb.RetryPolicy(retry_count=1, initial_interval_ms=60_000, max_interval_ms=60_000), pb.RetryPolicy(retry_count=1)):
            id = client.enqueue(group, retry_policy=sent)
            client.fail(client.take(group))
            assert client.take(group, seconds=5).job_id == id

    @pytest.mark.parametrize("payload", [b"", b"\x00", b"\xc1 no MessagePack", bytes(range(256)) * 100])
    def test_payload_bytes_come_back_as_they_were(self, client, payload):
        job = client.job(client.enqueue(payload=pb.SerializedBytes(msgpack=payload)))
        assert job.payload.msgpack == payload and job.HasField("payload")

    @pytest.mark.parametrize("absent", [None, pb.SerializedBytes()])
    def test_an_absent_payload_reads_back_as_set_and_empty(self, client, absent):
        id = client.call("Enqueue", shard=client.shard, task_group="g", payload=absent).id
        assert client.job(id).HasField("payload") and client.job(id).payload.WhichOneof("encoding") == "msgpack"
        assert client.job(id).payload.msgpack == b""

    def test_an_existing_id_is_refused_and_nothing_is_overwritten(self, client):
        id = new_id()
        client.enqueue(id=id, payload="first", priority=1)
        before = client.counts()
        with refused(ALREADY_EXISTS, f"job already exists with id {id}"):
            client.enqueue(id=id, payload="second", priority=2, group="other")
        job = client.job(id)
        assert (job.payload, job.priority, job.task_group) == (packed("first"), 1, "default")
        assert client.counts() == before

    def test_a_finished_job_still_has_its_id(self, client):
        id = client.succeeded(id=new_id())
        with refused(ALREADY_EXISTS, f"job already exists with id {id}"):
            client.enqueue(id=id)

    def test_a_limit_that_names_nothing_is_dropped(self, client):
        assert list(client.job(client.enqueue(limits=[pb.Limit(), pb.Limit()])).limits) == []


class TestOrderOfChecks:
    """spec/api.md 2.6: the first thing that is wrong is the one that is told."""

    def test_enqueue(self, client):
        wrong = dict(
            shard="bad", tenant="t", priority=100, metadata={"k" * 64: "v"}, task_group="", id=client.enqueue(id=new_id())
        )
        steps = [
            ("shard", NIL, INVALID_ARGUMENT, "invalid shard ID: bad"),
            ("shard", client.shard, NOT_FOUND, "shard not found"),
            ("tenant", None, FAILED_PRECONDITION, "tenant must not be provided when tenancy is disabled on the server"),
            ("priority", 1, INVALID_ARGUMENT, "priority must be between 0 and 99"),
            ("metadata", {}, INVALID_ARGUMENT, "metadata key too long (must be < 64 chars)"),
            ("task_group", "g", INVALID_ARGUMENT, "task_group is required"),
            ("id", "", ALREADY_EXISTS, f"job already exists with id {wrong['id']}"),
        ]
        for field, right, code, message in steps:
            with refused(code, message):
                client.call("Enqueue", **wrong)
            wrong[field] = right
        assert client.call("Enqueue", **wrong).id

    def test_lease_task_looks_at_the_worker_before_the_job(self, client):
        with refused(INVALID_ARGUMENT, "worker_id is required"):
            client.lease_one("no such job", worker="")
        with refused(NOT_FOUND, "job not found"):
            client.lease_one("no such job")

    def test_lease_tasks_looks_at_the_group_before_the_shard(self, client):
        with refused(INVALID_ARGUMENT, "task_group is required"):
            client.call("LeaseTasks", shard="bad", max_tasks=1)
        with refused(INVALID_ARGUMENT, "invalid shard ID: bad"):
            client.call("LeaseTasks", shard="bad", task_group="g", max_tasks=1)

    def test_report_outcome_looks_at_the_outcome_before_the_lease(self, client):
        with refused(NOT_FOUND, "shard not found"):
            client.call("ReportOutcome", shard=NIL, task_id=NIL)
        with refused(INVALID_ARGUMENT, "missing outcome"):
            client.call("ReportOutcome", shard=client.shard, task_id=NIL)
        with refused(NOT_FOUND, "lease not found"):
            client.call("ReportOutcome", shard=client.shard, task_id=NIL, success=packed(1))

    def test_a_task_id_that_is_no_uuid_names_no_lease(self, client):
        for task in ["", "x", "ж" * 20_000]:
            with refused(NOT_FOUND, "lease not found"):
                client.call("ReportOutcome", shard=client.shard, task_id=task, cancelled=pb.Cancelled())
            with refused(NOT_FOUND, "lease not found"):
                client.call("Heartbeat", shard=client.shard, task_id=task, worker_id="w")

    def test_workers_calls_ask_for_the_tenant_before_the_outcome(self, tenants):
        missing = "tenant_id is required for worker operations when tenancy is enabled"
        with refused(NOT_FOUND, "shard not found"):
            tenants.call("ReportOutcome", shard=NIL, task_id=NIL)
        with refused(INVALID_ARGUMENT, missing):
            tenants.call("ReportOutcome", shard=tenants.shard_of("a"), task_id=NIL)
        with refused(INVALID_ARGUMENT, "missing outcome"):
            tenants.call("ReportOutcome", shard=tenants.shard_of("a"), task_id=NIL, tenant_id="a")
        with refused(INVALID_ARGUMENT, missing):
            tenants.call("Heartbeat", shard=tenants.shard_of("a"), task_id=NIL)
        with refused(NOT_FOUND, "lease not found"):
            tenants.call("Heartbeat", shard=tenants.shard_of("a"), task_id=NIL, tenant_id="a")


class TestTenancyOff:
    @pytest.mark.parametrize("method", JOB_CALLS)
    def test_a_tenant_is_refused(self, client, method):
        with refused(FAILED_PRECONDITION, "tenant must not be provided when tenancy is disabled on the server"):
            client.call(method, shard=client.shard, tenant="t", **ROUTED[method])

    def test_an_empty_tenant_counts_as_none(self, client):
        id = client.enqueue(tenant="", shard=client.shard)
        assert client.job(id).id == id

    def test_workers_may_say_what_they_like_and_see_no_tenant(self, client, group):
        client.enqueue(group)
        task = client.take(group)
        assert not task.HasField("tenant_id")
        client.call("Heartbeat", shard=task.shard, task_id=task.id, worker_id="worker", tenant_id="whatever" * 100)
        client.call("ReportOutcome", shard=task.shard, task_id=task.id, success=packed(1), tenant_id="whatever")
        assert client.status(task.job_id) == 2


class TestTenancyOn:
    @pytest.mark.parametrize("method", JOB_CALLS)
    def test_a_tenant_is_required(self, tenants, method):
        for fields in [{}, {"tenant": ""}]:
            with refused(INVALID_ARGUMENT, "tenant id required"):
                tenants.call(method, shard=tenants.shard_of("a"), **fields, **ROUTED[method])

    @pytest.mark.parametrize("method", JOB_CALLS)
    def test_a_tenant_has_at_most_64_scalars(self, tenants, method):
        with refused(INVALID_ARGUMENT, "invalid tenant id"):
            tenants.call(method, shard=tenants.shard_of("t" * 65), tenant="t" * 65, **ROUTED[method])

    @pytest.mark.parametrize("tenant", ["t" * 64, "日" * 64, "🎈" * 64, "\x00", " "])
    def test_every_other_text_is_a_tenant(self, tenants, tenant):
        id = tenants.enqueue(tenant=tenant)
        assert tenants.job(id, tenant=tenant).id == id

    @pytest.mark.parametrize("method", JOB_CALLS)
    def test_a_tenant_of_another_shard_is_sent_away(self, tenants, method):
        other = next(s for s in tenants.shards() if s.shard_id != tenants.shard_of("abc"))
        start, end = other.range_start or "-∞", other.range_end or "+∞"
        message = f"tenant 'abc' is not within shard {other.shard_id} range [{start}, {end}); refresh topology and retry"
        with refused(FAILED_PRECONDITION, message):
            tenants.call(method, shard=other.shard_id, tenant="abc", **ROUTED[method])

    @pytest.mark.parametrize("method", WORKER_CALLS)
    def test_so_is_a_worker_of_one(self, tenants, method):
        other = next(s for s in tenants.shards() if s.shard_id != tenants.shard_of("abc"))
        with refused(FAILED_PRECONDITION, containing="is not within shard"):
            tenants.call(method, shard=other.shard_id, tenant_id="abc", **ROUTED[method])

    def test_a_workers_tenant_has_the_bound_of_others(self, tenants):
        tenant = "t" * 64
        other = next(s for s in tenants.shards() if s.shard_id != tenants.shard_of(tenant))
        with refused(FAILED_PRECONDITION, containing="tenant 'ttt"):
            tenants.call("Heartbeat", shard=other.shard_id, tenant_id=tenant, **ROUTED["Heartbeat"])
        with refused(NOT_FOUND, "lease not found"):
            tenants.call("Heartbeat", shard=tenants.shard_of(tenant), tenant_id=tenant, **ROUTED["Heartbeat"])
        for long in ("t" * 65, "t" * 100_000):
            with refused(INVALID_ARGUMENT, "invalid tenant id"):
                tenants.call("Heartbeat", shard=other.shard_id, tenant_id=long, **ROUTED["Heartbeat"])

    def test_one_id_may_be_used_by_many_tenants(self, tenants):
        id = new_id()
        for tenant in ["one", "two", "three"]:
            tenants.enqueue(id=id, tenant=tenant, payload=tenant)
        for tenant in ["one", "two", "three"]:
            assert tenants.job(id, tenant=tenant).payload == packed(tenant)
        with refused(NOT_FOUND, "job not found"):
            tenants.job(id, tenant="four")

    def test_two_tenants_of_one_shard_do_not_see_each_other(self, tenants):
        shard = tenants.shard_of("a")
        neighbour = next(f"n{i}" for i in range(10_000) if tenants.shard_of(f"n{i}") == shard)
        id = tenants.enqueue(tenant="a", id=new_id())
        for call in [tenants.job, tenants.cancel, tenants.restart, tenants.expedite, tenants.lease_one, tenants.result]:
            with refused(NOT_FOUND, "job not found"):
                call(id, tenant=neighbour)
        tenants.delete(id, tenant=neighbour)
        assert tenants.status(id, tenant="a") == SCHEDULED

    def test_tasks_name_their_tenant_and_shard(self, tenants, group):
        names = ["a", "abc", "tenant-1", "my-tenant", "日本"]
        for tenant in names:
            tenants.enqueue(group, tenant=tenant)
        tasks = []
        while len(tasks) < len(names):
            found = tenants.lease(group, 10, wait_ms=10_000)
            assert found, "not every tenant's task came"
            tasks += found
        assert sorted(task.tenant_id for task in tasks) == sorted(names)
        for task in tasks:
            assert task.shard == tenants.shard_of(task.tenant_id)
            tenants.succeed(task)
            assert tenants.status(task.job_id, tenant=task.tenant_id) == 2

    def test_a_worker_of_the_wrong_tenant_does_not_end_the_attempt(self, tenants, group):
        shard = tenants.shard_of("a")
        neighbour = next(f"n{i}" for i in range(10_000) if tenants.shard_of(f"n{i}") == shard)
        id = tenants.enqueue(group, tenant="a")
        task = tenants.take(group)
        with refused(NOT_FOUND, "lease not found"):
            tenants.call("ReportOutcome", shard=shard, task_id=task.id, tenant_id=neighbour, success=packed(1))
        tenants.succeed(task, "right")
        assert tenants.result(id, tenant="a").success_data == packed("right")


class TestRanges:
    """spec/api.md 2.4."""

    VECTORS = {
        "-": "7a162ebe4ce6fc55", "a": "d24ec4f1a98c6e5b", "abc": "44bc2cf5ad770999", "test-tenant": "7bda10a719882c53",
        "env-123": "c8be2c71603145bc", "tenant-1": "e5af04048faa8656", "my-tenant": "d0b072557795f34f",
        "日本": "80c2e40b8486afab", "a-tenant-name-that-is-longer-than-32-bytes": "e4e5325946fdd21a",
    }

    def test_the_first_map_divides_the_hash_space_evenly(self, tenants):
        info = tenants.cluster()
        bounds = [f"{i * 2**64 // 8:016x}" for i in range(1, 8)]
        assert [s.range_start for s in info.shard_owners] == ["", *bounds]
        assert [s.range_end for s in info.shard_owners] == [*bounds, ""]
        assert info.num_shards == 8
        assert all(uuid.UUID(s.shard_id).version == 4 for s in info.shard_owners)
        assert len({s.shard_id for s in info.shard_owners}) == 8

    def test_every_shard_is_owned_by_this_server(self, tenants, tenants_server):
        info = tenants.cluster()
        assert info.this_grpc_addr == tenants_server.address and info.this_node_id
        assert {(s.grpc_addr, s.node_id) for s in info.shard_owners} == {(info.this_grpc_addr, info.this_node_id)}
        assert not any(s.HasField("placement_ring") for s in info.shard_owners)
        assert [(m.node_id, m.grpc_addr) for m in info.members] == [(info.this_node_id, info.this_grpc_addr)]

    def test_one_shard_has_no_bounds(self, client):
        [shard] = client.cluster().shard_owners
        assert (shard.range_start, shard.range_end) == ("", "")

    @pytest.mark.parametrize("tenant", VECTORS)
    def test_a_tenant_is_taken_by_the_one_shard_that_holds_its_hash(self, tenants, tenant):
        key = self.VECTORS[tenant]
        assert hash_text(tenant) == key
        takers = []
        for shard in tenants.shards():
            try:
                tenants.enqueue(tenant=tenant, shard=shard.shard_id)
            except grpc.RpcError as error:
                assert error.code() == FAILED_PRECONDITION
            else:
                takers.append(shard)
        [taker] = takers
        assert taker.range_start <= key and (not taker.range_end or key < taker.range_end)

    @pytest.mark.parametrize("shards", [3, 7])
    def test_other_counts_divide_it_too(self, new_server, shards):
        server = new_server("--shards", shards, data="memory:")
        with Client(server.address) as client:
            bounds = [f"{i * 2**64 // shards:016x}" for i in range(1, shards)]
            assert [s.range_start for s in client.shards()] == ["", *bounds]

    def test_node_info_lists_the_shards_by_id(self, tenants):
        info = tenants.call("GetNodeInfo")
        ids = [shard.shard_id for shard in info.owned_shards]
        assert ids == sorted(ids) and set(ids) == {s.shard_id for s in tenants.shards()}
        assert info.node_id == tenants.cluster().this_node_id
        assert {s.cleanup_status for s in info.owned_shards} == {"CompactionDone"}
        assert all(0 < s.created_at_ms <= milliseconds() + 1000 for s in info.owned_shards)


class TestToken:
    """spec/api.md 1.1."""

    @pytest.fixture(scope="class")
    def guarded(self, start_server):
        with Client(start_server("--shards", 1, "--auth-token", "s3cret").address) as client:
            yield client

    @pytest.mark.parametrize("method", [*ROUTED, *LOCAL, "GetClusterInfo", "GetNodeInfo", "ResetShards"])
    def test_every_method_asks_for_it(self, guarded, method):
        with refused(UNAUTHENTICATED, "missing authorization header"):
            guarded.call(method)

    @pytest.mark.parametrize("header", [
        "Bearer wrong", "bearer s3cret", "Bearer  s3cret", "Bearer s3cret1", "Bearer s3cre", "Bearer ", "s3cret", "Basic s3cret",
        "BEARER s3cret", "Bearers3cret",
    ])
    def test_anything_but_the_token_is_refused(self, guarded, header):
        with refused(UNAUTHENTICATED, "invalid auth token"):
            guarded.call("GetClusterInfo", headers=[("authorization", header)])

    def test_the_token_lets_in(self, guarded):
        assert guarded.call("GetClusterInfo", headers=[("authorization", "Bearer s3cret")]).num_shards == 1

    def test_health_and_reflection_need_none(self, guarded):
        check = health_pb2_grpc.HealthStub(guarded.channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert check.status == health_pb2.HealthCheckResponse.SERVING
        reflect = guarded.channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        # list_services, field 7.
        assert b"silo.v1.Silo" in next(reflect(iter([b"\x3a\x01*"]), timeout=30))

    def test_it_may_come_from_the_environment(self, new_server):
        server = new_server("--shards", 1, data="memory:", extra={"SILO_AUTH_TOKEN": "from-env"})
        with Client(server.address) as client, Client(server.address, token="from-env") as friend:
            with refused(UNAUTHENTICATED, "missing authorization header"):
                client.cluster()
            assert friend.cluster().num_shards == 1

    def test_without_a_token_any_header_will_do(self, client):
        assert client.call("GetClusterInfo", headers=[("authorization", "nonsense")]).num_shards == 1


class TestNotServed:
    @pytest.mark.parametrize("method", ["RequestSplit", "GetSplitStatus", "ConfigureShard", "ForceReleaseShard"])
    def test_it_is_unimplemented(self, client, method):
        with refused(UNIMPLEMENTED):
            client.call(method)

    @pytest.mark.parametrize("path", ["/silo.v1.Silo/NoSuchMethod", "/no.such.Service/Method", "/silo.v1.Silo/", "/x"])
    def test_unknown_methods_and_services_too(self, client, path):
        with refused(UNIMPLEMENTED):
            client.channel.unary_unary(path)(b"", timeout=30)


class TestSizes:
    """Messages up to 128 MiB (spec/api.md 1)."""

    def test_a_payload_of_100_mib_goes_through_everything(self, client, group):
        payload = pb.SerializedBytes(msgpack=bytes(range(256)) * (100 << 12))
        id = client.enqueue(group, payload=payload, timeout=120)
        assert client.job(id).payload == payload
        task = client.lease(group, timeout=120)[0]
        assert task.payload == payload
        client.call("ReportOutcome", shard=task.shard, task_id=task.id, success=payload, timeout=120)
        assert client.result(id).success_data == payload

    def test_a_request_over_the_limit_is_refused_and_the_server_goes_on(self, server, client):
        options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        with Client(server.address, options=options) as large:
            with refused(RESOURCE_EXHAUSTED):
                large.call(
                    "Enqueue", shard=client.shard, task_group="g", timeout=120,
                    payload=pb.SerializedBytes(msgpack=bytes(MESSAGE_MAX)),
                )
        assert client.enqueue()

    def test_a_job_that_is_too_large_with_its_result_does_not_harm_the_server(self, client, group):
        """Payload and result fit a message each, but not both; what does not fit must be an error of that call alone."""
        half = pb.SerializedBytes(msgpack=bytes(70 << 20))
        id = client.enqueue(group, payload=half, timeout=120)
        task = client.lease(group, timeout=120)[0]
        client.call("ReportOutcome", shard=task.shard, task_id=task.id, success=half, timeout=120)
        assert len(client.result(id).success_data.msgpack) == 70 << 20
        with refused(OUT_OF_RANGE, containing="read it in parts"):
            client.job(id)
        assert client.enqueue()

    def test_tasks_that_do_not_fit_one_answer_are_not_lost(self, client, group):
        """Three jobs of 60 MiB cannot be leased by one answer; each must still come to a worker."""
        ids = {client.enqueue(group, payload=pb.SerializedBytes(msgpack=bytes(60 << 20)), timeout=120) for _ in range(3)}
        leased = set()
        for _ in range(3):
            tasks = client.lease(group, 3, timeout=120)
            leased |= {task.job_id for task in tasks}
            for task in tasks:
                client.succeed(task)
        assert leased == ids


class TestReset:
    def test_it_erases_every_job_and_keeps_the_shards(self, new_server):
        server = new_server("--shards", 2, "--dev", "--tenancy")
        with Client(server.address) as client:
            before = [(s.shard_id, s.range_start, s.range_end) for s in client.cluster().shard_owners]
            ids = {tenant: client.succeeded(tenant=tenant) for tenant in ["a", "abc"]}
            client.enqueue(tenant="a", start_at_ms=milliseconds() + 1000_000)
            assert client.counts() == (3, 2)
            assert client.call("ResetShards").shards_reset == 2
            assert [(s.shard_id, s.range_start, s.range_end) for s in client.cluster().shard_owners] == before
            assert client.counts() == (0, 0)
            for tenant, id in ids.items():
                with refused(NOT_FOUND, "job not found"):
                    client.job(id, tenant=tenant)
            again = client.succeeded(tenant="a", id=ids["a"], value="again")
            assert client.result(again, tenant="a").success_data == packed("again")

    def test_it_stays_erased_after_a_restart(self, new_server):
        server = new_server("--shards", 1, "--dev")
        with Client(server.address) as client:
            client.enqueue()
            client.call("ResetShards")
            kept = client.enqueue()
        server.kill()
        server.start()
        with Client(server.address) as client:
            assert client.counts() == (1, 0)
            assert client.job(kept).id == kept
