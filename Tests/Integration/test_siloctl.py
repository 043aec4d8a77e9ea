"""`siloctl` from its command line: what it prints for people and for programs, and its exit codes (spec/operations.md 10)."""

import base64
import json
import re

import msgpack
import pytest

from support.client import CANCELLED, FAILED, SCHEDULED, SUCCEEDED, Client, hash_text, new_id, policy
from support.generated import pb
from support.ports import fixed_address
from support.programs import ROOT, run
from support.siloctl import as_json, fields, iso, pretty, runner
from support.waiting import milliseconds


@pytest.fixture(scope="module")
def ctl(server):
    """Runs siloctl against the server; a failure is the test's unless `code` says otherwise."""
    return runner(server.address)


class TestClusterInfo:
    def test_for_people(self, ctl, client, server):
        text = ctl("cluster", "info")
        info = client.cluster()
        lines = text.splitlines()
        assert lines[0] == "Cluster Information"
        assert "Total shards: 1" in lines
        assert f"Connected to: {server.address} (node {info.this_node_id})" in lines
        heading = next(line for line in lines if line.startswith("Shard "))
        assert heading.split("  ") and re.split(r"  +", heading) == ["Shard", "Range", "Node ID", "gRPC Address"]
        rule = lines[lines.index(heading) + 1]
        assert set(rule) == {"-"} and len(rule) >= 120
        row = lines[-1]
        assert row.split() == [client.shard, "[-∞,", "+∞)", info.this_node_id, server.address]

    def test_for_programs(self, ctl, client, server):
        info = client.cluster()
        assert pretty(ctl("cluster", "info", "--json")) == {
            "num_shards": 1, "this_node_id": info.this_node_id, "this_grpc_addr": server.address,
            "shard_owners": [{
                "shard_id": client.shard, "node_id": info.this_node_id, "grpc_addr": server.address, "range_start": "",
                "range_end": "",
            }],
        }


