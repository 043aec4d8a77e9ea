"""siloctl top: what an operator sees at a terminal, read from the terminal's screen."""

import json
import os
import re
import signal

import pytest

from support.client import Client, concurrency
from support.ports import fixed_address
from support.programs import run
from support.siloctl import runner
from support.tmux import TMUX, Screen
from support.waiting import until
from test_web_overview import Work

pytestmark = pytest.mark.skipif(not TMUX, reason="tmux is not installed: run scripts/setup test")


def columns(line):
    """How many columns of the screen a line takes."""
    return sum(2 if "\u1100" <= letter <= "\u115f" or "\u2e80" <= letter <= "\uffdc" else 1 for letter in line)


def rows(lines):
    """The rows of the table, by their names: what stands below its titles."""
    start = next((number for number, line in enumerate(lines) if "▼" in line or "▲" in line), len(lines))
    found = [line.split() for line in lines[start + 1:-1] if line.strip()]
    return {row[0]: row for row in found}


def names(lines):
    return list(rows(lines))


@pytest.fixture
def screen():
    with Screen() as screen:
        yield screen


@pytest.fixture(scope="module")
def still(start_server):
    """A server with 3 jobs of `alpha`, 2 of `beta` and 1 of `gamma`, which nobody works on."""
    server = start_server("--shards", 2, "--tenancy")
    with Client(server.address) as client:
        for count, group in [(3, "alpha"), (2, "beta"), (1, "gamma")]:
            for number in range(count):
                client.enqueue(group, number, tenant=f"tenant-{group}-{number}")
    return server


def top(screen, server, *options):
    screen.run(" ".join(["siloctl", "-a", f"http://{server.address}", "top", "--every", "0.5", *options]))
    return screen.wait(lambda lines: lines[0].startswith("siloctl top") and "▼" in "".join(lines), what="a frame")


class TestFrame:
    def test_80_by_24_shows_what_goes_on(self, start_server, screen):
        server = start_server("--shards", 2)
        with Work(server):
            top(screen, server)
            lines = screen.wait(
                lambda lines: re.search(r"Enqueued [1-9].*Started [1-9].*Finished [1-9].*Failed", lines[3]) and "emails" in names(lines),
                what="rates")
            assert len(lines) == 24 and all(columns(line) <= 80 for line in lines)
            assert server.address in lines[0] and re.search(r"1 server, up .*\d\d:\d\d:\d\d$", lines[0])
            assert "All is well" in lines[1] and "Backlog" in lines[4] and "Running" in lines[4]
            assert re.search(r"Wait p50 .*p95 .*p99 .*Run p50 .*p95 .*p99", lines[5])
            assert "[Groups]" in lines[6] and lines[-1].startswith("q quit")
            titles = lines[7]
            for title in ["Task group", "Backlog▼", "Running", "Started/s", "Empty in", "State"]:
                assert title in titles
            # Figures move by themselves.
            screen.wait(lambda now: now[4] != lines[4], what="other figures")

    def test_what_users_chose_is_safe_and_fits(self, new_server, screen):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            for group in ["\x1b[2J\x1b[31mred", "日本語" * 10, "\u202egnp", "g" * 64]:
                client.enqueue(group, 1)
        lines = top(screen, server)
        assert len(lines) == 24 and all(columns(line) <= 80 for line in lines) and lines[0].startswith("siloctl top")
        assert any(line.startswith("\\u001b[2J") for line in lines) and any(line.startswith("\\u202egnp") for line in lines)
        assert any(line.startswith("日本語") and "…" in line for line in lines)
        # Numbers stand below one another, however wide the names are.
        ends = {columns(line[:re.search(r"\s1\b", line).end()]) for line in lines[8:12]}
        assert len(ends) == 1, lines

    def test_other_tables(self, still, screen):
        top(screen, still)
        screen.press("t")
        lines = screen.wait(lambda lines: "[Tenants]" in lines[6] and "tenant-alpha-0" in names(lines), what="tenants")
        assert len(names(lines)) == 6 and "6" in lines[6]
        screen.press("s")
        lines = screen.wait(lambda lines: "[Shards]" in lines[6] and "serves" in "".join(lines), what="shards")
        assert sum("serves" in line for line in lines) == 2
        screen.press("w")
        screen.wait(lambda lines: "[Workers]" in lines[6], what="workers")
        screen.press("Tab")
        screen.wait(lambda lines: "[Groups]" in lines[6] and "alpha" in names(lines), what="groups")

    def test_workers_and_the_groups_that_they_ask_for(self, new_server, screen):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            client.lease("nothing", worker="worker-of-top")
        top(screen, server)
        screen.wait(lambda lines: names(lines) == ["nothing"], what="a group without jobs that somebody asks for")
        screen.press("w")
        screen.wait(lambda lines: "[Workers]" in lines[6] and "worker-of-top" in names(lines), what="workers")

    def test_help(self, still, screen):
        top(screen, still)
        screen.press("?")
        screen.wait("hold what is shown")
        screen.press("x")
        screen.wait(lambda lines: "alpha" in names(lines), what="the table")

    def test_no_color(self, still):
        with Screen(extra={"NO_COLOR": "1"}) as screen:
            top(screen, still)
            assert not any("\x1b[" in line for line in screen.lines(styled=True))
        with Screen() as screen:
            top(screen, still)
            assert any("\x1b[1m" in line for line in screen.lines(styled=True))


