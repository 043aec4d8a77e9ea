"""The web page and siloctl while one of two shards cannot be opened: what the other has is shown, and what is missing is said."""

import json
import pathlib

import pytest

from support.client import Client, concurrency
from support.programs import run
from support.siloctl import runner
from support.waiting import until
from support.web import PICTURES, Visitor, needs_browser, press, root, row

pytestmark = needs_browser


class Broken:
    """A server with work of a tenant on each of its shards, one of which does not open."""

    def __init__(self, server):
        self.server = server
        with Client(server.address) as client:
            self.broken, self.whole = [owner.shard_id for owner in client.shards()]
            names = [f"tenant-{number}" for number in range(64)]
            self.lost = next(name for name in names if client.shard_of(name) == self.broken)
            self.found = next(name for name in names if client.shard_of(name) == self.whole)
            for tenant in (self.lost, self.found):
                for number in range(3):
                    client.enqueue("emails", number, tenant=tenant, id=f"{tenant}-{number}", limits=[concurrency("line", 1)])
                client.enqueue("later", 1, tenant=tenant, id=f"{tenant}-later", start_at_ms=4_000_000_000_000)
                client.fail(client.lease_one(client.enqueue("bad", 1, tenant=tenant, id=f"{tenant}-bad"), tenant=tenant))
        assert server.stop() == 0
        for path in (pathlib.Path(server.data) / self.broken / "manifest").iterdir():
            path.write_bytes(b"nonsense")
        server.start()
        visitor = Visitor(server.operator)
        # Its figures come with the first second.
        until(lambda: "does not serve" in visitor.get("/").text and self.found in visitor.get("/tenants").text, 60, "the figures")


@pytest.fixture(scope="module")
def scene(start_server):
    return Broken(start_server("--shards", 2, "--tenancy"))


@pytest.mark.parametrize("path", [
    "/groups", "/group?name=emails", "/workers", "/tenants", "/limits", "/jobs", "/jobs?status=Waiting", "/failures", "/schedule",
    "/actions", "/search?q=nobody", "/search?q=emails",
])
def test_a_list_says_what_it_is_without(scene, browser, path):
    browser.go(root(scene.server) + path)
    assert not browser.has(".failure"), browser.text("main")
    missing = [line.text for line in browser.all("main .finding.missing")]
    assert len(missing) == 1 and scene.broken in missing[0] and "Without shard" in missing[0]
    browser.picture(PICTURES / f"broken{path.split('?')[0].replace('/', '-')}.png")


def test_what_is_there_is_shown(scene, browser):
    def text(path):
        return browser.go(root(scene.server) + path).text("main")
    assert f"{scene.found}-1" in text("/jobs") and f"{scene.lost}-1" not in text("/jobs")
    assert f"{scene.found}-bad" in text("/failures")
    assert f"{scene.found}-later" in text("/schedule")
    assert scene.found in text("/tenants")
    browser.go(f"{root(scene.server)}/limits")
    assert row(browser, "line")[1] == scene.found
    assert row(browser.go(f"{root(scene.server)}/groups"), "emails")[1] != "0"


def test_one_tenant_alone_is_whole_or_not_there(scene):
    visitor = Visitor(scene.server.operator)
    for path in [f"/jobs?tenant={scene.found}", f"/schedule?tenant={scene.found}", f"/tenant?name={scene.found}",
                 f"/limit?key=line&tenant={scene.found}", f"/job?id={scene.found}-1&tenant={scene.found}"]:
        answer = visitor.get(path)
        assert answer.status == 200 and "Without shard" not in answer.text, path
    for path in [f"/jobs?tenant={scene.lost}", f"/schedule?tenant={scene.lost}", f"/tenant?name={scene.lost}",
                 f"/limit?key=line&tenant={scene.lost}", f"/job?id={scene.lost}-1&tenant={scene.lost}"]:
        answer = visitor.get(path)
        assert answer.status == 503 and "Not available now" in answer.text, path


def test_a_search_leads_to_what_it_finds(scene):
    visitor = Visitor(scene.server.operator)
    found = visitor.get(f"/search?q={scene.found}/{scene.found}-1")
    assert found.status == 200 and f'href="/job?id={scene.found}-1&amp;tenant={scene.found}"' in found.text
    assert scene.broken in found.text


def test_calls_say_it_too(scene):
    with Client(scene.server.address) as client:
        for method, fields in [("ListJobs", {}), ("GetSchedule", {}), ("ListTenants", {}), ("ListLimits", {}), ("ListWorkers", {})]:
            assert list(client.call(method, **fields).missing_shards) == [scene.broken], method


def test_siloctl_says_it_too(scene):
    ctl = runner(scene.server.address)
    with Client(scene.server.address) as client:
        client.pause("a deploy", shard=scene.whole, task_group="emails")
        try:
            text, document = (run("siloctl", "--address", f"http://{scene.server.address}", "pauses", *form) for form in ([], ["--json"]))
            for shown in (text, document):
                assert shown.returncode == 0 and f"shard {scene.broken} does not answer" in shown.stderr
            assert "Task group emails" in text.stdout and "only" not in text.stdout
            document = json.loads(document.stdout)
            assert [pause["group"] for pause in document["pauses"]] == ["emails"] and document["missing_shards"] == [scene.broken]
            # Nobody else has what is asked for.
            ctl("pauses", "-t", scene.lost, code=1)
            for view, name, expected in [("groups", "task_group", "emails"), ("tenants", "tenant", scene.found), ("shards", "shard", scene.whole),
                                         ("workers", "worker", None)]:
                top = json.loads(ctl("top", "--json", "--every", "0.2", "--view", view))
                assert [finding for finding in top["findings"] if f"shard {scene.broken[:8]} does not serve" in finding], view
                assert not [finding for finding in top["findings"] if "no answer" in finding], view
                assert expected in [row[name] for row in top[view]] or expected is None, view
                if view == "groups":
                    assert [row["state"] for row in top[view] if row[name] == "emails"] == ["paused"]
        finally:
            client.resume(shard=scene.whole, task_group="emails")


def test_a_pause_says_what_it_could_not_reach_and_undoes_the_rest(scene, browser):
    browser.go(f"{root(scene.server)}/do/pause?group=emails&back=/groups")
    press(browser, "Pause")
    browser.wait(lambda b: "Task group emails is paused." in b.text(".notice.trouble"), what="the notice")
    assert f"Not all was done on shard {scene.broken}" in browser.text(".notice")
    browser.picture(PICTURES / "broken-paused.png")
    press(browser, "Resume")
    browser.wait(lambda b: "Task group emails goes on." in b.text(".notice.trouble"), what="the notice")
    with Client(scene.server.address) as client:
        assert client.pauses(scene.whole) == []


def test_what_can_nowhere_be_done_is_a_failure_that_may_be_tried_again(scene):
    visitor = Visitor(scene.server.operator)
    form = visitor.get(f"/do/pause?whole=yes&tenant={scene.lost}&back=/groups").form("/do/pause")
    for _ in range(2):
        answer = visitor.post("/do/pause", form)
        assert answer.status == 503 and "Not available now" in answer.text
