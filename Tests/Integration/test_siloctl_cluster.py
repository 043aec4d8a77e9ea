"""The commands of siloctl that work on shards and tenants and look into a server, against a real one."""

import gzip
import re
import signal
import stat
import subprocess

import pytest

from support.client import Client, hash_text
from support.programs import ROOT, environment, program, run
from support.siloctl import Terminal, as_json, pretty, runner


@pytest.fixture(scope="module")
def tenants(start_server):
    """A server with tenants, and three shards."""
    return start_server("--tenancy", "--shards", 3)


@pytest.fixture(scope="module")
def ctl(tenants):
    return runner(tenants.address)


@pytest.fixture(scope="module")
def acme(tenants):
    with Client(tenants.address, tenant="acme") as client:
        yield client


class TestTenants:
    def test_where_one_is(self, ctl, acme, tenants):
        shard = next(owner for owner in acme.shards() if owner.shard_id == acme.shard)
        assert pretty(ctl("tenant", "locate", "acme", "--json")) == {
            "tenant_id": "acme", "tenant_hash": hash_text("acme"), "shard_id": shard.shard_id, "node_id": shard.node_id,
            "grpc_addr": tenants.address, "range_start": shard.range_start, "range_end": shard.range_end,
        }
        text = ctl("tenant", "locate", "acme")
        assert dict(re.split(r":\s+", line) for line in text.splitlines()) == {
            "Tenant ID": "acme", "Tenant Hash": hash_text("acme"), "Shard ID": shard.shard_id, "Node ID": shard.node_id,
            "gRPC Addr": tenants.address, "Shard Range": f"[{shard.range_start or '-∞'}, {shard.range_end or '+∞'})",
        }

    def test_an_empty_name_is_a_mistake(self, ctl):
        assert "the tenant is empty" in ctl("tenant", "locate", "", code=2)

    def test_a_job_is_named_by_its_tenant_or_by_its_shard(self, ctl, acme):
        id = acme.enqueue("g")
        assert id in ctl("job", "get", id, "-t", "acme") and id in ctl("job", "get", acme.shard, id, "-t", "acme")
        assert id in ctl("job", "explain", id, "-t", "acme")
        assert ctl("job", "expedite", id, "-t", "acme", code=1).startswith("Error: FAILED_PRECONDITION")
        assert ctl("job", "cancel", id, "-t", "acme") == f"Job {id} cancelled successfully\n"
        assert "cancelled" in ctl("job", "result", id, "-t", "acme")
        assert as_json(ctl("job", "restart", id, "-t", "acme", "--json")) == {"job_id": id, "status": "restarted"}
        ctl("job", "cancel", id, "-t", "acme")
        assert ctl("job", "delete", id, "-t", "acme") == f"Job {id} deleted successfully\n"
        assert ctl("job", "delete", id, "-t", "acme") == f"There is no job {id}: nothing was deleted\n"
        assert as_json(ctl("job", "delete", id, "-t", "acme", "--json")) == {"job_id": id, "status": "not_found"}
        other = next(owner.shard_id for owner in acme.shards() if owner.shard_id != acme.shard)
        assert "is not within shard" in ctl("job", "get", other, id, "-t", "acme", code=1)

    def test_dropping_holders_asks_at_a_terminal(self, tenants):
        for answer, code in [("y", 0), ("n", 1), ("", 1)]:
            terminal = Terminal("siloctl", "-a", tenants.address, "tenant", "drop-holders", "-t", "nobody")
            assert "tenant nobody holds" in terminal.read(r"\[y/N\]")
            terminal.write(f"{answer}\n")
            assert ("Freed 0 slots" in terminal.read()) == (code == 0)
            assert terminal.end() == code
        sure = Terminal("siloctl", "-a", tenants.address, "tenant", "drop-holders", "-t", "nobody", "--yes")
        assert "Freed 0 slots" in sure.read() and sure.end() == 0


