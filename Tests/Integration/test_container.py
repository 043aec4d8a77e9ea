"""What the image runs, run here without an engine: its command lines as the Dockerfile has them, in a network and file system of
their own."""

import json
import re
import signal
import subprocess

import pytest

from support.programs import PATIENCE, ROOT, environment, program, run
from support.waiting import until
from test_access import Tokens

#: Brings the loopback up, gives the volume a place, and becomes the program.
LAUNCH = """
import ctypes, fcntl, os, socket, struct, sys
s = socket.socket()
fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 1 | 8))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mount(b"tmpfs", b"/var/lib", b"tmpfs", 0, None) == 0, os.strerror(ctypes.get_errno())
os.mkdir("/var/lib/silo", 0o700)
os.execv(sys.argv[1], sys.argv[1:])
"""


def instruction(name):
    """The words of an instruction in its JSON form."""
    found = re.search(rf"^{name} .*?(\[.*\])$", (ROOT / "Dockerfile").read_text(), re.M)
    return json.loads(found[1])


def command(name, settings=ROOT / "deploy/docker/silo.toml"):
    """An instruction with what is built here in the place of what the image has."""
    programs = {f"/usr/local/bin/{name}": str(program(name)) for name in ("silo", "siloctl")}
    return [{"/etc/silo/silo.toml": str(settings), **programs}.get(word, word) for word in instruction(name)]


class Container:
    """A server that was started as the image starts it."""

    def __init__(self, folder, *options, settings=None, extra=None):
        words = command("ENTRYPOINT", settings) if settings else command("ENTRYPOINT")
        self.log_path = folder / "log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--net", "--mount", "/usr/bin/python3", "-c", LAUNCH, *words, "--log-format", "json", *map(str, options)],
                stdout=log, stderr=log, env=environment(extra))

    def started(self):
        for line in self.log_path.read_text().splitlines():
            if '"server started"' in line:
                return json.loads(line)["fields"]
        assert self.process.poll() is None, self.log_path.read_text()
        return None

    def inside(self, words, **extra):
        """Runs a program in the same network."""
        return subprocess.run(
            ["nsenter", "--net", "--target", str(self.process.pid), *map(str, words)], capture_output=True, text=True,
            timeout=PATIENCE, env=environment(extra))

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@pytest.fixture
def container(tmp_path):
    if subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("no network of its own can be made here")
    made = []

    def start(*options, **more):
        made.append(Container(tmp_path, *options, **more))
        until(made[-1].started, PATIENCE, "the server to start", made[-1].log_path.read_text)
        return made[-1]

    yield start
    for one in made:
        one.close()


class TestHealthCheck:
    def test_it_needs_no_token_where_access_is_on(self, container, tmp_path):
        tokens = Tokens(tmp_path)
        tokens.add("ops", "--role", "admin")
        server = container("--tokens-file", tokens.path)
        assert "missing authorization header" in server.inside([program("siloctl"), "cluster", "info"]).stderr
        checked = server.inside(command("HEALTHCHECK"))
        assert checked.returncode == 0, checked.stderr
        assert server.close() == 0

    def test_it_fails_where_nobody_serves(self):
        checked = run("siloctl", "--address", "http://127.0.0.1:1", "health")
        assert checked.returncode == 1 and checked.stderr

    def test_it_fails_while_the_server_drains(self, new_server):
        from support.client import Client

        server = new_server("--shards", 1)
        address = f"http://{server.address}"
        assert run("siloctl", "--address", address, "health").stdout == "It takes calls\n"
        assert json.loads(run("siloctl", "--address", address, "--json", "health", "--all-shards").stdout) == {"serving": True}
        with Client(server.address) as client:
            held = client.begin("CpuProfile", duration_seconds=20)
            until(lambda: any(line["message"] == "profile started" for line in server.log()), what="the call to run")
            server.process.terminate()
            drained = until(
                lambda: (ended := run("siloctl", "--address", address, "health")).returncode and ended, PATIENCE, "a refusal")
            assert drained.returncode == 1
            held.cancel()


class TestSettings:
    def test_it_is_reached_where_it_is_published_and_metrics_are_not(self, container):
        started = container().started()
        assert started["grpc"] == "0.0.0.0:7450" and started["advertised"] == "localhost:7450"
        assert started["metrics"] == "127.0.0.1:9090" and started["data"].endswith("/var/lib/silo")

    def test_variables_change_the_addresses(self, container):
        started = container(extra={
            "SILO_LISTEN": "0.0.0.0:7999", "SILO_ADVERTISE": "silo:7999", "SILO_METRICS": "0.0.0.0:9999"}).started()
        assert (started["grpc"], started["advertised"], started["metrics"]) == ("0.0.0.0:7999", "silo:7999", "0.0.0.0:9999")

    def test_a_file_in_the_place_of_the_images_has_its_way(self, container, tmp_path):
        settings = tmp_path / "own.toml"
        settings.write_text(
            '[server]\ngrpc_addr = "127.0.0.1:7001"\n[coordination]\nadvertised_grpc_addr = "own:7001"\n'
            '[database]\nbackend = "memory"\n[metrics]\naddr = "127.0.0.1:9001"\n')
        started = container(settings=settings).started()
        assert [started[name] for name in ("grpc", "advertised", "metrics", "data", "durability")] == [
            "127.0.0.1:7001", "own:7001", "127.0.0.1:9001", "memory:", "memory"]

    def test_options_after_the_images_name_override_it(self, container):
        assert container("--data", "memory:", "--listen", "127.0.0.1:7002").started()["grpc"] == "127.0.0.1:7002"

    def test_it_names_what_it_copies(self):
        copied = re.findall(r"^COPY (?!--from)(\S+) (/\S+)$", (ROOT / "Dockerfile").read_text(), re.M)
        assert copied == [("deploy/docker/silo.toml", "/etc/silo/silo.toml")] and (ROOT / copied[0][0]).exists()
