"""Tokens with roles: who may call what, how tokens come and go, how much they may ask for, and what is written down."""

import concurrent.futures
import itertools
import json
import os
import re
import signal

import grpc
import pytest

from support.client import PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAUTHENTICATED, UNIMPLEMENTED, Client, packed, refused
from support.generated import pb
from support.gubernator import Gubernator
from support.metrics import Page
from support.programs import run
from support.waiting import until

ROLES = ["read", "work", "enqueue", "operate", "admin"]
INCLUDED = {"read": ["read"], "work": ["work"], "enqueue": ["enqueue"], "operate": ROLES[:4], "admin": ROLES}

#: The least role of every call, and what it reaches: what it names, nothing of anybody's, or everything.
LEAST = {
    "GetClusterInfo": (None, "nothing"),
    "GetJob": ("read", "named"), "GetJobResult": ("read", "named"), "ExplainJob": ("read", "named"),
    "ListPauses": ("read", "named"), "ListJobs": ("read", "named"), "GetSchedule": ("read", "named"),
    "GetNodeInfo": ("read", "all"), "Query": ("read", "named"), "QueryArrow": ("read", "named"),
    "Enqueue": ("enqueue", "named"), "EnqueueBatch": ("enqueue", "named"),
    "LeaseTasks": ("work", "named"), "Heartbeat": ("work", "named"), "ReportOutcome": ("work", "named"),
    "ReportOutcomes": ("work", "named"), "ReportRefreshOutcome": ("work", "named"),
    "CancelJob": ("operate", "named"), "RestartJob": ("operate", "named"), "ExpediteJob": ("operate", "named"),
    "DeleteJob": ("operate", "named"), "ImportJobs": ("operate", "named"), "LeaseTask": ("operate", "named"),
    "DropTenantHolders": ("operate", "named"), "DropLimitHolders": ("operate", "named"),
    "Pause": ("operate", "named"), "Resume": ("operate", "named"),
    "GetShardStorageInfo": ("operate", "all"), "CompactShard": ("admin", "all"), "FlushShard": ("admin", "all"),
    "ResetShards": ("admin", "all"), "CpuProfile": ("admin", "all"), "HeapProfile": ("admin", "all"),
    "DumpTasks": ("admin", "all"), "SetLogFilter": ("admin", "all"),
    "DropTenant": ("admin", "named"), "GetTenantDrop": ("operate", "named"),
    "StartBulkAction": ("operate", "named"), "GetBulkAction": ("operate", "named"), "ListBulkActions": ("operate", "named"),
    "CancelBulkAction": ("operate", "named"),
    "ListTenants": ("read", "named"), "ListLimits": ("read", "named"), "ListWorkers": ("read", "all"),
    "QuietWorker": ("operate", "all"), "GetOverview": ("read", "all"),
    "GetConfiguration": ("admin", "all"), "ListAuditEntries": ("admin", "all"),
}
#: Of the schema, and served by nobody yet.
UNSERVED = {"RequestSplit", "GetSplitStatus", "ConfigureShard", "ForceReleaseShard"}


class Tokens:
    """A tokens file, made by siloctl."""

    def __init__(self, folder):
        self.path = folder / "tokens.jsonl"

    def add(self, name, *flags):
        made = run("siloctl", "token", "new", "--name", name, "--file", self.path, *flags)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def remove(self, name):
        lines = [line for line in self.path.read_text().splitlines(True) if json.loads(line)["name"] != name]
        draft = self.path.with_suffix(".new")
        draft.write_text("".join(lines))
        draft.rename(self.path)


@pytest.fixture
def tokens(tmp_path):
    return Tokens(tmp_path)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def messages(server, level):
    return [line["message"] for line in server.log() if line["level"] == level]


