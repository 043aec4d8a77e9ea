"""Acting on many jobs at once: on all that meet a condition."""

import json
import uuid

import pytest

from support.bulk import (
    BROKEN, CANCEL, DELETE, DONE, EXPEDITE, FAILURE, GOES_ON, HOUR, RESTART, STOPPED, SUCCESS, action, do, ended, enqueue_many,
    import_many, plan, reasons, start,
)
from support.client import (
    CANCELLED, INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED, SCHEDULED, Client, new_id, refused,
)
from support.generated import pb
from support.metrics import Page
from support.programs import run
from support.waiting import milliseconds, until


class TestKinds:
    def test_cancel_says_of_each_what_became_of_it(self, client):
        group = new_id("g")
        import_many(client, group, 30, SUCCESS)
        enqueue_many(client, f"{group}-w", 70)
        running, = client.lease(f"{group}-w")
        client.cancel(f"{group}-w-00007")
        where = f"task_group LIKE '{group}%'"
        looked = plan(client, CANCEL, where)
        assert (looked.jobs, looked.is_uncounted, len(looked.sample)) == (100, False, 10)
        assert {s.status_kind: (s.jobs, s.refusal) for s in looked.statuses} == {
            "Cancelled": (1, "job is already cancelled"), "Running": (1, ""), "Waiting": (68, ""),
            "Succeeded": (30, "job is already in terminal state"),
        }
        assert 0 < looked.rows_read < 100, "the counts of the directory are enough"
        assert client.status(f"{group}-w-00001") == SCHEDULED, "a dry run changes nothing"

        before = milliseconds()
        done = do(client, CANCEL, where)
        assert (done.state, done.done, done.refused, done.error) == (DONE, 69, 31, "")
        assert reasons(done) == {"job is already cancelled": 1, "job is already in terminal state": 30}
        assert {j.id for r in done.refusals for j in r.sample if r.jobs == 1} == {f"{group}-w-00007"}
        assert all(len(r.sample) <= 10 for r in done.refusals)
        assert before <= done.started_at_ms <= done.ended_at_ms <= milliseconds()
        assert (done.kind, done.condition, done.started_by, len(done.shards)) == (CANCEL, where, "anonymous", 1)
        assert client.status(f"{group}-w-00001") == CANCELLED
        assert client.heartbeat(running).cancelled

    def test_restart_expedite_and_delete(self, client):
        group = new_id("g")
        import_many(client, group, 40, FAILURE)
        restarted = do(client, RESTART, f"task_group = '{group}' AND status_kind = 'Failed'")
        assert (restarted.done, restarted.refused) == (40, 0)
        assert len(client.lease(group, 100)) == 40

        later = new_id("g")
        enqueue_many(client, later, 25, start_at_ms=milliseconds() + HOUR)
        assert client.lease(later, 100) == []
        expedited = do(client, EXPEDITE, f"task_group = '{later}' AND status_kind = 'Scheduled'")
        assert (expedited.done, expedited.refused) == (25, 0)
        assert len(client.lease(later, 100)) == 25

        deleted = do(client, DELETE, f"task_group IN ('{group}', '{later}')")
        assert (deleted.done, reasons(deleted)) == (0, {"job has not finished": 65})
        old = new_id("g")
        import_many(client, old, 15, SUCCESS, metadata={"k": old})
        assert do(client, DELETE, f"metadata['k'] = '{old}'").done == 15
        with refused(NOT_FOUND):
            client.job(f"{old}-00003")

    def test_jobs_that_come_after_it_began_stay(self, client):
        group = new_id("g")
        enqueue_many(client, group, 200)
        begun = start(client, CANCEL, f"task_group = '{group}'")
        client.enqueue(group, id="came later")
        done = ended(client, begun.id)
        assert (done.done, client.status("came later")) == (200, SCHEDULED)

    def test_by_name(self, client):
        ids = [client.enqueue("named") for _ in range(5)]
        wanted = ", ".join(f"'{id}'" for id in ids[:3] + ["nobody"])
        done = do(client, CANCEL, f"id IN ({wanted})")
        assert (done.done, done.looked_at) == (3, 4)
        assert [client.status(id) for id in ids] == [CANCELLED] * 3 + [SCHEDULED] * 2


