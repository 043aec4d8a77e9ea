"""Certificates that are renewed while the server runs, and callers that show one of their own."""

import datetime
import json
import socket
import ssl
import subprocess

import grpc
import pytest

from support.client import CHANNEL_OPTIONS, PERMISSION_DENIED, UNAUTHENTICATED, Client, refused
from support.metrics import Page, get
from support.programs import run
from support.waiting import until


class Authority:
    """Signs certificates, which are good from `start` to `end`, in days from now."""

    def __init__(self, folder):
        self.folder = folder
        self.openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "400", "-keyout",
            "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
        (folder / "ca.conf").write_text(
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n"
            "unique_subject=no\ncopy_extensions=copy\n[p]\nO=optional\nCN=supplied\n")
        (folder / "index").write_text("")
        (folder / "serial").write_text("01\n")
        self.pem = folder / "ca.pem"

    def openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], cwd=self.folder, check=True, capture_output=True)

    def sign(self, name, subject="/CN=localhost", names="DNS:localhost,IP:127.0.0.1", start=-1, end=365):
        def date(days):
            return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")

        self.openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out",
            f"{name}.csr", "-subj", subject, "-addext", f"subjectAltName={names}")
        self.openssl(
            "ca", "-batch", "-config", "ca.conf", "-in", f"{name}.csr", "-cert", "ca.pem", "-keyfile", "ca.key", "-out",
            f"{name}.pem", "-notext", "-startdate", date(start), "-enddate", date(end))
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def served(tmp_path):
    """Where the server's files are; `put` replaces them."""

    class Served:
        certificate, key = tmp_path / "served.pem", tmp_path / "served.key"
        flags = ["--tls-cert", certificate, "--tls-key", key]

        def put(self, pair):
            self.certificate.write_bytes(pair[0].read_bytes())
            self.key.write_bytes(pair[1].read_bytes())

    return Served()


def shown(server, authority):
    """The certificate that the server shows, by its last day."""
    context = ssl.create_default_context(cafile=authority.pem)
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", server.port), 10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            return secure.getpeercert()["notAfter"]


def messages(server, level):
    return [line["message"] for line in server.log() if line["level"] == level]


def connect(server, authority, pair=None, token=None):
    key, chain = (pair[1].read_bytes(), pair[0].read_bytes()) if pair else (None, None)
    credentials = grpc.ssl_channel_credentials(authority.pem.read_bytes(), key, chain)
    return Client(server.address, credentials=credentials, token=token)