def fields_of(method, shard, tenant, group):
    """A request that names a shard, a tenant and a task group as far as it can."""
    entry = {"shard": shard, "id": "none", "tenant": tenant, "task_group": group}
    outcome = {"shard": shard, "task_id": "00000000-0000-0000-0000-000000000000", "tenant_id": tenant}
    match method:
        case "Enqueue": return entry | {"id": "", "payload": packed(1)}
        case "EnqueueBatch": return {"shard": shard, "jobs": [pb.EnqueueRequest(**entry | {"id": "", "payload": packed(1)})]}
        case "ImportJobs": return {"jobs": [pb.ImportJobRequest(**entry | {"id": "imported"})]}
        case "LeaseTasks": return {"shard": shard, "worker_id": "w", "task_group": group, "max_tasks": 0}
        case "LeaseTask": return {"shard": shard, "id": "none", "tenant": tenant, "worker_id": "w"}
        case "Heartbeat": return outcome | {"worker_id": "w"}
        case "ReportOutcome": return outcome | {"success": packed(1)}
        case "ReportOutcomes": return {"shard": shard, "outcomes": [pb.ReportOutcomeRequest(**outcome, success=packed(1))]}
        case "ReportRefreshOutcome": return outcome | {"success": pb.RefreshSuccess(new_max_concurrency=1)}
        case "Pause" | "Resume": return {"shard": shard, "tenant": tenant, "target": pb.PauseTarget(task_group=group)}
        case "DropLimitHolders": return {"shard": shard, "tenant": tenant, "limit_key": "k"}
        case "DropTenantHolders" | "DropTenant" | "GetTenantDrop": return {"shard": shard, "tenant": tenant}
        case "StartBulkAction":
            return {"shard": shard, "tenant": tenant, "kind": pb.BULK_ACTION_KIND_CANCEL, "condition": "true", "dry_run": True}
        case "GetBulkAction" | "CancelBulkAction": return {"id": "00000000-0000-0000-0000-000000000000"}
        case "ListBulkActions" | "ListTenants" | "ListLimits" | "ListWorkers": return {}
        case "ListJobs" | "GetSchedule": return {"tenant": tenant, "task_group": group}
        case "QuietWorker": return {"worker_id": "w", "resume": True}
        case "Query" | "QueryArrow": return {"shard": shard, "sql": "SELECT 1", "tenant": tenant}
        case "SetLogFilter": return {"filter": "info"}
        case "CpuProfile" | "HeapProfile": return {"duration_seconds": 1}
        case "ListPauses" | "CompactShard" | "FlushShard" | "GetShardStorageInfo": return {"shard": shard}
        case "GetClusterInfo" | "GetNodeInfo" | "GetOverview" | "ResetShards" | "DumpTasks": return {}
        case "GetConfiguration" | "ListAuditEntries": return {}
        case _: return {"shard": shard, "id": "none", "tenant": tenant}


#: Calls whose requests name no task group; of those, those that reach all groups of a tenant.
NAME_GROUP = {"Enqueue", "EnqueueBatch", "ImportJobs", "LeaseTasks", "Pause", "Resume", "ListJobs", "GetSchedule"}
NAME_NO_TENANT = {"LeaseTasks", "ListPauses", "ListTenants", "ListLimits", "GetBulkAction", "ListBulkActions", "CancelBulkAction"}
REACH_ALL_GROUPS = {"DropTenantHolders", "DropLimitHolders", "DropTenant", "Query", "QueryArrow", "ListLimits"} | {
    "StartBulkAction", "GetBulkAction", "ListBulkActions", "CancelBulkAction",
}


def expected(method, role, bound, tenant, group):
    """Whether the call is denied. `bound`: None, "tenant" or "group", to what is called own."""
    least, reach = LEAST[method]
    if least is not None and least not in INCLUDED[role]:
        return True
    if reach == "all":
        return bound is not None
    if reach == "nothing" or bound is None:
        return False
    if bound == "tenant":
        return tenant == "other" and method not in NAME_NO_TENANT
    return method in REACH_ALL_GROUPS or group == "other" and method in NAME_GROUP


def is_denied(call):
    try:
        answer = call()
        if isinstance(answer, grpc.Call):
            list(answer)
    except grpc.RpcError as error:
        assert error.code() not in (UNAUTHENTICATED, UNIMPLEMENTED), error.details()
        return error.code() == PERMISSION_DENIED
    if isinstance(answer, (pb.EnqueueBatchResponse, pb.ReportOutcomesResponse)):
        return answer.results[0].code == PERMISSION_DENIED.value[0]
    if isinstance(answer, pb.ImportJobsResponse):
        return answer.results[0].error.startswith("PERMISSION_DENIED")
    return False


