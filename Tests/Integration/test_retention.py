"""Finished jobs that go when their time is over, tenants that are dropped, and data that may not grow for ever."""

import os
import re
import signal
import subprocess
import time

import pytest

from support.client import (
    FAILED, FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED, SCHEDULED, SUCCEEDED, Client, new_id, packed,
    policy, refused,
)
from support.generated import pb
from support.metrics import Page
from support.programs import Server, run
from support.siloctl import as_json, pretty, runner
from support.waiting import milliseconds, until

MINUTE = 60_000


def ended(outcome, age):
    """An attempt that ended so long ago, in milliseconds."""
    at = milliseconds() - age
    return pb.ImportAttempt(status=outcome, started_at_ms=at, finished_at_ms=at, error_code="E")


SUCCESS, FAILURE, CANCELLATION = pb.ATTEMPT_STATUS_SUCCEEDED, pb.ATTEMPT_STATUS_FAILED, pb.ATTEMPT_STATUS_CANCELLED


def is_gone(client, id):
    try:
        client.job(id)
    except Exception as error:
        assert error.code() == NOT_FOUND, error
        return True
    return False


class TestOwnTime:
    def test_a_job_goes_when_its_own_time_is_over(self, client):
        short = client.succeeded(retain_ms=1000, metadata={"k": "v"}, retry_policy=policy(2))
        long = client.succeeded(retain_ms=10 * MINUTE)
        plain = client.succeeded()
        assert client.job(short).retain_ms == 1000
        assert client.job(plain).retain_ms == 0
        until(lambda: is_gone(client, short), 20, "the job to go")
        assert client.status(long) == client.status(plain) == SUCCEEDED
        assert client.enqueue(id=short) == short, "its id is free"

    def test_an_imported_job_counts_from_its_last_attempt(self, client):
        old, new = new_id(), new_id()
        client.import_jobs(
            {"id": old, "retain_ms": MINUTE, "attempts": [ended(SUCCESS, 2 * MINUTE)]},
            {"id": new, "retain_ms": 10 * MINUTE, "attempts": [ended(SUCCESS, 2 * MINUTE)]},
        )
        until(lambda: is_gone(client, old), 20, "the job to go")
        assert client.job(new).retain_ms == 10 * MINUTE

    @pytest.mark.parametrize("time", [-1, 3_153_600_000_001, 2**63 - 1])
    def test_it_has_bounds(self, client, time):
        message = f"retain_ms must be between 0 and 3153600000000, not {time}"
        with refused(INVALID_ARGUMENT, message):
            client.enqueue(retain_ms=time)
        result, = client.import_jobs({"id": new_id(), "retain_ms": time})
        assert result.error == f"INVALID_ARGUMENT: {message}"

    def test_siloctl_sets_and_shows_it(self, server, client):
        ctl = runner(server.address)
        id = as_json(ctl("enqueue", "g", "{}", "--keep", 90, "--json"))["id"]
        assert client.job(id).retain_ms == 90_000
        assert "Kept For:       90.0 s after it has finished" in ctl("job", "get", client.shard, id)
        assert pretty(ctl("job", "get", client.shard, id, "--json"))["retain_ms"] == 90_000


