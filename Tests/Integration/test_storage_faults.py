"""Storage that fails under a running server: a full disk, a read-only disk, a folder that is gone, an S3 server that stops.

Writes fail with UNAVAILABLE, nothing acknowledged is lost, reads do not lie, and the shard serves again by itself.
"""

import contextlib
import os
import pathlib
import random
import shutil

import subprocess
import time

import grpc
import pytest

from support.client import RUNNING, SCHEDULED, UNAVAILABLE, Client, new_id, packed, policy
from support.generated import pb
from support.load import Load
from support.ports import fixed_address
from support.programs import Server
from support.waiting import until

#: New jobs are taken until the disk is full, which is what these tests are about.
UNGUARDED = ["--max-data", "off"]


@pytest.fixture
def disk(tmp_path, request):
    """A file system of its own, with room for what a test writes and for what is merged of it."""
    place = tmp_path / "disk"
    place.mkdir()
    size = f"size={getattr(request, 'param', 160)}m"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def on_disk(disk, tmp_path):
    server = Server(tmp_path / "server", "--shards", 1, *UNGUARDED, data=disk / "data").start()
    yield server
    server.close()


def fill(place):
    """Takes all the space that is left; gives what to remove to free it."""
    ballast = place / "ballast"
    # Not buffered: closing would write again what did not fit.
    with open(ballast, "ab", buffering=0) as file:
        for size in [65536, 512]:
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)
    return ballast


def try_to(call, *arguments, **fields):
    """The call's answer, or nothing when it was UNAVAILABLE. Nothing else may happen."""
    try:
        return call(*arguments, **fields)
    except grpc.RpcError as error:
        assert error.code() == UNAVAILABLE, f"{error.code()} {error.details()}"
        return None


def stops(server):
    return [line for line in server.log() if line["message"].startswith("shard stopped")]


def serves_again(client, server, seconds=60):
    return until(
        lambda: try_to(client.enqueue, "again", timeout=30), seconds, "the shard to serve again", server.tail
    )


