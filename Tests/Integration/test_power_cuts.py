"""The power is cut under the real server, again and again: what was acknowledged is there, and every shard opens by itself.

powercut.c writes down what the server does to its files, disk.py works out what a power cut leaves of them, and the next server starts
on that. SILO_CUTS says how often (15), SILO_SEED with which chance (a new one; printed). What threads do is not in the seed: it says
how and about when the power is cut, not which line is being written then.
"""

import collections
import os
import pathlib
import random
import shutil
import subprocess
import sys
import textwrap
import time

import grpc
import pytest

from support.client import SUCCEEDED, Client, packed
from support.load import Load
from support.ports import fixed_address
from support.programs import Server
from support.waiting import until
from support.wallclock import WallClock

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "PowerCut"))

import disk as disks  # noqa: E402
from disk import FILE_SYNCS, FOLDER_SYNCS, SORTED_FILE_SYNCS, Disk, Weather  # noqa: E402

CUTS = int(os.environ.get("SILO_CUTS", 15))
#: On one disk; then the load is driven to its end and judged, and the next begins on another.
CUTS_PER_DISK = 50


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return disks.build(tmp_path_factory.mktemp("powercut"))


class CutLoad(Load):
    """Load that is looked at while it goes on."""

    #: Checkpoints and new segments come often.
    sizes = (0, 200, 5000, 5000, 60_000)
    #: Jobs of earlier lives that are looked at besides those of the last.
    OLD = 100

    def __init__(self, address, seed):
        super().__init__(address, seed, producers=1, workers=2, tenants=("a", "b", "c"), backlog=80)
        self.audited = 0

    def _promised(self, chance):
        """What was acknowledged so far of the jobs that are looked at: id -> (is stored, is deleted, result, leases)."""
        with self.lock:
            jobs = list(self.jobs.values())
            recent, old = jobs[max(0, self.audited - 150):], jobs[:max(0, self.audited - 150)]
            self.audited = len(jobs)
            chosen = recent + chance.sample(old, min(len(old), self.OLD))
            return {
                (job.tenant, job.id): (
                    job, job.stored, job.deleted,
                    next((v for o in job.outcomes.values() for k, v, known in o if k == "success" and known), None),
                    # A lease that nobody heard of may be given back.
                    {number: task for number, (task, _, _) in job.leases.items() if number in job.heard},
                )
                for job in chosen
            }

    def audit(self, client, chance):
        """Compares what was acknowledged before the call with what is there. Adds what does not hold to the violations."""
        promised = self._promised(chance)
        calls = {
            key: client.begin("GetJob", shard=client.shard_of(key[0]), tenant=key[0], id=key[1], include_attempts=True)
            for key in promised
        }
        for key, call in calls.items():
            job, stored, deleted, result, leases = promised[key]
            try:
                found = call.result()
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.NOT_FOUND:
                    raise
                if stored and not job.delete_sent:
                    self.complain(f"{key} was acknowledged and is gone")
                continue
            if deleted:
                self.complain(f"{key} is there after its delete was acknowledged")
            if found.payload != packed(job.payload):
                self.complain(f"{key} is not what was enqueued")
            if result is not None and (found.status != SUCCEEDED or found.result != packed(result)):
                self.complain(f"{key} has status {found.status} after its success was acknowledged")
            attempts = {attempt.attempt_number: attempt.task_id for attempt in found.attempts}
            for number, task in leases.items():
                if attempts.get(number) != task:
                    self.complain(f"{key} lost the acknowledged lease of attempt {number}")