class TestSettings:
    def test_jobs_go_by_their_outcome_and_live_ones_stay(self, new_server):
        server = new_server("--completed-job-expire-secs", 60, "--terminal-job-expire-secs", 3600)
        with Client(server.address) as client:
            client.import_jobs(
                {"id": "succeeded", "attempts": [ended(FAILURE, 9 * MINUTE), ended(SUCCESS, 4 * MINUTE)], "metadata": {"k": "v"}},
                {"id": "fresh", "attempts": [ended(SUCCESS, 0)]},
                {"id": "failed", "attempts": [ended(FAILURE, 4 * MINUTE)]},
                {"id": "old", "attempts": [ended(FAILURE, 70 * MINUTE)]},
                {"id": "cancelled", "attempts": [ended(CANCELLATION, 70 * MINUTE)]},
                {"id": "kept", "attempts": [ended(SUCCESS, 4 * MINUTE)], "retain_ms": 60 * MINUTE},
            )
            client.enqueue(id="waits", start_at_ms=milliseconds() + MINUTE)
            until(lambda: all(is_gone(client, id) for id in ["succeeded", "old", "cancelled"]), 20, "three to go")
            for id, status in [("fresh", SUCCEEDED), ("failed", FAILED), ("kept", SUCCEEDED), ("waits", SCHEDULED)]:
                assert client.status(id) == status
            assert client.counts() == (4, 3)
            client.restart("failed")
        server.kill()
        server.start()
        with Client(server.address) as client:
            assert client.counts() == (4, 2)
            assert client.status("failed") == SCHEDULED

    def test_very_many_go_while_the_server_is_killed_again_and_again(self, new_server):
        server = new_server("--shards", 2, "--tenancy")
        tenants = [f"t{n}" for n in range(20)]
        with Client(server.address) as client:
            for tenant in tenants:
                results = client.import_jobs(*(
                    {"id": f"j{n}", "tenant": tenant, "attempts": [ended(SUCCESS, (2 + n % 50) * MINUTE)], "metadata": {"n": f"{n}"}}
                    for n in range(500)
                ))
                assert all(result.success for result in results)
            assert client.counts() == (10_000, 10_000)
        assert server.stop() == 0
        server.flags += ["--completed-job-expire-secs", "1"]
        counts = []
        for pause in [1.05, 1.2, 1.4, 1.8]:
            server.start()
            time.sleep(pause)
            server.kill()
        server.start()
        with Client(server.address) as client:
            until(lambda: counts.append(client.counts()) or counts[-1] == (0, 0), 60, "all to go", server.tail)
            client.tenant = "t3"
            assert is_gone(client, "j7")
            assert client.enqueue(id="j7") == "j7"
        assert [line for line in server.log() if line["level"].lower() == "error"] == []

    def test_they_change_while_the_server_runs(self, new_server, tmp_path):
        path = tmp_path / "silo.toml"

        def write(text):
            path.write_text(f'[database]\nbackend = "fs"\npath = "{tmp_path / "data"}"\n{text}')

        write("")
        server = new_server("--config", path)
        with Client(server.address) as client:
            client.import_jobs({"id": "old", "attempts": [ended(SUCCESS, 9 * MINUTE)]})
            client.enqueue(payload=os.urandom(3_000_000))
            write('completed_job_expire_s = 60\nmax_data = "1MiB"\n')
            server.process.send_signal(signal.SIGHUP)
            until(lambda: is_gone(client, "old"), 20, "the job to go", server.tail)
            until(lambda: not new_jobs_are_taken(client), 20, "a refusal", server.tail)
            write("")
            server.process.send_signal(signal.SIGHUP)
            until(lambda: new_jobs_are_taken(client), 20, "new jobs to be taken", server.tail)
            client.import_jobs({"id": "kept", "attempts": [ended(SUCCESS, 9 * MINUTE)]})
            time.sleep(3)
            assert client.status("kept") == SUCCEEDED

    @pytest.mark.parametrize("flags, message", [
        (["--completed-job-expire-secs", "3153600001"],
         "--completed-job-expire-secs must be a whole number from 0 to 3153600000, not 3153600001"),
        (["--max-data", "lots"], "--max-data must be a size such as 200GiB, a part of the disk such as 90%, auto or off, not lots"),
        (["--max-data", "100%"], "--max-data must be a size such as 200GiB, a part of the disk such as 90%, auto or off, not 100%"),
    ])
    def test_what_makes_no_sense_is_refused(self, tmp_path, flags, message):
        ended = run("silo", "--data", tmp_path / "data", *flags)
        assert ended.returncode == 2 and message in ended.stderr


@pytest.fixture(scope="class")
def tenants(start_server):
    return start_server("--shards", 2, "--tenancy")


def fill(client, tenant, jobs=40):
    """Jobs of a tenant in every place, and one that runs."""
    limit = pb.Limit(concurrency=pb.ConcurrencyLimit(key="k", max_concurrency=2))
    done = client.succeeded("g", tenant=tenant, metadata={"a": "b"}, retain_ms=10 * MINUTE)
    for n in range(jobs):
        client.enqueue("g", {"n": n}, tenant=tenant, limits=[limit], start_at_ms=0 if n % 2 else milliseconds() + MINUTE)
    task = client.lease("g", shard=client.shard_of(tenant))[0]
    client.pause("to be dropped", task_group="other", tenant=tenant)
    return done, task


def drop(client, tenant):
    return client.call("DropTenant", shard=client.shard_of(tenant), tenant=tenant).drop


def progress(client, tenant):
    answer = client.call("GetTenantDrop", shard=client.shard_of(tenant), tenant=tenant)
    return answer.drop if answer.HasField("drop") else None