class TestFullDisk:
    def test_writes_fail_reads_do_not_lie_and_space_mends_it(self, on_disk, disk):
        with Client(on_disk.address) as client:
            stored = {client.enqueue(payload=n): n for n in range(50)}
            done = client.succeeded("done", "result")
            held = client.enqueue("held")
            task = client.take("held")
            ballast = fill(disk)

            # The log has a few MiB of its own already.
            failures = 0
            for n in range(1000, 1200):
                id = new_id()
                if try_to(client.enqueue, id=id, payload=[n, os.urandom(100_000)], timeout=60):
                    stored[id] = None
                else:
                    failures += 1
                if failures == 20:
                    break
            assert failures == 20, "the disk was not full"
            assert on_disk.is_running

            for id, value in list(stored.items())[:20]:
                job = try_to(client.job, id)
                assert job is None or (job.status == SCHEDULED and job.payload == packed(value))
            result = try_to(client.result, done)
            assert result is None or result.success_data == packed("result")
            job = try_to(client.job, held)
            assert job is None or job.status == RUNNING
            assert try_to(client.lease, "no-such-group", timeout=60) in (None, [])

            ballast.unlink()
            serves_again(client, on_disk)
            self.check(client, stored, done)
            assert client.status(held) == RUNNING
            assert not stops(on_disk), "nothing was lost, so nothing had to be opened anew"
            client.succeed(task, "late")
            assert client.result(held).success_data == packed("late")
        on_disk.kill()
        on_disk.start()
        with Client(on_disk.address) as client:
            self.check(client, stored, done)

    def check(self, client, stored, done):
        for id, value in stored.items():
            job = client.job(id)
            assert job.status == SCHEDULED and (value is None or job.payload == packed(value))
        assert client.result(done).success_data == packed("result")

    def test_it_may_fill_again_and_again_under_load(self, disk, tmp_path):
        server = Server(tmp_path / "server", "--shards", 2, "--tenancy", *UNGUARDED, data=disk / "data", listen=fixed_address()).start()
        try:
            load = Load(server.address, "full", producers=1, workers=2, backlog=50).begin()
            for _ in range(3):
                time.sleep(1)
                ballast = fill(disk)
                with Client(server.address, tenant="a") as client:
                    large = os.urandom(500_000)
                    until(lambda: try_to(client.enqueue, payload=large, timeout=30) is None, 60, "a write to fail", server.tail)
                    time.sleep(0.5)
                    ballast.unlink()
                    serves_again(client, server)
                    assert not load.violations, load.violations
            with Client(server.address, tenant="a") as client:
                for group in ["default", "again"]:
                    while tasks := client.lease(group, 100):
                        for task in tasks:
                            client.succeed(task)
                extra = client.counts()
            load.drain()
            problems = [p for p in load.judge() if not p.startswith("the server counts")]
            assert problems == [] and extra[0] > 0, "\n".join(problems[:20])
            assert load.acknowledged["ReportOutcome"] > 20
        finally:
            server.close()

    @pytest.mark.parametrize("disk", [24], indirect=True)
    @pytest.mark.parametrize("shards", [2])
    def test_on_a_disk_that_stays_full_everybody_is_answered_and_the_server_ends(self, disk, tmp_path, shards):
        on_disk = Server(tmp_path / "server", "--shards", shards, *UNGUARDED, data=disk / "data").start()
        with Client(on_disk.address) as client:
            stored = {}
            end = time.monotonic() + 25
            failures = 0
            while time.monotonic() < end:
                id = new_id()
                # Not DEADLINE_EXCEEDED: whoever calls hears that it cannot be stored.
                if try_to(client.enqueue, id=id, payload=os.urandom(300_000), timeout=25):
                    stored[id] = None
                else:
                    failures += 1
                    time.sleep(0.2)
            assert stored and failures > 0, "the disk was not full"
            # What cannot be moved to sorted files stays in the log.
            assert on_disk.stop(patience=90) == 0
        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
        on_disk.start()
        with Client(on_disk.address) as client:
            assert all(client.job(id).status == SCHEDULED for id in stored)
            client.enqueue(timeout=30)
        on_disk.close()

    def test_a_start_on_a_full_disk_says_so(self, disk, new_server):
        fill(disk)
        server = new_server.prepare("--shards", 1, data=disk / "data")
        with pytest.raises(RuntimeError, match="ended with code 1"):
            server.start(30)
        assert any("space" in line for line in server.errors()), server.errors()


def forbid_writing(folder, is_forbidden):
    """Makes every folder below immutable, which also binds root, or gives that up."""
    folders = [str(path) for path in [folder, *folder.rglob("*")] if path.is_dir()]
    return subprocess.run(["chattr", "+i" if is_forbidden else "-i", *folders], capture_output=True, text=True)


class TestReadOnlyFolder:
    def test_nothing_acknowledged_is_lost_and_it_serves_again_when_it_may_write(self, new_server):
        server = new_server("--shards", 1)
        data = pathlib.Path(server.data)
        with Client(server.address) as client:
            ids = {client.enqueue(payload=n): n for n in range(10)}
            client.call("FlushShard", shard=client.shard)
            try:
                forbidden = forbid_writing(data, True)
                if forbidden.returncode:
                    pytest.skip(f"folders cannot be made immutable here: {forbidden.stderr.strip()[:200]}")
                # No file can be made, and the log needs none for a while.
                for n in range(10, 20):
                    if id := try_to(client.enqueue, payload=n, timeout=60):
                        ids[id] = n
                with pytest.raises(grpc.RpcError):
                    client.call("FlushShard", shard=client.shard, timeout=15)
                for n in range(20, 30):
                    if id := try_to(client.enqueue, payload=n, timeout=60):
                        ids[id] = n
                assert server.is_running
                for id, n in ids.items():
                    job = try_to(client.job, id)
                    assert job is None or job.payload == packed(n)
            finally:
                forbid_writing(data, False)
            serves_again(client, server)
            assert [client.job(id).payload for id in ids] == [packed(n) for n in ids.values()]