class TestMistakes:
    @pytest.mark.parametrize(("condition", "message"), [
        ("", "condition is required"),
        ("  \n", "condition is required"),
        ("nope = 1", "condition: there is no column nope"),
        ("status_kind <> 'Sucess'", "condition: no job has the status 'Sucess'; there are Waiting, Scheduled, Running, "),
        ("status_kind =", "condition: "),
        ("true) OR (true", "condition: "),
        ("true; true", "condition: "),
        ("id IN (SELECT job_id FROM tasks)", "condition: a condition has no selects of its own"),
        ("COUNT(*) > 1", "condition: a condition is about one job: it has no aggregates and windows"),
        ("id = $1", "condition: a condition has no parameters: write their values"),
        ("id = '" + 20_000 * "x" + "'", "condition must have at most 16384 bytes"),
        ("(" * 5000 + "true" + ")" * 5000, "condition: "),
        ("id = '\0'", None),
    ])
    def test_a_bad_condition_begins_nothing(self, client, condition, message):
        before = len(client.call("ListBulkActions").actions)
        for dry_run in (True, False) if message else (True,):
            if message is None:
                assert plan(client, CANCEL, condition).jobs == 0
                continue
            with refused(INVALID_ARGUMENT, containing=message):
                client.call("StartBulkAction", kind=CANCEL, condition=condition, dry_run=dry_run)
        assert len(client.call("ListBulkActions").actions) == before

    def test_other_bad_requests(self, client):
        with refused(INVALID_ARGUMENT, "kind must be CANCEL, RESTART, EXPEDITE or DELETE"):
            client.call("StartBulkAction", condition="true")
        with refused(INVALID_ARGUMENT, "id must be a UUID"):
            start(client, CANCEL, "true", id="x")
        with refused(INVALID_ARGUMENT, "id must be a UUID"):
            action(client, "x")
        for method in ("GetBulkAction", "CancelBulkAction"):
            with refused(NOT_FOUND, "bulk action not found"):
                client.call(method, id=str(uuid.uuid4()))
        with refused(INVALID_ARGUMENT, containing="invalid shard ID"):
            start(client, CANCEL, "true", shard="x")

    def test_a_condition_without_an_answer_ends_it(self, client):
        group = new_id("g")
        client.enqueue(group, id="12")
        client.enqueue(group, id="no number")
        done = do(client, CANCEL, f"task_group = '{group}' AND CAST(id AS INT) > 0")
        assert done.state == BROKEN
        assert done.error

    def test_the_same_id_begins_nothing_twice(self, client):
        group, id = new_id("g"), str(uuid.uuid4())
        enqueue_many(client, group, 10)
        where = f"task_group = '{group}'"
        assert start(client, CANCEL, where, id=id).id == id
        ended(client, id)
        client.enqueue(group, id="again")
        assert start(client, CANCEL, where, id=id).state == DONE
        assert client.status("again") == SCHEDULED
        with refused(INVALID_ARGUMENT, "id is that of another action"):
            start(client, DELETE, where, id=id)


