"""The pages of shards and nodes, of settings and of the audit log, as a person uses them in Debian's Chromium. Pictures go to
.build/web."""

import json
import os
import pathlib
import re
import shutil
import signal
import threading
import time
import urllib.parse

import pytest

from support.browser import Browser
from support.client import FAILED_PRECONDITION, INVALID_ARGUMENT, Client, concurrency, refused
from support.programs import run
from support.waiting import until
from support.web import HOSTILE, PAGES, PICTURES, Visitor, needs_browser, press, root, row, rows
from test_access import Tokens

pytestmark = [needs_browser, pytest.mark.usefixtures("no_complaints")]



class Keeper(threading.Thread):
    """A worker that keeps what it holds."""

    def __init__(self, server, tasks):
        super().__init__(daemon=True)
        self.server, self.tasks = server, tasks
        self.ending = threading.Event()

    def run(self):
        with Client(self.server.address) as client:
            while not self.ending.wait(2):
                for task in self.tasks:
                    client.heartbeat(task, "w1")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.join(30)


@pytest.fixture(scope="module")
def server(start_server, tmp_path_factory):
    """Two shards with jobs in every state, settings from a file, and an audit log with hostile names in it."""
    folder = tmp_path_factory.mktemp("nodes")
    config, log = folder / "silo.toml", folder / "audit.jsonl"
    config.write_text("[server]\ndrain_timeout = \"7s\"\n[limits]\naudit_interval = \"1s\"\n")
    server = start_server("--config", config, "--shards", 2, "--tenancy", "--audit-log", log)
    server.config, server.audit = config, log
    with Client(server.address) as client:
        for index in range(30):
            client.enqueue("emails", {"n": index, "text": "x" * 200}, tenant=f"t{index % 5}")
        for _ in range(3):
            client.enqueue("calls", 1, tenant="t0", limits=[concurrency("line", 1)])
        client.enqueue("later", 1, tenant="t1", start_at_ms=int(time.time() * 1000) + 3_600_000)
        held = client.lease("emails", 6, worker="w1")
        for task in held[2:]:
            client.succeed(task)
        for name in HOSTILE:
            id = client.enqueue("emails", 1, tenant=name, id=f"of-{name}")
            client.cancel(id, tenant=name)
        for shard in client.shards():
            client.call("FlushShard", shard=shard.shard_id)
        with refused(FAILED_PRECONDITION):
            client.delete(client.enqueue("emails", 1, tenant="t0"), tenant="t0")
    with Keeper(server, held[:2]):
        yield server


def shards(server):
    with Client(server.address) as client:
        return [shard.shard_id for shard in client.shards()]


def fact(browser, title):
    return browser.run("""
        const facts = [...document.querySelectorAll("main .facts > div")];
        const fact = facts.find(f => f.querySelector("dt").textContent === arguments[0]);
        return fact ? fact.querySelector("dd").innerText.trim() : null;
    """, title)


def live(browser):
    browser.wait(lambda b: b.text("#live") == "Live", what="the stream")


def audited(server):
    return [json.loads(line) for line in server.audit.read_text().splitlines()]


