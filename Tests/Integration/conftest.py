"""Fixtures for driving the built `silo` and `siloctl` from outside."""

import os
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from support.browser import Browser  # noqa: E402
from support.client import Client  # noqa: E402
from support.programs import Server  # noqa: E402
from support.seaweed import WEED, Seaweed  # noqa: E402


@pytest.fixture
def seed():
    """Of a test's chance; shown when it fails, and set by SILO_SEED."""
    seed = os.environ.get("SILO_SEED") or str(random.randrange(2**32))
    print(f"SILO_SEED={seed}")
    return seed


@pytest.fixture(scope="module")
def start_server(tmp_path_factory):
    """Starts servers that live as long as the module."""
    servers = []

    def start(*flags, **options):
        server = Server(tmp_path_factory.mktemp("silo"), *flags, **options)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def new_server(tmp_path):
    """Starts servers of one test, or with `.prepare` only makes them ready; they end with it."""
    servers = []

    def prepare(*flags, **options):
        server = Server(tmp_path / f"silo-{len(servers)}", *flags, **options)
        servers.append(server)
        return server

    def start(*flags, **options):
        return prepare(*flags, **options).start()

    start.prepare = prepare
    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture(autouse=True)
def fresh(request):
    """What a page of the test before has to say of its server, which may be gone, is not of this one."""
    if "browser" in request.fixturenames:
        browser = request.getfixturevalue("browser")
        browser.go("about:blank")
        browser.complaints()


@pytest.fixture
def no_complaints(request, fresh):
    """Pages have nothing to complain of."""
    yield
    if "browser" in request.fixturenames:
        assert request.getfixturevalue("browser").complaints() == []


@pytest.fixture(scope="module")
def server(start_server):
    """A server with one shard and no tenancy."""
    return start_server("--shards", 1)


@pytest.fixture(scope="module")
def audited_server(start_server):
    """The same, recounting every second what its limits hold. At the end of the module no slot may be held by nobody."""
    server = start_server("--shards", 1, "--audit-secs", 1)
    yield server
    with Client(server.address) as client:
        assert client.ghosts() == 0
    assert [line for line in server.log() if line["level"].lower() == "error"] == []


@pytest.fixture(scope="module")
def client(server):
    with Client(server.address) as client:
        yield client


@pytest.fixture
def group(request):
    """A task group of this test alone."""
    return request.node.name[-60:]


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    if not WEED.exists():
        pytest.skip("SeaweedFS is not installed: run scripts/setup test")
    seaweed = Seaweed(tmp_path_factory.mktemp("s3"))
    try:
        yield seaweed.start()
    finally:
        seaweed.close()