class TestCounts:
    def test_each_shard_and_all(self, new_server):
        server = new_server("--shards", 2)
        ctl = runner(server.address)
        with Client(server.address) as client:
            client.succeeded("g", 1)
            client.enqueue("g")
            rows = [re.split(r"  +", line) for line in ctl("counts").splitlines()]
            assert rows[0] == ["Shard", "Jobs", "Unfinished", "Leased", "Finished", "Workers", "Ghosts"]
            assert rows[-1] == ["all", "2", "1", "0", "1", "0", "0"] and [client.shard, *rows[-1][1:]] in rows and len(rows) == 4
            client.take("g")
            assert ctl("counts").split()[-4:] == ["1", "1", "0", "0"]
            document = pretty(ctl("counts", "--json"))
            assert (document["total_jobs"], document["unfinished_jobs"], document["completed_jobs"]) == (2, 1, 1)
            assert {shard["shard_id"]: shard["total_jobs"] for shard in document["shards"]}[client.shard] == 2


class TestWatch:
    @pytest.mark.parametrize("command", [["counts"], ["cluster", "info"]])
    def test_at_a_terminal_it_clears_the_screen_until_ctrl_c(self, tenants, command):
        watching = Terminal("siloctl", "-a", tenants.address, *command, "--watch", "0.1")
        watching.read(r"(?s)(\x1b\[H\x1b\[2J.*Shard.*){3}")
        watching.process.send_signal(signal.SIGINT)
        assert watching.end() == 0

    def test_into_a_pipe_it_writes_block_after_block(self, tenants):
        for flags, pattern in [([], r"(?s)(Shard.*\n\n){3}"), (["--json"], r'(\{"completed_jobs":.*\}\n){3}')]:
            watching = Piped(tenants.address, "counts", "--watch=0.1", *flags)
            text = watching.read(pattern)
            assert "\x1b" not in text
            assert watching.interrupt() == 0

    def test_a_server_that_starts_again_does_not_end_it(self, new_server):
        server = new_server(listen="127.0.0.1:0")
        watching = Piped(server.address, "counts", "-w", "0.1")
        watching.read(r"(?s)Shard.*\n\n")
        server.listen = server.address
        server.stop()
        watching.read_error(r"Error: UNAVAILABLE")
        server.start()
        watching.text = ""
        watching.read(r"(?s)Shard.*\n\n")
        assert watching.interrupt() == 0

    def test_one_that_was_never_there_does(self):
        ended = run("siloctl", "-a", "127.0.0.1:1", "counts", "--watch")
        assert ended.returncode == 1 and ended.stderr.startswith("Error: UNAVAILABLE")

    @pytest.mark.parametrize("value", ["0", "-1", "1e9"])
    def test_other_lengths_are_refused(self, tenants, value):
        ended = run("siloctl", "-a", tenants.address, "counts", "--watch", value)
        assert ended.returncode == 2 and "--watch must be a number from 0.1" in ended.stderr


class TestShards:
    def test_flush_compact_and_storage(self, new_server):
        server = new_server()
        ctl = runner(server.address)
        with Client(server.address) as client:
            client.enqueue("g", payload="x" * 5000)
            shard = client.shard
        assert ctl("shard", "flush", shard) == f"flushed shard {shard}\n"
        assert as_json(ctl("shard", "flush", shard, "--json")) == {"shard_id": shard, "status": f"flushed shard {shard}"}
        storage = pretty(ctl("shard", "storage", shard, "--json"))
        assert storage["shard_id"] == shard and storage["l0_sst_count"] >= 1 and storage["total_l0_size"] > 100
        text = ctl("shard", "storage", shard)
        assert re.search(r"Files not merged yet: \d+, \d+", text) and "Merged files:" in text
        assert ctl("shard", "compact", shard) == f"full compaction submitted for shard {shard}\n"

    def test_a_query_is_answered(self, ctl, acme):
        assert ctl("query", acme.shard, "select 41 + 1").splitlines()[2:] == ["    42", "", "1 row(s) returned"]

    def test_what_this_server_cannot_do_is_said(self, ctl, acme):
        shard = acme.shard
        for command in [
            ["shard", "split", shard, "--auto"], ["shard", "split", shard, "--at", "t"], ["shard", "split-status", shard],
            ["shard", "configure", shard, "--ring", "r"], ["shard", "force-release", shard],
        ]:
            error = ctl(*command, code=1)
            assert error.startswith("Error: UNIMPLEMENTED: ") and "this server cannot do that yet" in error

    def test_mistakes(self, ctl, acme):
        shard = acme.shard
        assert "say where to split" in ctl("shard", "split", shard, code=1)
        for code, flags, text in [
            (2, ["--auto", "--at", "x"], "--at and --auto exclude each other"),
            (2, ["--at-hash", "0"], "--at-hash wants 16 hexadecimal digits"), (2, ["--at-hash", "g" * 16], "--at-hash wants"),
        ]:
            assert text in ctl("shard", "split", shard, *flags, code=code)
        assert "needs --ring" in ctl("shard", "configure", shard, "--allow-unpopulated-ring", code=2)
        unknown = "00000000-0000-0000-0000-000000000000"
        for command in ["flush", "compact", "storage", "split-status", "force-release", "configure"]:
            if command != "split-status":
                assert "not found in cluster" in ctl("shard", command, unknown, code=1)