class TestDropTenant:
    def test_everything_of_the_tenant_goes_and_it_can_be_used_anew(self, tenants):
        with Client(tenants.address) as client:
            kept, other = fill(client, "other")
            done, task = fill(client, "acme")
            before = client.counts()[0]
            begun = drop(client, "acme")
            assert begun.jobs == 41 and begun.percent < 100
            with refused(NOT_FOUND, "lease not found"):
                client.heartbeat(task)
            until(lambda: progress(client, "acme") is None, 30, "the tenant to be gone", tenants.tail)
            client.tenant = "acme"
            assert is_gone(client, done)
            assert client.counts()[0] == before - 41
            assert [p for p in client.pauses() if p.tenant == "acme"] == []
            assert client.enqueue("g", id=done) == done
            assert [t.job_id for t in client.lease("g", 50, shard=client.shard) if t.tenant_id == "acme"] == [done]
            client.tenant = "other"
            assert client.status(kept) == SUCCEEDED
            client.heartbeat(other)
            client.call("DropTenant", shard=client.shard_of("nobody"), tenant="nobody")

    def test_meanwhile_its_calls_are_refused(self, new_server):
        server = new_server("--tenancy", "--shards", 1)
        with Client(server.address, tenant="big") as client:
            for start in range(0, 20_000, 5000):
                client.call("EnqueueBatch", shard=client.shard, jobs=[
                    pb.EnqueueRequest(id=f"j{n}", tenant="big", task_group="g") for n in range(start, start + 5000)
                ])
            drop(client, "big")
            message = "tenant 'big' is being dropped; it can be used anew when that has ended"
            with refused(FAILED_PRECONDITION, message):
                client.enqueue("g")
            with refused(FAILED_PRECONDITION, message):
                client.job("j1")
            with refused(FAILED_PRECONDITION, message):
                client.cancel("j1")
            result, = client.import_jobs({"id": "i"})
            assert result.error == f"FAILED_PRECONDITION: {message}"
            assert client.lease("g", 5) == []
            assert client.counts() == (0, 0)
            now = progress(client, "big")
            assert now.jobs == 20_000 and now.started_at_ms > 0
            server.kill()
            server.start()
        with Client(server.address, tenant="big") as client:
            assert client.counts() == (0, 0)
            if progress(client, "big"):
                with refused(FAILED_PRECONDITION, message):
                    client.enqueue("g")
            until(lambda: progress(client, "big") is None, 60, "the tenant to be gone", server.tail)
            assert client.enqueue(id="j1") == "j1"
        assert [line for line in server.log() if line["level"].lower() == "error"] == []

    def test_siloctl_asks_and_shows_how_far_it_has_come(self, tenants):
        ctl = runner(tenants.address)
        with Client(tenants.address, tenant="ctl") as client:
            client.succeeded()
            assert "--yes" in ctl("tenant", "drop", "ctl", code=2)
            assert client.counts()[0] > 0
            text = ctl("tenant", "drop", "ctl", "--yes")
            assert text == "Tenant ctl is dropped, with 1 job\n"
            assert ctl("tenant", "drop", "ctl", "--yes", code=1) == "Error: there is no tenant ctl: nothing was deleted\n"
            client.pause("why", whole_tenant=True)
            assert as_json(ctl("tenant", "drop", "ctl", "--yes", "--json")) == {
                "jobs": 0, "shard": client.shard, "status": "dropped", "tenant": "ctl",
            }
            assert client.pauses() == []

    def test_without_tenancy_the_hyphen_is_the_tenant_of_all(self, new_server):
        server = new_server()
        with Client(server.address) as client:
            client.succeeded()
            client.enqueue()
            assert runner(server.address)("tenant", "drop", "-", "--yes") == "Tenant - is dropped, with 2 jobs\n"
            assert client.counts() == (0, 0)


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def new_jobs_are_taken(client):
    try:
        return client.enqueue()
    except Exception as error:
        assert error.code() == RESOURCE_EXHAUSTED, error
        return None


