"""The page of SQL as a person uses it: asking, mistakes, charts, plans, files, words that complete. Pictures go to .build/web."""

import csv
import io
import re
import time
import urllib.parse

import pytest

from support.browser import ELEMENT, Browser
from support.client import Client, concurrency
from support.generated import pb
from support.waiting import until
from support.web import PICTURES, Visitor, click, needs_browser, root
from test_access import Tokens
from test_web_jobs import Held

pytestmark = needs_browser

SCRIPT = "<script>alert(1)</script>"
HOUR = 3_600_000
CONTROL, ALT, SHIFT, END = "\ue009", "\ue00a", "\ue008", "\ue000"
UP, DOWN, TAB, ENTER, ESCAPE = "\ue013", "\ue015", "\ue004", "\ue007", "\ue00c"
GROUPS = "SELECT task_group, COUNT(*) AS jobs FROM jobs GROUP BY task_group ORDER BY jobs DESC, 1"


@pytest.fixture(scope="module")
def server(start_server):
    server = start_server("--shards", 2)
    with Client(server.address) as client:
        now = int(time.time() * 1000)
        for number in range(7):
            client.enqueue("emails", {"to": f"user{number}"}, id=f"mail-{number}", metadata={"customer": str(number % 2)})
        for number in range(4):
            id = client.enqueue("thumbnails", number, id=f"thumb-{number}")
            client.fail(client.lease_one(id), "TIMEOUT" if number else "NO_SPACE")
        client.enqueue("gated", 1, id="holder", limits=[concurrency("gate", 1)])
        held = ("worker-1", client.take("gated", worker="worker-1"))
        attempt = lambda begin, end: pb.ImportAttempt(
            status=pb.ATTEMPT_STATUS_SUCCEEDED, started_at_ms=now - begin, finished_at_ms=now - end)
        client.import_jobs(*[
            {"id": f"old-{number}", "task_group": "imports", "enqueue_time_ms": now - HOUR,
             "attempts": [attempt(minutes * 60_000 + 500, minutes * 60_000)]}
            for number, minutes in enumerate(minute for minute in range(1, 21) for _ in range(1 + minute % 4))
        ])
    with Held(server, held):
        yield server


@pytest.fixture(autouse=True)
def fresh(request):
    """A page that nobody has typed on, without a past."""
    if "browser" not in request.fixturenames:
        yield
        return
    browser = request.getfixturevalue("browser")
    if "server" in request.fixturenames:
        browser.go(f"{root(request.getfixturevalue('server'))}/help")
        browser.run("localStorage.clear()")
    browser.go("about:blank")
    browser.complaints()
    yield


def link(sql, path="/sql", **more):
    return f"{path}?{urllib.parse.urlencode({'q': sql} | more, quote_via=urllib.parse.quote)}"


def editor(browser):
    return browser.find("#sql-text")


def value(browser):
    return browser.run("return document.getElementById('sql-text').value")


def cells(browser):
    """The table of the answer."""
    return browser.run("""
        return [...document.querySelectorAll("#result tbody tr")].map(row => [...row.cells].map(cell => cell.textContent.trim()));
    """)


def shows(browser, text, within="#result"):
    browser.wait(lambda b: text in b.text(within), what=text)


def ask(browser, server, sql, **more):
    browser.go(root(server) + link(sql, **more))


def write(browser, server, text):
    """Types on an empty page."""
    browser.go(f"{root(server)}/sql")
    editor(browser).type(text)


def pictures(browser, name):
    browser.run("scrollTo(0, 0)")
    for width, height, dark in [(1440, 900, False), (1440, 900, True), (360, 740, False), (360, 740, True)]:
        browser.screen(width, height)
        browser.dark(dark)
        browser.picture(PICTURES / f"sql-{name}-{width}-{'dark' if dark else 'light'}.png")
        assert browser.overflows() <= 0
    browser.screen(1440, 900)
    browser.dark(False)