class TestShards:
    def test_each_is_shown_with_its_jobs_and_files(self, server, browser):
        browser.go(f"{root(server)}/shards")
        for id in shards(server):
            cells = row(browser, id[:8])
            assert cells[2].splitlines() == ["serves", "on this server"]
        table = [row(browser, id[:8]) for id in shards(server)]
        assert sum(int(cells[4]) for cells in table) == 2, "at limits"
        assert sum(int(cells[5]) for cells in table) == 2, "running"
        assert sum(int(cells[6]) for cells in table) == 1, "scheduled"
        assert sum(int(cells[7]) for cells in table) == 8, "finished"
        assert any(cells[10].endswith(("ago", "now")) for cells in table), "checkpoints"
        # The sorted files are looked at beside the page, which shows them a second later.
        live(browser)
        browser.wait(lambda b: any("KiB" in row(b, id[:8])[8] for id in shards(server)), what="sizes")
        browser.picture(PICTURES / "shards.png")

    def test_it_moves_while_somebody_looks(self, server, browser):
        browser.go(f"{root(server)}/shards")
        live(browser)
        def ready(browser):
            return sum(int(row(browser, id[:8])[3].replace(",", "")) for id in shards(server))
        before = ready(browser)
        with Client(server.address) as client:
            client.enqueue("emails", 1, tenant="t2")
        browser.wait(lambda b: ready(b) == before + 1, what="the new job")

    def test_the_server_says_what_it_is_and_takes(self, server, browser):
        browser.go(f"{root(server)}/shards")
        assert server.address in browser.text("main")
        live(browser)
        browser.wait(lambda b: re.search(r"of \d+ busy$", fact(b, "Processors") or ""), what="processors")
        assert "MiB" in fact(browser, "Memory") and re.match(r"\d+ of [\d,]+", fact(browser, "Open files"))
        assert "free" in fact(browser, "Disk")
        assert "gRPC core" in fact(browser, "Version") and "SlateDB" in fact(browser, "Version")
        assert "ago" in fact(browser, "Started") and fact(browser, "Data") == server.data

    def test_one_shows_what_it_does_and_its_levels(self, server, browser):
        id = shards(server)[0]
        browser.go(f"{root(server)}/shards")
        browser.run("[...document.querySelectorAll('main a')].find(a => a.textContent === arguments[0]).click()", id[:8])
        browser.wait(lambda b: b.url.endswith(f"/shards/{id}"), what="the shard")
        assert fact(browser, "Loop") == "waits for work" or "in a turn" in fact(browser, "Loop")
        assert "call" in fact(browser, "In hand") and fact(browser, "Last checkpoint") not in (None, "none yet")
        assert int(row(browser, "Not merged yet", ".after")[1]) + sum(int(r[1]) for r in rows(browser, ".after")[1:]) > 0
        live(browser)
        browser.wait(lambda b: "KiB" in (fact(b, "In sorted files") or ""), what="its files")
        browser.wait(lambda b: fact(b, "Limits recounted") != "0 times", what="an audit")
        browser.picture(PICTURES / "shard.png")

    def test_it_is_flushed_and_compacted_after_a_question(self, server, browser):
        with Client(server.address) as client:
            id = client.shard_of("t0")
            client.enqueue("emails", {"text": "y" * 5000}, tenant="t0")
        browser.go(f"{root(server)}/shards/{id}")
        live(browser)
        browser.wait(lambda b: fact(b, "Rows to flush") not in (None, "0 B"), what="rows")
        checkpoints = int(fact(browser, "Checkpoints").split()[0])
        press(browser, "Flush…")
        assert "written to sorted files now" in browser.text("main")
        browser.picture(PICTURES / "shard-flush.png")
        press(browser, "Flush")
        browser.wait(lambda b: "is flushed" in b.text(".notice"), what="the notice")
        assert browser.url.endswith(f"/shards/{id}")
        browser.wait(lambda b: int(fact(b, "Checkpoints").split()[0]) > checkpoints, what="the checkpoint")
        press(browser, "Compact…")
        assert "merged into one run" in browser.text("main")
        press(browser, "Compact")
        browser.wait(lambda b: "is being compacted" in b.text(".notice"), what="the notice")

        def merged():
            browser.go(f"{root(server)}/shards/{id}")
            runs = [r for r in rows(browser, ".after") if r[0].startswith("Run")]
            return len(runs) == 1 and row(browser, "Not merged yet", ".after")[1] == "0"
        until(merged, 60, "one run")
        calls = {line["call"] for line in audited(server)}
        assert {"FlushShard", "CompactShard"} <= calls

    def test_what_there_is_not_is_a_clear_page(self, server):
        visitor = Visitor(server.operator)
        for path in ("/shards/nothing", "/shards/" + "0" * 36, f"/shards/{urllib.parse.quote(HOSTILE[0], safe='')}"):
            answer = visitor.get(path)
            assert answer.status == 404 and "There is no such shard" in answer.text and "<script>alert" not in answer.text
        for path in ("/do/flush", "/do/compact"):
            assert visitor.get(path).status == 400
            assert visitor.get(f"{path}?shard=nothing").status == 404
        assert visitor.get("/shards/" + shards(server)[0].upper()).status == 200

    def test_one_that_stops_shows_while_somebody_looks(self, new_server, browser):
        server = new_server("--shards", 1)
        id = shards(server)[0]
        place = pathlib.Path(server.data) / id
        with Client(server.address) as client:
            client.enqueue("emails", 1)
            browser.go(f"{root(server)}/shards")
            live(browser)
            assert row(browser, id[:8])[2].startswith("serves") and row(browser, id[:8])[3] == "1"
            # It has to be made anew, and its place is taken.
            shutil.rmtree(place)
            place.write_text("in the way")
            client.begin("ResetShards")
            def stopped(b):
                cells = row(b, id[:8])
                return not cells[2].startswith("serves") and len(cells[2].splitlines()) > 2 and cells[3] == "–"
            browser.wait(stopped, 60, "that it stopped, with the reason, and no numbers")
        browser.go(f"{root(server)}/shards/{id}")
        texts = ("It is being opened.", "It does not serve, and is tried again.")
        browser.wait(lambda b: b.text(".finding").startswith(texts), what="what it does now")
        browser.go(f"{root(server)}/do/flush?shard={id}")
        press(browser, "Flush")
        browser.wait(lambda b: b.has(".failure") and "shard" in b.text(".failure").lower(), what="the refusal")
        browser.go(f"{root(server)}/shards/{id}")
        browser.picture(PICTURES / "shard-stopped.png")
        # Its server ends before the browser is asked what it has to say of that.
        browser.go("about:blank")
        browser.complaints()

    def test_one_that_is_mended_shows_while_somebody_looks(self, new_server, browser):
        server = new_server("--shards", 2)
        broken, whole = shards(server)
        assert server.stop() == 0
        manifests = {path: path.read_bytes() for path in (pathlib.Path(server.data) / broken / "manifest").iterdir()}
        for path in manifests:
            path.write_bytes(b"nonsense")
        server.start()
        browser.go(f"{root(server)}/shards")
        live(browser)
        browser.wait(lambda b: row(b, broken[:8])[2].startswith("failed"), 60, "the failure")
        assert row(browser, whole[:8])[2].startswith("serves") and len(row(browser, broken[:8])[2].splitlines()) > 2
        browser.picture(PICTURES / "shards-failed.png")
        browser.go(f"{root(server)}/shards/{broken}")
        assert "does not serve, and is tried again" in browser.text(".finding")
        browser.picture(PICTURES / "shard-failed.png")
        browser.go(f"{root(server)}/shards")
        live(browser)
        assert "1 of its 2" in browser.text(".about")
        for path, content in manifests.items():
            path.write_bytes(content)
        browser.wait(lambda b: row(b, broken[:8])[2].startswith("serves"), 60, "that it serves")
        browser.go("about:blank")