class TestRoles:
    def test_the_table_is_whole(self):
        assert set(LEAST) | UNSERVED == {method.name for method in pb.DESCRIPTOR.services_by_name["Silo"].methods}

    def test_every_role_every_call_own_and_other(self, new_server, tokens):
        bindings = {None: [], "tenant": ["--tenant", "own"], "group": ["--group", "own"]}
        holders = {
            (role, bound): tokens.add(f"{role}-{bound}", "--role", role, *flags)
            for role, (bound, flags) in itertools.product(ROLES, bindings.items())
        }
        server = new_server("--shards", 1, "--tenancy", "--tokens-file", tokens.path)
        with Client(server.address, token=holders["admin", None]) as client:
            shard = client.shard_of("own")
        wrong = []
        for (role, bound), token in holders.items():
            with Client(server.address, token=token) as client:
                for method, tenant, group in itertools.product(LEAST, ("own", "other"), ("own", "other")):
                    if method.endswith("Profile") and (tenant, group) != ("own", "own"):
                        continue
                    fields = fields_of(method, shard, tenant, group)
                    denied = is_denied(lambda: client.call(method, **fields))
                    if denied != expected(method, role, bound, tenant, group):
                        wrong.append((method, role, bound, tenant, group, denied))
        assert wrong == []

    def test_health_and_reflection_are_everybodys(self, new_server, tokens):
        tokens.add("a", "--role", "read")
        server = new_server("--shards", 1, "--tokens-file", tokens.path)
        from grpc_health.v1 import health_pb2, health_pb2_grpc
        with grpc.insecure_channel(server.address) as channel:
            assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="")).status == 1
        with Client(server.address) as client, refused(UNAUTHENTICATED, "missing authorization header"):
            client.cluster()

    def test_the_shared_secret_goes_on_working(self, new_server, tokens):
        read = tokens.add("a", "--role", "read")
        server = new_server("--shards", 1, "--tokens-file", tokens.path, extra={"SILO_AUTH_TOKEN": "s3cret"})
        with Client(server.address, token="s3cret") as client, Client(server.address, token=read) as reader:
            id = client.enqueue()
            assert client.call("DumpTasks").task_count == 1 and reader.job(id)
            with refused(PERMISSION_DENIED, "token 'a' may not do this: it needs the role enqueue"):
                reader.enqueue()

    def test_jobs_of_other_groups_are_not_there(self, new_server, tokens):
        everything, mail = tokens.add("all", "--role", "admin"), tokens.add("mail", "--role", "operate", "--group", "mail")
        server = new_server("--shards", 1, "--tokens-file", tokens.path)
        with Client(server.address, token=everything) as all, Client(server.address, token=mail) as bound:
            own, other = bound.enqueue("mail", {"a": 1}), all.enqueue("billing", {"a": 1})
            assert bound.job(own).task_group == "mail"
            for call in (bound.job, bound.result, bound.cancel, bound.restart, bound.expedite, bound.explain):
                with refused(grpc.StatusCode.NOT_FOUND, "job not found"):
                    call(other)
            bound.delete(other)
            assert all.job(other).id == other, "it says of what is not there that it is erased, and erases nothing"
            task = all.take("billing")
            for call in (bound.heartbeat, bound.succeed, bound.fail, bound.give_up):
                with refused(grpc.StatusCode.NOT_FOUND, "lease not found"):
                    call(task)
            all.succeed(task)
            bound.succeed(bound.take("mail"))


    def test_a_worker_of_one_tenant_gets_its_tasks_alone(self, new_server, tokens):
        everything = tokens.add("all", "--role", "admin")
        bound = tokens.add("own", "--role", "work", "--tenant", "own", "--tenant", "alone")
        server = new_server("--shards", 4, "--tenancy", "--tokens-file", tokens.path)
        with Client(server.address, token=everything) as all, Client(server.address, token=bound) as worker:
            for _ in range(3):
                all.enqueue("g", 1, tenant="other")
            call = worker.begin("LeaseTasks", worker_id="w", task_group="g", max_tasks=9, wait_ms=30_000)
            until(lambda: Page.of(server).sum("silo_waiting_workers") > 0, 10, "the worker to wait")
            id = all.enqueue("g", 1, tenant="own")
            tasks = call.result().tasks
            assert [(task.job_id, task.tenant_id) for task in tasks] == [(id, "own")]
            other = all.lease("g")[0]
            with refused(PERMISSION_DENIED, "token 'own' may not touch tenant 'other'"):
                worker.succeed(other)
            with refused(grpc.StatusCode.NOT_FOUND, "lease not found"):
                worker.call("Heartbeat", shard=tasks[0].shard, task_id=other.id, worker_id="w", tenant_id="own")
            worker.succeed(tasks[0])
            assert worker.call("LeaseTasks", worker_id="w", task_group="g", max_tasks=9).tasks == []
            assert len(all.lease("g", 9)) == 2


