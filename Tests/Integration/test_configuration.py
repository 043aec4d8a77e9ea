"""The configuration file, from outside: what it means, what is told of mistakes, and what SIGHUP does."""
import json
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from support.client import Client, refused
from support.programs import ROOT, Server, environment, program, run
from support.siloctl import Terminal, runner
from support.waiting import until

SECRET = "hushhush"

EVERY_MISTAKE = """\
[server]
grpc_addr = "nonsense"
drain_timeout = 5
auth_token = ["hushhush"]
auth_tokn = "hushhush"
dev_mode = "yes"
statement_timeout_ms = ${N}
grpc_addr = "127.0.0.1:1"

[databse]
path = "x"

[database]
backend = "ftp"
path = "/var/lib/%shard%/x"
cache_size = "12 monkeys"

[coordination]
num_shards = 4
initial_shard_count = "${SILO_NOT_SET}"

[tls]
cert_file = "x"

[logging]
filter = "loud"
"""


def config(tmp_path, text):
    path = tmp_path / "silo.toml"
    path.write_text(text)
    return path


def memory(more=""):
    return f'[server]\ngrpc_addr = "127.0.0.1:0"\n{more}[database]\nbackend = "memory"\n'


class ConfiguredServer(Server):
    """A server that is told nothing but where its file is."""

    def __init__(self, folder, text, extra=None):
        super().__init__(folder, extra=extra)
        self.path = config(self.folder, text)

    def spawn(self):
        self.log_path, self.errors_path = self.folder / "log.jsonl", self.folder / "errors.txt"
        with open(self.log_path, "wb") as log, open(self.errors_path, "wb") as errors:
            self.process = subprocess.Popen(
                [program("silo"), "--config", self.path], stdout=log, stderr=errors, env=environment(self.extra), cwd=self.folder
            )


class TestMistakes:
    def test_all_are_told_at_once_with_their_places_and_no_secret(self, tmp_path):
        path = config(tmp_path, EVERY_MISTAKE)
        ended = run("silo", "--config", path)
        assert ended.returncode == 1 and ended.stdout == ""
        head, *lines = ended.stderr.splitlines()
        assert head == f"Config error: {len(lines)} mistakes" and SECRET not in ended.stderr
        places = [line.removeprefix(f"{path}:").split(":")[0] for line in lines]
        assert places == ["2", "3", "4", "5", "6", "7", "8", "10", "14", "15", "16", "19", "20", "23", "23", "26"]
        for text in [
            "did you mean server.auth_token?", "did you mean database?", "did you mean coordination.initial_shard_count?",
            "not set: SILO_NOT_SET", "put ${…} in quotes", "must be a size from 1MiB to 1TiB",
        ]:
            assert text in ended.stderr

    def test_one_is_told_in_one_line(self, tmp_path):
        path = config(tmp_path, memory("[limits]\naudit_interval = 5\n"))
        ended = run("silo", "--config", path)
        assert ended.stderr == f'Config error: {path}:4:18: limits.audit_interval must be a duration from 0s to 1d, ' \
            'such as "5s" or "10m", not 5\n'

    @pytest.mark.parametrize("text, part", [
        (b"[database]\nbackend = \"fs\"\n\0", ":3:1: control character 0"), (b"a = \"\xff\"", ":1:1: this line is not UTF-8"),
        (b"a=" + b"[" * 60_000, ":1:203: more than 200 brackets"), (b"", "missing field `database`"),
        (b"x" * 100_000_000, "is larger than 64 KiB"),
    ], ids=["NUL", "no UTF-8", "nesting", "nothing", "100 MB"])
    def test_a_file_that_is_no_configuration(self, tmp_path, text, part):
        path = tmp_path / "silo.toml"
        path.write_bytes(text)
        begun = time.monotonic()
        ended = run("silo", "--config", path)
        assert ended.returncode == 1 and ended.stderr.startswith("Config error: ") and part in ended.stderr
        assert time.monotonic() - begun < 20

    def test_an_empty_one_is_one_with_the_place_on_the_command_line(self, tmp_path):
        for path in ["/dev/null", config(tmp_path, "# nothing\n")]:
            ended = run("silo", "--config", path, "--print-config")
            assert ended.returncode == 1
            assert '[database], backend = "fs", path = "/var/lib/silo" or another folder' in ended.stderr
            ended = run("silo", "--config", path, "--data", tmp_path / "data", "--print-config")
            assert (ended.returncode, ended.stderr) == (0, "") and f'path = "{tmp_path}/data"' in ended.stdout

    def test_a_file_that_cannot_be_read(self, tmp_path):
        assert run("silo", "--config", tmp_path).stderr == f"Config error: --config: cannot read {tmp_path}: Is a directory\n"
        absent = tmp_path / "absent"
        ended = run("silo", "--config", absent)
        assert (ended.returncode, ended.stderr) == (1, f"Config error: --config: cannot read {absent}: No such file or directory\n")


