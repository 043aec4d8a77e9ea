"""The web page as a person uses it, in Debian's Chromium, over a server with work going on. Pictures go to .build/web."""

import http.client
import socket
import threading
import time

import pytest

from support.browser import Browser
from support.client import Client, packed
from support.generated import pb
from support.waiting import until
from support.web import PICTURES, Visitor, needs_browser, root
from test_access import Tokens

pytestmark = needs_browser

HOSTILE = ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "\u202egnp.exe", "long-" + "x" * 55, "a\u200bb"]


class Work(threading.Thread):
    """Enqueues, leases and finishes jobs without pause, one in ten as failed."""

    def __init__(self, server, groups=("emails", "thumbnails", "reports")):
        super().__init__(daemon=True)
        self.server, self.groups = server, groups
        self.ending = threading.Event()
        self.done = 0

    def run(self):
        with Client(self.server.address) as client:
            number = 0
            while not self.ending.is_set():
                group = self.groups[number % len(self.groups)]
                number += 1
                try:
                    for index in range(10):
                        client.enqueue(group, payload={"n": index})
                    for task in client.lease(group, 9, worker="w1"):
                        self.done += 1
                        if self.done % 10:
                            client.succeed(task)
                        else:
                            client.fail(task)
                except Exception:
                    if self.ending.wait(0.2):
                        return

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.join(30)


@pytest.fixture(scope="module")
def busy(start_server):
    """A server with work going on."""
    server = start_server("--shards", 2)
    with Work(server):
        yield server


def rate(browser, title):
    """The number of a tile, in jobs a second."""
    text = browser.run("""
        const tile = [...document.querySelectorAll("#rates .tile")].find(t => t.querySelector("h2").textContent === arguments[0]);
        return tile ? tile.querySelector(".value").textContent : "";
    """, title)
    number, _, unit = text.removesuffix("/s").partition(" ")
    try:
        return float(number) * {"": 1, "k": 1000, "M": 1e6}[unit]
    except ValueError:
        return None


class TestOverview:
    def test_it_shows_what_happens_and_moves(self, busy, browser):
        browser.go(root(busy))
        browser.wait(lambda b: (rate(b, "Enqueued") or 0) > 0 and (rate(b, "Finished") or 0) > 0, what="rates")
        browser.wait(lambda b: b.text("#live") == "Live", what="the stream")
        assert "All is well" in browser.text("#health")
        assert "emails" in browser.text("#groups")
        lines = "return [...document.querySelectorAll('#jobs-chart .line')].map(p => p.getAttribute('d')).join()"
        before = browser.run(lines)
        began = time.monotonic()
        browser.wait(lambda b: b.run(lines) != before, what="the chart to move")
        assert time.monotonic() - began < 10
        assert browser.complaints() == []
        browser.picture(PICTURES / "overview.png")

    def test_an_enqueue_shows_within_two_seconds(self, new_server, browser):
        server = new_server("--shards", 1)
        browser.go(root(server))
        browser.wait(lambda b: b.text("#live") == "Live", what="the stream")
        assert "No jobs wait" in browser.text("#groups")
        took = []
        with Client(server.address) as client:
            for number in range(5):
                client.enqueue(f"fresh-{number}", 1)
                began = time.monotonic()
                browser.wait(lambda b: f"fresh-{number}" in b.text("#groups"), what="the group")
                took.append(time.monotonic() - began)
        # The machine may be busy now and then.
        assert sorted(took)[1] < 2, took
        browser.picture(PICTURES / "overview-quiet.png")

    def test_a_day_has_an_address_of_its_own(self, busy, browser):
        browser.go(root(busy))
        browser.run("[...document.querySelectorAll('.tabs a')].find(a => a.textContent === '24 hours').click()")
        browser.wait(lambda b: b.url.endswith("/?span=24h") and "24 h ago" in b.text("#jobs-chart"), what="the day")
        assert browser.complaints() == []

    @pytest.mark.parametrize("width, height", [(360, 740), (768, 1024), (1440, 900), (3840, 2160)])
    @pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
    def test_it_fits_every_screen(self, busy, browser, width, height, dark):
        browser.screen(width, height)
        browser.dark(dark)
        try:
            browser.go(root(busy))
            browser.wait(lambda b: b.text("#live") == "Live", what="the stream")
            assert browser.overflows() <= 0
            browser.picture(PICTURES / f"overview-{width}-{'dark' if dark else 'light'}.png")
            bright = browser.run("""
                const rgb = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number);
                return (rgb[0] + rgb[1] + rgb[2]) / 3 > 128;
            """)
            assert bright is not dark
        finally:
            browser.screen(1440, 900)
            browser.dark(False)

    def test_nothing_jumps_while_it_updates(self, busy, browser):
        browser.go(root(busy))
        browser.wait(lambda b: b.text("#live") == "Live", what="the stream")
        browser.run("""
            window.shift = 0;
            new PerformanceObserver(list => { for (const e of list.getEntries()) window.shift += e.value; })
              .observe({ type: "layout-shift", buffered: true });
            window.updates = 0;
            addEventListener("silo:updated", () => window.updates++);
        """)
        browser.wait(lambda b: b.run("return window.updates") >= 15, what="updates")
        assert browser.run("return window.shift") < 0.02

    def test_the_colours_can_be_chosen(self, busy, browser):
        browser.go(root(busy))
        for wanted in ["light", "dark", "auto"]:
            browser.find(".icon").click()
            browser.wait(lambda b: b.run("return document.documentElement.dataset.theme") == wanted, what=wanted)

    def test_values_show_under_the_pointer(self, busy, browser):
        browser.go(root(busy))
        browser.wait(lambda b: (rate(b, "Enqueued") or 0) > 0, what="rates")
        browser.run("""
            const plot = document.querySelector("#jobs-chart .plot"), box = plot.getBoundingClientRect();
            plot.querySelector("svg").dispatchEvent(new PointerEvent("pointermove",
              { bubbles: true, clientX: box.right - 2, clientY: box.top + 20 }));
        """)
        # Looked at in one step, as the chart may be drawn anew at any time.
        text = browser.wait(
            lambda b: b.run("return document.querySelector('#jobs-chart .readout')?.innerText"), what="the values")
        assert "enqueued" in text and "failed" in text
        assert browser.complaints() == []