class Trial:
    """A server under load on a disk whose power is cut."""

    def __init__(self, disk, folder, chance, without=()):
        self.disk, self.chance, self.without = disk, chance, without
        self.server = Server(
            folder / "server", "--tenancy", "--shards", 1, "--log-memory-mib", 1, data=disk.folder / "data",
            listen=fixed_address(chance),
        )
        self.load = CutLoad(self.server.listen, chance.random())
        self.clock = WallClock(folder)
        self.lives = 0
        self.counts = collections.Counter()
        #: About how many operations opening takes.
        self.opening = 300

    def run(self, cuts):
        """Cuts the power so often, or until something does not hold. Gives what does not."""
        self.load.begin()
        try:
            for _ in range(cuts):
                self.live()
                self.cut()
                if self.load.violations:
                    break
            else:
                self.start(0)
                self.load.drain()
                # Eager clients give up a connection that a busy machine is slow to make.
                self.load.options = []
                return self.load.judge()
        except Broken as error:
            self.load.complain(str(error))
        finally:
            self.server.close()
            self.load.producing.clear()
            self.load.working.clear()
        return list(self.load.violations)

    def live(self):
        """One life, to its end: after so many operations, in a while, or while it stops as it was asked to."""
        chance = self.chance
        way = chance.choices(["opening", "operation", "time", "stop"], [15, 45, 25, 15])[0]
        at = {
            "opening": chance.randrange(1, self.opening + 1), "operation": self.opening + chance.randrange(1, 1500), "time": 0,
            "stop": chance.choice([0, self.opening + chance.randrange(1, 2000)]),
        }[way]
        until_end = chance.random() * (0.7 if way in ("time", "stop") else 2)
        if self.start(at):
            self.counts["looked at"] += 1
            self.wait(until_end)
            if way == "stop" and self.server.is_running:
                self.server.process.terminate()
                self.wait(10)
        if not self.server.is_running and self.server.process.returncode not in (0, -9):
            raise Broken(f"the server ended with code {self.server.process.returncode}: {self.server.tail()}")
        ended = "stopped" if self.server.process.returncode == 0 else "killed"
        self.server.kill()
        self.counts[f"{way}: {ended}"] += 1

    def wait(self, seconds):
        try:
            self.server.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass

    def start(self, at):
        """Starts the server, waits until its shard is open, and looks at what it has. False: the power was cut before."""
        # The machine was off for a while: files that were replaced are old enough to be deleted.
        self.lives += 1
        self.clock.set(600 * self.lives)
        extra = self.disk.environment(at, self.chance.choice([0, 100, 1000]))
        preload = f"{extra['LD_PRELOAD']}:{self.clock.environment['LD_PRELOAD']}"
        self.server.extra = extra | self.clock.environment | {"LD_PRELOAD": preload, "SILO_LOG": "info,shard=debug"}
        self.server.spawn()
        server = self.server
        until(lambda: self._opened() or self._refused() or not server.is_running, 90, "the shard to open", server.tail)
        if refused := self._refused():
            raise Broken(f"the shard does not open: {refused}")
        try:
            with Client(server.listen) as client:
                self.load.audit(client, self.chance)
            return True
        except grpc.RpcError:
            self.wait(1)
            if server.is_running:
                raise
            return False

    def _opened(self):
        return any(line["message"] == "opened shard" for line in self.server.log())

    def _refused(self):
        return [line for line in self.server.log() if line["level"] == "ERROR"] or (
            self.server.process.poll() not in (None, 0, -9) and self.server.tail())

    def cut(self):
        was_cut = self.disk.follow(self.without)
        if was_cut or self.server.process.returncode == 0:
            differences = self.disk.differences()
            assert not differences, f"the shim missed something: {differences[:5]}"
        self.opening = self.opening if self.disk.operations < 100 else min(self.opening, self.disk.operations)
        self.disk.cut(Weather(random.Random(self.chance.random())))
        self.counts[f"left {self.disk.weather.kind}"] += 1

    def story(self):
        return (
            f"{self.disk.weather}, {self.disk.operations} operations in the last life; {len(self.load.jobs)} jobs, "
            f"{dict(self.counts)}, {dict(self.load.acknowledged)}"
        )


class Broken(Exception):
    """A server that does not come up on what the cut has left."""


def cut_again_and_again(folder, library, seed, cuts, cuts_per_disk=CUTS_PER_DISK, without=()):
    """Gives what does not hold, and tells what was done."""
    for first in range(0, cuts, cuts_per_disk):
        place = folder / f"disk-{first}"
        trial = Trial(Disk(place / "disk", library), place, random.Random(f"{seed}-{first}"), without)
        begun = time.monotonic()
        problems = trial.run(min(cuts_per_disk, cuts - first))
        print(f"from cut {first}, {time.monotonic() - begun:.0f} s: {trial.story()}", flush=True)
        if problems:
            return problems
        shutil.rmtree(place)
    return []


def test_nothing_acknowledged_is_lost_and_the_shard_always_opens(tmp_path, library, seed):
    problems = cut_again_and_again(tmp_path, library, seed, CUTS)
    assert problems == [], f"seed {seed}\n" + "\n".join(problems[:20])


class TestAName:
    """The first job that a new server acknowledges needs the names of folders that were made a moment before."""

    def check(self, disk, folder, *flags, data):
        server = Server(folder / "server", "--shards", 1, *flags, data=data, extra=disk.environment())
        try:
            server.start()
            with Client(server.address) as client:
                id = client.enqueue(payload=1)
            server.kill()
            disk.follow()
            disk.cut(Weather(random.Random(1), "nothing"))
            server.start()
            with Client(server.address) as client:
                assert client.job(id).payload == packed(1)
        finally:
            server.close()

    def test_a_log_in_the_data_folder_is_found(self, tmp_path, library):
        disk = Disk(tmp_path / "disk", library)
        self.check(disk, tmp_path, data=disk.folder / "data")

    def test_a_log_on_a_disk_of_its_own_is_found(self, tmp_path, library):
        disk = Disk(tmp_path / "disk", library)
        self.check(disk, tmp_path, "--log", disk.folder / "log", data=tmp_path / "data")