class TestReload:
    def test_tokens_come_and_go_without_a_restart(self, new_server, tokens):
        first = tokens.add("first", "--role", "enqueue")
        server = new_server("--shards", 1, "--tokens-file", tokens.path)
        second = tokens.add("second", "--role", "enqueue")
        with Client(server.address, token=first) as old, Client(server.address, token=second) as new:
            old.enqueue()
            until(lambda: not isinstance(attempt(new.enqueue), grpc.RpcError), 30, "the new token")
            tokens.remove("first")
            until(lambda: refusal(old.enqueue) == UNAUTHENTICATED, 30, "the end of the old token")
            new.enqueue()

    def test_an_open_connection_is_refused_from_its_next_call_on(self, new_server, tokens):
        goes, stays = tokens.add("goes", "--role", "enqueue"), tokens.add("stays", "--role", "enqueue")
        server = new_server("--shards", 1, "--tokens-file", tokens.path)
        with Client(server.address, token=goes) as client:
            enqueue = client.channel.unary_unary("/silo.v1.Silo/Enqueue", pb.EnqueueRequest.SerializeToString)
            request = pb.EnqueueRequest(shard=client.shard, task_group="g", payload=packed(1))
            for _ in range(100):
                client.enqueue()
            tokens.remove("goes")
            server.process.send_signal(signal.SIGHUP)
            until(lambda: any(line["message"] == "tokens read" and line["tokens"] == 1 for line in server.log()), 30, "the tokens")
            assert refusal(client.enqueue) == UNAUTHENTICATED
            # The same connection, with a token that is good.
            assert enqueue(request, metadata=[("authorization", f"Bearer {stays}")], timeout=30)
            assert refusal(client.enqueue) == UNAUTHENTICATED

    def test_a_token_that_goes_while_the_server_starts(self, new_server, tokens):
        stays, goes = tokens.add("stays", "--role", "read"), tokens.add("goes", "--role", "read")
        with Gubernator() as gubernator:
            # It is asked after the tokens were read, and before the shards are opened.
            gubernator.pause()
            server = new_server.prepare(
                "--shards", 1, "--tokens-file", tokens.path, "--gubernator", gubernator.address,
                "--gubernator-connect-timeout-ms", 60_000)
            with concurrent.futures.ThreadPoolExecutor() as pool:
                started = pool.submit(server.start)
                until(lambda: gubernator.health_checks > 0, 60, "the start")
                tokens.remove("goes")
                gubernator.resume()
                started.result()
            with Client(server.address, token=stays) as known, Client(server.address, token=goes) as gone:
                until(lambda: refusal(gone.cluster) == UNAUTHENTICATED, 30, "the end of the token")
                known.cluster()

    @pytest.mark.parametrize("spoil", ["vanish", "truncate", "half", "junk", "no text", "unreadable", "folder"])
    def test_the_old_ones_stay_when_the_file_cannot_be_used(self, new_server, tokens, spoil):
        token = tokens.add("first", "--role", "enqueue")
        server = new_server("--shards", 1, "--tokens-file", tokens.path)
        good = tokens.path.read_text()
        match spoil:
            case "vanish": tokens.path.unlink()
            case "truncate": tokens.path.write_text("")
            case "half": tokens.path.write_text(good + good[: len(good) // 2])
            case "junk": tokens.path.write_text(good + '{"name":"b","roles":["boss"]}\n')
            case "folder":
                tokens.path.unlink()
                tokens.path.mkdir()
            case "no text": tokens.path.write_bytes(b"\xff\xfe\n")
            case "unreadable":
                # Nobody can read the beginning of it, root included.
                tokens.path.unlink()
                tokens.path.symlink_to("/proc/self/mem")
        until(lambda: "the tokens file cannot be used; the tokens of before go on" in messages(server, "ERROR"), 30, "a line")
        with Client(server.address, token=token) as client:
            assert client.enqueue()
            error = [line["error"] for line in server.log() if line["level"] == "ERROR"]
            assert len(error) == 1 and str(tokens.path) in error[0]
            if spoil == "folder":
                tokens.path.rmdir()
            elif spoil == "unreadable":
                tokens.path.unlink()
            tokens.path.write_text(good)
            again = tokens.add("second", "--role", "enqueue")
            with Client(server.address, token=again) as new:
                until(lambda: not isinstance(attempt(new.enqueue), grpc.RpcError), 30, "the new token")

    @pytest.mark.parametrize("text, hints", [
        ("", ["it names no token"]),
        ('{"name":"a","hash":"x","roles":["boss"]}\nnope\n', ["line 1: hash must be", "line 1: boss is no role", "line 2: it is no JSON"]),
        ('{"name":"a"', ["half written"]),
    ])
    def test_a_server_does_not_start_with_one_that_cannot_be_used(self, tokens, text, hints):
        tokens.path.write_text(text)
        ended = run("silo", "--listen", "127.0.0.1:0", "--data", "memory:", "--tokens-file", tokens.path)
        assert ended.returncode == 1 and all(hint in ended.stderr for hint in [str(tokens.path), *hints]), ended.stderr

    def test_tenants_without_tenancy_are_refused(self, tokens):
        tokens.add("a", "--role", "read", "--tenant", "acme")
        ended = run("silo", "--listen", "127.0.0.1:0", "--data", "memory:", "--tokens-file", tokens.path)
        assert ended.returncode == 1 and "without tenancy" in ended.stderr

    def test_expired_tokens_are_worth_nothing(self, new_server, tokens):
        token = tokens.add("a", "--role", "read", "--expires", "90d")
        line = json.loads(tokens.path.read_text()) | {"expires": "2020-01-01T00:00:00Z"}
        tokens.path.write_text(json.dumps(line) + "\n")
        server = new_server("--shards", 1, "--tokens-file", tokens.path)
        with Client(server.address, token=token) as client, refused(UNAUTHENTICATED, "token 'a' has expired"):
            client.cluster()


def attempt(call):
    try:
        return call()
    except grpc.RpcError as error:
        return error


def refusal(call):
    error = attempt(call)
    return error.code() if isinstance(error, grpc.RpcError) else None


class TestAllowances:
    def test_who_asks_for_too_much_is_told_when_to_come_back(self, new_server, tokens):
        admin = tokens.add("admin", "--role", "admin")
        slow = tokens.add("slow", "--role", "enqueue", "--role", "work", "--requests-per-second", 20)
        server = new_server("--shards", 1, "--tokens-file", tokens.path)
        with Client(server.address, token=admin) as client, Client(server.address, token=slow) as bound:
            shard = client.shard
            id = client.enqueue("g")
            task = bound.lease("g")[0]
            assert bound.call("EnqueueBatch", shard=shard, jobs=[pb.EnqueueRequest(task_group="h")] * 100).results[99].id
            with refused(RESOURCE_EXHAUSTED, containing="token 'slow' asks for more than it may; try again in") as caught:
                bound.call("Enqueue", shard=shard, task_group="h")
            trailers = dict(caught.value.trailing_metadata())
            assert 1000 < int(trailers["grpc-retry-pushback-ms"]) < 6000 and 1 < int(trailers["retry-after"]) < 7
            with refused(RESOURCE_EXHAUSTED):
                bound.lease("g")
            page = Page.of(server)
            refusals = {call: page.sum("silo_calls_refused_total", call=call, reason="token_limit") for call in ("enqueue", "other")}
            assert refusals == {"enqueue": 1, "other": 1}
            assert page.sum("silo_grpc_requests_total", status="RESOURCE_EXHAUSTED") == 2, "as the alerts take them apart"
            bound.heartbeat(task)
            bound.succeed(task)
            assert client.status(id) == 2 and client.enqueue(), "others are not slowed down"
            until(lambda: refusal(lambda: bound.call("Enqueue", shard=shard, task_group="h")) is None, 30, "room")

    def test_bytes_count(self, new_server, tokens):
        token = tokens.add("a", "--role", "enqueue", "--bytes-per-second", 1_000_000)
        server = new_server("--shards", 1, "--tokens-file", tokens.path)
        with Client(server.address, token=token) as client:
            shard = client.shard
            client.call("Enqueue", shard=shard, task_group="h", payload=pb.SerializedBytes(msgpack=bytes(3_000_000)))
            with refused(RESOURCE_EXHAUSTED):
                client.call("Enqueue", shard=shard, task_group="h")


class TestAudit:
    def test_what_administrators_do_and_who_is_refused(self, new_server, tokens, tmp_path):
        admin, read = tokens.add("root", "--role", "admin"), tokens.add("eve", "--role", "read")
        path = tmp_path / "audit.jsonl"
        server = new_server("--shards", 1, "--tokens-file", tokens.path, "--audit-log", path)
        with Client(server.address, token=admin) as client, Client(server.address, token=read) as reader:
            id = client.enqueue("g", {"secret": "payload"})
            client.cancel(id)
            with refused(grpc.StatusCode.FAILED_PRECONDITION):
                client.cancel(id)
            client.pause(task_group="g", reason="private")
            client.drop_holders(limit_key="db")
            with refused(PERMISSION_DENIED):
                reader.cancel(id)
            with Client(server.address, token="wrong") as stranger, refused(UNAUTHENTICATED):
                stranger.cluster()
            shard = client.shard
        found = until(lambda: len(lines(path)) >= 6 and lines(path), 10, "the lines")
        assert path.stat().st_mode & 0o777 == 0o600
        for line in found:
            assert line.pop("log") == "audit"
            assert line.pop("time").endswith("Z") and line.pop("peer").startswith("ipv4:127.0.0.1:")
        about = {"who": "root", "by": "token", "shard": shard}
        assert found == [
            about | {"call": "CancelJob", "job": id, "outcome": "OK"},
            about | {
                "call": "CancelJob", "job": id, "outcome": "FAILED_PRECONDITION", "error": "job is already cancelled"},
            about | {"call": "Pause", "target": "task group g", "outcome": "OK"},
            about | {"call": "DropLimitHolders", "limit_key": "db", "outcome": "OK"},
            {
                "who": "eve", "by": "token", "call": "CancelJob", "outcome": "PERMISSION_DENIED",
                "error": "token 'eve' may not do this: it needs the role operate",
            },
            {"call": "GetClusterInfo", "outcome": "UNAUTHENTICATED", "error": "invalid auth token"},
        ]
        text = path.read_text()
        assert admin not in text and "payload" not in text and "private" not in text and "wrong" not in text

    def test_denied_entries_of_batches_are_in_it(self, new_server, tokens, tmp_path):
        worker = tokens.add("eve", "--role", "enqueue", "--role", "work", "--tenant", "own")
        operator = tokens.add("olga", "--role", "operate", "--tenant", "own")
        path = tmp_path / "audit.jsonl"
        server = new_server("--shards", 1, "--tenancy", "--tokens-file", tokens.path, "--audit-log", path)
        tenants = ["own", "other", "own", "else"]
        task = "00000000-0000-0000-0000-000000000000"
        with Client(server.address, token=worker) as client, Client(server.address, token=operator) as admin:
            shard = client.shard_of("own")
            jobs = [pb.EnqueueRequest(tenant=t, task_group="g", payload=packed(1)) for t in tenants]
            codes = [entry.code for entry in client.call("EnqueueBatch", shard=shard, jobs=jobs).results]
            assert codes == [0, PERMISSION_DENIED.value[0]] * 2
            outcomes = [pb.ReportOutcomeRequest(task_id=task, tenant_id=t, success=packed(1)) for t in tenants[:2]]
            client.call("ReportOutcomes", shard=shard, outcomes=outcomes)
            imported = [pb.ImportJobRequest(shard=shard, id=t, tenant=t, task_group="g", payload=packed(1)) for t in tenants[1:3]]
            admin.call("ImportJobs", jobs=imported)
        found = until(lambda: len(lines(path)) >= 3 and lines(path), 10, "the lines")
        told = [{key: line.get(key) for key in ("who", "call", "outcome", "entries", "denied_entries", "error")} for line in found]
        assert told == [
            {
                "who": "eve", "call": "EnqueueBatch", "outcome": "PERMISSION_DENIED", "entries": "2", "denied_entries": None,
                "error": "token 'eve' may not touch tenant 'other'"},
            {
                "who": "eve", "call": "ReportOutcomes", "outcome": "PERMISSION_DENIED", "entries": "1", "denied_entries": None,
                "error": "token 'eve' may not touch tenant 'other'"},
            {
                "who": "olga", "call": "ImportJobs", "outcome": "OK", "entries": None, "denied_entries": "1",
                "error": "token 'olga' may not touch tenant 'other'"},
        ]

    @pytest.mark.parametrize("place", ["stderr", "stdout", "-"])
    def test_it_may_go_to_a_stream_whose_lines_stay_whole(self, new_server, tokens, place):
        token = tokens.add("root", "--role", "admin")
        server = new_server("--shards", 1, "--tokens-file", tokens.path, "--audit-log", place, extra={"SILO_LOG": "debug"})
        with Client(server.address, token=token) as client:
            calls = [client.begin("DumpTasks") for _ in range(500)]
            assert not any(call.exception() for call in calls)
        path = server.errors_path if place == "stderr" else server.log_path

        def audited():
            return [line for line in lines(path) if line.get("log") == "audit"]

        until(lambda: len(audited()) == 500, 10, "the lines")
        assert {(line["who"], line["call"], line["outcome"]) for line in audited()} == {("root", "DumpTasks", "OK")}
        assert server.stop() == 0

    def test_what_is_left_out_and_lost_is_measured(self, new_server, tokens):
        token = tokens.add("root", "--role", "admin")
        server = new_server("--shards", 1, "--tokens-file", tokens.path, "--audit-log", "/dev/full")
        with Client(server.address, token=token) as client, Client(server.address, token="wrong") as stranger:
            refusals = [stranger.begin("GetClusterInfo") for _ in range(200)]
            assert {call.exception().code() for call in refusals} == {UNAUTHENTICATED}

            def lost():
                for call in [client.begin("SetLogFilter", filter="no filter " * 100) for _ in range(200)]:
                    assert call.exception().code() == grpc.StatusCode.INVALID_ARGUMENT
                return Page.of(server).sum("silo_audit_lines_total", outcome="dropped") > 0

            until(lost, 60, "lines without room")
        page = Page.of(server)
        assert page.sum("silo_audit_lines_total", outcome="left_out") > 100
        assert page.sum("silo_audit_lines_total", outcome="written") == 0
        assert page.sum("silo_log_lines_total", outcome="written") > 3

    def test_strangers_do_not_fill_it(self, new_server, tokens, tmp_path):
        token = tokens.add("root", "--role", "admin")
        path = tmp_path / "audit.jsonl"
        server = new_server("--shards", 1, "--tokens-file", tokens.path, "--audit-log", path)
        with Client(server.address, token="wrong") as stranger:
            calls = [stranger.begin("GetClusterInfo") for _ in range(3000)]
            assert {call.exception().code() for call in calls} == {UNAUTHENTICATED}
        # How many were left out is said, also when none comes any more.
        written = lambda: [line for line in lines(path) if line["outcome"] == "UNAUTHENTICATED"]
        left = lambda: sum(int(line.get("left_out", 0)) for line in lines(path))
        until(lambda: len(written()) + left() == 3000, 30, "all of them to be told", lambda: f"{len(written())} + {left()}")
        assert len(lines(path)) < 300 and lines(path)[-1]["outcome"] == "LEFT_OUT"
        shown = run("siloctl", "-a", server.address, "audit", "--limit", "1000", extra={"SILO_AUTH_TOKEN": token}).stdout
        assert f"{left():,} more refusals of that time left out" in shown.splitlines()[-1]
        assert 0 < messages(server, "INFO").count("call refused") < 50, "the log neither"

    def test_a_full_disk_harms_nobody(self, new_server, tokens, tmp_path):
        token = tokens.add("root", "--role", "admin")
        server = new_server("--shards", 1, "--tokens-file", tokens.path, "--audit-log", "/dev/full")
        with Client(server.address, token=token) as client:
            for _ in range(50):
                client.cancel(client.enqueue())
            until(lambda: messages(server, "ERROR"), 10, "a line")
            assert messages(server, "ERROR") == ["the audit log cannot be written; its lines wait"]
            assert "No space left" in next(line["error"] for line in server.log() if line["level"] == "ERROR")
        assert server.stop() == 0

    def test_one_that_cannot_be_written_keeps_the_server_from_starting(self, tmp_path):
        ended = run("silo", "--listen", "127.0.0.1:0", "--data", "memory:", "--audit-log", tmp_path / "no" / "audit")
        assert ended.returncode == 1 and str(tmp_path / "no" / "audit") in ended.stderr


class TestBadHeaders:
    @pytest.mark.parametrize("header", ["Bearer", "Basic abc", "bearer x", "Bearer " + "x" * 6000, "Bearer  x"])
    def test_they_are_refused(self, new_server, tokens, header):
        tokens.add("root", "--role", "admin")
        server = new_server("--shards", 1, "--tokens-file", tokens.path)
        with Client(server.address) as client, refused(UNAUTHENTICATED):
            client.call("GetClusterInfo", headers=[("authorization", header)])

    def test_a_token_of_a_mebibyte_is_not_kept(self, new_server, tokens):
        token = tokens.add("root", "--role", "admin")
        server = new_server("--shards", 1, "--tokens-file", tokens.path)
        with Client(server.address) as client, Client(server.address, token=token) as known:
            known.cluster()
            resting = server.rss()
            for _ in range(20):
                error = attempt(lambda: client.call("GetClusterInfo", headers=[("authorization", "Bearer " + "x" * (1 << 20))]))
                assert isinstance(error, grpc.RpcError)
            assert known.cluster().num_shards == 1
            assert server.rss() - resting < 64 << 20


class TestSiloctl:
    def test_a_token_is_shown_once(self, tokens):
        made = run("siloctl", "token", "new", "--name", "ci", "--role", "enqueue,read", "--tenant", "a", "--tenant", "b", "--json")
        answer = json.loads(made.stdout)
        line = json.loads(answer["line"])
        assert answer["token"].startswith("silo_") and len(answer["token"]) == 48
        assert answer["token"] not in answer["line"]
        assert (line["name"], line["roles"], line["tenants"]) == ("ci", ["enqueue", "read"], ["a", "b"])

    def test_the_file_is_its_owners(self, tokens):
        tokens.add("a", "--role", "read")
        assert tokens.path.stat().st_mode & 0o777 == 0o600
        tokens.path.chmod(0o640)
        tokens.add("b", "--role", "read")
        assert tokens.path.stat().st_mode & 0o777 == 0o640
        assert [name for name in os.listdir(tokens.path.parent) if "tokens" in name] == ["tokens.jsonl"]
        shown = run("siloctl", "token", "check", tokens.path)
        assert shown.returncode == 0 and [line.split()[0] for line in shown.stdout.splitlines()] == ["Name", "a", "b"]

    def test_a_look_at_the_file_shows_expiry_and_rates(self, tokens):
        tokens.add("a", "--role", "read")
        tokens.add(
            "b", "--role", "work", "--expires", "2100-01-31T00:00:00Z", "--requests-per-second", "7", "--bytes-per-second", "8000")
        lines = run("siloctl", "token", "check", tokens.path, "--utc").stdout.splitlines()
        assert re.fullmatch("a +read +everything +- +-", lines[1]), lines
        assert re.fullmatch("b +work +everything +2100-01-31 00:00:00 UTC, in .* days +7 requests/s, 8000 bytes/s", lines[2]), lines
        a, b = json.loads(run("siloctl", "--json", "token", "check", tokens.path).stdout)["grants"]
        assert a == {"name": "a", "roles": ["read"], "tenants": [], "groups": []}
        assert (b["expires_ms"], b["requests_per_second"], b["bytes_per_second"]) == (4_105_036_800_000, 7, 8000)

    def test_who_may_not_drop_a_tenant_hears_what_that_needs(self, new_server, tokens):
        token = tokens.add("shop", "--role", "enqueue")
        server = new_server("--shards", 1, "--tokens-file", tokens.path)
        ended = run("siloctl", "-a", server.address, "tenant", "drop", "-", "--yes", extra={"SILO_AUTH_TOKEN": token})
        assert ended.returncode == 1 and "it needs the role admin" in ended.stderr and "operate" not in ended.stderr

    @pytest.mark.parametrize("option, value, hint", [
        ("--outcome", "FOO", "the log has no FOO"), ("--outcome", "ok", "did you mean OK?"),
        ("--call", "cancel", "the log has no cancel"), ("--call", "pause", "did you mean Pause?"),
    ])
    def test_names_that_the_audit_log_cannot_have(self, option, value, hint):
        ended = run("siloctl", "-a", "127.0.0.1:1", "audit", option, value)
        assert ended.returncode == 2 and hint in ended.stderr


class TestTheFileOfTokens:
    @pytest.mark.parametrize("mode, text", [
        (0o640, None), (0o644, "can read the tokens file: chmod o="), (0o604, "can read the tokens file: chmod o="),
        (0o662, "can change the tokens file: chmod 600"),
    ])
    def test_others_who_reach_it_are_warned_of_also_when_it_is_read_anew(self, new_server, tokens, mode, text):
        tokens.add("a", "--role", "read")
        tokens.path.chmod(0o600)
        server = new_server("--shards", 1, "--tokens-file", tokens.path)

        def warnings():
            return [line["message"] for line in server.log() if "other users" in line["message"]]

        assert warnings() == []
        tokens.path.chmod(mode)
        for times in [1, 2]:
            server.process.send_signal(signal.SIGHUP)
            until(lambda: messages(server, "INFO").count("settings were read anew") == times, 30, "the settings", server.tail)
        assert warnings() == ([f"other users of this machine {text}"] * 2 if text else [])
        server.stop()
        server.start()
        assert len(warnings()) == (1 if text else 0)

    @pytest.mark.parametrize("flags, hint", [
        (["--role", "read"], "--name is missing"), (["--name", "a"], "--role is missing"),
        (["--name", "a", "--role", "boss"], "--role must be one of"),
        (["--name", "a", "--role", "read", "--expires", "soon"], "--expires must be"),
        (["--name", "a", "--role", "read", "--requests-per-second", "0"], "--requests-per-second"),
    ])
    def test_mistakes_are_told(self, flags, hint):
        ended = run("siloctl", "token", "new", *flags)
        assert ended.returncode == 2 and hint in ended.stderr, ended.stderr

    def test_two_of_a_name_are_refused_and_the_file_stays(self, tokens):
        tokens.add("a", "--role", "read")
        before = tokens.path.read_text()
        ended = run("siloctl", "token", "new", "--name", "a", "--role", "read", "--file", tokens.path)
        assert ended.returncode == 1 and f"{tokens.path}: the name a is taken, by line 1" in ended.stderr and tokens.path.read_text() == before
        assert list(tokens.path.parent.iterdir()) == [tokens.path], "nothing is left beside it"

    def test_a_draft_of_somebody_else_is_not_written_over(self, tokens):
        tokens.add("a", "--role", "read")
        before = tokens.path.read_text()
        draft = tokens.path.with_name(tokens.path.name + ".new")
        draft.write_text("theirs")
        ended = run("siloctl", "token", "new", "--name", "b", "--role", "read", "--file", tokens.path)
        assert ended.returncode == 1 and f"{draft} is there: somebody else adds a token now" in ended.stderr
        assert (tokens.path.read_text(), draft.read_text()) == (before, "theirs")


class TestHangup:
    """SIGHUP."""

    def test_the_audit_log_goes_on_in_a_new_file(self, new_server, tokens, tmp_path):
        token = tokens.add("root", "--role", "admin")
        path, old = tmp_path / "audit.jsonl", tmp_path / "audit.1"
        server = new_server("--shards", 1, "--tokens-file", tokens.path, "--audit-log", path)
        with Client(server.address, token=token) as client:
            client.pause(task_group="g")
            until(lambda: path.exists() and lines(path), 10, "a line")
            path.rename(old)
            server.process.send_signal(signal.SIGHUP)
            until(path.exists, 10, "the new file")
            client.resume(task_group="g")
            until(lambda: len(lines(path)) == 3, 60, "all lines")
        assert [line["call"] for line in lines(old)] == ["Pause"]
        assert {line["call"] for line in lines(path)} == {"Resume", "reload"}
        reloads = [line for line in lines(path) if line["call"] == "reload"]
        assert [(line["who"], line["target"]) for line in reloads] == [("server", "tokens"), ("server", "settings")]

    def test_tokens_are_read_at_once_and_other_files_too(self, new_server, tmp_path):
        first, second = Tokens(tmp_path / "a"), Tokens(tmp_path / "b")
        for tokens in (first, second):
            tokens.path.parent.mkdir()
        one, two = first.add("one", "--role", "read"), second.add("two", "--role", "read")
        config = tmp_path / "silo.toml"

        def write(path, secret):
            config.write_text(
                f'[database]\nbackend = "memory"\n[server]\nauth_token = "{secret}"\n[access]\ntokens_file = "{path}"\n')

        write(first.path, "s1")
        server = new_server("--config", config, data="memory:")
        write(second.path, "s2")
        server.process.send_signal(signal.SIGHUP)
        clients = [Client(server.address, token=token) for token in (one, "s1", two, "s2")]
        until(lambda: refusal(clients[0].cluster) == UNAUTHENTICATED, 10, "the end of the first")
        assert [refusal(client.cluster) for client in clients] == [UNAUTHENTICATED, UNAUTHENTICATED, None, None]
        config.write_text('[database]\nbackend = "memory"\n[server]\nauth_token = "s3"\n')
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "a setting could not be changed" in messages(server, "WARN"), 10, "a line")
        assert refusal(clients[2].cluster) is None, "access is not turned off while it runs"
        for client in clients:
            client.close()