class TestWithoutScripts:
    def test_it_shows_the_same(self, busy):
        with Browser(scripts=False) as browser:
            browser.go(root(busy))
            until(lambda: "/s" in browser.go(root(busy)).text("#rates") and "emails" in browser.text("#groups"), 30, "rates")
            assert "24 h ago" in browser.go(f"{root(busy)}/?span=24h").text("#jobs-chart")
            browser.find(".icon").click()
            browser.wait(lambda b: b.run("return document.documentElement.dataset.theme") == "light", what="the colours")
            assert "UTC" in browser.text("footer")
            browser.find("#search").type("emails\n")
            assert browser.url.endswith("/group?name=emails")
            browser.picture(PICTURES / "without-scripts.png")


class TestKeyboard:
    def test_everything_is_reached_by_it(self, busy, browser):
        browser.go(root(busy))
        browser.wait(lambda b: b.text("#live") == "Live", what="the stream")
        browser.press("tab")
        assert browser.focused == "Skip to the content"
        seen = []
        for _ in range(40):
            browser.press("tab")
            if browser.focused in seen[:1]:
                break
            seen.append(browser.focused)
        assert {"Silo", "Search for a job id, tenant, key or task group", "Overview", "24 hours"} <= set(seen)
        assert all(seen[:6])

    def test_keys_do_what_the_help_says(self, busy, browser):
        browser.go(root(busy))
        browser.wait(lambda b: b.text("#live") == "Live", what="the stream")
        browser.press("/")
        assert browser.focused.startswith("Search")
        browser.press("escape")
        browser.press("p")
        browser.wait(lambda b: b.text("#live") == "Paused", what="the pause")
        browser.press("p")
        browser.wait(lambda b: b.text("#live") == "Live", what="the stream")
        # A telephone has no keys: the button does the same.
        browser.find("#live").click()
        browser.wait(lambda b: b.text("#live") == "Paused", what="the pause")
        browser.find("#live").click()
        browser.wait(lambda b: b.text("#live") == "Live", what="the stream")
        browser.press("j")
        assert browser.run("return document.activeElement.closest('tr') !== null")
        browser.press("?")
        browser.wait(lambda b: b.url.endswith("/help"), what="the help")
        browser.picture(PICTURES / "help.png")
        browser.press("g", "o")
        browser.wait(lambda b: b.url == root(busy) + "/", what="the overview")

    def test_every_control_has_a_name(self, busy, browser):
        for path in ["/", "/help", "/search?q=x"]:
            browser.go(root(busy) + path)
            browser.press("p")
            for control in browser.all("a, button:not([hidden]), input:not([type=hidden]), select, textarea, svg[role=img]"):
                assert control.name, control.attribute("outerHTML")
            assert browser.run("return document.querySelectorAll('h1').length") == 1
            assert browser.run("return document.documentElement.lang") == "en"