class TestKeys:
    def test_sorting(self, still, screen):
        assert names(top(screen, still))[:3] == ["alpha", "beta", "gamma"]
        screen.press("r")
        screen.wait(lambda lines: names(lines)[:3] == ["gamma", "beta", "alpha"] and "Backlog▲" in lines[7], what="the other order")
        screen.press("Left")
        screen.wait(lambda lines: "Task group▲" in lines[7] and names(lines)[:3] == ["gamma", "beta", "alpha"], what="names, last first")
        screen.press("r")
        screen.wait(lambda lines: "Task group▼" in lines[7] and names(lines)[:3] == ["alpha", "beta", "gamma"], what="names")
        screen.type(">>>")
        screen.wait(lambda lines: "Running▼" in lines[7], what="another column")

    def test_filter(self, still, screen):
        top(screen, still)
        screen.type("/et")
        screen.wait(lambda lines: "Filter: et_" in lines[-1] and names(lines) == ["beta"], what="the filter while it is typed")
        screen.press("BSpace", "BSpace")
        screen.type("zz")
        screen.wait(lambda lines: "Nothing is called so" in lines[8], what="no row")
        screen.press("BSpace", "BSpace")
        screen.type("alpha")
        screen.press("Enter")
        screen.wait(lambda lines: names(lines) == ["alpha"] and "filter: alpha" in lines[6] and "q quit" in lines[-1], what="the filter")
        # Each table has its own; the servers are asked for that of tenants.
        screen.type("t/gamma")
        screen.press("Enter")
        screen.wait(lambda lines: "[Tenants]" in lines[6] and names(lines) == ["tenant-gamma-0"], what="the tenant")
        screen.press("g", "Escape")
        screen.wait(lambda lines: len(names(lines)) == 3, what="all rows")

    def test_pause(self, new_server, screen):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            client.enqueue("early", 1)
            top(screen, server)
            screen.press("Space")
            held = screen.wait(lambda lines: "PAUSED" in lines[0], what="the pause")
            client.enqueue("late", 1)
            ctl = runner(server.address)
            until(lambda: "late" in ctl("top", "--once", "--every", "0.2"), 30, "the new job to show elsewhere")
            assert names(screen.lines()) == ["early"] and screen.lines()[3:6] == held[3:6]
            # What is held can be looked at.
            screen.press("r")
            screen.wait(lambda lines: "Backlog▲" in lines[7], what="the other order")
            assert names(screen.lines()) == ["early"]
            screen.press("t")
            screen.wait("It was not looked at before the pause")
            screen.press("g", "Space")
            screen.wait(lambda lines: "PAUSED" not in lines[0] and "late" in names(lines), what="what is new")

    def test_scrolling(self, new_server, screen):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            for number in range(40):
                client.enqueue(f"group-{number:02}", 1)
        top(screen, server)
        screen.press("Left")
        first = screen.wait(lambda lines: "Task group▼" in lines[7], what="names")
        assert names(first) == [f"group-{number:02}" for number in range(15)]
        screen.press("Down")
        screen.wait(lambda lines: names(lines)[0] == "group-01", what="one further")
        screen.press("NPage")
        screen.wait(lambda lines: names(lines)[0] == "group-16", what="a page further")
        screen.press("End")
        screen.wait(lambda lines: names(lines)[-1] == "group-39" and len(names(lines)) == 15, what="the end")
        screen.press("Home")
        screen.wait(lambda lines: names(lines)[0] == "group-00", what="the beginning")