class TestLookingInside:
    def test_a_profile_of_the_processor(self, ctl, tmp_path):
        document = pretty(ctl("profile", "--seconds", "1", "--json", cwd=tmp_path))
        assert (document["status"], document["duration_seconds"]) == ("completed", 1)
        [path] = tmp_path.iterdir()
        assert path.name == document["output_file"] and re.fullmatch(r"profile-\d+\.pb\.gz", path.name)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(gzip.decompress(path.read_bytes())) == document["profile_bytes"]
        text = ctl("profile", "-d", "1", "-f", "500", "-o", tmp_path / "mine.pb")
        assert "Profiling the processor for 1 s, 500 samples a second" in text and f"pprof -top {tmp_path}/mine.pb" in text
        for name in [path.name, "mine.pb"]:
            read = subprocess.run([ROOT / ".deps/bin/pprof", "-top", tmp_path / name], capture_output=True, text=True)
            assert read.returncode == 0 and "Type: cpu" in read.stdout, read.stderr

    def test_a_profile_of_the_heap(self, ctl, tmp_path):
        document = pretty(ctl("heap-profile", "-d", "1", "-o", tmp_path / "mine", "--json"))
        path = tmp_path / "mine.heap"
        assert document["output_file"] == str(path) and path.stat().st_size == document["profile_bytes"]
        assert path.read_bytes().startswith(b"heap_v2/")

    def test_a_file_that_cannot_be_written_is_told_at_once(self, ctl, tmp_path):
        error = ctl("profile", "--seconds", "300", "-o", tmp_path / "absent/x", code=1)
        assert error == f"Error: --output: cannot write {tmp_path}/absent/x.pb.gz: No such file or directory\n"
        assert "are the same" in ctl("profile", "--seconds", "1", "-d", "1", code=2)
        assert "from 1 to 300" in ctl("profile", "--seconds", "301", code=2)

    def test_a_profile_that_fails_leaves_no_file(self, tmp_path):
        ended = run("siloctl", "-a", "127.0.0.1:1", "heap-profile", "-o", tmp_path / "mine")
        assert ended.returncode == 1 and list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("command", ["dump", "dump-tasks"])
    def test_what_each_shard_does(self, ctl, command):
        lines = ctl(command).splitlines()
        assert lines[:2] == ["Async Task Dump (3 tasks)", "=" * 40] and lines[2].startswith("task 1: shard ")
        document = pretty(ctl(command, "--json"))
        assert document["task_count"] == 3 and document["dump"].startswith("task 1: shard ")


class Piped:
    """A siloctl that goes on, read through pipes."""

    def __init__(self, address, *arguments):
        self.process = subprocess.Popen(
            [program("siloctl"), "-a", address, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(),
        )
        self.text = ""

    def read(self, pattern):
        while not re.search(pattern, self.text):
            line = self.process.stdout.readline()
            assert line, self.text
            self.text += line
        return self.text

    def read_error(self, pattern):
        while not re.search(pattern, line := self.process.stderr.readline()):
            assert line

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)
        return self.process.returncode