class TestRenewal:
    def test_a_renewed_certificate_is_served_and_connections_stay(self, new_server, authority, served):
        served.put(authority.sign("old", end=100))
        server = new_server("--shards", 1, *served.flags, data="memory:")
        with connect(server, authority) as client:
            client.enqueue()
            before = shown(server, authority)
            served.put(authority.sign("new", end=300))
            until(lambda: shown(server, authority) != before, 30, "the new certificate")
            assert client.enqueue(), "over the connection of before"
            assert messages(server, "ERROR") == [] and messages(server, "WARN") == []
        with connect(server, authority) as client:
            assert client.enqueue()

    @pytest.mark.parametrize("spoil, hint", [
        ("expired", "expired"), ("early", "is not good for another"), ("mismatch", "the TLS key is not that of"),
        ("junk", "cannot be read"), ("vanish", "No such file"), ("half", "cannot be read"),
    ])
    def test_the_old_one_stays_when_the_new_one_cannot_be_served(self, new_server, authority, served, spoil, hint):
        served.put(authority.sign("old", end=100))
        server = new_server("--shards", 1, *served.flags, data="memory:")
        before = shown(server, authority)
        new = authority.sign("new", **{"expired": {"start": -9, "end": -2}, "early": {"start": 2}}.get(spoil, {}))
        match spoil:
            case "expired" | "early": served.put(new)
            case "mismatch": served.certificate.write_bytes(new[0].read_bytes())
            case "junk": served.key.write_text("junk")
            case "vanish": served.key.unlink()
            case "half": served.certificate.write_bytes(new[0].read_bytes()[:200])
        until(lambda: messages(server, "ERROR"), 30, "a line")
        errors = [line for line in server.log() if line["level"] == "ERROR"]
        assert [line["message"] for line in errors] == ["the TLS files cannot be used; the certificate of before is served"]
        assert hint in errors[0]["error"], errors[0]["error"]
        assert shown(server, authority) == before
        with connect(server, authority) as client:
            assert client.enqueue()
        served.put(authority.sign("good", end=300))
        until(lambda: shown(server, authority) != before, 30, "the good certificate")

    def test_metrics_say_when_certificates_end(self, new_server, authority, served):
        def ends(server):
            context = ssl.create_default_context(cafile=authority.pem)
            page = Page(get(server.operator.replace("127.0.0.1", "localhost"), "/metrics", "https", context=context)[2])
            name = "silo_tls_certificate_not_after_timestamp_seconds"
            now = datetime.datetime.now(datetime.UTC).timestamp()
            return {kind: round((page.sum(name, certificate=kind) - now) / 86_400) for kind in page.values(name, "certificate")}

        # The first of a file counts.
        served.put(authority.sign("old", end=100))
        served.certificate.write_bytes(served.certificate.read_bytes() + authority.sign("intermediate", end=50)[0].read_bytes())
        server = new_server("--shards", 1, *served.flags, "--tls-client-ca", authority.pem, data="memory:")
        assert ends(server) == {"server": 50, "client_ca": 400}
        served.put(authority.sign("new", end=300))
        until(lambda: ends(server) == {"server": 300, "client_ca": 400}, 30, "the new one to be told")

    def test_an_operator_is_warned_of_an_authority(self, new_server, authority, served, tmp_path):
        served.put(authority.sign("server"))
        authorities = tmp_path / "authorities.pem"
        authorities.write_bytes(authority.pem.read_bytes() + authority.sign("leaving", end=5)[0].read_bytes())
        server = new_server("--shards", 1, *served.flags, "--tls-client-ca", authorities, data="memory:")
        warning = "a certificate of the callers' authorities expires soon: renew it"
        until(lambda: warning in messages(server, "WARN"), 10, "a line")

    @pytest.mark.parametrize("days, level, message", [
        (10, "WARN", "the TLS certificate expires soon: renew it"),
        (-1, "ERROR", "the TLS certificate has expired: clients refuse it"),
    ])
    def test_an_operator_is_warned(self, new_server, authority, served, days, level, message):
        served.put(authority.sign("short", start=-30, end=days))
        server = new_server("--shards", 1, *served.flags, data="memory:")
        until(lambda: message in messages(server, level), 10, "a line")

    def test_a_server_does_not_start_with_one_that_cannot_be_used(self, authority, served):
        served.put(authority.sign("old"))
        served.key.write_bytes(authority.sign("new")[1].read_bytes())
        ended = run("silo", "--listen", "127.0.0.1:0", "--data", "memory:", *served.flags)
        assert ended.returncode == 1 and "the TLS key is not that of the TLS certificate" in ended.stderr


class TestCallersCertificates:
    @pytest.fixture
    def server(self, new_server, authority, served, tmp_path):
        served.put(authority.sign("server"))
        tokens = tmp_path / "tokens.jsonl"
        self.token = run("siloctl", "token", "new", "--name", "ci", "--role", "enqueue", "--file", tokens).stdout.strip()
        with open(tokens, "a") as file:
            for line in (
                {"name": "billing", "certificate": "CN=billing,O=Acme", "roles": ["enqueue"]},
                {"name": "mailer", "certificate": "URI:spiffe://acme/mailer", "roles": ["operate"]},
            ):
                file.write(json.dumps(line) + "\n")
        self.audit = tmp_path / "audit.jsonl"
        return new_server(
            "--shards", 1, *served.flags, "--tls-client-ca", authority.pem, "--tokens-file", tokens, "--audit-log", self.audit,
            data="memory:")

    def test_they_say_who_calls(self, server, authority):
        billing = authority.sign("billing", "/O=Acme/CN=billing", "DNS:b.example")
        with connect(server, authority, billing) as client:
            id = client.enqueue()
            with refused(PERMISSION_DENIED, "certificate 'billing' may not do this: it needs the role operate"):
                client.cancel(id)
        with connect(server, authority, authority.sign("mailer", "/CN=any", "URI:spiffe://acme/mailer")) as client:
            client.cancel(id)
        found = until(lambda: self.audit.read_text().count("\n") >= 2 and self.audit.read_text(), 10, "the lines").splitlines()
        last = json.loads(found[-1])
        assert (last["who"], last["by"], last["call"], last["outcome"]) == ("mailer", "certificate", "CancelJob", "OK")

    def test_strangers_of_the_authority_need_a_token(self, server, authority):
        stranger = authority.sign("stranger", "/O=Acme/CN=billing2", "DNS:CN=billing,O=Acme".replace(",", "."))
        with connect(server, authority, stranger) as client, refused(UNAUTHENTICATED, "missing authorization header"):
            client.cluster()
        with connect(server, authority, stranger, self.token) as client:
            assert client.enqueue()

    def test_without_a_certificate_nobody_comes_in(self, server, authority):
        with connect(server, authority, token=self.token) as client, refused(grpc.StatusCode.UNAVAILABLE):
            client.call("GetClusterInfo", timeout=10)
