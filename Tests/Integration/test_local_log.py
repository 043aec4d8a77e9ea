"""The log that a server keeps itself on a local disk: what a power loss, damage, a lost folder and a clock that is behind do to it."""

import pathlib
import shutil
import struct
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2 as health_pb, health_pb2_grpc as health_rpc

from support.client import RUNNING, SCHEDULED, UNAVAILABLE, Client, packed
from support.waiting import until
from support.wallclock import WallClock

BLOCK = 4096


class Segments:
    """The files of a shard's log."""

    def __init__(self, folder, shard):
        self.folder = pathlib.Path(folder) / shard

    @property
    def files(self):
        return sorted(self.folder.glob("*.log"))

    def last(self):
        """The file that was written to last, by the numbers in the headers."""
        return max(self.files, key=lambda path: struct.unpack_from("<Q", path.read_bytes()[:BLOCK], 24)[0])

    @staticmethod
    def blocks(path):
        """Where the blocks of a file begin that are not empty, but for its header."""
        content = path.read_bytes()
        return [at for at in range(BLOCK, len(content), BLOCK) if any(content[at:at + BLOCK])]


def log_of(server, shard):
    return Segments(pathlib.Path(server.data) / "log", shard)


def change(path, at, change):
    """Writes over some bytes of a file; gives what was there."""
    with open(path, "r+b") as file:
        file.seek(at)
        before = file.read(len(change))
        file.seek(at)
        file.write(change)
    return before


def refusal(call, *arguments, **fields):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **fields)
    assert caught.value.code() == UNAVAILABLE, caught.value.details()
    return caught.value.details()


def started(server):
    return [line for line in server.log() if line["message"] == "server started"]


class TestStart:
    def test_it_says_how_answers_are_durable(self, new_server):
        server = new_server("--shards", 2)
        assert [line["durability"] for line in started(server)] == ["log sync"]

    def test_after_a_stop_the_data_is_whole_without_the_log(self, new_server):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            shard, ids = client.shard, [client.enqueue(payload=n) for n in range(20)]
            assert log_of(server, shard).files
        assert server.stop() == 0
        assert log_of(server, shard).files == []
        shutil.rmtree(pathlib.Path(server.data) / "log")
        server.start()
        with Client(server.address) as client:
            assert [client.job(id).payload for id in ids] == [packed(n) for n in range(20)]

    def test_after_a_kill_the_log_is_replayed(self, new_server):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            first = client.enqueue(payload="first")
            client.call("FlushShard", shard=client.shard)
            second = client.enqueue(payload="second")
        for n in range(5):
            server.kill()
            server.start()
            # What was replayed goes to sorted files before segments pile up.
            assert n > 0 or any(line["message"] == "replayed the log" for line in server.log())
            with Client(server.address) as client:
                assert client.job(first).payload == packed("first")
                assert client.job(second).payload == packed("second")


class TestDamage:
    @pytest.fixture
    def killed(self, new_server):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            shard, ids = client.shard, [client.enqueue(payload=n) for n in range(10)]
        server.kill()
        return server, log_of(server, shard), ids

    def test_a_record_that_power_loss_tore_at_the_end_is_as_if_never_written(self, killed):
        server, log, ids = killed
        path = log.last()
        at = log.blocks(path)[-1]
        change(path, at + 30, b"\xaa" * 200)
        server.start()
        # Damage to the very last record looks the same: so it is told.
        [line] = [line for line in server.log() if "a record that is not whole" in line["message"]]
        assert (line["level"], line["file"], line["offset"]) == ("WARN", path.name, at)
        with Client(server.address) as client:
            assert [client.job(id).payload for id in ids[:-1]] == [packed(n) for n in range(9)]
            again = client.enqueue(payload="again")
        server.kill()
        server.start()
        with Client(server.address) as client:
            assert client.job(again).payload == packed("again")
            assert client.counts()[0] == 10
        assert not any("a record that is not whole" in line["message"] for line in server.log()), "it is told once"

    def test_damage_in_the_middle_is_refused_with_its_place_and_loses_nothing(self, killed):
        server, log, ids = killed
        path = log.last()
        at = log.blocks(path)[3] + 40
        before = change(path, at, b"\xaa" * 8)
        kept = {file.name: file.read_bytes() for file in log.files}
        server.start()
        with Client(server.address) as client:
            text = refusal(client.job, ids[0])
            assert "is damaged in segment" in text and path.name in text, text
        assert not any(line["message"] == "replayed the log" for line in server.log())
        server.kill()
        assert {file.name: file.read_bytes() for file in log.files} == kept, "nothing was changed"
        # Somebody has mended it.
        change(path, at, before)
        server.start()
        with Client(server.address) as client:
            assert [client.job(id).payload for id in ids] == [packed(n) for n in range(10)]

    def test_a_log_that_is_gone_is_not_taken_for_an_empty_one(self, killed):
        server, log, ids = killed
        away = log.folder.with_name("away")
        log.folder.rename(away)
        server.start()
        with Client(server.address) as client:
            assert "is missing" in refusal(client.job, ids[0])
            # It is tried again and again: whoever brings it back need not start anything.
            assert not log.folder.exists(), "it can be moved back as it is"
            away.rename(log.folder)
            until(lambda: any(line["message"] == "opened shard" for line in server.log()), 90, "the shard to open", server.tail)
            assert client.job(ids[9]).payload == packed(9)

    def test_the_log_of_another_shard_is_refused(self, new_server):
        server = new_server("--shards", 2, "--tenancy")
        with Client(server.address, tenant="a") as client:
            first, second = [shard.shard_id for shard in client.shards()]
            client.enqueue()
        server.kill()
        one, other = log_of(server, first).folder, log_of(server, second).folder
        shutil.rmtree(one)
        shutil.copytree(other, one)
        server.start()
        assert any("is that of" in line.get("error", "") for line in server.log())