class TestNames:
    """What is found out only when the server starts is told by the name under which it was given."""

    @pytest.mark.parametrize("line, says", [
        ('[database]\nbackend = "fs"\npath = "{file}"', "database.path ({path}:3) {file} is a file, where a folder is wanted"),
        ('[database]\nbackend = "fs"\npath = "{file}/x"', "which database.path ({path}:3) names: Not a directory"),
        ('[database]\nbackend = "url"\npath = "s4://x/y"', "{path}:3:8: database.path must begin with s3://"),
        ('[database]\nbackend = "fs"\npath = "{folder}"\n[server]\ngrpc_addr = "{used}"',
         "server.grpc_addr ({path}:5): cannot listen on {used}: it is in use"),
        ('[database]\nbackend = "fs"\npath = "{folder}"\nwal = {{ backend = "fs", path = "{file}/x" }}',
         "database.wal.path ({path}:4): cannot make the folder {file}/x for logs: Not a directory"),
        ('[database]\nbackend = "memory"\n[access]\ntokens_file = "{file}"', "{path}:4:15: access.tokens_file: {file}: line 1: it is no"),
        ('[database]\nbackend = "memory"\n[access]\ntokens_file = "{folder}/no"', "{path}:4:15: access.tokens_file: cannot read"),
        ('[database]\nbackend = "memory"\n[access]\naudit_log = "{file}/x"', "{path}:4:13: access.audit_log: cannot write {file}/x"),
        ('[database]\nbackend = "memory"\n[logging]\nfile = "{file}/x"', "{path}:4:8: logging.file: cannot write"),
        ('[database]\nbackend = "memory"\n[server]\nauth_token_file = "{file}/x"', "{path}:4:19: server.auth_token_file: cannot read"),
        ('[database]\nbackend = "memory"\n[tls]\ncert_file = "{file}/x"\nkey_file = "y"', "{path}:4:13: tls.cert_file: cannot read"),
        ('[database]\nbackend = "memory"\n[coordination]\nadvertised_grpc_addr = "a:0"',
         "{path}:4:24: coordination.advertised_grpc_addr must be host:port"),
        ('[database]\nbackend = "memory"\n[gubernator]\naddress = "127.0.0.1:1"\nconnect_timeout_ms = 1',
         "start it first, or leave gubernator.address ({path}:4) out"),
    ])
    def test_of_a_file(self, server, tmp_path, line, says):
        names = {"file": tmp_path / "file", "folder": tmp_path / "folder", "used": server.address, "path": tmp_path / "silo.toml"}
        names["file"].write_text("mine\n")
        path = config(tmp_path, line.format(**names) + "\n")
        free = [] if "grpc_addr =" in line else ["--listen", "127.0.0.1:0"]
        ended = run("silo", "--config", path, "--metrics", "none", *free)
        assert ended.returncode in (1, 2) and says.format(**names) in ended.stderr, ended.stderr

    def test_of_the_command_line(self, server, tmp_path):
        ended = run("silo", "--data", tmp_path, "--listen", server.address, "--metrics", "none")
        assert f"--listen: cannot listen on {server.address}: it is in use" in ended.stderr
        ended = run("silo", "--data", server.data, "--listen", "127.0.0.1:0", "--metrics", "none")
        assert "or name another folder with --data" in ended.stderr