class TestJobGet:
    def test_for_people(self, ctl, client):
        start = milliseconds() + 10**9
        id = client.enqueue("g", priority=7, start_at_ms=start, metadata={"b": "2", "a": "1"})
        job = client.job(id)
        lines = ctl("job", "get", client.shard, id, "--utc", "--iso").splitlines()
        assert lines[0] == "Job Details"
        assert fields(lines) == {
            "ID": id, "Status": "scheduled", "Priority": "7", "Task Group": "g", "Enqueued": iso(job.enqueued_at_ms),
            "Status Changed": iso(job.status_changed_at_ms), "Next Attempt": iso(start), "Retries": "none", "Payload": "-",
        }
        at = lines.index("Metadata:")
        assert [line.strip() for line in lines[at + 1:at + 3]] == ["a: 1", "b: 2"]
        assert "Attempts:" not in lines

    def test_its_attempts(self, ctl, client):
        id = client.enqueue(retry_policy=policy(1))
        client.fail(client.lease_one(id), value="boom")
        task = client.lease_one(id)
        lines = ctl("job", "get", client.shard, id, "--attempts", "--utc", "--iso").splitlines()
        table = lines[lines.index("Attempts:") + 1:]
        assert table[0].split() == ["Attempt", "Task", "ID", "Status", "Started", "Finished", "Error"]
        first, second = client.job(id, attempts=True).attempts
        done = first.finished_at_ms
        assert table[1].split() == [
            "1", first.task_id, "failed", iso(first.started_at_ms), iso(done), f"{first.error_code}:", '"boom"',
        ]
        assert table[2].split() == ["2", second.task_id, "running", iso(second.started_at_ms), "-", "-"]
        document = pretty(ctl("job", "get", client.shard, id, "--attempts", "--json"))
        assert document["status"] == "running" and document["status_code"] == 1
        assert document["attempts"] == [
            {"attempt_number": 1, "task_id": first.task_id, "status": "failed", "started_at_ms": first.started_at_ms,
             "finished_at_ms": done, "error_code": first.error_code, "error": '"boom"'},
            {"attempt_number": 2, "task_id": task.id, "status": "running", "started_at_ms": second.started_at_ms,
             "finished_at_ms": None},
        ]
        client.give_up(task)

    def test_for_programs(self, ctl, client):
        start = milliseconds() + 10**9
        id = client.enqueue("g", priority=3, start_at_ms=start, metadata={"k": "v"})
        job = client.job(id)
        assert pretty(ctl("--json", "job", "get", client.shard, id)) == {
            "id": id, "status": "scheduled", "status_code": 0, "priority": 3, "enqueue_time_ms": start, "task_group": "g",
            "status_changed_at_ms": job.status_changed_at_ms, "metadata": {"k": "v"}, "enqueued_at_ms": job.enqueued_at_ms,
            "next_attempt_starts_after_ms": start, "limits": [], "payload": None,
        }

    def test_labels_that_unicode_holds_equal_are_all_there(self, ctl, client):
        id = as_json(ctl("enqueue", "g", "1", "--json", "--label", "\u00e9=one", "--label", "e\u0301=two"))["id"]
        assert dict(client.job(id).metadata) == {"\u00e9": "one", "e\u0301": "two"}
        assert pretty(ctl("job", "get", client.shard, id, "--json"))["metadata"] == {"\u00e9": "one", "e\u0301": "two"}
        lines = ctl("job", "get", client.shard, id).splitlines()
        assert {"  \u00e9: one", "  e\u0301: two"} <= set(lines)

    def test_one_that_does_not_fit_an_answer(self, ctl, client):
        half = pb.SerializedBytes(msgpack=bytes(70 << 20))
        id = client.enqueue("g", half, retry_policy=policy(2), timeout=120)
        for _ in range(2):
            task = client.lease_one(id, timeout=120)
            client.call("ReportOutcome", shard=task.shard, task_id=task.id, failure=pb.Failure(code="E", data=half), timeout=120)
        client.succeed(client.lease_one(id, timeout=120))
        document = pretty(ctl("job", "get", client.shard, id, "--attempts", "--json"))
        assert [(a["attempt_number"], a["status"]) for a in document["attempts"]] == [(1, "failed"), (2, "failed"), (3, "succeeded")]

    @pytest.mark.parametrize("state, word", [(SUCCEEDED, "succeeded"), (FAILED, "failed"), (CANCELLED, "cancelled")])
    def test_words_for_states(self, ctl, client, state, word):
        id = client.enqueue()
        {SUCCEEDED: client.succeed, FAILED: client.fail, CANCELLED: client.give_up}[state](client.lease_one(id))
        document = pretty(ctl("job", "get", client.shard, id, "--json", "--attempts"))
        assert (document["status"], document["status_code"]) == (word, state)
        assert document["attempts"][0]["status"] == word and "next_attempt_starts_after_ms" not in document


