"""Pauses, DropTenantHolders and DropLimitHolders from outside (proto/silo/v1/silo.proto, docs/limits.md)."""

import concurrent.futures

import pytest

from support.client import (
    FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, RUNNING, SCHEDULED, SUCCEEDED, Client, concurrency, floating, ids_of,
    new_id, policy, rate, refused,
)
from support.generated import pb
from support.waiting import milliseconds, until
from test_query import values

HOUR = 3_600_000
NIL = "00000000-0000-0000-0000-000000000000"
TIMER, CONCURRENCY, FLOATING, RATE, READY, NO_WORKER, PAUSED = (
    pb.Obstacle.KIND_TIMER, pb.Obstacle.KIND_CONCURRENCY, pb.Obstacle.KIND_FLOATING, pb.Obstacle.KIND_RATE,
    pb.Obstacle.KIND_READY_QUEUE, pb.Obstacle.KIND_NO_WORKER, pb.Obstacle.KIND_PAUSED,
)


@pytest.fixture(scope="module")
def server(audited_server):
    return audited_server


@pytest.fixture(scope="module")
def tenants(start_server):
    """A server with tenancy and one shard."""
    return start_server("--tenancy", "--shards", 1, "--audit-secs", 1)


@pytest.fixture
def acme(tenants):
    """A client of one tenant, which leaves no pause behind."""
    with Client(tenants.address, tenant="acme") as client:
        yield client
        for pause in client.pauses():
            fields = {"tenant": pause.tenant} if pause.HasField("tenant") else {}
            client.call("Resume", shard=client.shard, target=pause.target, **fields)


def kinds(answer):
    return [obstacle.kind for obstacle in answer.obstacles]


def fill(client, group, count, limits, **fields):
    """Jobs of ascending rank, stored together; gives their ids."""
    begin = milliseconds() - 100_000
    results = client.call("EnqueueBatch", shard=client.shard, jobs=[
        pb.EnqueueRequest(task_group=group, limits=limits, start_at_ms=begin + n, tenant=client.tenant, **fields) for n in range(count)
    ]).results
    assert {r.code for r in results} == {0}
    return [r.id for r in results]


TARGETS = {
    "tenant": dict(whole_tenant=True), "group": dict(task_group="g"), "group of all": dict(task_group="g", tenant=None), "key": dict(limit_key="k"),
}