class TestPrecedence:
    def printed(self, *arguments, extra=None):
        ended = run("silo", *arguments, "--print-config", extra=extra)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def test_an_option_overrides_the_environment_which_overrides_the_file(self, tmp_path):
        path = config(tmp_path, memory('[logging]\nfilter = "warn"\n'))
        assert f'filter = "warn"  # {path}:4\n' in self.printed("-c", path)
        assert 'filter = "error"  # environment SILO_LOG\n' in self.printed("-c", path, extra={"SILO_LOG": "error"})
        text = self.printed("-c", path, "--listen", "127.0.0.1:7", "--data", tmp_path / "data")
        assert 'grpc_addr = "127.0.0.1:7"  # --listen\n' in text and f'path = "{tmp_path / "data"}"  # --data\n' in text

    def test_what_is_printed_can_be_loaded_and_has_no_secret(self, tmp_path):
        path = config(tmp_path, memory(f'auth_token = "{SECRET}"\n'))
        text = self.printed("-c", path)
        assert SECRET not in text and f"# auth_token: set, not shown ({path}:3)\n" in text
        again = tmp_path / "again.toml"
        again.write_text(text)
        values = lambda text: [line.split("  # ")[0] for line in text.splitlines() if line[:1] not in "#"]
        assert values(self.printed("-c", again)) == values(text)

    def test_what_could_not_be_loaded_is_not_printed(self):
        ended = run("silo", "--listen", "foo", "--print-config", extra={"SILO_LOG": "nonsense"})
        assert ended.returncode == 2 and ended.stdout == ""
        assert "--listen must be host:port" in ended.stderr and "SILO_LOG must be levels" in ended.stderr
        text = self.printed("--max-data", 1 << 30)
        assert 'max_data = "1073741824"  # --max-data\n' in text

    def test_the_order_is_in_the_help(self):
        assert "An option overrides the environment, which overrides the file" in run("silo", "--help").stdout


