"""The pages of task groups, workers, tenants and limits, as a person uses them in Debian's Chromium. Pictures go to .build/web."""

import re
import threading
import time

import pytest

from support.browser import Browser
from support.client import Client, concurrency, floating, rate
from support.generated import pb
from support.waiting import until
from support.web import HOSTILE, PICTURES, Visitor, needs_browser, press, root, row, rows
from test_access import Tokens

pytestmark = [needs_browser, pytest.mark.usefixtures("no_complaints")]



class Scene(threading.Thread):
    """A server with two tenants and some hostile ones; a worker holds three jobs and keeps them, others wait in every way."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.ending = threading.Event()

    def __enter__(self):
        self.client = client = Client(self.server.address)
        emails = {"acme": [], "beta": []}
        for index in range(20):
            tenant = "acme" if index % 4 else "beta"
            emails[tenant].append(client.enqueue("emails", {"n": index}, tenant=tenant))
        for _ in range(3):
            client.enqueue("calls", 1, tenant="acme", limits=[concurrency("line", 1)])
            client.enqueue("sync", 1, tenant="beta", limits=[floating("slots", 1, refresh_ms=1)])
            client.enqueue("sync", 1, tenant="beta", limits=[rate("sends", 1, 3_600_000)])
        for name in HOSTILE:
            client.enqueue(name, 1, tenant=name, limits=[concurrency(name, 1)])
        for tenant, end in ("acme", client.fail), ("beta", client.succeed):
            for id in emails[tenant][:2]:
                end(client.lease_one(id, "ender", tenant=tenant))
        self.held = client.lease("emails", 2, worker="w1", host="box-1", version="2.4.0")
        self.held += client.lease("calls", 1, worker="w1", host="box-1", version="2.4.0")
        for maximum in (4, 2):
            # A limit is asked for anew when a job comes that needs it.
            client.enqueue("sync", 1, tenant="beta", limits=[floating("slots", 1, refresh_ms=1)])
            refreshes = []
            while not refreshes:
                tasks, refreshes = client.lease_with_refreshes("sync", 5, "w2", wait_ms=1000, timeout=60)
                self.held += tasks
            client.refresh(refreshes[0], maximum)
        self.start()
        return self

    def run(self):
        while not self.ending.wait(2):
            for task in self.held:
                self.client.heartbeat(task, "w1" if task.task_group in ("emails", "calls") else "w2")

    def __exit__(self, *_):
        self.ending.set()
        self.join(30)
        self.client.close()


@pytest.fixture(scope="module")
def server(start_server):
    server = start_server("--shards", 2, "--tenancy")
    with Scene(server):
        yield server


class TestGroups:
    def test_they_show_what_waits_and_go_on_by_themselves(self, server, browser):
        browser.go(f"{root(server)}/groups")
        # It may have been opened before there were any.
        browser.wait(lambda b: "emails" in b.text("main") and "calls" in b.text("main"), what="the groups to be counted")
        cells = row(browser, "emails")
        assert cells[1:4] == ["14", "0", "2"]
        assert row(browser, "calls")[2] == "2"
        browser.wait(lambda b: b.text("#live") == "Live", what="the stream")
        with Client(server.address) as client:
            client.enqueue("emails", 1, tenant="beta")
        browser.wait(lambda b: row(b, "emails")[1] == "15", what="the new job")
        browser.picture(PICTURES / "groups.png")

    def test_the_first_ones_come_by_themselves(self, new_server, browser):
        server = new_server("--shards", 1)
        browser.go(f"{root(server)}/groups")
        assert "No task group has jobs" in browser.text("main")
        browser.wait(lambda b: b.text("#live") == "Live", what="the stream")
        with Client(server.address) as client:
            for groups in (["emails"], ["calls", "emails"]):
                client.enqueue(groups[0], 1)
                browser.wait(lambda b, groups=groups: [line[0] for line in sorted(rows(b))] == groups, what="the new group")
            assert "2 task groups" in browser.text(".about")
            client.enqueue("emails", 1)
            browser.wait(lambda b: row(b, "emails")[1] == "2", what="the new job")
            assert browser.text("#live") == "Live"
            browser.find("input[name=group]").click()
            client.enqueue("video", 1)
            browser.wait(lambda b: b.text("#live") == "There is more to see: reload", what="word of another group")
            assert len(rows(browser)) == 2, "what was chosen stays"
        browser.go("about:blank")

    def test_several_are_paused_and_resumed_at_once(self, server, browser):
        browser.go(f"{root(server)}/groups")
        for box in browser.all("input[name=group]"):
            if box.attribute("value") in ("emails", "calls"):
                box.click()
        press(browser, "Pause…")
        browser.wait(lambda b: "nothing of it will start" in b.text() and "emails" in b.text(), what="the question")
        browser.find("input[name=reason]").type("deploy")
        browser.picture(PICTURES / "groups-pause.png")
        press(browser, "Pause")
        browser.wait(lambda b: b.url.endswith("/groups"), what="the list")
        assert "are paused" in browser.text(".notice")
        assert "paused" in row(browser, "emails")[0] and "paused" in row(browser, "calls")[0]
        with Client(server.address) as client:
            assert client.lease("emails", 1, worker="late") == []
        press(browser, "Resume")
        browser.wait(lambda b: "go on" in b.text(".notice"), what="the notice")
        assert "paused" not in row(browser, "emails")[0]

    def test_undoing_a_pause_leaves_those_of_others(self, new_server, browser):
        server = new_server("--shards", 2)
        with Client(server.address) as client:
            for group in ("emails", "calls"):
                client.enqueue(group, 1)
            for shard in client.shards():
                client.call("Pause", shard=shard.shard_id, target=pb.PauseTarget(task_group="calls"), reason="their deploy")
            browser.go(f"{root(server)}/groups")
            browser.wait(lambda b: len(b.go(f"{root(server)}/groups").all("input[name=group]")) == 2, what="the groups")
            for box in browser.all("input[name=group]"):
                box.click()
            press(browser, "Pause…")
            browser.wait(lambda b: b.has("input[name=reason]"), what="the question")
            browser.find("input[name=reason]").type("mine")
            press(browser, "Pause")
            browser.wait(lambda b: "emails is paused" in b.text(".notice"), what="the notice")
            assert "calls was paused before, and stays so" in browser.text(".notice")
            press(browser, "Resume")
            browser.wait(lambda b: "emails goes on" in b.text(".notice"), what="the notice")
            for shard in client.shards():
                assert [(pause.target.task_group, pause.reason) for pause in client.pauses(shard.shard_id)] == [("calls", "their deploy")]
            # Nothing is left to be taken back.
            browser.go(f"{root(server)}/do/pause?group=calls&back=/groups")
            press(browser, "Pause")
            browser.wait(lambda b: "was paused before" in b.text(".notice"), what="the notice")
            assert not browser.has(".notice form")
        browser.go("about:blank")

    def test_pausing_again_says_the_same_reasons(self, new_server, browser):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            client.pause("first", task_group="a")
            client.pause("", task_group="b")
            client.pause("third", task_group="c")
            browser.go(f"{root(server)}/do/resume?group=a&group=b&group=c&group=d&back=/groups")
            press(browser, "Resume")
            browser.wait(lambda b: "a, b, c go on" in b.text(".notice").replace(" and", ","), what="the notice")
            assert client.pauses() == [] and "d: nothing of it was paused" in browser.text(".notice")
            press(browser, "Pause again")
            browser.wait(lambda b: "are paused" in b.text(".notice"), what="the notice")
            assert {(pause.target.task_group, pause.reason) for pause in client.pauses()} == {("a", "first"), ("b", ""), ("c", "third")}
        browser.go("about:blank")

    def test_choosing_nothing_is_said(self, server, browser):
        browser.go(f"{root(server)}/groups")
        press(browser, "Pause…")
        browser.wait(lambda b: "Nothing is chosen" in b.text("h1"), what="the answer")
        browser.complaints()

    def test_one_shows_run_times_and_workers(self, server, browser):
        browser.go(f"{root(server)}/group?name=emails")
        text = browser.text("main")
        assert "p95" in text and "4 attempts" in text and "w1" in text
        browser.picture(PICTURES / "group.png")
        assert "Nothing is known" in browser.go(f"{root(server)}/group?name=nobody").text("main")

    def test_sorting_and_filtering_are_addresses(self, server, browser):
        browser.go(f"{root(server)}/groups")
        browser.find("input[name=name]").type("ync\n")
        browser.wait(lambda b: "name=ync" in b.url, what="the filter")
        assert [cells[0].text for cells in [browser.all("tbody td:first-child")]] == ["sync"]
        browser.go(f"{root(server)}/groups?sort=running")
        assert browser.has("th[aria-sort]")


class TestWorkers:
    def test_they_are_shown_with_what_they_hold(self, server, browser):
        browser.go(f"{root(server)}/workers")
        cells = row(browser, "w1")
        assert "calls, emails" in cells[1] and "box-1" in cells[2] and "2.4.0" in cells[2] and cells[3] == "3"
        browser.picture(PICTURES / "workers.png")
        browser.run("[...document.querySelectorAll('tbody a')].find(a => a.textContent === 'w1').click()")
        browser.wait(lambda b: "/worker?id=w1" in b.url, what="the worker")
        assert len(browser.all(".split .card:last-child tbody tr")) == 3
        browser.picture(PICTURES / "worker.png")

    def test_one_is_made_quiet_and_given_work_again(self, server, browser):
        browser.go(f"{root(server)}/worker?id=w1")
        press(browser, "Quiet…")
        press(browser, "Quiet it")
        browser.wait(lambda b: "gets nothing new. It still holds 3 jobs" in b.text(".notice"), what="the notice")
        with Client(server.address) as client:
            assert client.lease("emails", 1, worker="w1", host="box-1", version="2.4.0") == []
        press(browser, "Undo")
        browser.wait(lambda b: "given work again" in b.text(".notice"), what="the notice")

    def test_an_unknown_one_is_a_clear_page(self, server):
        answer = Visitor(server.operator).get("/worker?id=nobody")
        assert answer.status == 404 and "Nothing is known of this worker" in answer.text


class TestTenants:
    def test_they_are_found_and_sorted(self, server, browser):
        browser.go(f"{root(server)}/tenants")
        assert row(browser, "acme")[0] == "acme" and int(row(browser, "acme")[1]) > int(row(browser, "beta")[1])
        browser.picture(PICTURES / "tenants.png")
        browser.go(f"{root(server)}/tenants?sort=failures")
        assert browser.text("tbody tr:first-child td") == "acme"
        browser.find("input[name=name]").type("bet\n")
        browser.wait(lambda b: "name=bet" in b.url, what="the filter")
        assert len(browser.all("tbody tr")) == 1
        assert "no tenant" in browser.go(f"{root(server)}/tenants?name=zzz").text("main").lower()

    def test_one_shows_groups_limits_and_failures(self, server, browser):
        browser.go(f"{root(server)}/tenant?name=acme")
        text = browser.text("main")
        assert "line" in text and "calls" in text and "Failed last" in text
        browser.picture(PICTURES / "tenant.png")

    def test_it_is_paused_and_resumed(self, server, browser):
        browser.go(f"{root(server)}/tenant?name=beta")
        press(browser, "Pause…")
        press(browser, "Pause")
        browser.wait(lambda b: "is paused" in b.text(".notice") and "paused" in b.text(".about"), what="the pause")
        press(browser, "Resume")
        browser.wait(lambda b: "goes on" in b.text(".notice") and "paused" not in b.text(".about"), what="the notice")

    def test_deleting_one_needs_its_name(self, server, browser):
        with Client(server.address) as client:
            client.enqueue("old", 1, tenant="gone")
        browser.go(f"{root(server)}/tenant?name=gone")
        press(browser, "Delete the tenant…")
        assert "cannot be undone" in browser.text() and "Now it has 1 job." in browser.text()
        browser.find("input[name=confirm]").type("other")
        press(browser, "Delete it all")
        browser.wait(lambda b: "The names differ" in b.text("h1"), what="the refusal")
        browser.complaints()
        browser.go(f"{root(server)}/do/drop-tenant?tenant=gone")
        browser.find("input[name=confirm]").type("gone")
        press(browser, "Delete it all")
        browser.wait(lambda b: "is being deleted, with 1 job" in b.text(".notice"), what="the notice")

    def test_pages_go_on_behind_the_last(self, server, browser):
        with Client(server.address) as client:
            for number in range(60):
                client.enqueue("many", 1, tenant=f"many-{number:02}")
        browser.go(f"{root(server)}/tenants?name=many-")
        first = [cell.text for cell in browser.all("tbody td:first-child")]
        browser.find("a[rel=next]").click()
        browser.wait(lambda b: "after=" in b.url, what="the next page")
        second = [cell.text for cell in browser.all("tbody td:first-child")]
        assert first + second == [f"many-{number:02}" for number in range(60)] and not browser.has("a[rel=next]")


class TestLimits:
    def test_they_show_what_is_held_and_waits(self, server, browser):
        browser.go(f"{root(server)}/limits")
        line, sends = row(browser, "line"), row(browser, "sends")
        assert "1 of 1" in line[2] and re.fullmatch(r"2\s+since .*ago", line[3])
        assert "rate" in sends[0] and "in " in sends[5]
        browser.picture(PICTURES / "limits.png")
        browser.find("input[name=name]").type("slo\n")
        browser.wait(lambda b: "name=slo" in b.url, what="the filter")
        assert len(browser.all("tbody tr")) == 1

    def test_one_shows_holders_and_the_line(self, server, browser):
        browser.go(f"{root(server)}/limit?key=line&tenant=acme")
        cards = [card.text for card in browser.all(".split .card")]
        assert "the first since" in browser.text(".tiles")
        assert "w1" in cards[0] and len(browser.all(".split .card:last-child tbody tr")) == 2
        browser.picture(PICTURES / "limit.png")
        press(browser, "Pause…")
        press(browser, "Pause")
        browser.wait(lambda b: "is paused" in b.text(".notice"), what="the notice")
        press(browser, "Resume")
        browser.wait(lambda b: "goes on" in b.text(".notice"), what="the notice")

    def test_a_list_says_since_when_the_first_waits_where_it_is_asked_for(self, server):
        with Client(server.address) as client:
            plain, asked = (client.call("ListLimits", oldest_waits=oldest).limits for oldest in (False, True))
            assert [limit.key for limit in plain] == [limit.key for limit in asked]
            assert not any(limit.HasField("first_since_ms") for limit in plain)
            for limit in asked:
                [alone] = client.call("ListLimits", key=limit.key, tenant=limit.tenant, line_max=1).limits
                assert [limit.first_since_ms] * limit.HasField("first_since_ms") == [job.since_ms for job in alone.line], limit.key
            assert sum(limit.HasField("first_since_ms") for limit in asked) >= 2

    def test_the_line_is_in_order_whatever_else_its_jobs_ask_for(self, new_server, browser):
        """Jobs with other limits besides stand in lines of their own; the lowest priority of all comes first."""
        server = new_server("--shards", 1)
        expected = []
        with Client(server.address) as client:
            client.enqueue("calls", 1, limits=[concurrency("line", 1)], id="holder")
            client.take("calls", "w1")
            for number in range(12):
                limits = [[concurrency("line", 1)], [concurrency("line", 1), concurrency("own", 9)], [concurrency("line", 1), rate("api", 99, 60_000)]][number % 3]
                priority = number * 7 % 12
                expected.append((priority, client.enqueue("calls", number, limits=limits, priority=priority, id=f"wait-{number:02}")))
            browser.go(f"{root(server)}/limit?key=line")
            assert [cells[1] for cells in rows(browser, ".split .card:last-child")] == [id for _, id in sorted(expected)]

    def test_who_waits_for_a_rate_is_shown(self, server, browser):
        browser.go(f"{root(server)}/limit?key=sends%2Fall&tenant=beta")
        waiting = int(browser.run("""
            return [...document.querySelectorAll(".tile")].find(t => t.textContent.startsWith("Waiting")).querySelector(".value").textContent
        """))
        assert waiting > 0 and len(rows(browser, ".split")) == waiting and "Nobody waits" not in browser.text("main")
        browser.picture(PICTURES / "limit-rate.png")

    def test_a_floating_one_shows_its_history(self, server, browser):
        browser.go(f"{root(server)}/limit?key=slots&tenant=beta")
        numbers = [item.text.split()[-1] for item in browser.all(".histogram li")]
        assert numbers == ["2", "4", "1"]
        browser.picture(PICTURES / "limit-floating.png")

    def test_a_rate_says_when_it_has_room(self, server, browser):
        browser.go(f"{root(server)}/limit?key=sends%2Fall&tenant=beta")
        assert "Room" in browser.text(".tiles") and "in " in browser.text(".tiles")

    def test_slots_are_freed_after_a_question(self, new_server):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            for _ in range(2):
                client.enqueue("calls", 1, limits=[concurrency("line", 1)])
            client.take("calls", "w1")
            visitor = Visitor(server.operator)
            asked = visitor.get("/do/drop-holders?tenant=-&back=/limits")
            assert "cannot be undone" in asked.text and "Now they hold <b>1 slot</b>" in asked.text
            form = asked.form("/do/drop-holders")
            assert visitor.post("/do/drop-holders", form).location == "/limits"
            assert "1 slot" in visitor.get("/limits").text
            assert visitor.post("/do/drop-holders", form).status == 409
            assert client.take("calls", "w2")

    def test_slots_of_one_are_freed_on_its_page(self, new_server, browser):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            for _ in range(3):
                client.enqueue("calls", 1, limits=[concurrency("line", 1), concurrency("other <b>", 3)])
            client.take("calls", "w1")
            browser.go(f"{root(server)}/limit?key=line")
            assert "w1" in browser.text(".split")
            press(browser, "Drop holders…")
            question = browser.text("main")
            assert "Every slot of limit line that jobs hold becomes free" in question and "Now they hold 1 slot of it" in question
            press(browser, "Free its slots")
            browser.wait(lambda b: "1 slot of limit line of all jobs became free" in b.text(".notice"), what="the notice")
            assert "w1" not in browser.text(".split")
            holder = next(line for line in rows(browser) if "no worker has it yet" in line[1])
            assert browser.has(f"a[href='/job?id={holder[0]}']"), holder
            assert client.take("calls", "w2") and client.lease("calls", 9) == []
            assert client.drop_holders(limit_key="other <b>") == 2, "those of the other limit are held still"
            visitor = Visitor(server.operator)
            asked = visitor.get("/do/drop-holders?tenant=-&limit=other+%3Cb%3E&back=/limits")
            assert "other &lt;b&gt;" in asked.text and "Now they hold <b>0 slots</b> of it" in asked.text
            form = asked.form("/do/drop-holders")
            assert visitor.post("/do/drop-holders", form | {"form": "0" * 32}).status == 409
            assert visitor.get("/do/drop-holders?tenant=-&limit=").status == 400
            assert visitor.post("/do/drop-holders", form | {"limit": ""}).status == 400

    def test_who_may_not_free_slots_is_shown_no_way_and_refused(self, new_server, tmp_path):
        tokens = Tokens(tmp_path)
        reader, operator = tokens.add("eve", "--role", "read"), tokens.add("ann", "--role", "operate", "--role", "read")
        maker = tokens.add("shop", "--role", "enqueue", "--role", "work")
        server = new_server("--shards", 1, "--tokens-file", tokens.path)
        with Client(server.address, token=maker) as client:
            client.enqueue("calls", 1, limits=[concurrency("line", 1)])
            client.take("calls", "w1")
        address = "/do/drop-holders?tenant=-&limit=line"
        eve, ann = Visitor(server.operator), Visitor(server.operator)
        eve.sign_in(reader), ann.sign_in(operator)
        form = ann.get(address).form("/do/drop-holders")
        assert "drop-holders" in ann.get("/limit?key=line").text and "drop-holders" not in eve.get("/limit?key=line").text
        assert eve.get(address).status == 403 and eve.post("/do/drop-holders", form).status in (403, 409)
        assert "1 slot</b> of it" in ann.get(address).text, "nothing was dropped"
        assert ann.post("/do/drop-holders", form).status == 303
        assert "0 slots</b> of it" in ann.get(address).text


class TestAll:
    PATHS = [
        "/groups", "/group?name=emails", "/workers", "/worker?id=w1", "/tenants", "/tenant?name=acme", "/limits",
        "/limit?key=line&tenant=acme", "/limit?key=slots&tenant=beta",
    ]

    @pytest.mark.parametrize("path", PATHS)
    def test_it_fits_a_phone_and_the_dark(self, server, browser, path):
        browser.screen(360, 740)
        browser.dark(True)
        try:
            browser.go(root(server) + path)
            assert browser.overflows() <= 0
            browser.picture(PICTURES / f"phone-dark{path.split('?')[0].replace('/', '-')}-{self.PATHS.index(path)}.png")
        finally:
            browser.screen(1440, 900)
            browser.dark(False)

    @pytest.mark.parametrize("path", PATHS)
    def test_every_control_has_a_name(self, server, browser, path):
        browser.go(root(server) + path)
        for control in browser.all("main a, main button, main input:not([type=hidden]), main select"):
            assert control.name, control.attribute("outerHTML")
        assert browser.run("return document.querySelectorAll('h1').length") == 1

    def test_hostile_names_do_nothing(self, server, browser):
        import urllib.parse
        for name in HOSTILE:
            quoted = urllib.parse.quote(name, safe="")
            shown = "⟨U+202E⟩gnp.exe" if name.startswith("\u202e") else name
            for path in (f"/group?name={quoted}", f"/tenant?name={quoted}", f"/limit?key={quoted}&tenant={quoted}"):
                browser.go(root(server) + path)
                assert shown in browser.text("h1"), path
                assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
        for path in ("/groups", "/tenants", "/limits"):
            browser.go(root(server) + path)
            assert "<script>alert(1)</script>" in browser.text("main")
            assert browser.run("return document.querySelectorAll('main img, main script').length") == 0

    def test_it_works_without_scripts(self, server):
        with Browser(scripts=False) as browser:
            browser.go(f"{root(server)}/groups")
            next(box for box in browser.all("input[name=group]") if box.attribute("value") == "sync").click()
            press(browser, "Pause…")
            press(browser, "Pause")
            browser.wait(lambda b: "is paused" in b.text(".notice"), what="the notice")
            press(browser, "Resume")
            browser.wait(lambda b: "goes on" in b.text(".notice"), what="the notice")

    def test_roles_decide(self, new_server, tmp_path):
        tokens = Tokens(tmp_path)
        reader, bound = tokens.add("reader", "--role", "read"), tokens.add("bound", "--role", "operate", "--tenant", "acme")
        server = new_server("--tenancy", "--tokens-file", tokens.path)
        visitor = Visitor(server.operator)
        visitor.sign_in(reader)
        assert "Pause…" not in visitor.get("/groups").text and visitor.get("/workers").status == 200
        assert visitor.get("/do/pause?group=emails").status == 403
        visitor = Visitor(server.operator)
        visitor.sign_in(bound)
        assert visitor.get("/workers").status == 403 and visitor.get("/groups").status == 403
        assert visitor.get("/tenants").status == 200 and visitor.get("/tenant?name=acme").status == 200
        # The page of somebody else's tenant is not there, and its name is not confirmed.
        assert visitor.get("/tenant?name=other").status == 403
        assert visitor.get("/tenant?name=never-heard-of").status == 403

    def test_hand_written_addresses_are_clear_pages(self, server):
        visitor = Visitor(server.operator)
        for path in ("/group", "/worker", "/tenant", "/limit", "/do/pause"):
            assert visitor.get(path).status == 400, path
        for path in ("/tenants?after=x&value=y", "/limits?sort=zzz&value=9&after=q", "/limit?key=none&tenant=acme"):
            assert visitor.get(path).status == 200, path
        assert visitor.get("/tenants?name=" + "x" * 300).status == 400