class TestHostileNames:
    def test_they_are_shown_and_do_nothing(self, new_server, browser):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            for name in HOSTILE:
                client.enqueue(name, 1)
        browser.go(root(server))
        browser.wait(lambda b: len(b.all("#groups tbody tr")) == len(HOSTILE), what="the groups")
        text = browser.text("#groups")
        assert "<script>alert(1)</script>" in text and "⟨U+202E⟩gnp.exe" in text and "a⟨U+200B⟩b" in text
        assert browser.run("return document.querySelectorAll('#groups img, #groups script').length") == 0
        assert browser.complaints() == []
        browser.screen(360, 740)
        assert browser.overflows() <= 0
        browser.picture(PICTURES / "hostile-names.png")
        browser.screen(1440, 900)


class TestSigningIn:
    def test_a_person_comes_in_and_goes(self, new_server, tmp_path, browser):
        tokens = Tokens(tmp_path)
        token = tokens.add("ops", "--role", "admin")
        tokens.add("other", "--role", "read")
        server = new_server("--tokens-file", tokens.path)
        browser.go(f"{root(server)}/?span=24h")
        assert browser.title.startswith("Sign in")
        browser.picture(PICTURES / "sign-in.png")
        browser.find("#token").type("wrong\n")
        browser.wait(lambda b: "not good here" in b.text(), what="the refusal")
        browser.find("#token").type(f"{token}\n")
        browser.wait(lambda b: b.url.endswith("/?span=24h"), what="the page")
        browser.wait(lambda b: b.text("#live") == "Live", what="the stream")
        # The refusal was answered with 401, which a browser notes.
        assert [line for line in browser.complaints() if "401" not in line["message"]] == []
        tokens.remove("ops")
        server.process.send_signal(1)
        browser.wait(lambda b: b.text("#live").startswith("Signed out"), what="the end of the session")


class TestRestart:
    def test_the_page_recovers_by_itself(self, new_server, browser):
        from support.ports import fixed_address
        server = new_server("--shards", 1, metrics=fixed_address())
        browser.go(root(server))
        browser.wait(lambda b: b.text("#live") == "Live", what="the stream")
        server.stop()
        browser.wait(lambda b: "does not answer" in b.text("#live"), what="the outage")
        browser.picture(PICTURES / "server-away.png")
        server.start()
        browser.wait(lambda b: b.text("#live") == "Live", 60, what="the stream again")
        with Client(server.address) as client:
            client.enqueue("after", 1)
        browser.wait(lambda b: "after" in b.text("#groups"), what="news")

    def test_a_stopping_server_does_not_wait_for_streams(self, new_server, browser):
        server = new_server("--shards", 1)
        browser.go(root(server))
        browser.wait(lambda b: b.text("#live") == "Live", what="the stream")
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 15
        assert not any("in time" in line["message"] for line in server.log())


class TestStreams:
    def test_a_thousand_clients_are_refused_clearly_and_the_page_goes_on(self, new_server):
        server = new_server("--shards", 1)
        held, statuses = [], []
        for number in range(1000):
            source = f"127.0.{number % 10}.{number // 10 % 100 + 2}"
            connection = http.client.HTTPConnection(server.operator, timeout=30, source_address=(source, 0))
            connection.request("GET", "/live/overview-15m")
            answer = connection.getresponse()
            statuses.append(answer.status)
            if answer.status == 200:
                held.append((connection, answer))
            else:
                assert answer.status == 503 and answer.headers["Retry-After"] and b"too many live streams" in answer.read()
                connection.close()
        assert statuses.count(200) == 128 and statuses.count(503) == 872
        assert Visitor(server.operator).get("/").status == 200
        assert Visitor(server.operator).get("/metrics").status == 200
        # Those that are there hear news, and when they go others come in.
        for connection, answer in held:
            answer.close()
            connection.close()
        until(lambda: self.open_stream(server) == 200, 30, "room for others")

    def test_one_address_has_some_of_them(self, new_server):
        server = new_server("--shards", 1)
        connections = []
        statuses = [self.open_stream(server, connections) for _ in range(33)]
        assert statuses == [200] * 32 + [503]

    def test_one_who_reads_nothing_costs_nothing_and_is_let_go(self, new_server):
        server = new_server("--shards", 1)
        host, port = server.operator.split(":")
        slow = []
        for _ in range(8):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            connection.connect((host, int(port)))
            connection.sendall(b"GET /live/overview-15m HTTP/1.1\r\nHost: localhost\r\n\r\n")
            slow.append(connection)
        with Work(server):
            reader = http.client.HTTPConnection(server.operator, timeout=30)
            reader.request("GET", "/live/overview-15m")
            answer = reader.getresponse()
            seen = 0
            while seen < 5:
                seen += answer.readline().startswith(b"event: regions")
        for connection in slow:
            connection.close()

    def open_stream(self, server, kept=None):
        connection = http.client.HTTPConnection(server.operator, timeout=30)
        connection.request("GET", "/live/overview-15m")
        answer = connection.getresponse()
        if kept is not None:
            kept.append((connection, answer))
        else:
            connection.close()
        return answer.status