class TestLostFolder:
    def test_the_server_stays_up_and_can_be_stopped(self, new_server):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            client.enqueue()
            shutil.rmtree(server.data)
            for n in range(30):
                with contextlib.suppress(grpc.RpcError):
                    client.enqueue(payload=n, timeout=20)
            assert server.is_running
            client.cluster()
            begun = time.monotonic()
            assert server.stop(patience=90) in (0, 1), "it ends by itself"
            assert time.monotonic() - begun < 60


@pytest.fixture
def on_s3(s3, tmp_path, request):
    server = Server(
        tmp_path / "server", "--shards", 2, "--tenancy", data=f"s3://{s3.BUCKET}/{request.node.name}/deep", extra=s3.environment,
        listen=fixed_address(),
    ).start()
    yield server
    server.close()


class TestS3:
    def test_nothing_acknowledged_is_lost_by_kills(self, on_s3):
        chance = random.Random(7)
        load = Load(on_s3.address, "s3", producers=2, workers=3, backlog=200).begin()
        for _ in range(4):
            time.sleep(0.3 + chance.random())
            on_s3.kill()
            on_s3.start()
        load.drain()
        problems = load.judge()
        assert problems == [], "\n".join(problems[:20])
        assert load.acknowledged["ReportOutcome"] + load.acknowledged["ReportOutcomes"] > 30, load.acknowledged
        assert on_s3.stop() == 0
        on_s3.start()
        assert load.judge() == []

    def test_a_job_goes_its_way_and_outlives_the_process(self, on_s3):
        with Client(on_s3.address, tenant="a") as client:
            done = client.succeeded(value=[1, 2])
            waiting = client.enqueue("wait", "p", retry_policy=policy(1))
            task = client.take("wait")
            big = client.enqueue("big", payload=pb.SerializedBytes(msgpack=bytes(9 << 20)))
        on_s3.kill()
        on_s3.start()
        with Client(on_s3.address, tenant="a") as client:
            assert client.result(done).success_data == packed([1, 2])
            client.fail(task)
            assert client.take("wait").attempt_number == 2
            assert client.take("big").job_id == big
            assert client.status(waiting) == RUNNING
            for shard in client.shards():
                client.call("FlushShard", shard=shard.shard_id)
            assert client.call("GetShardStorageInfo", shard=client.shard).l0_sst_count > 0

    def test_an_s3_server_that_stops_and_comes_back(self, on_s3, s3):
        with Client(on_s3.address, tenant="a") as client:
            stored = {client.enqueue(payload=n): n for n in range(20)}
            done = client.succeeded("done", "result")
            s3.stop()
            try:
                failures = sum(try_to(client.enqueue, id=new_id(), timeout=120) is None for _ in range(5))
                assert failures == 5, "a write was acknowledged while there was no storage"
                assert on_s3.is_running
                for id in list(stored)[:5]:
                    job = try_to(client.job, id)
                    assert job is None or job.payload == packed(stored[id])
                assert client.cluster().num_shards == 2
            finally:
                s3.start()
            serves_again(client, on_s3, 120)
            for id, value in stored.items():
                assert client.job(id).payload == packed(value)
            assert client.result(done).success_data == packed("result")
            assert {task.job_id for task in client.lease(most=1000)} >= set(stored)

    def test_a_start_without_the_s3_server_ends_with_a_clear_error(self, s3, new_server):
        elsewhere = s3.environment | {"AWS_ENDPOINT": f"http://{fixed_address()}"}
        server = new_server.prepare("--shards", 1, data=f"s3://{s3.BUCKET}/none", extra=elsewhere)
        with pytest.raises(RuntimeError, match="ended with code 1"):
            server.start(60)
        assert any(line.startswith("Error: ") for line in server.errors()), server.errors()
