"""How a server starts and how it can be stopped meanwhile; what it says; what it leaves to other users of the machine."""

import os
import pathlib
import signal
import socket
import stat
import threading
import time

import pytest

from support.client import Client
from support.ports import fixed_address
from support.programs import run
from support.siloctl import runner
from support.waiting import until


class SilentPlace:
    """A store that takes connections and never answers."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.connections = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    @property
    def address(self):
        return "%s:%d" % self.socket.getsockname()

    def _accept(self):
        while True:
            try:
                self.connections.append(self.socket.accept()[0])
            except OSError:
                return

    def close(self):
        self.socket.close()
        for connection in self.connections:
            connection.close()


def bucket(address):
    return {
        "AWS_ENDPOINT": f"http://{address}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
    }


@pytest.fixture
def silent_place():
    place = SilentPlace()
    yield place
    place.close()


def messages(server, text):
    return [line for line in server.log() if text in line["message"]]


def holds_signals(pid):
    """Whether the process catches SIGTERM; before it has come to that, nothing can be asked of it. Libraries that are being loaded
    block it for moments."""
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["SigCgt"], 16) >> (signal.SIGTERM - 1) & 1


class TestStart:
    @pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
    def test_a_place_that_does_not_answer_is_named_and_a_signal_ends_the_wait(self, new_server, silent_place, signal_number):
        server = new_server.prepare(data="s3://somewhere/deep", extra=bucket(silent_place.address))
        server.spawn()
        [line] = until(lambda: messages(server, "waiting for"), 30, "the server to say what it waits for", server.tail)
        assert line["message"] == "waiting for the shard map" and line["for"] == "s3://somewhere/deep"
        until(lambda: len(messages(server, "waiting for")) >= 2, 30, "it to say so again", server.tail)
        begun = time.monotonic()
        assert server.stop(signal_number) == 0
        assert time.monotonic() - begun < 5
        [line] = messages(server, "stopping before the start was done")
        assert line["signal"] == signal_number.name

    def test_what_goes_wrong_meanwhile_is_said(self, new_server):
        server = new_server.prepare(data="s3://somewhere", extra=bucket(fixed_address()))
        server.spawn()
        [line] = until(lambda: [l for l in messages(server, "waiting for") if l["trouble"] != "none"][:1], 30, "the trouble", server.tail)
        assert line["level"] == "WARN" and "retry" in line["trouble"], line
        assert server.stop() == 0

    def test_a_signal_right_after_the_start_of_the_process(self, new_server):
        for pause in [0.05, 0.1, 0.2]:
            server = new_server.prepare("--shards", 4, extra={"SILO_LOG": "debug"})
            server.spawn()
            until(lambda: server.log(), 30, "the first line", server.tail)
            time.sleep(pause)
            assert server.stop() == 0, server.tail()

    def test_one_that_has_said_that_it_serves_is_stopped_as_such(self, new_server):
        for _ in range(8):
            server = new_server.prepare("--shards", 1, data="memory:")
            server.spawn()
            while not messages(server, "server started"):
                assert server.is_running, server.tail()
            assert server.stop() == 0
            assert not messages(server, "before the start was done") and messages(server, "stopping"), server.tail()

    @pytest.mark.parametrize("flags", [["--shards", 4], ["--shards", 4, "--verbose"]])
    def test_a_signal_at_any_moment_of_the_process_ends_it_well(self, new_server, flags):
        for pause in range(25):
            server = new_server.prepare(*flags)
            server.spawn()
            until(lambda: holds_signals(server.process.pid), 30, "the program's first instruction", server.tail)
            time.sleep(pause / 1000)
            assert server.stop() == 0, server.tail()
            # What was being opened may say a last word.
            assert messages(server, "server stopped"), server.tail()

    def test_a_fresh_folder_is_served_at_once(self, new_server):
        server = new_server()
        [line] = messages(server, "server started")
        assert int(line["start_ms"]) < 5000, line
        assert not messages(server, "waiting for")

    def test_one_line_says_where_to_look(self, new_server):
        server = new_server("--shards", 4)
        # A machine that is slow hears besides what is being waited for.
        [line] = [line for line in server.log() if not line["message"].startswith("waiting for")]
        assert (line["message"], line["grpc"], line["data"]) == ("server started", server.address, server.data)
        assert (line["shards"], line["durability"]) == (4, "log sync")

    def test_data_lies_in_the_home_that_the_environment_names(self, tmp_path):
        for extra in [{"HOME": str(tmp_path)}, {"HOME": "/", "XDG_DATA_HOME": str(tmp_path / ".local/share")}]:
            shown = run("silo", "--print-config", extra={"XDG_DATA_HOME": ""} | extra).stdout
            assert f'path = "{tmp_path}/.local/share/silo"' in shown


class TestShards:
    @pytest.mark.parametrize("flags, count", [([], 1), (["--tenancy"], 8), (["--tenancy", "--shards", 3], 3), (["--shards", 2], 2)])
    def test_a_new_place_has_one_shard_or_with_tenancy_eight(self, new_server, flags, count):
        server = new_server(*flags)
        with Client(server.address) as client:
            assert client.cluster().num_shards == count
        server.stop()
        server.flags = ["--shards", "5", *(["--tenancy"] if "--tenancy" in flags else [])]
        server.start()
        with Client(server.address) as client:
            assert client.cluster().num_shards == count, "an existing place keeps what it has"
        [line] = messages(server, "the number of shards counts only for a new place")
        assert (line["level"], line["shards"], line["asked"]) == ("WARN", count, 5)

    @pytest.mark.parametrize("made", [[], ["--tenancy"]])
    def test_a_place_is_served_with_or_without_tenancy_as_it_was_made(self, new_server, made):
        server = new_server("--shards", 1, *made)
        fields = {"tenant": "acme"} if made else {}
        with Client(server.address) as client:
            id = client.enqueue(**fields)
        assert server.stop() == 0
        server.flags = [] if made else ["--tenancy"]
        server.spawn()
        assert server.process.wait(60) == 1
        way = "with" if made else "without"
        [error] = server.errors()
        assert f"was made {way} tenancy" in error and f"start the server {way} --tenancy" in error and server.data in error
        server.flags = made
        server.start()
        with Client(server.address) as client:
            assert client.job(id, **fields).id == id

    def test_one_shard_that_cannot_open_leaves_the_others(self, new_server):
        server = new_server("--tenancy", "--shards", 4)
        with Client(server.address) as client:
            shards = client.shards()
            tenants = {}
            for n in range(1000):
                tenants.setdefault(client.shard_of(f"t{n}"), f"t{n}")
            ids = {shard: client.enqueue(tenant=tenant) for shard, tenant in tenants.items()}
        assert len(ids) == 4 and server.stop() == 0
        broken = shards[1].shard_id
        manifests = sorted((pathlib.Path(server.data) / broken / "manifest").iterdir())
        kept = {path: path.read_bytes() for path in manifests}
        for path in manifests:
            path.write_bytes(b"\xff" * 100)
        server.start()
        with Client(server.address) as client:
            assert client.cluster().num_shards == 4, "it is listed all the same"
            [line] = messages(server, "not every shard is open")
            assert (line["level"], line["open"], line["shards"]) == ("WARN", 3, broken)
            [row] = [row for row in runner(server.address)("counts").splitlines() if row.startswith(broken)]
            assert "not open" in row
            for shard, id in ids.items():
                if shard != broken:
                    assert client.job(id, tenant=tenants[shard]).id == id
            [line] = until(lambda: messages(server, "it is tried again"), 10, "the log to say so", server.tail)
            assert (line["level"], line["shard"]) == ("ERROR", broken) and line["cause"] != "none"
            # Somebody mends it; nobody has to start the server again.
            for path, content in kept.items():
                path.write_bytes(content)
            until(
                lambda: [l for l in messages(server, "opened shard") if l["shard"] == broken], 90, "it to be opened", server.tail,
            )
            assert client.job(ids[broken], tenant=tenants[broken]).id == ids[broken]


class TestOtherUsers:
    def test_nothing_that_is_written_is_for_others(self, new_server):
        before = os.umask(0)
        try:
            server = new_server()
        finally:
            os.umask(before)
        with Client(server.address) as client:
            client.enqueue()
            client.call("FlushShard", shard=client.shard)
        open_to_others = [
            path for path in [pathlib.Path(server.data), *pathlib.Path(server.data).rglob("*")]
            if stat.S_IMODE(path.lstat().st_mode) & 0o077
        ]
        assert open_to_others == []
        assert not messages(server, "other users")

    def test_an_open_folder_is_worth_a_warning_and_stays_as_it_is(self, new_server):
        server = new_server()
        server.stop()
        os.chmod(server.data, 0o755)
        server.start()
        [line] = messages(server, "other users of this machine can read the data folder")
        assert line["level"] == "WARN" and line["close_it_with"] == f"chmod -R go= '{server.data}'"
        assert stat.S_IMODE(os.stat(server.data).st_mode) == 0o755