class TestAsking:
    def test_a_statement_is_typed_and_run_and_its_address_shows_the_same(self, server, browser):
        write(browser, server, GROUPS + CONTROL + ENTER + END)
        shows(browser, "4 rows")
        expected = [["imports", "50"], ["emails", "7"], ["thumbnails", "4"], ["gated", "1"]]
        assert cells(browser) == expected
        classes = browser.run("return [...document.querySelectorAll('#result tbody tr:first-child td')].map(cell => cell.className)")
        assert classes == ["", "number"]
        address = browser.url
        # Nothing empty stands in it.
        assert address.startswith(f"{root(server)}/sql?q=SELECT") and "tenant=" not in address and "shard=" not in address
        browser.go("about:blank").go(address)
        assert cells(browser) == expected and value(browser) == GROUPS
        assert browser.complaints() == []

    def test_values_are_shown_as_what_they_are(self, server, browser):
        ask(browser, server, """
            SELECT id, tenant, task_group, status_kind, status_changed_at_ms, current_attempt, NULL AS nothing, '' AS empty, true AS yes
            FROM jobs WHERE id = 'thumb-0'""")
        row = cells(browser)[0]
        assert row[:4] == ["thumb-0", "-", "thumbnails", "Failed"] and row[6:] == ["NULL", "", "true"]
        assert browser.has("#result td .null") and browser.text("#result td .badge.bad") == "Failed"
        when = browser.find("#result td time")
        assert "ago" in when.text or "now" in when.text
        assert re.search(r"\d\d:\d\d:\d\d", when.attribute("title"))
        links = dict(browser.run("return [...document.querySelectorAll('#result td a')].map(a => [a.textContent, a.getAttribute('href')])"))
        assert links == {"thumb-0": "/job?id=thumb-0", "thumbnails": "/group?name=thumbnails"}
        click(browser, "thumb-0", "#result")
        browser.wait(lambda b: "NO_SPACE" in b.text("main"), what="the job")

    def test_one_shard_can_be_asked(self, server, browser):
        browser.go(f"{root(server)}/sql")
        editor(browser).type("SELECT shard_id FROM shards")
        shards = browser.run("return [...document.querySelectorAll('select[name=shard] option')].map(o => o.value).filter(v => v)")
        assert len(shards) == 2
        browser.run("document.querySelector('select[name=shard]').value = arguments[0]", shards[1])
        click(browser, "Run")
        browser.wait(lambda b: cells(b) == [[shards[1]]], what="its row")
        assert f"shard={shards[1]}" in browser.url

    def test_a_question_that_is_there_is_filled_in_with_its_value(self, server, browser):
        browser.go(f"{root(server)}/sql")
        shows(browser, "Nothing was asked yet")
        click(browser, "holders", ".questions")
        assert "entry_type = 'holder'" in value(browser)
        assert browser.focused == "" or browser.run("return document.activeElement.name") == "p1"
        browser.find("input[name=p1]").type(f"gate{ENTER}")
        browser.wait(lambda b: [row[:3] for row in cells(b)] == [["-", "holder", "worker-1"]], what="the holder")
        assert "p1=gate" in browser.url
        browser.find("input[name=p1]").type("ing")
        click(browser, "Run")
        shows(browser, "No rows")
        ask(browser, server, "SELECT $1 AS a")
        shows(browser, "Type the value of $1")

    def test_more_rows_than_a_page_has_are_cut_and_said(self, server, browser):
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n"
        ask(browser, server, numbers)
        shows(browser, "1,000 rows, and there are more", "#result h2")
        assert len(cells(browser)) == 200 and "Export has all of them" in browser.text("#result > .hint")
        file = Visitor(server.operator).get(link(numbers, "/sql/export.csv"))
        assert len(file.text.split()) == 5001
        many = ", ".join(f"{n} AS c{n}" for n in range(80))
        ask(browser, server, f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT {many} FROM n")
        shows(browser, " rows and 60 of 80 columns", "#result > .hint")
        assert 10 <= len(cells(browser)) <= 60
        assert browser.run("return document.documentElement.outerHTML.length") < 200_000

    def test_long_texts_keep_the_page_small(self, server, browser):
        ask(browser, server, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900), "
            "t(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM t WHERE LENGTH(s) < 16000) "
            "SELECT i, (SELECT MAX(s) FROM t) AS a, (SELECT REPLACE(MAX(s), 'x', '<') FROM t WHERE LENGTH(s) < 9000) AS b FROM n")
        shows(browser, "The page shows", "#result > .hint")
        assert browser.run("return document.documentElement.outerHTML.length") < 200_000

    def test_shards_lead_to_their_pages(self, server, browser):
        ask(browser, server, "SELECT shard_id FROM shards")
        id = cells(browser)[0][0]
        browser.find("#result td a").click()
        browser.wait(lambda b: b.url.endswith(f"/shards/{id}"), what="the shard")

    def test_it_looks_well(self, server, browser):
        browser.go(f"{root(server)}/sql")
        pictures(browser, "empty")
        ask(browser, server, "SELECT id, task_group, status_kind, status_changed_at_ms, priority, payload FROM jobs ORDER BY 1 LIMIT 30")
        pictures(browser, "table")