class TestJobResult:
    def ended(self, client, how):
        id = client.enqueue()
        how(client.lease_one(id))
        return id, client.result(id).finished_at_ms

    def test_success(self, ctl, client):
        value = {"a": [1, None, "ü"]}
        id, finished = self.ended(client, lambda task: client.succeed(task, value))
        data = msgpack.packb(value)
        lines = ctl("job", "result", client.shard, id).splitlines()
        assert re.match(rf"Job:\s+{id}", lines[0]) and re.match(r"Status:\s+succeeded", lines[1])
        assert json.loads(lines[lines.index("Result:") + 1]) == value
        assert ctl("job", "result", client.shard, id, "-f", "hex").splitlines()[-1] == data.hex()
        in_base64 = base64.b64encode(data).decode()
        for flags, text in [([], data.hex()), (["-f", "hex"], data.hex()), (["--format", "base64"], in_base64)]:
            assert pretty(ctl("job", "result", client.shard, id, "--json", *flags)) == {
                "id": id, "status": "succeeded", "finished_at_ms": finished, "result": text,
            }
        document = pretty(ctl("job", "result", client.shard, id, "--json", "-f", "msgpack"))
        assert json.loads(document["result"]) == value
        assert json.loads(ctl("job", "result", client.shard, id, "-f", "msgpack").splitlines()[-1]) == value

    def test_failure(self, ctl, client):
        id, finished = self.ended(client, lambda task: client.fail(task, "E_CODE", "why"))
        lines = ctl("job", "result", client.shard, id, "-f", "msgpack").splitlines()
        assert "Error Code: E_CODE" in lines and lines[lines.index("Error Data:") + 1] == '"why"'
        assert pretty(ctl("job", "result", client.shard, id, "--json")) == {
            "id": id, "status": "failed", "finished_at_ms": finished, "error_code": "E_CODE",
            "error_data": msgpack.packb("why").hex(),
        }

    def test_cancelled(self, ctl, client):
        id, finished = self.ended(client, client.give_up)
        assert f"Cancelled at: {iso(finished)}" in ctl("job", "result", client.shard, id, "--utc", "--iso").splitlines()
        assert pretty(ctl("job", "result", client.shard, id, "--json")) == {
            "id": id, "status": "cancelled", "cancelled_at_ms": finished,
        }

    def test_errors(self, ctl, client):
        id = client.enqueue()
        error = ctl("job", "result", client.shard, id, code=1)
        assert error.startswith("Error: ") and "job is not complete: status is Scheduled" in error
        task = client.lease_one(id)
        client.call("ReportOutcome", shard=task.shard, task_id=task.id, success=pb.SerializedBytes(msgpack=b"\xc1"))
        assert ctl("job", "result", client.shard, id, "-f", "msgpack", code=1).startswith("Error: ")
        assert "c1" in ctl("job", "result", client.shard, id)
        assert "--format" in ctl("job", "result", client.shard, id, "-f", "xml", code=2)


class TestJobChanges:
    def prepared(self, client, verb):
        id = client.enqueue(id=new_id('quote" \\ '), start_at_ms=milliseconds() + 10**9)
        if verb == "restart":
            client.cancel(id)
        if verb == "delete":
            client.cancel(id)
        return id

    @pytest.mark.parametrize("verb, word", [
        ("cancel", "cancelled"), ("restart", "restarted"), ("expedite", "expedited"), ("delete", "deleted"),
    ])
    def test_each(self, ctl, client, verb, word):
        id = self.prepared(client, verb)
        assert ctl("job", verb, client.shard, id) == f"Job {id} {word} successfully\n"
        if verb == "cancel":
            assert client.status(id) == CANCELLED
        elif verb == "delete":
            assert "job not found" in ctl("job", "get", client.shard, id, code=1)
        else:
            assert client.status(id) == SCHEDULED
        id = self.prepared(client, verb)
        text = ctl("job", verb, client.shard, id, "--json")
        assert json.loads(text) == {"status": word, "job_id": id}
        assert text.count("\n") == 1, "one line (operations.md 10.2)"

    def test_refusals_show_code_and_message(self, ctl, client):
        id = client.succeeded()
        error = ctl("job", "cancel", client.shard, id, code=1)
        assert error.startswith("Error: ") and "job is already in terminal state" in error
        assert "FAILED_PRECONDITION: " in error
        assert "job already succeeded" in ctl("job", "restart", client.shard, id, code=1)
        assert "terminal" in ctl("job", "expedite", client.shard, id, "--json", code=1)

    def test_what_is_in_the_way_of_a_deletion(self, ctl, client):
        group = new_id("g")
        id = client.enqueue(group)
        delete = ["job", "delete", client.shard, id]
        assert ctl(*delete, code=1) == (
            f"Error: FAILED_PRECONDITION: cannot delete job {id}: it waits (scheduled); job cancel ends it first\n")
        task = client.take(group)
        assert f"cannot delete job {id}: it is running; job cancel tells its worker to stop" in ctl(*delete, code=1)
        client.succeed(task)
        assert ctl(*delete) == f"Job {id} deleted successfully\n"


