"""Who may call, what those may do who may not, and what an operator is told of it."""

import os
import stat

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.client import CHANNEL_OPTIONS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAUTHENTICATED, Client, refused
from support.programs import run
from support.waiting import until

MIB = 1 << 20


def warnings(server):
    return [line["message"] for line in server.log() if line["level"] == "WARN"]


class TestToken:
    @pytest.fixture
    def token_file(self, tmp_path):
        def write(text, mode=0o600):
            path = tmp_path / "token"
            path.write_text(text)
            path.chmod(mode)
            return path

        return write

    def test_it_comes_from_a_file(self, new_server, token_file):
        server = new_server("--shards", 1, "--auth-token-file", token_file("s3cret\n"), data="memory:")
        with Client(server.address, token="s3cret") as client, Client(server.address, token="s3cret\n".strip("t\n")) as other:
            assert client.enqueue()
            with refused(UNAUTHENTICATED, "invalid auth token"):
                other.call("GetNodeInfo")
        assert warnings(server) == []
        command = open(f"/proc/{server.process.pid}/cmdline").read()
        assert "s3cret" not in command

    def test_a_file_that_others_can_read_is_warned_of(self, new_server, token_file):
        server = new_server("--shards", 1, "--auth-token-file", token_file("s3cret", 0o644), data="memory:")
        assert warnings(server) == ["other users of this machine can read the auth token: chmod 600"]

    @pytest.mark.parametrize("text", ["", "\n"])
    def test_an_empty_one_is_refused(self, token_file, text):
        ended = run("silo", "--listen", "127.0.0.1:0", "--data", "memory:", "--auth-token-file", token_file(text))
        assert ended.returncode == 1 and "the auth token is empty" in ended.stderr

    def test_two_of_them_are_refused(self, token_file):
        ended = run("silo", "--data", "memory:", "--auth-token-file", token_file("x"), "--auth-token", "y")
        assert ended.returncode == 2 and "exclude each other" in ended.stderr

    def test_a_missing_file_is_named(self, tmp_path):
        ended = run("silo", "--data", "memory:", "--auth-token-file", tmp_path / "nothing")
        assert ended.returncode == 1 and str(tmp_path / "nothing") in ended.stderr

    def test_help_says_what_ps_shows(self):
        assert "ps shows it" in run("silo", "--help").stdout


class TestBodies:
    def test_those_of_strangers_are_not_read(self, new_server):
        server = new_server("--shards", 1, "--auth-token", "s3cret", data="memory:")
        with Client(server.address, token="s3cret") as client:
            client.enqueue()
            resting = server.rss()
            channels = [grpc.insecure_channel(server.address, CHANNEL_OPTIONS) for _ in range(4)]
            body = bytes(100 * MIB)
            calls = [
                channels[number % 4].unary_unary("/silo.v1.Silo/Enqueue")
                .future(body, timeout=60, metadata=[("authorization", "Bearer wrong")] if number % 2 else [])
                for number in range(32)
            ]
            most = resting
            for call in calls:
                while not call.done():
                    most = max(most, server.rss())
                assert call.exception().code() == UNAUTHENTICATED
            for channel in channels:
                channel.close()
            most = max(most, server.rss())
            assert most - resting < 128 * MIB, f"grew by {(most - resting) // MIB} MiB"
            assert client.enqueue(), "who is known is served"

    def test_a_connection_that_showed_a_token_is_trusted_with_no_other(self, new_server):
        server = new_server("--shards", 1, "--auth-token", "s3cret", data="memory:")
        with Client(server.address, token="s3cret") as client:
            enqueue = client.channel.unary_unary("/silo.v1.Silo/Enqueue")
            body = bytes(100 * MIB)
            for headers in ([("authorization", "Bearer wrong")], [("authorization", "Bearer s3cre")], []):
                assert client.enqueue()
                resting = server.rss()
                call = enqueue.future(body, timeout=60, metadata=headers)
                most = resting
                while not call.done():
                    most = max(most, server.rss())
                assert call.exception().code() == UNAUTHENTICATED
                assert max(most, server.rss()) - resting < 32 * MIB
            assert client.enqueue()

    def test_a_known_callers_is_read(self, new_server):
        server = new_server("--shards", 1, "--auth-token", "s3cret", data="memory:")
        with Client(server.address, token="s3cret") as client:
            for size in (0, 1, 70_000, 3 * MIB, 100 * MIB):
                id = client.enqueue(payload=os.urandom(16) + bytes(size))
                assert len(client.job(id).payload.msgpack) >= size + 16