class TestMistakes:
    @pytest.mark.parametrize("sql, line, column, marked", [
        ("SELECT id\nFROM jobs\nWHERE AND", 3, 7, "AND"), ("SELECT oops FROM jobs", 1, 8, "oops"),
        ("SELECT 1 FROM\n  nowhere", 2, 3, "nowhere"), ("SELECT 'é', nope(1)", 1, 13, "nope"), ("SELECT (1", 1, 10, "⏎"),
    ])
    def test_the_place_is_marked(self, server, browser, sql, line, column, marked):
        for more in ({}, {"view": "plan"}):
            ask(browser, server, sql, **more)
            shows(browser, f"Line {line}, column {column}")
            assert browser.text("#result mark") == marked and value(browser) == sql
        click(browser, "Go there")
        chosen = browser.run("const e = document.activeElement; return e.value.slice(e.selectionStart, e.selectionEnd)")
        assert chosen == ("" if marked == "⏎" else marked)

    def test_it_looks_well(self, server, browser):
        ask(browser, server, "SELECT task_group,\n  COUNT(*) AS jobs\nFROM jobs GROUP BY task_grup")
        shows(browser, "Line 3, column 20")
        pictures(browser, "mistake")

    @pytest.mark.parametrize("path, status", [
        ("/sql?view=odd", 400), ("/sql?q=DELETE+FROM+jobs", 400), ("/sql?q=SELECT+1&shard=x", 400), ("/sql?q=SELECT+1&tenant=x", 200),
        ("/sql/export.csv", 400), ("/sql/export.csv?q=SELECT+$1", 400), ("/sql/export.csv?q=oops", 400), ("/sql?q=%00%ff", 400),
        ("/sql?q=SELECT+1&p1=%00", 200), ("/sql?q=" + "(" * 3000, 400),
    ])
    def test_bad_input_is_told(self, server, path, status):
        answer = Visitor(server.operator).get(path)
        assert answer.status == status, answer.text[:200]
        assert "Something went wrong" not in answer.text and "<h1>" in answer.text


