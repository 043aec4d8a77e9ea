"""`https://` before an address: TLS from the Swift client and from siloctl, and never a secret in plain text."""

import socket
import subprocess
import threading

import grpc
import pytest

from support.client import SUCCEEDED, Client
from support.programs import run
from support.swift_worker import SwiftWorker
from support.waiting import until

TOKEN = "s3cret-that-must-not-travel"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for the loopback, which is its own authority."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run([
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout",
        "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
    ], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def secure(start_server, certificate):
    return start_server(
        "--shards", 1, "--tls-cert", certificate / "cert.pem", "--tls-key", certificate / "key.pem", data="memory:",
        extra={"SILO_AUTH_TOKEN": TOKEN},
    )


@pytest.fixture
def trusted(certificate):
    """What makes the certificate one of the system's authorities for gRPC's core."""
    return {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(certificate / "cert.pem"), "SILO_AUTH_TOKEN": TOKEN}


@pytest.fixture
def listener():
    """A peer that takes whatever it is sent, and says nothing."""
    received = bytearray()
    server = socket.create_server(("127.0.0.1", 0))

    def take():
        while True:
            try:
                peer, _ = server.accept()
                peer.settimeout(5)
                while data := peer.recv(65536):
                    received.extend(data)
            except OSError:
                if server.fileno() < 0:
                    return

    threading.Thread(target=take, daemon=True).start()
    yield "127.0.0.1:%d" % server.getsockname()[1], received
    server.close()


def ctl(address, *arguments, extra=None):
    return run("siloctl", "--address", address, *arguments, "cluster", "info", extra=extra)


class TestSiloctl:
    def test_https_trusts_the_systems_authorities(self, secure, trusted):
        assert ctl(f"https://{secure.address}", extra=trusted).returncode == 0
        assert ctl(f"HTTPS://{secure.address}/", extra=trusted).returncode == 0

    def test_or_the_one_that_is_named(self, secure, certificate):
        for address in [f"https://{secure.address}", secure.address]:
            ended = ctl(address, "--tls-ca", certificate / "cert.pem", extra={"SILO_AUTH_TOKEN": TOKEN})
            assert ended.returncode == 0, ended.stderr

    def test_others_are_not_trusted(self, secure):
        assert ctl(f"https://{secure.address}", extra={"SILO_AUTH_TOKEN": TOKEN}).returncode == 1

    def test_an_address_that_the_certificate_does_not_name(self, new_server, certificate):
        files = ["--tls-cert", certificate / "cert.pem", "--tls-key", certificate / "key.pem"]
        server = new_server("--shards", 1, *files, data="memory:", listen="127.0.0.2:0")
        ended = ctl(f"https://{server.address}", "--tls-ca", certificate / "cert.pem")
        assert ended.returncode == 1 and "the server's certificate does not name this address" in ended.stderr, ended.stderr
        assert "start a server" not in ended.stderr

    @pytest.mark.parametrize("option, kind", [("--tls-ca", "certificate"), ("--tls-cert", "certificate"), ("--tls-key", "key")])
    @pytest.mark.parametrize("text", ["nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
    def test_a_file_that_holds_none_is_named(self, secure, certificate, tmp_path, option, kind, text):
        (tmp_path / "bad.pem").write_text(text)
        given = {"--tls-ca": "cert.pem", "--tls-cert": "cert.pem", "--tls-key": "key.pem"}
        words = [w for name, file in given.items() for w in (name, certificate / file if name != option else tmp_path / "bad.pem")]
        ended = ctl(f"https://{secure.address}", *words)
        start = f"Error: {option}: {tmp_path}/bad.pem holds no {kind} in PEM form that can be read"
        assert ended.returncode == 1 and ended.stderr.startswith(start), ended.stderr

    def test_a_secret_does_not_travel_in_plain_text(self, listener):
        address, received = listener
        with pytest.raises(subprocess.TimeoutExpired):
            run("siloctl", "--address", f"https://{address}", "cluster", "info", extra={"SILO_AUTH_TOKEN": TOKEN}, timeout=3)
        assert received, "it began to speak"
        assert TOKEN.encode() not in received and not received.startswith(b"PRI * HTTP/2")
        assert received[0] == 0x16, "a TLS handshake"

    @pytest.mark.parametrize("address, flags, hint", [
        ("http://localhost:1", ["--tls-ca"], "leave TLS away"), ("ftp://localhost:1", [], "https://host:port"),
        ("https://localhost:1/path", [], "nothing behind"),
    ])
    def test_what_contradicts(self, certificate, address, flags, hint):
        ended = ctl(address, *(flags and [*flags, certificate / "cert.pem"]))
        assert ended.returncode == 2 and hint in ended.stderr, ended.stderr


class TestWorker:
    def test_all_servers_are_spoken_to_with_tls(self, secure, certificate, trusted, tmp_path, group, monkeypatch):
        """The server names itself without a scheme."""
        for name, value in trusted.items():
            monkeypatch.setenv(name, value)
        credentials = grpc.ssl_channel_credentials((certificate / "cert.pem").read_bytes())
        worker = SwiftWorker(tmp_path, f"https://{secure.address}", group, "--token", TOKEN)
        try:
            with Client(secure.address, token=TOKEN, credentials=credentials) as client:
                id = client.enqueue(group, {"name": "a"})
                until(lambda: client.status(id) == SUCCEEDED, 30, "the job", worker.text)
            worker.stop()
        finally:
            worker.close()