class TestRouting:
    def test_an_unknown_shard(self, ctl):
        unknown = "00000000-0000-0000-0000-000000000000"
        for arguments in [["job", "get", unknown, "x"], ["job", "cancel", "nonsense", "x"]]:
            error = ctl(*arguments, code=1)
            assert error.startswith("Error: ") and "not found in cluster" in error

    def test_a_server_that_is_not_there(self):
        ended = run("siloctl", "-a", fixed_address(), "cluster", "info")
        assert ended.returncode == 1 and ended.stderr.startswith("Error: ") and ended.stdout == ""

    def test_an_address_without_a_scheme_will_do(self, server):
        assert run("siloctl", "-a", server.address, "cluster", "info").returncode == 0

    def test_tenants_and_tokens(self, new_server):
        server = new_server("--tenancy", "--shards", 4, "--auth-token", "secret", data="memory:")
        with Client(server.address, tenant="日本", token="secret") as client:
            id = client.enqueue()
            plain = runner(server.address)
            assert "missing authorization header" in plain("cluster", "info", code=1)
            assert "invalid auth token" in plain("cluster", "info", "--auth-token", "wrong", code=1)
            ctl = runner(server.address, "--auth-token", "secret")
            assert "tenant id required" in ctl("job", "get", client.shard, id, code=1)
            assert id in ctl("job", "get", client.shard, id, "-t", "日本")
            from_environment = runner(server.address, extra={"SILO_AUTH_TOKEN": "secret"})
            assert id in from_environment("--tenant", "日本", "job", "get", client.shard, id)
            enqueued = as_json(ctl("enqueue", "g", "1", "--tenant", "日本", "--json"))
            assert enqueued["shard"] == client.shard and client.status(enqueued["id"]) == SCHEDULED


class TestEnqueue:
    def test_everything(self, ctl, client):
        id = new_id()
        before = milliseconds()
        text = ctl(
            "enqueue", "ctl-group", '{"a": [1, 2.5, null, true, "ü"]}', "--id", id, "-p", "5", "--start-in", "100",
            "--retries", "3", "--label", "k=v,w", "--label", "empty=", "--label", "eq=a=b",
        )
        assert id in text and client.shard in text
        job = client.job(id)
        assert msgpack.unpackb(job.payload.msgpack) == {"a": [1, 2.5, None, True, "ü"]}
        assert (job.task_group, job.priority, job.retry_policy.retry_count) == ("ctl-group", 5, 3)
        assert dict(job.metadata) == {"k": "v,w", "empty": "", "eq": "a=b"}
        assert before + 99_000 < job.enqueue_time_ms < milliseconds() + 101_000

    def test_defaults_and_standard_input(self, ctl, client):
        document = pretty(ctl("enqueue", "g", "-", "--json", stdin='[1, -1, 18446744073709551615]'))
        job = client.job(document["id"])
        assert document["shard"] == client.shard and job.priority == 50
        assert msgpack.unpackb(job.payload.msgpack) == [1, -1, 2**64 - 1]

    @pytest.mark.parametrize("arguments", [
        ["enqueue", "g", "{no json"], ["enqueue", "g"], ["enqueue", "g", "1", "-p", "100"], ["enqueue", "g", "1", "--label", "x"],
        ["enqueue", "g", "1", "--start-in", "soon"],
    ])
    def test_mistakes(self, ctl, arguments):
        assert ctl(*arguments, code=2).startswith("siloctl: ")

    def test_what_the_server_refuses(self, ctl):
        assert "task_group too long" in ctl("enqueue", "g" * 65, "1", code=1)


