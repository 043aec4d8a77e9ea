"""Who works, as the server tells: workers, what they hold, and those that are to get nothing new."""

import pytest

from support.client import INVALID_ARGUMENT, Client, refused
from support.programs import run
from support.waiting import until


@pytest.fixture
def client(new_server):
    with Client(new_server("--shards", 2).address) as client:
        yield client


def worker(client, id):
    return client.call("ListWorkers", worker_id=id).workers[0]


class TestList:
    def test_a_worker_is_told_with_all_that_it_said(self, client):
        ids = [client.enqueue("mail") for _ in range(3)]
        tasks = client.lease("mail", 2, worker="w1", host="box-1", version="2.4.0")
        found = worker(client, "w1")
        assert (found.host, found.version, found.leases, found.is_quiet) == ("box-1", "2.4.0", 2, False)
        assert [(g.task_group, g.polls, g.tasks) for g in found.groups] == [("mail", 1, 2)]
        assert {lease.job_id for lease in found.held} == {task.job_id for task in tasks} <= set(ids)
        assert found.peer and found.first_heard_ms <= found.last_heard_ms
        before = found.last_heard_ms
        until(lambda: client.heartbeat(tasks[0], "w1") and worker(client, "w1").last_heard_ms > before, 10, "the heartbeat")

    def test_pages_follow_ids(self, client):
        for number in range(7):
            client.lease("mail" if number % 2 else "video", worker=f"w{number}")
        seen, after = [], ""
        while True:
            page = client.call("ListWorkers", limit=3, after=after)
            seen += [w.worker_id for w in page.workers]
            assert page.matching == 7
            if page.is_last:
                break
            after = seen[-1]
        assert seen == [f"w{number}" for number in range(7)]
        assert [w.worker_id for w in client.call("ListWorkers", task_group="mail").workers] == ["w1", "w3", "w5"]
        assert [w.worker_id for w in client.call("ListWorkers", id_contains="5").workers] == ["w5"]

    def test_there_are_bounds(self, client):
        with refused(INVALID_ARGUMENT, containing="host"):
            client.lease("mail", worker="w", host="x" * 257)
        for number in range(40):
            client.lease(f"group-{number:02}", worker="many")
        assert len(worker(client, "many").groups) == 32


class TestQuiet:
    def test_a_quiet_worker_gets_nothing_and_keeps_what_it_has(self, client):
        first = client.enqueue("mail")
        task = client.take("mail", "w1")
        answer = client.call("QuietWorker", worker_id="w1")
        assert (answer.was_quiet, answer.leases) == (False, 1)
        second = client.enqueue("mail")
        assert client.lease("mail", worker="w1", wait_ms=50) == []
        assert client.heartbeat(task, "w1").cancelled is False
        client.succeed(task)
        assert client.take("mail", "w2").job_id == second
        assert worker(client, "w1").is_quiet and task.job_id == first
        assert client.call("QuietWorker", worker_id="w1", resume=True).was_quiet
        third = client.enqueue("mail")
        assert client.take("mail", "w1").job_id == third

    def test_one_that_waits_gets_nothing_either(self, client):
        waiting = client.begin("LeaseTasks", worker_id="w1", task_group="mail", max_tasks=1, wait_ms=30_000)
        until(lambda: any(s.waiting_workers for s in client.call("GetNodeInfo").owned_shards), 10, "the worker")
        client.call("QuietWorker", worker_id="w1")
        job = client.enqueue("mail")
        assert list(waiting.result(timeout=60).tasks) == []
        assert client.take("mail", "w2").job_id == job

    def test_siloctl_shows_and_does_it(self, client):
        address = client.cluster().this_grpc_addr
        client.lease("mail", worker="w1", host="box-1")
        assert "box-1" in run("siloctl", "--address", address, "workers").stdout
        assert "gets nothing new" in run("siloctl", "--address", address, "worker", "quiet", "w1").stdout
        none = run("siloctl", "--address", address, "worker", "resume", "nope")
        assert (none.returncode, none.stdout) == (1, "") and "no worker nope has asked for work lately" in none.stderr
        early = run("siloctl", "--address", address, "worker", "quiet", "nope")
        assert (early.returncode, early.stderr) == (0, "") and "none of that id has asked for work lately" in early.stdout
        assert "is given work again" in run("siloctl", "--address", address, "worker", "resume", "nope").stdout
        assert "quiet" in run("siloctl", "--address", address, "workers", "--group", "mail").stdout
        assert "given work again" in run("siloctl", "--address", address, "worker", "resume", "w1").stdout


class TestTenantsAndLimits:
    def test_tenants_are_told_by_backlog_rate_and_failures(self, new_server):
        with Client(new_server("--shards", 4, "--tenancy").address) as client:
            for number in range(12):
                for _ in range(number + 1):
                    client.enqueue("mail", tenant=f"t{number:02}")
            page = client.call("ListTenants", limit=5)
            assert [t.tenant for t in page.tenants] == ["t11", "t10", "t09", "t08", "t07"] and not page.is_last
            last = page.tenants[-1]
            page = client.call("ListTenants", limit=5, after={"value": last.order_value, "tenant": last.tenant})
            assert [t.tenant for t in page.tenants] == ["t06", "t05", "t04", "t03", "t02"] and page.matching == 12
            task = client.lease("mail", 1)[0]
            client.fail(task)
            failed = client.call("ListTenants", order=2, limit=1).tenants[0]
            assert (failed.tenant, failed.failed, failed.failed_in_minute) == (task.tenant_id, 1, 1)