class TestClock:
    """SlateDB takes nothing while the clock is behind its last write; the log does."""

    @pytest.fixture
    def clock(self, tmp_path):
        return WallClock(tmp_path)

    @pytest.mark.parametrize("ending", ["stop", "kill"])
    def test_a_server_whose_clock_is_behind_serves_everything(self, new_server, clock, ending):
        server = new_server("--shards", 1, extra=clock.environment)
        ids = []
        with Client(server.address) as client:
            ids.append(client.enqueue("a", payload=0))
        getattr(server, ending)()
        clock.set(-3600)
        for n in range(1, 4):
            server.start()
            with Client(server.address) as client:
                ids.append(client.enqueue("a", payload=n))
                held = client.enqueue("held")
                assert client.take("held").job_id == held
                assert client.status(held) == RUNNING
                assert [client.job(id).payload for id in ids] == [packed(n) for n in range(n + 1)]
                health = health_rpc.HealthStub(client.channel).Check(health_pb.HealthCheckRequest(service=""), timeout=30)
                assert health.status == health_pb.HealthCheckResponse.SERVING
            if ending == "stop":
                assert server.stop() == 0
            else:
                server.kill()
        clock.set(0)
        server.start()
        with Client(server.address) as client:
            client.call("FlushShard", shard=client.shard)
            assert [client.job(id).status for id in ids] == [SCHEDULED] * 4
        assert server.stop() == 0

    def test_a_clock_that_is_set_back_under_a_running_server_keeps_nobody_waiting(self, new_server, clock):
        server = new_server("--shards", 1, extra=clock.environment)
        with Client(server.address) as client:
            first = client.enqueue(payload=1)
            client.call("FlushShard", shard=client.shard)
            clock.set(-120)
            second = client.enqueue(payload=2)
            assert client.job(first).payload == packed(1)
            with pytest.raises(grpc.RpcError, match="behind the last write"):
                client.call("FlushShard", shard=client.shard)
            until(lambda: any("rows stay in the log" in line["message"] for line in server.log()), 30, "a warning", server.tail)
            assert client.job(second).payload == packed(2)
            clock.set(0)
            client.call("FlushShard", shard=client.shard)
            assert client.job(second).payload == packed(2)
        assert server.stop() == 0
        assert not [line for line in server.log() if line["level"] == "ERROR"]