class TestTerminal:
    def test_it_follows_the_size(self, still, screen):
        top(screen, still)
        assert "Ended/s" not in screen.text
        screen.resize(140, 40)
        lines = screen.wait(lambda lines: len(lines) == 40 and "Scheduled" in lines[7], what="the larger screen")
        assert all(title in lines[7] for title in ["At limits", "Ended/s", "Oldest", "Workers"]) and lines[-1].startswith("q quit")
        screen.resize(60, 14)
        lines = screen.wait(
            lambda lines: len(lines) == 14 and lines[-1].startswith("q quit") and "alpha" in names(lines), what="the smaller screen")
        assert lines[0].startswith("siloctl top") and all(columns(line) <= 60 for line in lines)
        screen.resize(20, 4)
        screen.wait(lambda lines: len(lines) == 4 and lines[0].startswith("siloctl") and "q quit" in lines[-1], what="a tiny screen")
        screen.resize(80, 24)
        screen.wait(lambda lines: len(lines) == 24 and "gamma" in names(lines), what="all of it")

    @pytest.mark.parametrize("how", ["q", "C-c", "SIGTERM", "SIGHUP"])
    def test_whatever_ends_it_gives_the_terminal_back(self, still, screen, how):
        screen.run(f"cd '{screen.folder}'; stty -g > before; clear; echo what was there")
        before = screen.wait(lambda lines: lines[0] == "what was there" and "READY>" in lines[1], what="the shell")
        top(screen, still)
        assert screen.told("alternate_on") == "1" and screen.told("cursor_flag") == "0"
        if how.startswith("SIG"):
            os.kill(screen.child(), getattr(signal, how))
        else:
            screen.press(how)
        screen.wait(lambda lines: lines[0] == before[0] and "siloctl" in lines[1], what="the shell's screen")
        until(lambda: screen.told("alternate_on") == "0" and screen.told("cursor_flag") == "1", 30, "the cursor")
        screen.run("echo code $?; stty -g > after")
        code = {"q": 0, "C-c": 0, "SIGTERM": 143, "SIGHUP": 129}[how]
        screen.wait(f"code {code}")
        until(lambda: (screen.folder / "after").exists() and (screen.folder / "after").read_text(), 30, "the settings")
        assert (screen.folder / "after").read_text() == (screen.folder / "before").read_text()

    def test_it_can_be_stopped_and_goes_on(self, still, screen):
        top(screen, still)
        screen.press("C-z")
        screen.wait(lambda lines: "Stopped" in "".join(lines), what="the shell")
        assert screen.told("alternate_on") == "0"
        screen.run("fg")
        screen.wait(lambda lines: lines[0].startswith("siloctl top") and "alpha" in names(lines), what="the table")
        screen.press("q")
        screen.wait("READY>")

    def test_a_server_that_goes_away_is_waited_for(self, new_server, screen):
        server = new_server("--shards", 1, listen=fixed_address())
        with Client(server.address) as client:
            client.enqueue("mine", 1)
        top(screen, server)
        server.stop()
        lines = screen.wait(lambda lines: "No answer for" in lines[1], what="word of it")
        assert "mine" in names(lines), "what was known stays"
        screen.wait(lambda now: now[1] != lines[1], what="how long it has been")
        server.start()
        with Client(server.address) as client:
            client.enqueue("yours", 1)
        screen.wait(lambda lines: "No answer" not in lines[1] and {"mine", "yours"} <= set(names(lines)), what="the server again", seconds=90)

    def test_it_can_begin_before_the_server(self, new_server, screen):
        server = new_server.prepare("--shards", 1, listen=fixed_address())
        screen.run(f"siloctl -a http://{server.listen} top --every 0.5")
        screen.wait("No answer from")
        server.start()
        screen.wait(lambda lines: "[Groups]" in lines[6], what="the table", seconds=90)

    @pytest.mark.parametrize("extra", [{"TERM": "dumb"}, {"TERM": ""}])
    def test_one_that_cannot_be_drawn_on(self, still, extra):
        with Screen() as screen:
            screen.run(f"TERM='{extra['TERM']}' siloctl -a http://{still.address} top; echo code $?")
            lines = screen.wait("code 1")
            assert "cannot be drawn on" in " ".join(lines) and "--once" in " ".join(lines)