class TestConfiguration:
    def test_it_shows_what_is_in_force_and_where_it_comes_from(self, server, browser):
        browser.go(f"{root(server)}/configuration")
        drain = row(browser, "server.drain_timeout")
        assert "\"7s\"" in drain[1] and "set" in drain[1] and f"{server.config}:2" in drain[2]
        assert "\"5s\"" in drain[3] and drain[4] == "reload"
        address = row(browser, "server.grpc_addr")
        assert "--listen" in address[2] and address[4] == "restart"
        token = row(browser, "server.auth_token")
        assert "not set" in token[1]
        browser.picture(PICTURES / "configuration.png")

    def test_a_name_and_a_change_choose(self, server, browser):
        browser.go(f"{root(server)}/configuration")
        browser.find("main input[name=name]").type("DRAIN\n")
        browser.wait(lambda b: "name=DRAIN" in b.url, what="the filter")
        assert [line[0].splitlines()[0] for line in rows(browser)] == ["server.drain_timeout"]
        press(browser, "Clear")
        browser.wait(lambda b: len(rows(b)) > 40, what="all")
        browser.find("main input[name=changed]").click()
        press(browser, "Show")
        browser.wait(lambda b: "changed=1" in b.url, what="the filter")
        keys = {line[0].splitlines()[0] for line in rows(browser)}
        assert {"server.drain_timeout", "limits.audit_interval", "access.audit_log", "server.grpc_addr"} <= keys
        assert len(keys) < 20
        browser.picture(PICTURES / "configuration-changed.png")
        assert "No setting is like that" in browser.go(f"{root(server)}/configuration?name=zzz").text("main")

    def test_secrets_are_shown_to_nobody(self, new_server, tmp_path):
        tokens = Tokens(tmp_path)
        ops = tokens.add("ops", "--role", "admin")
        server = new_server("--tokens-file", tokens.path, extra={"SILO_AUTH_TOKEN": "hunter2-hunter2"})
        visitor = Visitor(server.operator)
        visitor.sign_in(ops)
        text = visitor.get("/configuration").text
        assert "••••" in text and "hunter2" not in text and "SILO_AUTH_TOKEN" in text
        shown = run("siloctl", "-a", f"http://{server.address}", "--auth-token", ops, "--json", "config", "show")
        assert shown.returncode == 0 and "hunter2" not in shown.stdout
        secret = next(s for s in json.loads(shown.stdout)["settings"] if s["key"] == "server.auth_token")
        assert secret["set"] and secret["secret"] and "value" not in secret

    def test_what_was_read_anew_is_in_force_where_it_can_be(self, new_server, tmp_path, browser):
        config = tmp_path / "silo.toml"
        config.write_text("[server]\ndrain_timeout = \"3s\"\nmax_concurrent_statements = 4\n")
        server = new_server("--config", config)
        access = "[access]\naudit_log = \"a.jsonl\"\n"
        config.write_text(f"[server]\ndrain_timeout = \"4s\"\nmax_concurrent_statements = 5\n{access}")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: any("read anew" in line["message"] for line in server.log()), 30, "the reload")
        browser.go(f"{root(server)}/configuration?changed=1")
        assert "\"4s\"" in row(browser, "server.drain_timeout")[1]
        statements = row(browser, "server.max_concurrent_statements")[1]
        assert statements.startswith("4") and "next start" in statements and "5" in statements
        log = row(browser, "access.audit_log")[1]
        assert log.startswith("not set") and "next start" in log and "a.jsonl" in log
        assert "2 changes wait for the next start" in browser.text(".about")
        browser.picture(PICTURES / "configuration-waits.png")

    def test_siloctl_shows_the_same(self, server):
        shown = run("siloctl", "-a", f"http://{server.address}", "config", "show", "--changed")
        assert shown.returncode == 0 and "server.drain_timeout" in shown.stdout and f"{server.config}:2" in shown.stdout
        assert "server.statement_timeout_ms" not in shown.stdout

    def test_where_nothing_is_changed_siloctl_says_so(self, new_server):
        address = new_server("--shards", 1).address
        ctl = lambda *words: run("siloctl", "-a", address, "config", "show", "--changed", *words).stdout
        assert re.search(r'database\.backend +"fs"', ctl()) and ctl("--name", "nonsense") == "No setting is like that\n"
        assert ctl("--name", "tls") == "Nothing differs from the defaults\n"