class TestCharts:
    TIMES = """SELECT status_changed_at_ms / 60000 * 60000 AS minute, COUNT(*) AS jobs, COUNT(*) * 3 AS threefold FROM jobs
        WHERE task_group = 'imports' GROUP BY 1 ORDER BY 1 DESC"""

    def test_bars_for_names(self, server, browser):
        ask(browser, server, GROUPS)
        click(browser, "Chart", "#result")
        browser.wait(lambda b: b.has("#result .result-bars"), what="the bars")
        assert "view=chart" in browser.url
        found = browser.run("""
            return [...document.querySelectorAll(".result-bars li")].map(li =>
              [li.querySelector(".label").textContent, li.querySelector(".value").textContent, Number(li.querySelector(".fill").getAttribute("width"))]);
        """)
        assert found[0] == ["imports", "50", 1000] and found[1] == ["emails", "7", 140]
        pictures(browser, "bars")
        # It stays a chart when something else is asked.
        editor(browser).type(CONTROL + "a" + END + "SELECT status_kind, COUNT(*) AS n FROM jobs GROUP BY 1" + CONTROL + ENTER + END)
        shows(browser, "Succeeded")
        assert browser.has("#result .result-bars") and "view=chart" in browser.url
        click(browser, "Table", "#result")
        browser.wait(lambda b: b.has("#result table") and "view=" not in b.url, what="the table")

    def test_lines_for_times(self, server, browser):
        ask(browser, server, self.TIMES, view="chart")
        browser.wait(lambda b: b.has("#result .plot"), what="the lines")
        paths = browser.run("return [...document.querySelectorAll('#result .line')].map(p => [p.dataset.name, p.getAttribute('d')])")
        assert [name for name, _ in paths] == ["jobs", "threefold"]
        first = [[float(n) for n in pair.split()] for pair in re.findall(r"[ML]([\d.]+ [\d.]+)", paths[0][1])]
        assert len(first) >= 20 and first[0][0] == 0 and first[-1][0] == 720 and first == sorted(first, key=lambda point: point[0])
        assert len({y for _, y in first}) >= 3
        browser.run("""
            const plot = document.querySelector("#result .plot"), box = plot.getBoundingClientRect();
            plot.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: box.left + 1, clientY: box.top + 20 }));
        """)
        assert re.search(r"\d\d.*: jobs \d, threefold \d", browser.text("#result .readout"))
        pictures(browser, "lines")

    def test_what_cannot_be_drawn_says_why(self, server, browser):
        ask(browser, server, "SELECT id FROM jobs", view="chart")
        shows(browser, "A chart needs a column of numbers")

    @pytest.mark.parametrize("numbers", [
        "(1, 1e308), (2, -1e308)", "(1, 5e-324), (2, 0)", "(1e308, 1), (-1e308, 2)", "(1, NULL), (2, 3)", "(1, -5), (2, -7), (3, 4)",
        "('a', -1e308), ('b', 1e308)", "('a', 0)", "(1, 9223372036854775807), (2, 1)",
    ])
    def test_odd_numbers_are_drawn(self, server, numbers):
        answer = Visitor(server.operator).get(link(f"VALUES {numbers}", view="chart"))
        assert answer.status == 200 and "<figure" in answer.text and "nan" not in answer.text.split('id="result"')[1].split("</section>")[0]

    def test_series_of_other_sizes_are_drawn_apart(self, server, browser):
        ask(browser, server, "VALUES (1, 5, 90000), (2, 7, 80000)", view="chart")
        browser.wait(lambda b: len(b.all("#result .plot")) == 2, what="two charts")


class TestPlans:
    def test_a_plan_is_said_in_words_and_nothing_is_read(self, server, browser):
        browser.go(f"{root(server)}/sql")
        editor(browser).type("SELECT id FROM jobs WHERE status_kind = 'Waiting' AND priority > 3 LIMIT 5")
        click(browser, "Explain")
        shows(browser, "Nothing was read")
        text = browser.text("#result .plan")
        assert text.startswith("jobs: rows by ") and "in 2 shards, side by side" in text and "looked at row by row" in text
        assert "view=plan" in browser.url
        click(browser, "As the server says it", "#result")
        assert "SiloExecutionPlan: jobs[" in browser.text("#result")
        pictures(browser, "plan")
        click(browser, "Run")
        browser.wait(lambda b: "view=" not in b.url and "rows" in b.text("#result h2"), what="the rows")