class TestServer:
    def test_it_serves_what_the_file_says(self, new_server, tmp_path):
        text = memory('[tenancy]\nenabled = "${SILO_TENANCY:-true}"\n[coordination]\ninitial_shard_count = 3\n')
        server = new_server("--config", config(tmp_path, text), data="memory:")
        with Client(server.address) as client:
            assert client.cluster().num_shards == 3

    def test_a_folder_with_a_secret_and_a_certificate(self, tmp_path):
        subprocess.run([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout",
            "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
        ], cwd=tmp_path, check=True, capture_output=True)
        text = f"""
            [server]
            grpc_addr = "127.0.0.1:0"
            auth_token = "${{SILO_SECRET}}"
            [tls]
            cert_file = "{tmp_path}/cert.pem"
            key_file = "{tmp_path}/key.pem"
            [database]
            backend = "fs"
            path = "{tmp_path}/data/%shard%"
            [metrics]
            addr = "127.0.0.1:0"
            [logging]
            format = "json"
        """
        with ConfiguredServer(tmp_path / "server", text, {"SILO_SECRET": SECRET}) as server:
            def siloctl(*arguments):
                return run("siloctl", "-a", f"https://{server.address}", "--tls-ca", tmp_path / "cert.pem", *arguments)
            assert siloctl("--auth-token", SECRET, "enqueue", "mail", "1").returncode == 0
            assert "UNAUTHENTICATED" in siloctl("cluster", "info").stderr
            assert server.stop() == 0 and SECRET not in server.log_path.read_text()
        # The same folder as --data has it.
        with Server(tmp_path / "again", data=tmp_path / "data") as server, Client(server.address) as client:
            assert len(client.lease("mail")) == 1

    def test_a_bucket_with_the_log_on_a_local_disk(self, s3, tmp_path):
        text = f"""
            [server]
            grpc_addr = "127.0.0.1:0"
            [database]
            backend = "s3"
            path = "{s3.BUCKET}/configured/%shard%"
            slatedb.l0_max_ssts = 16
            [database.wal]
            backend = "fs"
            path = "{tmp_path}/wal/%shard%"
            [metrics]
            addr = "127.0.0.1:0"
            [logging]
            format = "json"
        """
        with ConfiguredServer(tmp_path / "server", text, s3.environment) as server, Client(server.address) as client:
            client.enqueue("mail")
            assert len(client.lease("mail")) == 1
            opened = next(line for line in server.log() if line["message"] == "server started")
            assert opened["durability"] == "log sync" and any((tmp_path / "wal").iterdir())

    def test_statements_are_bounded_as_the_file_says(self, new_server, tmp_path):
        text = memory("max_result_bytes = 1000\nstatement_timeout_ms = 60000\n")
        server = new_server("--config", config(tmp_path, text), data="memory:")
        with Client(server.address) as client:
            for _ in range(200):
                client.enqueue("g")
            assert client.call("Query", shard=client.shard, sql="SELECT COUNT(*) FROM jobs").row_count == 1
            with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, containing="max_result_bytes"):
                client.call("Query", shard=client.shard, sql="SELECT id FROM jobs")

    def test_a_setting_that_the_storage_engine_does_not_know_ends_the_start(self, tmp_path):
        ended = run("silo", "--config", config(tmp_path, memory() + "slatedb.flush_intervall = \"1s\"\n"))
        assert ended.returncode == 1 and "did you mean database.slatedb.flush_interval?" in ended.stderr
        ended = run("silo", "--config", config(tmp_path, memory() + "slatedb.flush_interval = \"never\"\n"))
        assert ended.returncode == 1 and "database.slatedb.flush_interval must be a duration" in ended.stderr

    def test_it_is_called_as_the_file_says(self, new_server, tmp_path):
        path = config(tmp_path, memory('[coordination]\nnode_id = "rack 7"\n'))
        with Client(new_server("--config", path, data="memory:").address) as client:
            assert client.cluster().this_node_id == "rack 7"
        path.write_text(memory('[coordination]\nnode_id = ""\n'))
        assert "coordination.node_id must be 1 to 128 visible characters" in run("silo", "--config", path).stderr

    def test_files_are_merged_as_often_as_it_says(self, new_server, tmp_path):
        path = config(tmp_path, f'[database]\nbackend = "fs"\npath = "{tmp_path}/data"\nperiodic_full_compaction_s = 1\n')
        server = new_server("--config", path, data=tmp_path / "data")
        with Client(server.address) as client:
            def files():
                info = client.call("GetShardStorageInfo", shard=client.shard)
                return info.l0_sst_count, info.sorted_run_count

            for _ in range(2):
                client.enqueue()
                client.call("FlushShard", shard=client.shard)
                until(lambda: files() == (0, 1), 30, "one sorted run", lambda: str(files()))
        assert "full compaction submitted" in {line["message"] for line in server.log()}

    def test_a_key_without_effect_is_warned_of(self, new_server, tmp_path):
        path = config(tmp_path, memory() + "count_from_status_counters = false\n")
        server = new_server("--config", path, data="memory:")
        assert any(
            str(line.get("at")).endswith("database.count_from_status_counters has no effect: counters are exact: counts always come from them")
            for line in server.log()
        )


