"""The web page over more jobs than are looked through at once; and that its benchmark runs."""

import json
import subprocess
import sys

import pytest

from support.client import Client
from support.generated import pb
from support.programs import ROOT
from support.waiting import until
from support.web import Visitor

JOBS = 21_000


@pytest.fixture(scope="module")
def many(start_server):
    """A server with many jobs, each of a tenant of its own."""
    server = start_server("--shards", 1, "--tenancy")
    with Client(server.address) as client:
        shard = client.shard_of("tenant-0")
        for first in range(0, JOBS, 3000):
            client.call("ImportJobs", timeout=300, jobs=[
                pb.ImportJobRequest(shard=shard, id=f"job-{number}", tenant=f"tenant-{number}", task_group="g")
                for number in range(first, first + 3000)
            ])
    return server


class TestSearch:
    def test_an_id_alone_is_looked_for_when_somebody_says_so(self, many):
        visitor = Visitor(many.operator)
        # The page knows how many jobs there are from what was counted last.
        def counted():
            page = visitor.get("/search?q=job-4242")
            return page.status == 200 and "21,000 jobs" in page.text and page
        assert 'href="/search?q=job-4242&amp;jobs=all"' in until(counted, what="the jobs to be counted").text
        found = visitor.get("/search?q=job-4242&jobs=all")
        assert (found.status, found.location) == (303, "/job?id=job-4242&tenant=tenant-4242")
        nothing = visitor.get("/search?q=job-none&jobs=all")
        assert nothing.status == 200 and "Nothing is called job-none" in nothing.text and "Look through" not in nothing.text

    def test_with_its_tenant_it_is_found_at_once(self, many):
        found = Visitor(many.operator).get("/search?q=tenant-77/job-77")
        assert (found.status, found.location) == (303, "/job?id=job-77&tenant=tenant-77")
        nothing = Visitor(many.operator).get("/search?q=tenant-77/job-78")
        assert nothing.status == 200 and "Nothing is called" in nothing.text

    def test_other_names_are_found_as_ever(self, many):
        found = Visitor(many.operator).get("/search?q=tenant-4242")
        assert (found.status, found.location) == (303, "/tenant?name=tenant-4242")
        assert Visitor(many.operator).get("/search?q=g").location == "/group?name=g"


class TestLists:
    def test_tenants_come_page_after_page_each_once(self, many):
        """Of very many, which are looked at in many turns."""
        with Client(many.address) as client:
            seen, after = [], None
            for _ in range(6):
                page = client.call("ListTenants", limit=500, after=after)
                assert page.matching == JOBS and len(page.tenants) == 500
                seen += [tenant.tenant for tenant in page.tenants]
                after = pb.TenantPlace(value=page.tenants[-1].order_value, tenant=page.tenants[-1].tenant)
            assert len(set(seen)) == 3000 and seen == sorted(seen)
            named = client.call("ListTenants", name_contains="-2099", limit=500)
            assert [tenant.tenant for tenant in named.tenants] == ["tenant-2099"] + [f"tenant-2099{n}" for n in range(10)]


class TestManyGroups:
    """More task groups than are counted by themselves."""

    @pytest.fixture(scope="class")
    def crowded(self, start_server):
        server = start_server("--shards", 1)
        with Client(server.address) as client:
            client.call("EnqueueBatch", shard=client.shard, jobs=[
                pb.EnqueueRequest(task_group=f"group-{number:03}") for number in range(210)
            ])
        until(lambda: "all others" in Visitor(server.operator).get("/groups").text, what="the figures")
        return server

    def test_the_others_stand_in_one_row_that_leads_nowhere(self, crowded):
        page = Visitor(crowded.operator).get("/groups").text
        line = next(line for line in page.split("<tr>") if "all others" in line)
        assert ">10<" in line and "href" not in line and "checkbox" not in line
        assert "group-000" in page and "group-209" not in page and 'value="other"' not in page

    def test_one_of_them_is_found_and_has_a_page(self, crowded):
        visitor = Visitor(crowded.operator)
        assert visitor.get("/search?q=group-209").location == "/group?name=group-209"
        page = visitor.get("/group?name=group-209").text
        assert "not counted by itself" in page and "Nothing is known" not in page and "Pause…" in page
        assert "Nothing is called group-999" in visitor.get("/search?q=group-999").text
        assert "not counted by itself" not in visitor.get("/group?name=group-000").text
        # The name that all others share is no group's.
        assert "not counted by itself" in visitor.get("/group?name=other").text


def test_the_benchmark_runs():
    ended = subprocess.run(
        [sys.executable, "-m", "bench.web", "--quick", "--only", "pages,live", "--jobs", "3000", "--tenants", "300"],
        cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout.splitlines()[-1].removeprefix("BENCH "))
    assert {"overview_p50_ms", "tenants_p99_ms", "job_bytes", "live_p50_ms"} <= set(figures)
    assert figures["largest_page_bytes"] > 1000 and figures["live_max_ms"] < 30_000