class TestPlantedFaults:
    """Syncs that never reach the disk are found: so they are needed, and this would find one that is missing."""

    @pytest.mark.parametrize("without", [FILE_SYNCS, FOLDER_SYNCS, SORTED_FILE_SYNCS])
    def test_they_are_found(self, tmp_path, library, without):
        # Disks that are new: names of folders are made in their first lives.
        assert cut_again_and_again(tmp_path, library, "1", 60, 4, [without]) != []


class TestTheShim:
    """What survives a cut and what does not, by programs of a few lines."""

    @pytest.fixture
    def after(self, tmp_path, library):
        def after(program, weather="nothing", **options):
            """The files that the program leaves, when nothing survives that was not synced."""
            disk = Disk(tmp_path / "disk", library)
            text = "import os\n" + textwrap.dedent(program)
            environment = os.environ | disk.environment(**options)
            ended = subprocess.run([sys.executable, "-c", text], cwd=disk.folder, env=environment, timeout=60)
            assert ended.returncode in (0, -9)
            disk.follow()
            assert disk.differences() == []
            disk.cut(Weather(random.Random(1), weather))
            return {
                str(path.relative_to(disk.folder)): path.read_bytes()
                for path in sorted(disk.folder.rglob("*")) if path.is_file()
            }

        return after

    def test_what_was_not_synced_is_lost(self, after):
        assert after("""
            file = os.open("a", os.O_CREAT | os.O_RDWR)
            os.fsync(os.open(".", os.O_RDONLY))
            os.write(file, b"one")
            os.fdatasync(file)
            os.write(file, b"two")
            os.pwrite(file, b"T", 0)
            os.fdatasync(os.open("b", os.O_CREAT | os.O_RDWR))
        """) == {"a": b"one"}

    def test_a_name_needs_the_sync_of_its_folder(self, after):
        program = """
            def make(name, content):
                file = os.open(name, os.O_CREAT | os.O_RDWR)
                os.write(file, content)
                os.fsync(file)
            folder = os.open(".", os.O_RDONLY)
            make("a", b"old")
            make("b", b"kept")
            os.fsync(folder)
            make("c", b"new")
            os.rename("c", "a")
            os.link("b", "d")
            os.unlink("b")
        """
        assert after(program) == {"a": b"old", "b": b"kept"}
        assert after(program + "    os.fsync(folder)") == {"a": b"new", "d": b"kept"}

    def test_a_folder_whose_name_is_lost_takes_all_with_it(self, after):
        program = """
            os.mkdir("x")
            os.close(os.open("x/a", os.O_CREAT | os.O_RDWR))
            os.fsync(os.open("x", os.O_RDONLY))
        """
        assert after(program) == {}
        assert after(program + "    os.fsync(os.open('.', os.O_RDONLY))") == {"x/a": b""}

    def test_names_may_survive_without_content(self, after):
        assert after("""
            with open("a", "wb") as file:
                file.write(b"content")
        """, "names") in ({"a": b""}, {"a": bytes(7)})

    def test_lengths(self, after):
        program = """
            file = os.open("a", os.O_CREAT | os.O_RDWR)
            os.fsync(os.open(".", os.O_RDONLY))
            os.write(file, b"12345678")
            os.fsync(file)
            os.ftruncate(file, 4)
            os.posix_fallocate(file, 0, 6)
        """
        assert after(program) == {"a": b"12345678"}
        assert after(program + "    os.fsync(file)") == {"a": b"1234\0\0"}

    def test_everything_is_durable_after_a_sync_of_the_file_system(self, after):
        assert after("""
            import ctypes
            os.mkdir("x")
            os.write(os.open("x/a", os.O_CREAT | os.O_RDWR), b"1")
            assert ctypes.CDLL(None).syncfs(os.open("x", os.O_RDONLY)) == 0
            os.write(os.open("x/a", os.O_RDWR), b"2")
        """) == {"x/a": b"1"}

    def test_an_operation_that_the_cut_falls_into_is_not_durable(self, after):
        program = """
            os.close(os.open("a", os.O_CREAT | os.O_RDWR))
            folder = os.open(".", os.O_RDONLY)
            os.fsync(folder)
            os.unlink("a")
        """
        assert after(program, at=2) == {}
        assert after(program, at=3) == {}
        assert after(program, at=4) == {"a": b""}

    def test_what_a_program_does_past_the_shim_is_seen(self, tmp_path, library):
        disk = Disk(tmp_path / "disk", library)
        (disk.folder / "a").write_bytes(b"1")
        environment = os.environ | disk.environment()
        subprocess.run(["true"], env=environment, check=True)
        disk.follow()
        assert disk.differences() == [f"{disk.folder / 'a'} is there"]