class TestReload:
    """SIGHUP."""

    def reload(self, server, text):
        """The lines of a reload, up to the one with the text."""
        before = len(server.log())
        server.process.send_signal(signal.SIGHUP)
        until(lambda: any(text in json.dumps(line) for line in server.log()[before:]), 30, text, server.tail)
        return server.log()[before:]

    def test_what_can_change_does_and_what_cannot_is_named(self, new_server, tmp_path):
        path = config(tmp_path, memory('[logging]\nfilter = "info"\n'))
        server = new_server("--config", path, data="memory:")
        more = 'drain_timeout = "7s"\nmax_concurrent_statements = 9\n[logging]\nfilter = "info,shard=debug"\n'
        path.write_text(memory(more))
        lines = self.reload(server, "settings were read anew")
        assert any(line.get("key") == "server.max_concurrent_statements" for line in lines)
        assert lines[-1]["changed"] == "server.drain_timeout logging.filter"

    def test_the_shards_intervals_change(self, new_server, tmp_path):
        def intervals(gap, audit):
            path.write_text(memory(f'[limits]\naudit_interval = "{audit}"\n') + f'flush_gap = "{gap}"\n')

        path = tmp_path / "silo.toml"
        intervals("60s", "1d")
        server = new_server("--config", path, data="memory:")
        with Client(server.address) as client:
            client.enqueue()
            late = client.begin("Enqueue", shard=client.shard, task_group="g")
            intervals("0ms", "100ms")
            assert self.reload(server, "settings were read anew")[-1]["changed"] == "database.flush_gap limits.audit_interval"
            assert late.result(30).id, "it does not wait for the minute that the gap was"
            until(lambda: client.call("GetNodeInfo").owned_shards[0].audits > 2, 30, "audits")

    def test_audits_that_were_off_are_turned_on_by_a_restart(self, new_server, tmp_path):
        path = config(tmp_path, memory('[limits]\naudit_interval = "0s"\n'))
        server = new_server("--config", path, data="memory:")
        path.write_text(memory('[limits]\naudit_interval = "5s"\n'))
        lines = self.reload(server, "settings were read anew")
        assert any(line.get("reason") == "limits.audit_interval can only be turned on by a restart" for line in lines)
        assert lines[-1]["changed"] == "none"

    def test_files_that_cannot_be_used_do_not_come_into_force(self, new_server, tmp_path):
        audit = tmp_path / "audit.jsonl"
        made = run("siloctl", "token", "new", "--name", "a", "--role", "admin", "--file", tmp_path / "tokens")
        text = '[access]\ntokens_file = "{}/{}"\naudit_log = "{}"\n'
        path = config(tmp_path, memory(text.format(tmp_path, "tokens", audit)))
        server = new_server("--config", path, data="memory:")
        path.write_text(memory('drain_timeout = "7s"\n' + text.format(tmp_path, "absent", audit)))
        lines = self.reload(server, "settings were read anew")
        assert lines[-1]["changed"] == "server.drain_timeout"
        assert any(f"{tmp_path}/absent" in line.get("reason", "") for line in lines)
        with Client(server.address, token=made.stdout.strip()) as client:
            shown = client.call("GetConfiguration")
            tokens = next(s for section in shown.sections for s in section.settings if s.key == "access.tokens_file")
            assert tokens.value == f'"{tmp_path}/tokens"' and tokens.changes_at_restart

        def reloads():
            entries = [json.loads(line) for line in audit.read_text().splitlines()]
            return [entry for entry in entries if entry["call"] == "reload" and entry["target"] == "settings"]

        until(lambda: len(reloads()) == 1, 30, "the line of the reload")
        path.write_text("nonsense")
        self.reload(server, "stay as they are")
        until(lambda: len(reloads()) == 2, 30, "the line of the reload that failed")
        taken, failed = reloads()
        assert (taken["who"], taken["by"], taken["changed"], taken["outcome"]) == ("server", "server", "server.drain_timeout", "OK")
        assert failed["outcome"] == "FAILED" and f"{path}:1:" in failed["error"]

    @staticmethod
    def lease_when_there_is_room(client):
        while True:
            try:
                return client.lease("nobody", wait_ms=60_000)
            except grpc.RpcError as error:
                # Whoever looks whether the limit is used up uses it up too.
                if error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise

    def test_the_limit_of_calls_changes_under_calls_that_wait(self, new_server, tmp_path):
        path = config(tmp_path, memory("max_concurrent_calls = 1\n"))
        server = new_server("--config", path, data="memory:")
        with Client(server.address) as client, ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(self.lease_when_there_is_room, client)
            until(lambda: self.is_refused(client), 30, "the limit to be used up")
            path.write_text(memory("max_concurrent_calls = 2\n"))
            assert self.reload(server, "settings were read anew")[-1]["changed"] == "server.max_concurrent_calls"
            assert client.cluster().num_shards == 1
            id = client.enqueue("nobody")
            assert [task.job_id for task in waiting.result(60)] == [id]

    def test_the_secret_the_certificate_and_the_retention_change_together(self, tmp_path):
        def certificate(name):
            subprocess.run([
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90",
                "-keyout", "key.pem", "-out", "cert.pem", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
            ], cwd=tmp_path, check=True, capture_output=True)
        def text(retention):
            return f"""
                [server]
                grpc_addr = "127.0.0.1:0"
                auth_token_file = "{tmp_path}/token"
                [tls]
                cert_file = "{tmp_path}/cert.pem"
                key_file = "{tmp_path}/key.pem"
                [database]
                backend = "memory"
                {retention}
                [metrics]
                addr = "127.0.0.1:0"
                [logging]
                format = "json"
            """
        def siloctl(token, *arguments):
            return run("siloctl", "-a", f"https://{server.address}", "--tls-ca", tmp_path / "cert.pem", "--auth-token", token,
                       *arguments)
        certificate("before")
        (tmp_path / "token").write_text("before")
        with ConfiguredServer(tmp_path / "server", text("")) as server:
            job = json.loads(siloctl("before", "enqueue", "mail", "1", "--json").stdout)
            name = job["shard"], job["id"]
            assert siloctl("before", "job", "cancel", *name).returncode == 0
            assert siloctl("before", "job", "get", *name).returncode == 0
            certificate("after")
            (tmp_path / "token").write_text("after")
            server.path.write_text(text("terminal_job_expire_s = 1"))
            assert self.reload(server, "settings were read anew")[-1]["changed"] == "database.terminal_job_expire_s"
            # It knows the new certificate alone, and the new secret.
            until(lambda: siloctl("after", "cluster", "info").returncode == 0, 30, "the new certificate", server.tail)
            assert "UNAUTHENTICATED" in siloctl("before", "cluster", "info").stderr
            until(lambda: "NOT_FOUND" in siloctl("after", "job", "get", *name).stderr, 180, "the job to go", server.tail)

    @staticmethod
    def is_refused(client):
        try:
            client.cluster()
            return False
        except grpc.RpcError as error:
            return error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    def test_a_broken_file_changes_nothing_and_all_of_it_is_told(self, new_server, tmp_path):
        path = config(tmp_path, memory())
        server = new_server("--config", path, data="memory:")
        path.write_text(EVERY_MISTAKE)
        lines = self.reload(server, f"{path}:26:10: logging.filter")
        # All but the one of database.path, which the command line overrides.
        assert len(lines) == 14 and all(line["level"] == "ERROR" for line in lines)
        assert SECRET not in server.log_path.read_text() and server.is_running
        path.write_text(memory('[logging]\nfilter = "warn,silo=info"\n'))
        assert self.reload(server, "settings were read anew")[-1]["changed"] == "logging.filter"

    def test_a_file_that_vanished_changes_nothing(self, new_server, tmp_path):
        path = config(tmp_path, memory())
        server = new_server("--config", path, data="memory:")
        path.unlink()
        lines = self.reload(server, "stay as they are")
        assert "No such file or directory" in lines[-1]["at"]
        with Client(server.address) as client:
            assert client.cluster().num_shards == 1