class TestElsewhere:
    def test_without_a_terminal_it_says_what_to_do(self, still):
        ended = run("siloctl", "-a", f"http://{still.address}", "top")
        assert ended.returncode == 1 and ended.stdout == ""
        assert "not run at a terminal; --once prints one frame, --json an object" in ended.stderr

    def test_once_is_plain_text(self, still):
        text = runner(still.address)("top", "--once", "--every", "0.2")
        assert "\x1b" not in text
        assert "Backlog 6 (0 at limits)" in text
        assert [line.split()[0] for line in text.splitlines()[-3:]] == ["alpha", "beta", "gamma"]
        text = runner(still.address)("top", "--once", "--every", "0.2", "--view", "tenants", "--filter", "beta")
        assert [line.split()[0] for line in text.splitlines()[-2:]] == ["tenant-beta-0", "tenant-beta-1"]

    def test_json(self, start_server):
        server = start_server("--shards", 2)
        with Work(server) as work:
            until(lambda: work.done > 100, 60, "work")
            document = json.loads(runner(server.address)("top", "--json", "--every", "2"))
        assert all(document["per_second"][name] > 0 for name in ["enqueued", "started", "finished", "failed"])
        assert document["jobs"]["ready"] > 0 and document["findings"] == []
        assert 0 <= document["run_time_ms"]["p50"] <= document["run_time_ms"]["p99"]
        groups = {row["task_group"]: row for row in document["groups"]}
        assert set(groups) == {"emails", "thumbnails", "reports"} and groups["emails"]["started_per_s"] > 0
        assert groups["emails"]["workers"] == 1 and groups["emails"]["state"] == "-"
        assert len(document["servers"]) == 1

    def test_a_paused_group_is_marked(self, new_server):
        server = new_server("--shards", 2)
        with Client(server.address) as client:
            client.enqueue("held", 1, limits=[concurrency("key", 1)])
            client.enqueue("held", 2, limits=[concurrency("key", 1)])
            ctl = runner(server.address)
            ctl("pause", "group", "held")
            row = json.loads(ctl("top", "--json", "--every", "0.2"))["groups"][0]
        assert row["state"] == "paused" and row["backlog"] == 2 and row["at_limits"] == 1

    def test_no_metrics(self, new_server):
        server = new_server("--shards", 1, metrics="none")
        with Client(server.address) as client:
            client.enqueue("g", 1)
        text = runner(server.address)("top", "--once", "--every", "0.2")
        assert "No rates: the servers' metrics are off" in text and "g" in text.splitlines()[-1]

    @pytest.mark.parametrize("options, said", [
        (["--view", "nonsense"], "--view takes one of groups, tenants, shards, workers"), (["--every", "0"], "--every"),
    ])
    def test_mistakes(self, options, said):
        ended = run("siloctl", "top", "--once", *options)
        assert ended.returncode == 2 and said in ended.stderr