class TestFiles:
    def test_a_file_has_all_rows_as_they_are(self, server, browser):
        sql = """SELECT 1 AS n, NULL AS nothing, '' AS empty, 'a,"b"' AS quoted, 'é' || char(10) || '€' AS lines, -5 AS less
            UNION ALL SELECT 2, '=1+1', '+x', '-y', '@z', 0.5"""
        sql = sql.replace("'é' || char(10) || '€'", "'é\n€'")
        answer = Visitor(server.operator).get(link(sql, "/sql/export.csv"))
        assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/csv; charset=utf-8")
        assert re.fullmatch(r'attachment; filename="silo-\d{8}T\d{6}Z\.csv"', answer.headers["Content-Disposition"])
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-store"
        assert answer.text.split("\r\n")[1].startswith('1,,"","a,""b""","é\n€",-5')
        rows = list(csv.reader(io.StringIO(answer.text, newline="")))
        assert rows[0] == ["n", "nothing", "empty", "quoted", "lines", "less"]
        # What a spreadsheet would take for a formula is a text there; numbers stay numbers.
        assert rows[2] == ["2", "'=1+1", "'+x", "'-y", "'@z", "0.5"]
        ask(browser, server, GROUPS)
        href = browser.run("return [...document.querySelectorAll('#result a')].find(a => a.textContent === 'Export CSV').getAttribute('href')")
        assert list(csv.reader(io.StringIO(Visitor(server.operator).get(href).text)))[1] == ["imports", "50"]

    def test_a_large_one_is_sent_in_pieces(self, server):
        sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT i, 'some text of the row' AS t FROM n"
        answer = Visitor(server.operator).ask("GET", link(sql, "/sql/export.csv"), timeout=120)
        lines = answer.text.splitlines()
        assert len(lines) == 200_001 and lines[-1] == "200000,some text of the row"
        assert answer.headers["Transfer-Encoding"] == "chunked"


class TestWords:
    def offered(self, browser):
        return browser.run("""
            const list = document.querySelector(".offers");
            return list && !list.hidden ? [...list.children].map(li => li.firstChild.textContent) : [];
        """)

    @pytest.mark.parametrize("typed, becomes", [
        (f"sel{TAB}1", "select 1"), (f"SEL{TAB}1", "SELECT 1"), (f"SELECT id FROM att{TAB}LIMIT 1", "SELECT id FROM attempts LIMIT 1"),
        (f"SELECT j.enq{TAB} FROM", "SELECT j.enqueue_time_ms FROM"), (f"SELECT shards.range_e{TAB}", "SELECT shards.range_end"),
        (f"SELECT group_c{TAB}id)", "SELECT group_concat(id)"),
        (f"WITH mine AS (SELECT 1) SELECT 1 FROM mi{TAB}", "WITH mine AS (SELECT 1) SELECT 1 FROM mine "),
        (f"SELECT 1 FROM jobs j JOIN leases l ON l.job_id = j.i{TAB}", "SELECT 1 FROM jobs j JOIN leases l ON l.job_id = j.id"),
        (f"SELECT 1 FROM leases WHERE work{TAB} = 'x'", "SELECT 1 FROM leases WHERE worker_id = 'x'"),
        (f"SELECT task_g{DOWN}{UP}{ENTER}", "SELECT task_group"), ("SELECT 'sel", "SELECT 'sel"), ("-- sel", "-- sel"),
        (f"SELECT priorit{CONTROL} {END}", "SELECT priority"), (f"SELECT pri{ESCAPE}{ENTER}x", "SELECT pri\nx"),
    ])
    def test_it_writes_what_is_meant(self, server, browser, typed, becomes):
        write(browser, server, typed)
        browser.wait(lambda b: value(b) == becomes, what=becomes)
        assert browser.run("return document.activeElement.id") == "sql-text" and self.offered(browser) == []

    def test_the_list_is_gone_through_by_keys_and_by_hand(self, server, browser):
        write(browser, server, "SELECT sta")
        found = self.offered(browser)
        assert found[:3] == ["start_time_ms", "started_at_ms", "starts_with"] or "status_kind" in found
        chosen = "return document.querySelector('.offers [aria-selected=true]').firstChild.textContent"
        assert browser.run(chosen) == found[0]
        editor(browser).type(DOWN)
        assert browser.run(chosen) == found[1]
        assert "words fit" in browser.run("return document.getElementById('sql-said').textContent")
        browser.picture(PICTURES / "sql-words.png")
        browser.find(".offers li:last-child").click()
        browser.wait(lambda b: value(b).startswith("SELECT sta") and self.offered(b) == [], what="the word")
        assert value(browser).startswith(f"SELECT {found[-1]}")
        # The first Escape closes the list, the next one leaves the editor.
        editor(browser).type(" sta")
        assert self.offered(browser)
        editor(browser).type(ESCAPE)
        assert self.offered(browser) == [] and browser.run("return document.activeElement.id") == "sql-text"
        editor(browser).type(ESCAPE)
        assert browser.run("return document.activeElement.id") != "sql-text"
        # What was taken can be undone.
        write(browser, server, f"SELECT task_g{TAB}")
        editor(browser).type(CONTROL + "z" + END)
        assert value(browser) != "SELECT task_group"
        assert browser.complaints() == []

    def test_it_stands_at_the_cursor(self, server, browser):
        browser.screen(360, 740)
        try:
            write(browser, server, "SELECT id,\n  status_kind, task_group, pri")
            left, right, top, below = browser.run("""
                const list = document.querySelector(".offers").getBoundingClientRect();
                const box = document.getElementById("sql-text").getBoundingClientRect();
                return [list.left - box.left, box.right - list.right, list.top - box.top, box.bottom - list.top];
            """)
            assert left >= 0 and right >= -1 and 40 <= top <= 80 and below > 0
            browser.picture(PICTURES / "sql-words-phone.png")
        finally:
            browser.screen(1440, 900)

    def test_tables_show_their_columns(self, server, browser):
        browser.go(f"{root(server)}/sql")
        browser.find("[data-table=leases] summary").click()
        assert "worker_id" in browser.text("[data-table=leases]") and "Utf8" in browser.text("[data-table=leases]")
        assert browser.run("return document.querySelectorAll('[data-table]').length") == 9
        assert browser.run("return [...document.querySelectorAll('[data-table]')].every(t => t.querySelectorAll('[data-column]').length >= 4)")