class TestWatches:
    def test_they_leave_every_call_served(self, new_server):
        """As many as calls may run at once, by somebody with no token."""
        server = new_server("--shards", 1, "--auth-token", "s3cret", data="memory:")
        channels = [grpc.insecure_channel(server.address, CHANNEL_OPTIONS) for _ in range(4)]
        watches = [
            health_pb2_grpc.HealthStub(channels[number % 4]).Watch(health_pb2.HealthCheckRequest())
            for number in range(16_384)
        ]
        refusals = 0
        for watch in watches:
            try:
                next(watch)
            except grpc.RpcError as error:
                assert error.code() == RESOURCE_EXHAUSTED
                refusals += 1
        assert refusals == 16_384 - 128, "the share of one machine"
        with Client(server.address, token="s3cret") as client:
            assert all(client.enqueue() for _ in range(20))
            answer = health_pb2_grpc.HealthStub(client.channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            for channel in channels:
                channel.close()

            def watch_again():
                try:
                    return next(health_pb2_grpc.HealthStub(client.channel).Watch(health_pb2.HealthCheckRequest(), timeout=30))
                except grpc.RpcError:
                    return None

            until(watch_again, what="room for a watch once the others have gone")


class TestDevelopment:
    def test_what_passes_limits_or_erases_is_for_development_only(self, new_server):
        server = new_server("--shards", 1, data="memory:", dev=False)
        with Client(server.address) as client:
            id = client.enqueue()
            with refused(PERMISSION_DENIED, "LeaseTask is only available in dev mode"):
                client.lease_one(id)
            with refused(PERMISSION_DENIED, "ResetShards is only available in dev mode"):
                client.call("ResetShards")
            assert client.job(id).id == id
            assert [task.job_id for task in client.lease()] == [id]


class TestWarnings:
    """Of the start-up log. Nothing is sent to these servers from elsewhere, and none is up for more than a moment."""

    def test_the_default_needs_none(self, new_server):
        assert warnings(new_server("--shards", 1, data="memory:")) == []

    def test_listening_everywhere(self, new_server):
        server = new_server("--shards", 1, data="memory:", listen="0.0.0.0:0")
        with Client(f"127.0.0.1:{server.port}") as client:
            advertised = client.cluster().this_grpc_addr
        assert advertised.endswith(f":{server.port}") and not advertised.startswith(("0.0.0.0", "[::]", "127."))
        everywhere, anybody = warnings(server)
        assert "without --advertise" in everywhere and "anybody" in anybody
        started = next(line for line in server.log() if line["message"] == "server started")
        assert started["advertised"] == advertised

    def test_a_token_in_plain_text(self, new_server, tmp_path):
        token = tmp_path / "token"
        token.write_text("s3cret")
        token.chmod(stat.S_IRUSR)
        server = new_server(
            "--shards", 1, "--advertise", "silo.example:7450", "--auth-token-file", token, data="memory:", listen="0.0.0.0:0",
        )
        [warning] = warnings(server)
        assert "plain text" in warning
        with Client(f"127.0.0.1:{server.port}", token="s3cret") as client:
            assert client.cluster().this_grpc_addr == "silo.example:7450"

    def test_a_certificate_for_another_name(self, new_server, certificate):
        files = ["--tls-cert", certificate / "cert.pem", "--tls-key", certificate / "key.pem"]
        for advertised, is_named in [
            ("silo.example:1", True), ("a.pool.example:1", True), ("192.0.2.1:1", True), ("[2001:db8::1]:1", True),
            ("other.example:1", False), ("192.0.2.2:1", False),
        ]:
            server = new_server("--shards", 1, *files, "--advertise", advertised, data="memory:")
            assert [w for w in warnings(server) if "certificate" in w] == (
                [] if is_named else ["the certificate does not name what clients are told to call"]
            ), advertised
            server.kill()

    @pytest.fixture
    def certificate(self, tmp_path):
        import subprocess

        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "60", "-subj", "/CN=unused", "-keyout",
                tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-addext",
                "subjectAltName=DNS:silo.example,DNS:*.pool.example,IP:192.0.2.1,IP:2001:db8::1",
            ],
            check=True, capture_output=True,
        )
        return tmp_path