class TestPauses:
    @pytest.fixture
    def work(self, acme, group):
        """A running, a ready and a waiting job of a group that name the key: (task, ready, waiting)."""
        key = concurrency(f"k{group}", 2)
        ids = fill(acme, group, 3, [key])
        task = acme.take(group)
        assert task.job_id == ids[0]
        return task, ids[1], ids[2]

    def target(self, name, group):
        """What a test pauses, with names of its own."""
        fields = dict(TARGETS[name])
        if "task_group" in fields:
            fields["task_group"] = group
        if "limit_key" in fields:
            fields["limit_key"] = f"k{group}"
        return fields

    def pause(self, client, fields, reason=""):
        """Pauses; a tenant of None stands for all."""
        if "tenant" in fields:
            return client.call("Pause", shard=client.shard, target=pb.PauseTarget(task_group=fields["task_group"]), reason=reason).was_paused
        return client.pause(reason, **fields)

    def resume(self, client, fields):
        if "tenant" in fields:
            return client.call("Resume", shard=client.shard, target=pb.PauseTarget(task_group=fields["task_group"])).was_paused
        return client.resume(**fields)

    @pytest.mark.parametrize("name", TARGETS)
    def test_what_runs_goes_on_and_nothing_new_starts(self, acme, group, work, name):
        task, ready, waiting = work
        target = self.target(name, group)
        assert not self.pause(acme, target, "maintenance")
        assert PAUSED in kinds(acme.explain(ready)), "before any worker has asked, too"
        assert acme.lease(group, 9) == [] and not acme.heartbeat(task).cancelled
        acme.succeed(task)
        assert acme.status(task.job_id) == SUCCEEDED
        new = acme.enqueue(group, limits=[concurrency(f"k{group}", 2)], priority=99)
        assert acme.lease(group, 9, wait_ms=200) == []
        for id in (ready, waiting, new):
            answer = acme.explain(id)
            assert answer.status == SCHEDULED and PAUSED in kinds(answer) and "maintenance" in str(answer.obstacles)
        assert self.resume(acme, target)
        tasks = acme.lease(group, 9)
        assert ids_of(tasks) == [ready, waiting], "in the order that they had"
        acme.succeed(tasks[0])
        assert ids_of(acme.lease(group, 9)) == [new]

    @pytest.mark.parametrize("name", TARGETS)
    def test_a_resume_wakes_workers_that_wait(self, acme, group, name):
        target = self.target(name, group)
        self.pause(acme, target)
        ids = fill(acme, group, 2, [concurrency(f"k{group}", 2)])
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(acme.lease, group, 9, wait_ms=30_000)
            acme.wait_for_worker(ids[0])
            assert not waiting.done()
            self.resume(acme, target)
            assert waiting.result(10) and ids_of(waiting.result()) == ids

    @pytest.mark.parametrize("name", TARGETS)
    def test_retries_timers_restarts_and_expedites_do_not_start(self, acme, group, name):
        key = concurrency(f"k{group}", 9)
        retried = acme.enqueue(group, limits=[key], retry_policy=policy(1))
        task = acme.take(group)
        later = acme.enqueue(group, limits=[key], start_at_ms=milliseconds() + HOUR)
        soon = acme.enqueue(group, limits=[key], start_at_ms=milliseconds() + 100)
        called_off = acme.enqueue(group, limits=[key], start_at_ms=milliseconds() + HOUR)
        acme.cancel(called_off)
        target = self.target(name, group)
        self.pause(acme, target)
        acme.fail(task)
        acme.expedite(later), acme.restart(called_off)
        until(lambda: milliseconds() > acme.job(soon).next_attempt_starts_after_ms + 50, what="the time to come")
        assert acme.lease(group, 9, wait_ms=100) == []
        self.resume(acme, target)
        # A restart's start is the enqueue time, when that lies ahead.
        acme.expedite(called_off)
        assert set(ids_of(acme.lease(group, 9))) == {retried, later, soon, called_off}

    @pytest.mark.parametrize("name, others", [
        ("tenant", ["other tenant", "other tenant and key"]),
        ("group", ["other tenant", "other group"]),
        ("group of all", ["other group"]),
        ("key", ["other tenant", "no key", "other key"]),
    ])
    def test_others_go_on(self, acme, group, name, others):
        key = concurrency(f"k{group}", 9)
        jobs = {
            "other tenant": dict(tenant="other", limits=[]), "other tenant and key": dict(tenant="other", limits=[key]),
            "other group": dict(group="other " + group[-50:], limits=[key]), "no key": dict(limits=[]),
            "other key": dict(limits=[concurrency("other" + group)]),
        }
        self.pause(acme, self.target(name, group))
        assert acme.enqueue(group, limits=[key])
        if name == "group of all":
            acme.enqueue(group, tenant="other")
        ids = {acme.enqueue(**({"group": group} | jobs[other])) for other in others}
        leased = acme.lease(group, 9) + acme.lease("other " + group[-50:], 9)
        assert set(ids_of(leased)) == ids
        self.resume(acme, self.target(name, group))

    def test_a_paused_key_stops_jobs_that_need_other_keys_too(self, acme, group):
        a, b = concurrency(group + "a"), concurrency(group + "b")
        acme.pause(limit_key=group + "a")
        both = acme.enqueue(group, limits=[b, a])
        free = acme.enqueue(group, limits=[b])
        task = acme.take(group)
        assert task.job_id == free, "the job that waits for the paused key holds nothing of the other"
        acme.resume(limit_key=group + "a")
        acme.succeed(task)
        assert ids_of(acme.lease(group, 9)) == [both]

    def test_a_paused_floating_key(self, acme, group):
        acme.pause(limit_key=group)
        id = acme.enqueue(group, limits=[floating(group, 5)])
        assert acme.lease(group, 9) == []
        acme.resume(limit_key=group)
        assert ids_of(acme.lease(group, 9)) == [id]

    def test_several_pauses_add_up(self, acme, group):
        id = acme.enqueue(group, limits=[concurrency(f"k{group}")])
        targets = [self.target(name, group) for name in TARGETS]
        for target in targets:
            self.pause(acme, target)
        assert kinds(acme.explain(id)).count(PAUSED) >= 3
        for target in targets:
            assert acme.lease(group, 9) == []
            assert self.resume(acme, target)
        assert ids_of(acme.lease(group, 9)) == [id]

    def test_paused_jobs_may_be_cancelled_and_deleted(self, acme, group, work):
        task, ready, waiting = work
        acme.pause(whole_tenant=True)
        for id in (ready, waiting):
            acme.cancel(id)
            acme.delete(id)
        acme.succeed(task)
        acme.resume(whole_tenant=True)
        assert acme.lease(group, 9) == []

    def test_lease_task_is_not_paused(self, acme, group):
        """A help for tests: whatever the start time and limits."""
        acme.pause(task_group=group)
        task = acme.lease_one(acme.enqueue(group))
        acme.succeed(task)

    def test_twice_and_never(self, acme, group):
        target = dict(task_group=group)
        assert not acme.resume(**target), "it was not paused"
        assert not acme.pause("first", **target)
        since = acme.pauses()[0].since_ms
        assert acme.pause("second", **target)
        assert [(p.reason, p.since_ms) for p in acme.pauses()] == [("second", since)], "the reason is the new one, the time the old"
        assert acme.resume(**target) and not acme.resume(**target)
        assert acme.pauses() == []

    def test_the_list(self, acme, group):
        began = milliseconds()
        acme.pause("1", whole_tenant=True)
        acme.pause("2", task_group=group)
        acme.call("Pause", shard=acme.shard, target=pb.PauseTarget(task_group=group), reason="3")
        acme.pause("", limit_key=group, tenant="日本")
        pauses = acme.pauses()
        assert sorted((p.tenant, p.target.WhichOneof("target"), p.reason) for p in pauses) == [
            ("", "task_group", "3"), ("acme", "task_group", "2"), ("acme", "whole_tenant", "1"), ("日本", "limit_key", ""),
        ]
        assert [p.HasField("tenant") for p in pauses if p.reason == "3"] == [False]
        assert {p.target.limit_key for p in pauses} == {"", group} and all(began <= p.since_ms <= milliseconds() for p in pauses)
        assert [p.since_ms for p in pauses] == sorted(p.since_ms for p in pauses)

    def test_without_tenancy(self, client, group):
        for target in (dict(whole_tenant=True), dict(task_group=group), dict(limit_key=group)):
            client.pause("why", **target)
            pause, = client.pauses()
            assert not pause.HasField("tenant") and pause.target == pb.PauseTarget(**target)
            id = client.enqueue(group, limits=[concurrency(group)])
            assert client.lease(group) == []
            client.resume(**target)
            task = client.take(group)
            assert task.job_id == id
            client.succeed(task)
        with refused(FAILED_PRECONDITION, containing="tenancy is disabled"):
            client.pause(task_group=group, tenant="a", shard=client.shard)

    @pytest.mark.parametrize("method", ["Pause", "Resume"])
    @pytest.mark.parametrize("fields, code, text", [
        (dict(), INVALID_ARGUMENT, "target is required: whole_tenant, task_group or limit_key"),
        (dict(target=pb.PauseTarget()), INVALID_ARGUMENT, "target is required: whole_tenant, task_group or limit_key"),
        (dict(target=pb.PauseTarget(whole_tenant=False)), INVALID_ARGUMENT, "target.whole_tenant must be true, or name a task_group or limit_key"),
        (dict(target=pb.PauseTarget(whole_tenant=True), tenant=None), INVALID_ARGUMENT, "tenant id required"),
        (dict(target=pb.PauseTarget(task_group="")), INVALID_ARGUMENT, "target.task_group is required"),
        (dict(target=pb.PauseTarget(task_group="x" * 65)), INVALID_ARGUMENT, "target.task_group too long (must be <= 64 chars)"),
        (dict(target=pb.PauseTarget(limit_key="")), INVALID_ARGUMENT, "target.limit_key is required"),
        (dict(target=pb.PauseTarget(limit_key="x" * 1025)), INVALID_ARGUMENT, "target.limit_key too long (must be <= 1024 bytes)"),
        (dict(target=pb.PauseTarget(limit_key="k"), tenant=None), INVALID_ARGUMENT, "tenant id required"),
        (dict(target=pb.PauseTarget(limit_key="k"), tenant="x" * 65), INVALID_ARGUMENT, "invalid tenant id"),
        (dict(target=pb.PauseTarget(task_group="g"), shard="x"), INVALID_ARGUMENT, "invalid shard ID: x"),
        (dict(target=pb.PauseTarget(task_group="g"), shard=NIL), NOT_FOUND, "shard not found"),
    ])
    def test_bad_targets_are_refused_by_name(self, acme, method, fields, code, text):
        fields = {"shard": acme.shard, "tenant": "acme"} | fields
        with refused(code, text):
            acme.call(method, **{name: value for name, value in fields.items() if value is not None})
        assert acme.pauses() == []

    def test_a_reason_has_a_bound(self, acme):
        with refused(INVALID_ARGUMENT, "reason too long (must be <= 1024 bytes)"):
            acme.pause("é" * 513, whole_tenant=True)
        acme.pause("é" * 512, whole_tenant=True)
        assert acme.pauses()[0].reason == "é" * 512

    def test_the_list_wants_a_shard(self, acme):
        for shard, code, text in [("x", INVALID_ARGUMENT, "invalid shard ID: x"), (NIL, NOT_FOUND, "shard not found")]:
            with refused(code, text):
                acme.pauses(shard)

    def test_pauses_outlive_kills(self, new_server):
        server = new_server("--tenancy", "--shards", 1)
        with Client(server.address, tenant="acme") as client:
            client.pause("tenant", whole_tenant=True, tenant="t1")
            client.pause("group", task_group="g")
            client.call("Pause", shard=client.shard, target=pb.PauseTarget(task_group="h"), reason="all")
            client.pause("key", limit_key="k", tenant="t2")
            client.pause("gone", limit_key="gone")
            client.resume(limit_key="gone")
            jobs = {
                "t1": client.enqueue("x", tenant="t1"), "g": client.enqueue("g"), "h": client.enqueue("h", tenant="t3"),
                "k": client.enqueue("x", tenant="t2", limits=[concurrency("k")]),
            }
            free = [client.enqueue("x", tenant="t2"), client.enqueue("g", tenant="t2")]
            before = client.pauses()
        for _ in range(2):
            server.kill()
            server.start()
        with Client(server.address, tenant="acme") as client:
            assert client.pauses() == before and len(before) == 4
            tasks = [t for g in ("x", "g", "h") for t in client.lease(g, 9)]
            assert ids_of(tasks) == free
            for pause in before:
                client.call("Resume", shard=client.shard, target=pause.target, **({"tenant": pause.tenant} if pause.HasField("tenant") else {}))
            tasks = [t for g in ("x", "g", "h") for t in client.lease(g, 9)]
            assert set(ids_of(tasks)) == set(jobs.values())
        server.kill()
        server.start()
        with Client(server.address, tenant="acme") as client:
            assert client.pauses() == [], "so does a resume"