class TestHistory:
    def test_what_ran_comes_back(self, server, browser):
        for number in range(3):
            ask(browser, server, f"SELECT {number} AS n")
        browser.go(f"{root(server)}/sql")
        editor(browser).type("draft" + ESCAPE)
        back = ALT + UP + END
        editor(browser).type(back)
        assert value(browser) == "SELECT 2 AS n"
        editor(browser).type(back + back + back)
        assert value(browser) == "SELECT 0 AS n"
        for _ in range(3):
            editor(browser).type(ALT + DOWN + END)
        assert value(browser) == "draft"
        click(browser, "Ran before")
        entries = "return [...document.querySelectorAll('#sql-history ol button')].map(b => b.textContent)"
        assert browser.run(entries) == ["SELECT 2 AS n", "SELECT 1 AS n", "SELECT 0 AS n"]
        click(browser, "SELECT 1 AS n", "#sql-history")
        assert value(browser) == "SELECT 1 AS n"
        browser.run("document.querySelector('#sql-history ol button').focus()")
        browser.press("down")
        assert browser.focused == "SELECT 1 AS n"
        browser.picture(PICTURES / "sql-history.png")
        # Once each, the newest first; fifty at most.
        ask(browser, server, "SELECT 0 AS n")
        assert browser.run(entries)[:2] == ["SELECT 0 AS n", "SELECT 2 AS n"] and len(browser.run(entries)) == 3
        browser.run("localStorage.setItem('silo.sql', JSON.stringify([...Array(80).keys()].map(n => `SELECT ${n}`)))")
        ask(browser, server, "SELECT 'new'")
        assert len(browser.run(entries)) == 50
        click(browser, "Ran before")
        click(browser, "Forget them")
        assert browser.run(entries) == [] and browser.run("return localStorage.getItem('silo.sql')") == "[]"

    def test_what_somebody_else_stored_does_no_harm(self, server, browser):
        for stored in ["{", "7", '[1, {"a": 2}, "SELECT 1"]', "null"]:
            browser.go(f"{root(server)}/help")
            browser.run("localStorage.setItem('silo.sql', arguments[0])", stored)
            browser.go(f"{root(server)}/sql")
            browser.wait(lambda b: b.run("return document.documentElement.classList.contains('scripts')"), what="the scripts")
            assert browser.complaints() == []