class TestAudit:
    def test_the_newest_come_first_with_all_that_is_known(self, server, browser):
        with Client(server.address) as client:
            client.call("DumpTasks")
        until(lambda: audited(server)[-1]["call"] == "DumpTasks", 30, "the line")
        browser.go(f"{root(server)}/audit")
        first = rows(browser)[0]
        assert first[1].startswith("anonymous") and first[2] == "DumpTasks"
        assert first[4].startswith("OK") and "127.0.0.1" in first[5]
        browser.picture(PICTURES / "audit.png")

    def test_what_stands_in_a_row_is_a_way_to_more_of_it(self, server, browser):
        browser.go(f"{root(server)}/audit?call=CancelJob")
        assert len(rows(browser)) == len(HOSTILE) and {line[2] for line in rows(browser)} == {"CancelJob"}
        browser.find("tbody tr td:nth-child(2) a").click()
        browser.wait(lambda b: "who=anonymous" in b.url and "call=CancelJob" in b.url, what="both filters")
        browser.find("tbody tr td:nth-child(5) a").click()
        browser.wait(lambda b: "outcome=OK" in b.url, what="three filters")
        browser.go(f"{root(server)}/audit?outcome=not%20OK")
        failed = rows(browser)
        assert len(failed) == 1 and failed[0][2] == "DeleteJob" and "FAILED_PRECONDITION" in failed[0][4]
        browser.run("[...document.querySelectorAll('tbody tr td:nth-child(4) a')].find(a => a.textContent === 't0').click()")
        browser.wait(lambda b: "tenant=t0" in b.url, what="the tenant")
        browser.find("main input[name=call]").type("Nothing\n")
        browser.wait(lambda b: "call=Nothing" in b.url, what="the filter")
        assert "No entry is like that" in browser.text("main")

    def test_a_time_is_an_address(self, server, browser):
        browser.go(f"{root(server)}/audit")
        lines = rows(browser)
        browser.find("tbody tr:nth-child(3) td:first-child a").click()
        browser.wait(lambda b: "before=" in b.url, what="the time")
        found = rows(browser)
        assert len(found) < len(lines) and found[0][2] in {line[2] for line in lines[1:]}
        assert "Before" in browser.text("main .hint")
        browser.go(f"{root(server)}/audit?since=15m")
        assert len(rows(browser)) == len(lines)
        browser.go(f"{root(server)}/audit?before=1000")
        assert rows(browser) == []

    def test_what_only_reads_is_shown_when_that_is_asked_for(self, server, browser):
        browser.go(f"{root(server)}/audit")
        assert not {"ListAuditEntries", "GetShardStorageInfo"} & {line[2] for line in rows(browser)}
        browser.find("main input[name=readings]").click()
        press(browser, "Show")
        browser.wait(lambda b: "readings=1" in b.url, what="the filter")
        assert "ListAuditEntries" in {line[2] for line in rows(browser)}

    def test_hostile_names_do_nothing(self, server, browser):
        browser.go(f"{root(server)}/audit?call=CancelJob")
        text = browser.text("main")
        assert "<script>alert(1)</script>" in text and "⟨U+202E⟩gnp.exe" in text
        assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
        for name in HOSTILE:
            browser.go(f"{root(server)}/audit?tenant={urllib.parse.quote(name, safe='')}")
            assert len(rows(browser)) == 1, name
            assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
        browser.run("document.querySelector('tbody td:nth-child(4) a[href^=\"/job?\"]').click()")
        browser.wait(lambda b: b.text("h1") == "Job", what="the job")
        assert f"of-{HOSTILE[-1]}" in browser.text(".about")

    def test_pages_go_on_through_rotated_files(self, new_server, tmp_path, browser):
        path = tmp_path / "audit.jsonl"
        for age, (name, numbers) in enumerate([(".1", range(60, 120)), ("-20260101", range(0, 60))], 1):
            lines = [
                {"log": "audit", "time": f"2026-01-{1 + n // 60:02}T00:{n % 60:02}:00.000Z", "who": "ops", "call": f"Old{n}",
                 "outcome": "OK"} for n in numbers
            ]
            text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
            rotated = tmp_path / f"audit.jsonl{name}"
            rotated.write_text(text)
            os.utime(rotated, (time.time() - age, time.time() - age))
        (tmp_path / "audit.jsonl.9.gz").write_bytes(b"packed")
        path.write_text('{"log":"audit","time":"2026-02-01T00:00:00.000Z","call":"Torn"')
        server = new_server("--audit-log", path)
        browser.go(f"{root(server)}/audit?readings=1&who=ops")
        found = []
        while True:
            found += [line[2] for line in rows(browser)]
            if not browser.has("a[rel=next]"):
                break
            url = browser.url
            browser.find("a[rel=next]").click()
            browser.wait(lambda b: b.url != url, what="the next page")
        assert found == [f"Old{n}" for n in reversed(range(120))]
        assert "1 older file is compressed" in browser.text("main")
        cursor = urllib.parse.parse_qs(urllib.parse.urlparse(browser.url).query)["cursor"][0]
        (tmp_path / "audit.jsonl-20260101").unlink()
        (tmp_path / "audit.jsonl.1").unlink()
        answer = Visitor(server.operator).get(f"/audit?cursor={cursor}")
        assert answer.status == 410 and "Begin with the newest" in answer.text
        with Client(server.address) as client, refused(INVALID_ARGUMENT):
            client.call("ListAuditEntries", cursor="nothing")

    def test_a_log_of_gigabytes_costs_no_more(self, new_server, tmp_path):
        path = tmp_path / "audit.jsonl"
        line = b'{"log":"audit","time":"2026-01-01T00:00:00.000Z","who":"ops","call":"Pause","outcome":"OK"}\n'
        with open(path, "wb") as file:
            file.seek(2 << 30)
            file.write(b"\n" + line * 200)
        server = new_server("--audit-log", path)
        visitor = Visitor(server.operator)
        begun = time.monotonic()
        answer = visitor.get("/audit?who=nobody")
        assert answer.status == 200 and "None among those that were looked at" in answer.text and 'rel="next"' in answer.text
        assert visitor.get("/audit").text.count("<td data-label=\"What\"") == 50
        # A whole reading takes longer than that on any disk of this age.
        assert time.monotonic() - begun < 10

    @pytest.mark.parametrize("place, text", [
        (None, "Nothing is written down"), ("stderr", "goes to standard error"), ("stdout", "goes to standard output"),
    ])
    def test_it_says_so_where_there_is_no_file(self, new_server, browser, place, text):
        server = new_server(*(["--audit-log", place] if place else []))
        browser.go(f"{root(server)}/audit")
        assert text in browser.text("main") and "--audit-log" in browser.text("main")
        browser.picture(PICTURES / f"audit-{place or 'off'}.png")
        shown = run("siloctl", "-a", f"http://{server.address}", "audit")
        assert shown.returncode == 1 and "audit log" in shown.stderr

    def test_siloctl_shows_the_same(self, server):
        shown = run("siloctl", "-a", f"http://{server.address}", "--json", "audit", "--call", "CancelJob")
        entries = json.loads(shown.stdout)["entries"]
        assert [entry["fields"]["tenant"] for entry in reversed(entries)] == HOSTILE
        shown = run("siloctl", "-a", f"http://{server.address}", "audit", "--failed")
        assert "DeleteJob" in shown.stdout and "FAILED_PRECONDITION" in shown.stdout and "CancelJob" not in shown.stdout