class TestBucket:
    """Data in a bucket, the log on a local disk."""

    def test_the_log_outlives_a_kill_and_only_who_has_it_opens_the_shard(self, new_server, s3, tmp_path):
        place = f"s3://{s3.BUCKET}/parted"
        here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"

        def server(log):
            flags = ["--shards", 1] + (["--log", log] if log else [])
            return new_server.prepare(*flags, data=place, extra=s3.environment)

        first = server(here).start()
        assert [line["durability"] for line in started(first)] == ["log sync"]
        with Client(first.address) as client:
            ids = [client.enqueue(payload=n) for n in range(20)]
        first.kill()
        second = server(elsewhere).start()
        with Client(second.address) as client:
            assert "is missing" in refusal(client.job, ids[0])
        second.kill()
        without = server(None).start()
        with Client(without.address) as client:
            assert "on the local disk of the machine" in refusal(client.job, ids[0])
        without.kill()
        first.start()
        with Client(first.address) as client:
            assert [client.job(id).payload for id in ids] == [packed(n) for n in range(20)]
            ids.append(client.enqueue(payload=20))
        assert first.stop() == 0
        # Closed, it is anybody's, with a log or without.
        second.start()
        with Client(second.address) as client:
            ids.append(client.enqueue(payload=21))
        assert second.stop() == 0
        third = server(None).start()
        assert [line["durability"] for line in started(third)] == ["object store"]
        with Client(third.address) as client:
            assert [client.job(id).payload for id in ids] == [packed(n) for n in range(22)]

    @pytest.mark.parametrize(
        "log, why",
        [("other", "is missing"), ("same", "another store has the log"), (None, "on the local disk of the machine")])
    def test_who_cannot_have_the_log_leaves_its_owner_alone(self, new_server, s3, tmp_path, log, why):
        place = f"s3://{s3.BUCKET}/owned-{log}"
        owner = new_server("--shards", 1, "--log", tmp_path / "same", data=place, extra=s3.environment)
        with Client(owner.address) as client:
            ids = [client.enqueue(payload=n) for n in range(5)]
            second = new_server(*(["--log", tmp_path / log] if log else []), data=place, extra=s3.environment)
            for n in range(5, 10):
                with Client(second.address) as other:
                    assert why in refusal(other.job, ids[0])
                ids.append(client.enqueue(payload=n))
                client.call("FlushShard", shard=client.shard)
            second.kill()
            assert [client.job(id).payload for id in ids] == [packed(n) for n in range(10)]
        assert not [line for line in owner.log() if line["level"] == "ERROR"]
        assert owner.stop() == 0

    def test_what_was_acknowledged_without_a_local_log_is_there_with_one(self, new_server, s3, tmp_path):
        place = f"s3://{s3.BUCKET}/began-without"
        without = new_server("--shards", 1, data=place, extra=s3.environment)
        with Client(without.address) as client:
            ids = [client.enqueue(payload=n) for n in range(20)]
        without.kill()
        server = new_server("--log", tmp_path / "log", data=place, extra=s3.environment)
        assert [line["durability"] for line in started(server)] == ["log sync"]
        with Client(server.address) as client:
            assert [client.job(id).payload for id in ids] == [packed(n) for n in range(20)]
            ids.append(client.enqueue(payload=20))
        server.kill()
        server.start()
        with Client(server.address) as client:
            assert [client.job(id).payload for id in ids] == [packed(n) for n in range(21)]
        assert server.stop() == 0

    def test_while_the_bucket_is_away_what_needs_it_is_refused_and_the_shard_goes_on(self, new_server, s3, tmp_path):
        server = new_server("--shards", 1, "--log", tmp_path / "log", data=f"s3://{s3.BUCKET}/cold", extra=s3.environment)
        with Client(server.address) as client:
            cold = client.enqueue(payload=1)
        assert server.stop() == 0
        server.start()
        with Client(server.address) as client:
            s3.stop()
            try:
                assert "storage is unavailable" in refusal(client.enqueue, id="named", payload=2, timeout=120)
                ids = [client.enqueue(payload=n) for n in range(3)]
            finally:
                s3.start()
            until(lambda: flushed(client), 60, "rows to go to the bucket", server.tail)
            client.enqueue(id="named", payload=2)
            assert {client.take("default").job_id for _ in range(5)} == {cold, "named", *ids}
        assert not [line["message"] for line in server.log() if line["message"].startswith("shard stopped")]
        assert server.stop() == 0

    @pytest.mark.parametrize("seconds", [0, 15])
    def test_a_bucket_that_is_away_for_a_while_stops_no_writes(self, new_server, s3, tmp_path, seconds):
        server = new_server("--shards", 1, "--log", tmp_path / "log", data=f"s3://{s3.BUCKET}/away-{seconds}", extra=s3.environment)
        with Client(server.address) as client:
            ids = [client.enqueue(payload=n) for n in range(5)]
            client.call("FlushShard", shard=client.shard)
            s3.stop()
            try:
                refusal(client.call, "FlushShard", shard=client.shard, timeout=120)
                begun, n = time.monotonic(), 5
                while n < 20 or time.monotonic() - begun < seconds:
                    ids.append(client.enqueue(payload=n))
                    n += 1
            finally:
                s3.start()
            until(lambda: flushed(client), 60, "rows to go to the bucket again", server.tail)
            assert client.take("default").job_id == ids[0]
            assert [client.job(id).payload for id in ids] == [packed(n) for n in range(len(ids))]
        messages = [line["message"] for line in server.log()]
        assert not [text for text in messages if text.startswith("shard stopped")]
        assert any(text.startswith("rows stay in the log until") for text in messages), messages
        assert server.stop() == 0
        server.start()
        with Client(server.address) as client:
            assert client.job(ids[-1]).payload == packed(len(ids) - 1)
        assert server.stop() == 0

    def test_a_clock_that_is_behind_after_a_clean_end_keeps_nobody_waiting(self, new_server, s3, tmp_path):
        clock = WallClock(tmp_path)
        server = new_server(
            "--shards", 1, "--log", tmp_path / "log", data=f"s3://{s3.BUCKET}/behind", extra=s3.environment | clock.environment)
        with Client(server.address) as client:
            first = client.enqueue(payload=1)
        assert server.stop() == 0
        clock.set(-3600)
        server.start()
        with Client(server.address) as client:
            second = client.enqueue(payload=2)
            assert [client.job(id).payload for id in [first, second]] == [packed(1), packed(2)]
            assert "set it right, or wait" in refusal(client.call, "FlushShard", shard=client.shard)
        server.kill()
        server.start()
        with Client(server.address) as client:
            assert client.job(second).payload == packed(2)
            clock.set(0)
            until(lambda: flushed(client), 30, "rows to go to the bucket", server.tail)
        assert server.stop() == 0


def flushed(client):
    try:
        client.call("FlushShard", shard=client.shard, timeout=20)
        return True
    except grpc.RpcError as error:
        assert error.code() == UNAVAILABLE, error.details()
        return False