class TestLongStatements:
    LONG = "SELECT task_group, COUNT(*) AS jobs FROM jobs WHERE id <> '" + "x" * 20_000 + "' GROUP BY 1 ORDER BY 2 DESC"

    def paste(self, browser, text):
        browser.run("document.getElementById('sql-text').value = arguments[0]", text)

    def test_they_go_without_an_address(self, server, browser):
        browser.go(f"{root(server)}/sql")
        self.paste(browser, self.LONG)
        editor(browser).type(CONTROL + ENTER + END)
        shows(browser, "4 rows")
        assert browser.url == f"{root(server)}/sql" and value(browser) == self.LONG
        click(browser, "Chart", "#result")
        browser.wait(lambda b: b.has("#result .result-bars") and value(b) == self.LONG, what="the chart")
        click(browser, "Explain")
        shows(browser, "Nothing was read")
        assert value(browser) == self.LONG
        # A short one has an address again.
        self.paste(browser, "SELECT 1 AS one")
        click(browser, "Run")
        browser.wait(lambda b: "q=SELECT" in b.url and cells(b) == [["1"]], what="the short one")
        assert browser.complaints() == []

    def test_one_that_is_too_large_says_so(self, server):
        visitor = Visitor(server.operator)
        page = visitor.get("/sql").text
        token = re.search(r'id="sql-long" formmethod="post" name="form" value="([^"]+)"', page).group(1)
        assert visitor.post("/sql", {"q": "SELECT '" + "x" * (900 << 10) + "' AS a", "form": token}).status == 200
        answer = visitor.post("/sql", {"q": "SELECT '" + "x" * (1 << 20) + "'", "form": token})
        assert answer.status == 400 and "more than 1048576" in answer.text
        connection = visitor.connect()
        connection.putrequest("POST", "/sql")
        connection.putheader("Content-Length", str(4 << 20))
        connection.endheaders()
        assert connection.getresponse().status == 413


class TestHostile:
    def test_values_and_names_do_nothing(self, new_server, browser):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            client.enqueue("g", {"a": SCRIPT, "b": "\u202egnp.exe", "line": "y" * (1 << 20)}, id=SCRIPT, metadata={SCRIPT: '"><img src=x>'})
            client.enqueue("g", 1, id="\u202egnp.exe")
        ask(browser, server, f'SELECT id, payload, metadata, id AS "{SCRIPT}", \'\u202eabc\' AS "\u202ertl" FROM jobs ORDER BY id')
        assert "such as ⟨U+202E⟩" in browser.text("#sql")
        text = browser.text("#result")
        assert SCRIPT in text and "⟨U+202E⟩gnp.exe" in text and "⟨U+202E⟩rtl" in browser.run("return document.querySelector('thead').textContent")
        assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
        assert browser.run("return document.documentElement.outerHTML.length") < 200_000
        pictures(browser, "hostile")
        browser.find("#result details.long-text summary").click()
        assert "The first 16 KiB of" in browser.text("#result")
        for view in ("chart", "plan"):
            ask(browser, server, f'SELECT id AS "{SCRIPT}", priority AS "{SCRIPT}" FROM jobs WHERE id <> \'{SCRIPT}\'', view=view)
            assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
        ask(browser, server, f"SELECT {SCRIPT}")
        assert browser.has("#result mark") and browser.run("return document.querySelectorAll('main script').length") == 0
        # Of answers that are refusals the browser complains by itself.
        assert [line for line in browser.complaints() if line["source"] != "network"] == []


class TestWithoutScripts:
    def test_all_of_it_works(self, server):
        with Browser(scripts=False) as browser:
            browser.go(f"{root(server)}/sql")
            browser.find(".questions a").click()
            browser.wait(lambda b: "oldest_waits_s" in b.text("#sql-text") or "view=edit" in b.url, what="the question")
            browser.find("#sql button.primary").click()
            browser.wait(lambda b: b.has("#result h2") and "row" in b.text("#result h2"), what="the rows")
            browser.find("#result .tabs a:nth-child(2)").click()
            browser.wait(lambda b: b.has("#result figure"), what="the chart")
            browser.find("button[name=view]").click()
            browser.wait(lambda b: b.has("#result .plan"), what="the plan")
            browser.find("#sql-long").click()
            until(lambda: browser.url == f"{root(server)}/sql", 30, "the answer without an address")
            browser.wait(lambda b: b.has("#result h2") and "row" in b.text("#result h2"), what="the rows again")
            browser.picture(PICTURES / "sql-without-scripts.png")