class TestTenantHash:
    @pytest.mark.parametrize("tenant", ["", "-", "a", "abc", "日本", "a-tenant-name-that-is-longer-than-32-bytes"])
    def test_it_asks_nobody(self, tenant):
        for arguments in [["tenant", "hash", "--", tenant]] if tenant == "-" else [["tenant", "hash", tenant]]:
            ended = run("siloctl", *arguments)
            assert (ended.returncode, ended.stdout) == (0, hash_text(tenant) + "\n"), ended.stderr
        ended = run("siloctl", "--json", "tenant", "hash", "--", tenant)
        assert json.loads(ended.stdout) == {"tenant_id": tenant, "hash": hash_text(tenant)}


class TestCommandLine:
    def test_help_and_version(self):
        ended = run("siloctl", "--help")
        assert ended.returncode == 0
        for word in ["cluster info", "job get [shard] <id>", "job result", "tenant hash", "enqueue", "--address", "--json"]:
            assert word in ended.stdout
        ended = run("siloctl", "job", "result", "--help")
        assert ended.returncode == 0 and "--format" in ended.stdout
        assert ended.stdout.startswith("siloctl job result: how a finished job ended\n\nusage: siloctl job result ")
        for name in ["split", "split-status", "configure", "force-release"]:
            assert "clusters only; this server answers that it cannot" in run("siloctl", "shard", name, "--help").stdout
        assert re.fullmatch(
            r"siloctl \d+\.\d+\.\d+\ncommit \w+\+?\ngRPC core \d+\.\d+\.\d+\n", run("siloctl", "--version").stdout)

    def test_what_pages_tell_people_to_type_is_there(self):
        sections = (ROOT / "docs/siloctl.md").read_text().split("\n## `siloctl ")[1:]
        commands = {re.match(r"[a-z -]*[a-z]", section)[0]: section for section in sections}
        told = set()
        for path in (ROOT / "Sources/SiloWeb").rglob("*.swift"):
            told |= set(re.findall(r"<code>siloctl ([^<]+)</code>", path.read_text()))
        assert len(told) > 8 and len(commands) > 30
        for line in told:
            command = max((name for name in commands if f"{line} ".startswith(f"{name} ")), key=len, default=None)
            assert command, line
            for option in re.findall(r"--[a-z-]+", line):
                assert option == "--help" or option in commands[command], line

    @pytest.mark.parametrize("arguments, command", [
        ([], ""), (["nonsense"], ""), (["job"], "job "), (["job", "nonsense"], "job "), (["job", "get"], "job get "),
        (["job", "get", "x", "y", "z"], "job get "), (["query", "x", "y", "z"], "query "), (["shard", "split", "x", "--wait=1"], "shard split "),
        (["cluster", "info", "extra"], "cluster info "),
        (["cluster", "info", "--attempts"], "cluster info "), (["job", "get", "x", "y", "--nonsense"], "job get "),
        (["--nonsense", "pause", "group", "g"], "pause group "), (["job", "get", "x", "y", "-a"], "job get "),
        (["enqueue", "g", "1", "-p", "x"], "enqueue "), (["enqueue", "g", "1", "--label", "a=1", "--label", "a=2"], "enqueue "),
        (["enqueue", "g", "nonsense"], "enqueue "), (["shard", "split"], "shard split "), (["shard", "configure"], "shard configure "), (["job", "result", "x", "y", "-f", "xml"], "job result "),
    ])
    def test_mistakes_end_with_2_and_say_what(self, arguments, command):
        ended = run("siloctl", *arguments)
        assert ended.returncode == 2 and ended.stdout == "" and ended.stderr.startswith("siloctl: "), ended.stderr
        assert ended.stderr.endswith(f"\nRun siloctl {command}--help to see what it takes.\n")
        assert " \n" not in ended.stderr
        assert run("siloctl", *command.split(), "--help").returncode == 0