class TestAll:
    @pytest.fixture
    def paths(self, server):
        return ["/shards", f"/shards/{shards(server)[0]}", "/configuration", "/audit", "/help"]

    def test_they_fit_a_phone_and_the_dark(self, server, browser, paths):
        browser.screen(360, 740)
        browser.dark(True)
        try:
            for path in paths:
                browser.go(root(server) + path)
                assert browser.overflows() <= 0, path
                browser.picture(PICTURES / f"phone-dark-{path.split('/')[1]}{'-one' if path.count('/') > 1 else ''}.png")
        finally:
            browser.screen(1440, 900)
            browser.dark(False)

    def test_every_control_has_a_name(self, server, browser, paths):
        for path in paths:
            browser.go(root(server) + path)
            for control in browser.all("main a, main button, main input:not([type=hidden]), main select"):
                assert control.name, control.attribute("outerHTML")
            assert browser.run("return document.querySelectorAll('h1').length") == 1

    def test_all_pages_are_there_and_in_the_help(self, server, browser):
        visitor = Visitor(server.operator)
        for path in PAGES:
            answer = visitor.get(path)
            assert answer.status == 200, path
        menu = re.findall(r'<li><a href="([^"]+)"', visitor.get("/help").text)
        assert len(menu) > 8 and set(menu) <= set(PAGES)
        browser.go(f"{root(server)}/help")
        linked = browser.run("return [...document.querySelectorAll('main .keys a')].map(a => a.getAttribute('href'))")
        assert set(menu) <= set(linked)
        browser.picture(PICTURES / "help.png")

    def test_it_works_without_scripts(self, server):
        id = shards(server)[0]
        with Browser(scripts=False) as browser:
            browser.go(f"{root(server)}/shards/{id}")
            press(browser, "Flush…")
            press(browser, "Flush")
            assert "is flushed" in browser.text(".notice")
            browser.go(f"{root(server)}/configuration")
            browser.find("main input[name=name]").type("drain")
            press(browser, "Show")
            assert "name=drain" in browser.url
            browser.go(f"{root(server)}/audit")
            browser.find("main input[name=call]").type("FlushShard")
            press(browser, "Show")
            assert "call=FlushShard" in browser.url and "FlushShard" in browser.text("tbody")

    def test_roles_decide(self, new_server, tmp_path):
        tokens = Tokens(tmp_path)
        made = {
            "reader": tokens.add("reader", "--role", "read"), "operator": tokens.add("operator", "--role", "operate"),
            "admin": tokens.add("admin", "--role", "admin"), "bound": tokens.add("bound", "--role", "admin", "--tenant", "acme"),
        }
        server = new_server("--shards", 1, "--tenancy", "--tokens-file", tokens.path, "--audit-log", tmp_path / "audit.jsonl")
        with Client(server.address, token=made["admin"]) as client:
            id = client.cluster().shard_owners[0].shard_id

        def visit(name):
            visitor = Visitor(server.operator)
            visitor.sign_in(made[name])
            one = visitor.get(f"/shards/{id}")
            return visitor, [visitor.get(path).status for path in ("/shards", "/configuration", "/audit")], one

        visitor, statuses, one = visit("reader")
        assert statuses == [200, 403, 403] and one.status == 200 and "Flush…" not in one.text and "Levels" not in one.text
        assert visitor.get(f"/do/flush?shard={id}").status == 403 and "Audit log" not in visitor.get("/").text
        visitor, statuses, one = visit("operator")
        assert statuses == [200, 403, 403] and "Flush…" not in one.text and "Levels" in one.text
        visitor, statuses, one = visit("admin")
        assert statuses == [200, 200, 200] and "Flush…" in one.text
        # Everything here is of all tenants.
        visitor, statuses, one = visit("bound")
        assert statuses == [403, 403, 403] and one.status == 403
        assert visitor.get(f"/do/compact?shard={id}").status == 403
        refusals = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
        assert not [line for line in refusals if line["call"] == "FlushShard" and line["outcome"] == "OK"]

    def test_hand_written_addresses_are_clear_pages(self, server):
        visitor = Visitor(server.operator)
        for path in ("/audit?since=zzz", "/audit?before=zzz", "/audit?cursor=zzz", "/audit?who=" + "x" * 2000):
            assert visitor.get(path).status in (400, 410), path
        for path in ("/audit?tenant=%00", "/configuration?name=%3Cscript%3E", "/configuration?changed=", "/audit?before=-5"):
            assert visitor.get(path).status == 200, path