class TestAccess:
    def test_roles_and_tenants_decide(self, new_server, tmp_path, browser):
        tokens = Tokens(tmp_path)
        admin = tokens.add("ops", "--role", "admin")
        reader = tokens.add("reader", "--role", "read", "--tenant", "acme", "--tenant", "beta")
        worker = tokens.add("worker", "--role", "work")
        grouped = tokens.add("grouped", "--role", "read", "--group", "mail")
        server = new_server("--tenancy", "--tokens-file", tokens.path)
        with Client(server.address, token=admin) as client:
            for tenant in ["acme", "beta", "other"]:
                client.enqueue("mail", 1, id=f"of-{tenant}", tenant=tenant)
        sql = link("SELECT tenant, id FROM jobs ORDER BY 1")
        for token in (worker, grouped):
            visitor = Visitor(server.operator)
            visitor.sign_in(token)
            assert visitor.get(sql).status == 403 and visitor.get(sql.replace("/sql", "/sql/export.csv")).status == 403
            assert 'href="/sql"' not in visitor.get("/help").text
        assert Visitor(server.operator).get(sql).location.startswith("/login?next=%2Fsql")
        visitor = Visitor(server.operator)
        visitor.sign_in(reader)
        for path in (sql, sql.replace("/sql", "/sql/export.csv")):
            text = visitor.get(path).text
            assert "of-acme" in text and "of-beta" in text and "of-other" not in text
        assert visitor.get(sql + "&tenant=other").status == 403
        browser.go(f"{root(server)}/sql")
        browser.find("#token").type(f"{reader}\n")
        browser.wait(lambda b: b.has("select[name=tenant]"), what="the page")
        choices = browser.run("return [...document.querySelectorAll('select[name=tenant] option')].map(o => o.value)")
        assert choices == ["", "acme", "beta"]
        browser.run("document.querySelector('select[name=tenant]').value = 'beta'")
        editor(browser).type("SELECT id FROM jobs" + CONTROL + ENTER + END)
        browser.wait(lambda b: cells(b) == [["of-beta"]] and "tenant=beta" in b.url, what="the tenant's rows")
        click(browser, "of-beta", "#result")
        browser.wait(lambda b: b.url.endswith("/job?id=of-beta&tenant=beta") and "mail" in b.text("main"), what="the job")


class TestControls:
    @pytest.mark.parametrize("path", ["/sql", link(GROUPS), link(GROUPS, view="chart"), link("SELECT $1"), link("oops")])
    def test_every_control_has_a_name(self, server, browser, path):
        browser.go(root(server) + path)
        browser.run("for (const folded of document.querySelectorAll('details')) folded.open = true")
        for control in browser.all("main a, main button, main input:not([type=hidden]), main select, main textarea, main summary"):
            if browser.run("return arguments[0].checkVisibility({ visibilityProperty: true })", {ELEMENT: control.id}):
                assert control.name, browser.run("return arguments[0].outerHTML", {ELEMENT: control.id})
        assert browser.run("return document.querySelectorAll('h1').length") == 1
        assert [line for line in browser.complaints() if line["source"] != "network"] == []

    def test_nothing_jumps_while_it_loads(self, server, browser):
        browser.go("about:blank")
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", source="""
            window.shifts = 0;
            new PerformanceObserver(list => { for (const entry of list.getEntries()) window.shifts += entry.value; })
              .observe({ type: "layout-shift", buffered: true });
        """)
        ask(browser, server, GROUPS)
        browser.wait(lambda b: b.run("return document.documentElement.classList.contains('scripts')"), what="the scripts")
        assert browser.run("return window.shifts") < 0.02