class TestValidateConfig:
    def test_a_good_file(self, tmp_path):
        path = config(tmp_path, memory())
        ended = run("siloctl", "validate-config", "--config", path)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"Config is valid: {path}\n", "")
        assert json.loads(run("siloctl", "--json", "validate-config", "-c", path).stdout) == {
            "status": "valid", "config_path": str(path),
        }

    def test_a_bad_file(self, tmp_path):
        path = config(tmp_path, "[logging]\nformat = 1\n")
        ended = run("siloctl", "validate-config", "-c", path)
        assert ended.returncode == 1 and ended.stdout.startswith("Config error: 2 mistakes\n")
        assert ended.stderr.startswith("Error: Config validation failed: ") and "missing field `database`" in ended.stderr
        ended = run("siloctl", "validate-config", "-c", path, "--json")
        answer = json.loads(ended.stdout)
        assert ended.returncode == 1 and ended.stdout.count("\n") == 1
        assert answer["status"] == "invalid" and "logging.format must be text or json, not 1" in answer["error"]

    def test_files_that_cannot_be_used_are_mistakes(self, tmp_path):
        no = tmp_path / "no"
        path = config(tmp_path, memory(f"""
            [tls]
            cert_file = "{no}/cert"
            key_file = "{tmp_path}"
            [access]
            tokens_file = "{no}/tokens"
            audit_log = "{no}/audit"
            """))
        ended = run("siloctl", "validate-config", "-c", path)
        told = ended.stdout.splitlines()
        assert ended.returncode == 1
        assert [re.sub(r"^.*:\d+:\d+: ", "", line) for line in told] == [
            "Config error: 4 mistakes", f"tls.cert_file: cannot read {no}/cert: No such file or directory",
            f"tls.key_file: cannot read {tmp_path}: Is a directory",
            f"access.tokens_file: cannot read {no}/tokens: No such file or directory",
            f"access.audit_log: cannot write {no}/audit: No such file or directory",
        ]
        ended = run("silo", "--config", path)
        assert (ended.returncode, ended.stderr.splitlines()) == (1, told), "the server says the same"

    def test_what_files_hold_is_looked_at(self, tmp_path):
        (tmp_path / "secret").write_text("\n")
        (tmp_path / "tokens").write_text("nope\n")
        path = config(tmp_path, memory(f"""
            auth_token_file = "{tmp_path}/secret"
            [access]
            tokens_file = "{tmp_path}/tokens"
            [coordination]
            backend = "k8s"
            """) + "slatedb.flush_intervall = \"1s\"\nslatedb.l0_max_ssts = \"8\"\n")
        told = run("siloctl", "validate-config", "-c", path).stdout.splitlines()
        assert told[0] == "Config error: 5 mistakes"
        for line, part in zip(told[1:], [
            "server.auth_token_file: ", "access.tokens_file: ", "coordination.backend must be none, not k8s",
            "did you mean database.slatedb.flush_interval?", "database.slatedb.l0_max_ssts must be a whole number of 0 or more, not \"8\"",
        ]):
            assert part in line
        ended = run("silo", "--config", path, "--shards", 0)
        assert ended.returncode == 1 and ended.stderr.splitlines() == [
            "Config error: 6 mistakes", *told[1:], "--shards must be a whole number from 1 to 1024, not 0"], ended.stderr

    def test_at_a_terminal_a_mistake_is_told_once(self, tmp_path):
        path = config(tmp_path, memory("[limits]\naudit_interval = 5\n"))
        terminal = Terminal("siloctl", "validate-config", "-c", path, columns=200)
        assert terminal.read().count("limits.audit_interval must be") == 1 and terminal.end() == 1
        terminal = Terminal("siloctl", "validate-config", "-c", path, "--json", columns=200)
        assert json.loads(terminal.read())["status"] == "invalid" and terminal.end() == 1

    @pytest.mark.parametrize("words", [(), ("--json",)])
    def test_into_one_pipe_a_mistake_is_told_once(self, tmp_path, words):
        path = config(tmp_path, memory("[limits]\naudit_interval = 5\n"))
        ended = subprocess.run(
            [program("siloctl"), "validate-config", "-c", path, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment(), text=True, timeout=60)
        assert ended.returncode == 1 and ended.stdout.count("limits.audit_interval must be") == 1, ended.stdout

    @pytest.mark.parametrize("name", ["laptop", "one-server", "s3", "gcs", "cluster"])
    def test_the_examples(self, name):
        path = ROOT / "examples/config" / f"{name}.toml"
        extra = {"SILO_TOKEN": SECRET, "POD_IP": "10.0.0.1", "POD_NAME": "silo-0"}
        assert run("siloctl", "validate-config", "-c", path, extra=extra).stdout == f"Config is valid: {path}\n"

    def test_a_file_by_itself(self, tmp_path):
        path = config(tmp_path, memory())
        assert run("siloctl", "validate-config", path).stdout == f"Config is valid: {path}\n"
        assert run("siloctl", "validate-config", "--json", tmp_path / "none").returncode == 1
        ended = run("siloctl", "validate-config", path, "-c", path)
        assert ended.returncode == 2 and "<file> and --config exclude each other" in ended.stderr

    def test_a_file_must_be_named(self):
        for words in [[], [""], ["--config", ""]]:
            ended = run("siloctl", "validate-config", *words)
            assert ended.returncode == 2 and "<file> is missing: it names the file to check" in ended.stderr