class TestMaxData:
    def test_before_a_disk_is_full_new_jobs_are_refused_and_the_rest_goes_on(self, disk, tmp_path):
        server = Server(tmp_path / "server", "--shards", 1, data=disk / "data").start()
        try:
            with Client(server.address) as client:
                done, waits = client.succeeded(), client.enqueue("waits")
                held = client.enqueue("held")
                task = client.take("held")
                free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
                ballast = disk / "ballast"
                ballast.write_bytes(bytes(free - (19 << 20)))
                until(lambda: not new_jobs_are_taken(client), 10, "a refusal", server.tail)
                reserve = r"and 20 MiB are kept for the jobs that it holds; make room on it"
                with refused(RESOURCE_EXHAUSTED) as caught:
                    client.enqueue(id=new_id())
                assert re.search(rf"the disk of the data has \d+ MiB free, {reserve}", caught.value.details())
                with refused(RESOURCE_EXHAUSTED):
                    client.import_jobs({"id": new_id()})
                with refused(RESOURCE_EXHAUSTED):
                    client.call("EnqueueBatch", shard=client.shard, jobs=[pb.EnqueueRequest(task_group="g")])
                page = Page.of(server)
                assert page.sum("silo_calls_refused_total", call="enqueue", reason="disk") >= 4
                assert page.sum("silo_calls_refused_total", reason="max_data") == 0
                assert page.sum("silo_disk_reserved_bytes") == 20 << 20 > page.sum("silo_disk_free_bytes")
                assert page.sum("silo_disk_size_bytes") == 200 << 20
                client.succeed(task, "well")
                client.succeed(client.take("waits"))
                client.delete(done)
                assert client.result(held).success_data == packed("well")
                assert any(line["message"] == "new jobs are refused" for line in server.log())
                ballast.unlink()
                until(lambda: new_jobs_are_taken(client), 10, "new jobs to be taken", server.tail)
                assert any(line["message"] == "new jobs are taken again" for line in server.log())
        finally:
            server.close()

    def test_a_flood_stops_before_the_disk_is_full(self, disk, tmp_path):
        server = Server(tmp_path / "server", "--shards", 1, data=disk / "data").start()
        try:
            with Client(server.address) as client:
                stored = []

                def refusal():
                    try:
                        stored.append(client.enqueue(payload=os.urandom(400_000)))
                        return len(stored) > 1000
                    except Exception as error:
                        return error

                error = until(refusal, 120, "a refusal", server.tail)
                assert error is not True and error.code() == RESOURCE_EXHAUSTED
                assert len(stored) > 100
                for id in stored:
                    client.cancel(id)
                    client.delete(id)
                # A merge that found no room is begun again. Where files are not freed soon enough changes wait a moment.
                merges, waits = "slatedb::compaction_worker", "no space is left for the log: writes are refused"
                errors = [x for x in server.log() if x["level"].lower() == "error" and x.get("source") != merges]
                assert [x for x in errors if not x["message"].startswith(waits)] == []
        finally:
            server.close()

    def test_a_size_bounds_the_data_itself(self, new_server):
        server = new_server("--shards", 1, "--max-data", "40MiB")
        with Client(server.address) as client:
            def refusal():
                try:
                    client.enqueue(payload=os.urandom(1_000_000))
                    return None
                except Exception as error:
                    assert error.code() == RESOURCE_EXHAUSTED, error
                    return error.details()

            text = until(refusal, 60, "a refusal", server.tail)
            assert re.search(r"the data has \d+ MiB, and database\.max_data \(--max-data\) allows 40 MiB", text)
            page = Page.of(server)
            assert page.sum("silo_calls_refused_total", call="enqueue", reason="max_data") >= 1
            assert page.sum("silo_calls_refused_total", reason="disk") == 0
            assert page.sum("silo_data_bytes") > page.sum("silo_data_max_bytes") == 40 << 20


class TestStorage:
    def test_files_are_merged_and_what_is_owed_is_told(self, new_server):
        """Compaction is on unless it is turned off."""
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            for n in range(12):
                client.enqueue(payload=os.urandom(100_000))
                client.call("FlushShard", shard=client.shard)
            info = lambda: client.call("GetShardStorageInfo", shard=client.shard)
            until(lambda: info().sorted_run_count > 0 and info().l0_sst_count < 12, 60, "a merge", server.tail)
            now = info()
            assert now.unmerged_bytes <= now.total_l0_size + now.total_sorted_run_size
            if now.checkpoints:
                assert now.oldest_checkpoint_at_ms > 0
            done = client.succeeded(payload=os.urandom(100_000))
            client.call("FlushShard", shard=client.shard)
            client.delete(done)
            client.call("FlushShard", shard=client.shard)
            assert info().deleted_bytes > 0
