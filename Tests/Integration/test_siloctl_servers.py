"""The file that gives servers names, and which of several ways to name one counts."""

import json
import subprocess

import pytest

from support.client import Client
from support.programs import run


@pytest.fixture(scope="module")
def guarded(start_server):
    """A server with tenants and a secret."""
    return start_server("--tenancy", "--shards", 2, "--auth-token", "s3cret", data="memory:")


class Home:
    """Somebody's configuration."""

    def __init__(self, folder):
        self.folder = folder / "silo"
        self.folder.mkdir()
        self.file = self.folder / "siloctl.toml"

    def write(self, text):
        self.file.write_text(text)

    def ctl(self, *arguments, extra=None):
        return run("siloctl", *arguments, extra={"XDG_CONFIG_HOME": str(self.folder.parent)} | (extra or {}))

    def ok(self, *arguments, extra=None):
        ended = self.ctl(*arguments, extra=extra)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def fails(self, *arguments, code=1, extra=None):
        ended = self.ctl(*arguments, extra=extra)
        assert (ended.returncode, ended.stdout) == (code, ""), ended
        return ended.stderr


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def both(home, server, guarded):
    (home.folder / "token").write_text("s3cret\n")
    home.write(f"""
        # Those that I use.
        default = "plain"
        [servers.plain]
        address = "{server.address}"
        [servers.guarded]          # with tenants
        address = 'http://{guarded.address}'
        auth_token_file = "token"
        tenant = "acme"
    """)
    return home


class TestNames:
    def test_a_name_brings_address_token_and_tenant(self, both, guarded):
        id = json.loads(both.ok("-s", "guarded", "enqueue", "g", "1", "--json"))["id"]
        assert id in both.ok("--server", "guarded", "job", "get", id)
        assert id in both.ok("job", "get", id, extra={"SILO_SERVER": "guarded"})
        with Client(guarded.address, tenant="acme", token="s3cret") as client:
            assert client.job(id).id == id

    def test_the_default_one_is_meant_when_none_is_named(self, both, server):
        assert server.address in both.ok("cluster", "info")
        assert both.fails("cluster", "info", "-a", "127.0.0.1:1").startswith("Error: UNAVAILABLE")

    def test_the_command_line_counts_more(self, both, tmp_path):
        assert "invalid auth token" in both.fails("-s", "guarded", "cluster", "info", "--auth-token", "other")
        # The file's secret counts more than one that lies in the environment for all servers.
        both.ok("-s", "guarded", "cluster", "info", extra={"SILO_AUTH_TOKEN": "other"})
        error = both.fails("-s", "guarded", "job", "get", "x", "-t", "other")
        assert "job not found" in error

    def test_a_list(self, both, server, guarded):
        rows = [line.split() for line in both.ok("servers").splitlines()]
        assert rows == [
            ["Name", "Address", "Tenant", "Token", "File"], ["guarded", f"http://{guarded.address}", "acme", "token"],
            ["*", "plain", server.address, "-", "-"],
        ]
        assert json.loads(both.ok("servers", "--json")) == {
            "default": "plain", "file": str(both.file), "servers": [
                {"name": "guarded", "address": f"http://{guarded.address}", "tenant": "acme", "auth_token_file": "token"},
                {"name": "plain", "address": server.address},
            ],
        }

    def test_without_a_file_the_list_says_how_to_make_one(self, home):
        text = home.ok("servers")
        assert str(home.file) in text
        home.write(text.split("\n\n", 1)[1])
        assert "silo.example.com" in home.ok("servers"), "what it shows is such a file"

    def test_without_xdg_it_lies_in_the_home(self, tmp_path):
        text = run("siloctl", "servers", extra={"HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}).stdout
        assert f"{tmp_path}/.config/silo/siloctl.toml" in text


class TestMistakes:
    @pytest.mark.parametrize("text, message", [
        ("[servers.a]\naddres = \"x\"", ":2:10: a server has no addres; it may have address, auth_token_file, tenant, tls_ca"),
        ("[servers.a]\naddress = 5", ":2:11: address wants a text in quotes"), ("[servers.a]\naddress = \"x", ":2:11: this string does not end in its line"),
        ("[servers.a]\naddress = \"x\"\naddress = \"y\"", ":3:11: value (\"address\") already exists"), ("[servers.a", ":1:1: "),
        ("[servers.a]\ntenant = \"x\"", "server a needs an address"), ("[servers.a]", "server a needs an address"),
        ("[other.a]\naddress = \"x\"", ":1:1: other is not known: write default, or [servers.NAME]"), ("nonsense", ":1:1: "),
        ("servers = 5", "servers is not known"), ("[[servers.a]]\naddress = \"x\"", "servers.a is not known"),
        ("default = \"b\"\n[servers.a]\naddress = \"x\"", "default names b, which is no server of the file"),
    ])
    def test_each_is_told_with_its_place(self, home, text, message):
        home.write(text)
        error = home.fails("cluster", "info")
        assert error.startswith(f"Error: {home.file}:") and message in error and error.count("\n") == 1

    def test_a_name_that_there_is_not(self, both):
        assert "no server is named prod in" in both.fails("-s", "prod", "pauses")
        assert "there is guarded, plain" in both.fails("-s", "prod", "pauses")
        assert "exclude each other" in both.fails("-s", "plain", "-a", "x", "pauses", code=2)

    def test_what_asks_nobody_does_not_need_the_file(self, home):
        home.write("nonsense")
        assert home.ok("tenant", "hash", "a").strip() == "d24ec4f1a98c6e5b"


class TestCertificates:
    def test_a_client_shows_its_certificate(self, start_server, home, tmp_path_factory):
        folder = tmp_path_factory.mktemp("tls")

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        openssl("req", "-x509", *curve, "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=IP:127.0.0.1")
        server = start_server(
            "--tls-cert", folder / "cert.pem", "--tls-key", folder / "key.pem", "--tls-client-ca", folder / "cert.pem", data="memory:",
        )
        files = f'tls_ca = "{folder}/cert.pem"\n'
        home.write(f'[servers.a]\naddress = "https://{server.address}"\n{files}')
        assert "UNAVAILABLE" in home.fails("-s", "a", "cluster", "info")
        home.write(f'{home.file.read_text()}tls_cert = "{folder}/cert.pem"\ntls_key = "{folder}/key.pem"\n')
        assert server.address in home.ok("-s", "a", "cluster", "info")
        assert "go together" in home.fails("-a", f"https://{server.address}", "cluster", "info", "--tls-cert",
                                           folder / "cert.pem", code=2)
