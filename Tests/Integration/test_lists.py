"""Lists of jobs and what starts when, by the calls that the web page and others use."""

import time

import pytest

from support.client import INVALID_ARGUMENT, PERMISSION_DENIED, Client, concurrency, refused
from support.generated import pb
from test_access import Tokens

HOUR = 3_600_000


def pages(client, **fields):
    """Every job of a list, page by page."""
    jobs, cursor = [], ""
    while True:
        page = client.call("ListJobs", cursor=cursor, **fields)
        jobs += page.jobs
        cursor = page.next_cursor
        if not cursor:
            return jobs


def names(jobs):
    return sorted(job.id for job in jobs)


class TestListJobs:
    def test_pages_over_several_shards_hold_each_job_once(self, new_server):
        server = new_server("--tenancy", "--shards", 4)
        with Client(server.address) as client:
            for number in range(40):
                tenant = f"tenant-{number % 8}"
                id = client.enqueue("g", number, id=f"j{number:02}", tenant=tenant)
                if number % 2:
                    client.fail(client.lease_one(id, tenant=tenant), f"CODE_{number % 3}")
            every = [f"j{n:02}" for n in range(40)]
            assert names(pages(client, jobs_max=7)) == every
            failed = pages(client, jobs_max=3, status_kind="Failed")
            assert names(failed) == every[1::2]
            times = [job.status_changed_at_ms for job in failed]
            assert times == sorted(times, reverse=True)
            assert names(pages(client, error_code="CODE_1", status_kind="Failed")) == [f"j{n:02}" for n in range(1, 40, 6)]
            assert names(pages(client, tenant="tenant-3")) == [f"j{n:02}" for n in range(3, 40, 8)]
            assert {job.tenant for job in pages(client, tenant="tenant-3", omit_details=True)} == {"tenant-3"}
            shard = client.shards()[0].shard_id
            assert {job.shard for job in pages(client, shard=shard)} <= {shard}

    def test_a_bound_caller_sees_its_own(self, new_server, tmp_path):
        tokens = Tokens(tmp_path)
        admin = tokens.add("ops", "--role", "admin")
        acme = tokens.add("acme", "--role", "read", "--tenant", "acme")
        mail = tokens.add("mail", "--role", "read", "--group", "mail")
        server = new_server("--tenancy", "--tokens-file", tokens.path, "--shards", 2)
        with Client(server.address, token=admin) as client:
            later = int(time.time() * 1000) + HOUR // 2
            for tenant in ["acme", "other"]:
                for group in ["mail", "report"]:
                    client.enqueue(group, 1, id=f"{tenant}-{group}", tenant=tenant, start_at_ms=later)
        with Client(server.address, token=acme) as client:
            assert names(pages(client)) == ["acme-mail", "acme-report"]
            schedule = client.call("GetSchedule")
            assert names(schedule.jobs) == ["acme-mail", "acme-report"] and schedule.scheduled == 2
            for method in ["ListJobs", "GetSchedule"]:
                with refused(PERMISSION_DENIED):
                    client.call(method, tenant="other")
        with Client(server.address, token=mail) as client:
            assert names(pages(client)) == ["acme-mail", "other-mail"]
            assert names(client.call("GetSchedule").jobs) == ["acme-mail", "other-mail"]
            assert sum(client.call("GetSchedule").slots) == 2
            for method in ["ListJobs", "GetSchedule"]:
                with refused(PERMISSION_DENIED):
                    client.call(method, task_group="report")

    @pytest.mark.parametrize("fields", [
        {"status_kind": "Odd"}, {"jobs_max": 1001}, {"cursor": "x"}, {"cursor": "00" * 30}, {"task_group": "g" * 65},
        {"changed_from_ms": 2, "changed_before_ms": 1}, {"metadata": {str(n): "" for n in range(17)}},
    ])
    def test_bad_input(self, server, fields):
        with Client(server.address) as client, refused(INVALID_ARGUMENT):
            client.call("ListJobs", **fields)


class TestGetSchedule:
    def test_jobs_are_counted_by_their_start(self, new_server):
        server = new_server("--shards", 2)
        with Client(server.address) as client:
            now = int(time.time() * 1000)
            for number in range(30):
                client.enqueue("late" if number % 2 else "later", 1, id=f"s{number:02}", start_at_ms=now + 600_000 * (number + 1))
            schedule = client.call("GetSchedule", slot_ms=HOUR, slots=6, jobs_max=4)
            assert [job.id for job in schedule.jobs] == ["s00", "s01", "s02", "s03"]
            assert list(schedule.slots) in ([6, 6, 6, 6, 6, 0], [5, 6, 6, 6, 6, 1]) and schedule.scheduled == 30
            assert schedule.counted_until_ms > now + 100 * HOUR
            assert sum(client.call("GetSchedule", slot_ms=HOUR, slots=6, task_group="late").slots) == 15

    @pytest.mark.parametrize("fields", [{"slots": 1001}, {"slot_ms": -1}, {"jobs_max": 1001}, {"slot_ms": 1 << 60}])
    def test_bad_input(self, server, fields):
        with Client(server.address) as client, refused(INVALID_ARGUMENT):
            client.call("GetSchedule", **fields)