class TestLongActions:
    JOBS = 12_000

    def test_killed_in_mid_action_it_goes_on_and_counts_each_job_once(self, new_server):
        server = new_server("--shards", 2, "--tenancy")
        where = "task_group = 'many'"
        with Client(server.address) as client:
            for tenant in ("a", "b", "c"):
                enqueue_many(client, "many", self.JOBS // 3, tenant=tenant, shard=client.shard_of(tenant))
            id = start(client, CANCEL, where).id
            until(lambda: action(client, id).done > 100, 30, "it to begin")
        kills = 0
        done = None
        while not done:
            server.kill()
            kills += 1
            server.start()
            with Client(server.address) as client:
                now = action(client, id)
                if now.state != GOES_ON:
                    done = now
                elif kills == 4:
                    done = ended(client, id)
                else:
                    until(lambda: action(client, id).done > now.done, 30, "it to go on")
        assert (done.state, done.done, done.refused, done.looked_at, done.expected) == (DONE, self.JOBS, 0, self.JOBS, self.JOBS)
        with Client(server.address, tenant="b") as client:
            assert client.status("many-00001") == CANCELLED
            assert client.counts() == (self.JOBS, self.JOBS)
            assert client.lease("many", 10) == []
        assert [line for line in server.log() if line["level"].lower() == "error"] == []

    def test_it_is_stopped_and_others_take_turns(self, new_server):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            for group in ("one", "two"):
                enqueue_many(client, group, self.JOBS)
            one = start(client, CANCEL, "task_group = 'one'").id
            two = start(client, CANCEL, "task_group = 'two'").id
            until(lambda: action(client, one).done > 0 and action(client, two).done > 0, 30, "both to go on")
            stopped = client.call("CancelBulkAction", id=one).action
            assert stopped.state == STOPPED
            assert 0 < stopped.done <= self.JOBS
            done = ended(client, two)
            assert (done.state, done.done) == (DONE, self.JOBS)
            assert action(client, one).done == stopped.done, "what is stopped does nothing any more"
            assert client.counts()[1] == self.JOBS + stopped.done
            assert [a.id for a in client.call("ListBulkActions").actions] == [two, one], "newest first"

    def test_so_many_at_once(self, new_server):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            enqueue_many(client, "many", self.JOBS)
            # No job that they look at meets this, and each takes its time.
            slow = "task_group LIKE '%q%' AND payload LIKE '%q%'"
            with refused(RESOURCE_EXHAUSTED, containing="bulk actions that go on, as many as it may"):
                for _ in range(200):
                    start(client, CANCEL, slow)

    def test_workers_go_on_beside_it(self, new_server):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            enqueue_many(client, "many", self.JOBS)
            id = start(client, CANCEL, "status_kind = 'Waiting'").id
            worked = 0
            while action(client, id).state == GOES_ON:
                for task in client.lease("many", 5):
                    client.succeed(task)
                    worked += 1
            done = action(client, id)
            assert (done.state, reasons(done)) == (DONE, {})
            assert done.done + worked == self.JOBS
            assert done.looked_at == self.JOBS
            assert client.counts() == (self.JOBS, self.JOBS)


class TestTenants:
    @pytest.fixture(scope="class")
    def tenants(self, start_server, tmp_path_factory):
        folder = tmp_path_factory.mktemp("tokens")

        def token(*flags):
            return run("siloctl", "token", "new", "--file", folder / "tokens", *flags).stdout.strip()

        made = {
            "all": token("--name", "all", "--role", "operate"),
            "own": token("--name", "own", "--role", "operate", "--tenant", "a", "--tenant", "b"),
            "group": token("--name", "group", "--role", "operate", "--group", "g"),
            "reader": token("--name", "reader", "--role", "read"),
        }
        audit = folder / "audit"
        server = start_server("--shards", 4, "--tenancy", "--tokens-file", folder / "tokens", "--audit-log", audit)
        server.audit = audit
        yield server, made

    def fill(self, client, group):
        for tenant in "abc":
            for n in range(3):
                client.enqueue(group, id=f"{group}-{n}", tenant=tenant)

    def test_a_tenant_in_the_request(self, tenants):
        server, tokens = tenants
        with Client(server.address, token=tokens["all"]) as client:
            group = new_id("g")
            self.fill(client, group)
            where = f"task_group = '{group}'"
            assert plan(client, CANCEL, where).jobs == 9
            assert plan(client, CANCEL, where, tenant="a").jobs == 3
            assert {j.tenant for j in plan(client, CANCEL, where, tenant="a").sample} == {"a"}
            done = do(client, CANCEL, where, tenant="a")
            assert (done.done, list(done.tenants), len(done.shards)) == (3, ["a"], 1)
            assert client.status(f"{group}-1", tenant="b") == SCHEDULED
            done = do(client, CANCEL, where)
            assert (done.done, reasons(done), len(done.shards)) == (6, {"job is already cancelled": 3}, 4)

    @pytest.mark.parametrize("condition", ["{}", "{} OR tenant = 'c'", "tenant = 'c' AND {}", "NOT (NOT {}) OR true"])
    def test_a_bound_token_has_its_own_whatever_the_condition_says(self, tenants, condition):
        server, tokens = tenants
        group = new_id("g")
        where = condition.format(f"task_group = '{group}'")
        with Client(server.address, token=tokens["all"]) as everybody, Client(server.address, token=tokens["own"]) as client:
            self.fill(everybody, group)
            looked = plan(client, CANCEL, where)
            assert {j.tenant for j in looked.sample} <= {"a", "b"}
            assert looked.jobs <= 1000
            done = do(client, CANCEL, where)
            assert done.state == DONE
            assert set(done.tenants) <= {"a", "b"}
            assert {j.tenant for r in done.refusals for j in r.sample} <= {"a", "b"}
            for n in range(3):
                assert everybody.status(f"{group}-{n}", tenant="c") == SCHEDULED
            with refused(PERMISSION_DENIED, containing="may not touch tenant 'c'"):
                start(client, CANCEL, where, tenant="c")

    def test_who_may_see_and_stop_it(self, tenants):
        server, tokens = tenants
        with Client(server.address, token=tokens["all"]) as everybody, Client(server.address, token=tokens["own"]) as client:
            whole = start(everybody, CANCEL, "id = 'nobody'").id
            part = start(everybody, CANCEL, "id = 'nobody'", tenant="a").id
            for method in ("GetBulkAction", "CancelBulkAction"):
                with refused(NOT_FOUND, "bulk action not found"):
                    client.call(method, id=whole)
            assert action(client, part).started_by == "token 'all'"
            seen = [a.id for a in client.call("ListBulkActions").actions]
            assert part in seen and whole not in seen
        for name in ("group", "reader"):
            with Client(server.address, token=tokens[name]) as client:
                for method, more in [
                    ("StartBulkAction", {"kind": CANCEL, "condition": "true"}), ("GetBulkAction", {"id": whole}),
                    ("ListBulkActions", {}), ("CancelBulkAction", {"id": whole}),
                ]:
                    with refused(PERMISSION_DENIED):
                        client.call(method, **more)

    def test_the_audit_log_has_its_beginning_and_its_end(self, tenants):
        server, tokens = tenants
        with Client(server.address, token=tokens["all"]) as client:
            id = str(uuid.uuid4())
            start(client, DELETE, "id = 'nobody'", tenant="a", id=id)
            ended(client, id)

        def told():
            lines = [json.loads(line) for line in server.audit.read_text().splitlines()]
            return [line for line in lines if line.get("action") == id and line["call"] != "GetBulkAction"]

        begun, end = until(lambda: len(told()) == 2 and told(), 20, "both lines")
        assert (begun["who"], begun["call"], begun["kind"], begun["condition"]) == (
            "all", "StartBulkAction", "delete", "id = 'nobody'")
        assert (end["who"], end["by"], end["call"], end["outcome"], end["done"]) == (
            "all", "token", "BulkActionEnd", "OK", "0")


class TestMetrics:
    def test_they_count_by_action_and_outcome(self, new_server):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            enqueue_many(client, "m", 30)
            import_many(client, "n", 5, SUCCESS)
            do(client, CANCEL, "true")
        page = Page.of(server)
        for outcome, count in (("done", 30), ("refused", 5)):
            assert page.sum("silo_bulk_jobs_total", action="cancel", outcome=outcome) == count
        assert page.sum("silo_bulk_actions_running") == 0