class TestDropHolders:
    @pytest.fixture
    def drop(self, tenants):
        """A client of a tenant of its own."""
        with Client(tenants.address, tenant=new_id("drop")) as client:
            yield client

    def test_nothing_held_is_nothing_dropped(self, drop, group):
        assert drop.drop_holders() == 0
        drop.enqueue(group), drop.enqueue(group, limits=[rate("r", 1, HOUR)])
        drop.enqueue(group, limits=[concurrency("k")], start_at_ms=milliseconds() + HOUR)
        assert drop.drop_holders() == 0

    def test_it_counts_slots_of_running_and_ready_jobs(self, drop, group):
        fill(drop, group, 5, [concurrency("a", 2), floating("b", 9)])
        assert len(drop.lease(group, 1)) == 1
        assert drop.drop_holders() == 4, "two jobs with two slots each"

    def test_running_attempts_go_on_and_waiting_jobs_start(self, drop, group):
        ids = fill(drop, group, 4, [concurrency("k")])
        held = drop.take(group)
        assert drop.drop_holders() == 1
        next_one = drop.take(group)
        assert next_one.job_id == ids[1] and drop.status(ids[0]) == RUNNING and not drop.heartbeat(held).cancelled
        assert drop.lease(group, 9) == [], "its own slot counts again"
        drop.succeed(held)
        assert drop.lease(group, 9) == [], "a report of one from before frees nothing"
        drop.succeed(next_one)
        assert ids_of(drop.lease(group, 9)) == [ids[2]]
        assert drop.status(ids[0]) == SUCCEEDED

    def test_of_one_key_others_stay_held(self, drop, group):
        ids = fill(drop, group, 3, [concurrency("k"), concurrency("l", 2)])
        held = drop.take(group)
        assert drop.drop_holders(limit_key="nobody") == 0 and drop.drop_holders(limit_key="k") == 1
        next_one = drop.take(group)
        assert next_one.job_id == ids[1] and not drop.heartbeat(held).cancelled
        assert drop.drop_holders(limit_key="k") == 1, "its own"
        assert drop.lease(group, 9) == [], "l is full"
        drop.succeed(held)
        third = drop.take(group)
        drop.succeed(next_one), drop.succeed(third)
        assert [drop.status(id) for id in ids] == [SUCCEEDED] * 3
        assert drop.drop_holders() == 0

    def test_of_one_key_a_ready_job_waits_for_it_again(self, drop, group):
        ids = fill(drop, group, 2, [concurrency("k")])
        assert drop.drop_holders(limit_key="k") == 1
        assert ids_of(drop.lease(group, 9)) == [ids[1]], "the first one has lost its slot to the second"

    def test_of_one_key_a_retry_takes_a_slot_anew(self, drop, group):
        first = drop.enqueue(group, limits=[concurrency("k")], retry_policy=policy(1))
        second = drop.enqueue(group, limits=[concurrency("k")])
        held = drop.take(group)
        assert drop.drop_holders(limit_key="k") == 1
        next_one = drop.take(group)
        drop.fail(held)
        assert next_one.job_id == second and drop.lease(group, 9) == []
        drop.succeed(next_one)
        assert drop.take(group).job_id == first

    def test_of_one_key_it_outlives_the_server(self, new_server):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            ids = fill(client, "g", 3, [concurrency("k")])
            held = client.take("g")
            assert client.drop_holders(limit_key="k") == 1
            next_one = client.take("g")
        server.kill()
        server.start()
        with Client(server.address) as client:
            client.succeed(held)
            assert client.lease("g", 9) == [], "a report of one from before frees nothing"
            client.succeed(next_one)
            assert ids_of(client.lease("g", 9)) == [ids[2]]

    def test_who_holds_a_key_is_told_without_those_that_lost_it(self, drop, group):
        ids = fill(drop, group, 3, [concurrency("k", 1), concurrency("l", 9)])
        held = drop.take(group)
        assert drop.drop_holders(limit_key="k") == 1
        next_one = drop.take(group)

        def rows(sql):
            return sorted(values(drop, sql, tenant=drop.tenant))

        holders = rows("SELECT queue_name, task_id FROM queues WHERE entry_type = 'holder'")
        assert holders == sorted([("k", next_one.id), ("l", held.id), ("l", next_one.id)])
        assert dict(rows("SELECT job_id, held_queues FROM leases")) == {held.job_id: "l", next_one.job_id: "k,l"}
        assert dict(rows("SELECT limit_key, held FROM limits")) == {"k": 1, "l": 2}
        drop.succeed(next_one)
        assert drop.drop_holders(limit_key="k") == 1
        assert rows("SELECT job_id, held_queues FROM tasks") == [(ids[2], "l")]

    @pytest.mark.parametrize("key, bound", [("", "limit_key is required"), ("k" * 1025, "limit_key too long (must be <= 1024 bytes)")])
    def test_a_key_has_bounds(self, drop, group, key, bound):
        fill(drop, group, 1, [concurrency("k")])
        with refused(INVALID_ARGUMENT, bound):
            drop.drop_holders(limit_key=key)
        assert drop.drop_holders() == 1

    def test_a_worker_that_waits_is_woken(self, drop, group):
        ids = fill(drop, group, 2, [concurrency("k")])
        drop.take(group)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(drop.take, group)
            drop.wait_for_worker(ids[1])
            drop.drop_holders()
            assert waiting.result(10).job_id == ids[1]

    def test_a_ready_job_is_let_in_anew(self, drop, group):
        ids = fill(drop, group, 3, [concurrency("k")])
        drop.drop_holders()
        done = []
        while tasks := drop.lease(group, 9):
            assert len(tasks) == 1, "there is one slot"
            done += ids_of(tasks)
            drop.succeed(tasks[0])
        assert done == [ids[1], ids[0], ids[2]], "the one that has the slot now, and then the one that was ready"

    def test_retries_take_slots_again(self, drop, group):
        id = drop.enqueue(group, limits=[concurrency("k")], retry_policy=policy(1))
        held = drop.take(group)
        drop.drop_holders()
        drop.fail(held)
        other = drop.enqueue(group, limits=[concurrency("k")])
        task = drop.take(group)
        assert (task.job_id, task.attempt_number) == (id, 2) and drop.lease(group, 9) == []
        drop.succeed(task)
        assert ids_of(drop.lease(group, 9)) == [other]

    def test_twice(self, drop, group):
        fill(drop, group, 3, [concurrency("k")])
        drop.take(group)
        assert [drop.drop_holders() for _ in range(2)] == [1, 1], "the second frees the slot of the job that came in"

    def test_other_tenants_are_untouched(self, drop, group):
        fill(drop, group, 1, [concurrency("k")])
        drop.take(group)
        other = new_id("other")
        ids = [drop.enqueue(group, tenant=other, id=f"{n}", limits=[concurrency("k")]) for n in range(2)]
        task = drop.take(group)
        assert task.tenant_id == other and task.job_id == ids[0]
        assert drop.drop_holders() == 1
        assert drop.lease(group, 9) == [], "the other tenant's slot is still held"
        drop.succeed(task)
        assert ids_of(drop.lease(group, 9)) == [ids[1]]

    def test_rates_and_pauses_stay(self, drop, group):
        fill(drop, group, 2, [rate("r", 1, HOUR), concurrency("k", 9)])
        drop.take(group)
        drop.pause(limit_key="p")
        paused = drop.enqueue(group, limits=[concurrency("p")])
        drop.drop_holders()
        assert drop.lease(group, 9) == [] and PAUSED in kinds(drop.explain(paused))
        drop.resume(limit_key="p")

    def test_it_outlives_a_kill(self, new_server):
        server = new_server("--tenancy", "--shards", 1, "--audit-secs", 1)
        with Client(server.address, tenant="acme") as client:
            ids = fill(client, "g", 4, [concurrency("k")])
            held = client.take("g")
            assert client.drop_holders() == 1
        server.kill()
        server.start()
        with Client(server.address, tenant="acme") as client:
            task = client.take("g")
            assert task.job_id == ids[1] and client.lease("g", 9) == []
            client.succeed(held)
            assert client.lease("g", 9) == [], "a hold from before the drop is void after the kill too"
            assert client.ghosts() == 0
            client.succeed(task)
            assert ids_of(client.lease("g", 9)) == [ids[2]]

    def test_no_slot_is_lost_or_won(self, tenants):
        """Whatever these tests dropped: what the limits say is held is held."""
        with Client(tenants.address) as client:
            assert client.ghosts() == 0
        assert [line for line in tenants.log() if line["level"].lower() == "error"] == []

    def test_addresses_are_checked_as_everywhere(self, drop, client):
        for fields, code, text in [
            (dict(shard="x"), INVALID_ARGUMENT, "invalid shard ID: x"), (dict(shard=NIL), NOT_FOUND, "shard not found"),
            (dict(tenant="", shard=drop.shard), INVALID_ARGUMENT, "tenant id required"),
        ]:
            with refused(code, text):
                drop.drop_holders(**fields)
        with refused(FAILED_PRECONDITION, containing="tenancy is disabled"):
            client.drop_holders(tenant="a", shard=client.shard)
