"""`siloctl query`: statements from everywhere, rows in every form, and the prompt at a terminal of its own."""

import csv
import io
import json
import os
import re
import stat
import subprocess

import pytest

from support.client import Client
from support.generated import pb
from support.metrics import Page
from support.ports import fixed_address
from support.programs import ROOT, environment, program, run
from support.siloctl import Terminal, pretty, runner
from support.statements import TABLES
from support.waiting import until


@pytest.fixture(scope="module")
def shards(start_server):
    """A server of two shards with tenancy, on which two tenants have jobs."""
    server = start_server("--shards", 2, "--tenancy")
    with Client(server.address) as client:
        for tenant in ("acme", "beta"):
            for number in range(3):
                client.enqueue("mail", id=f"{tenant}-{number}", tenant=tenant, payload={"n": number, "word": "日本\n語"}, priority=number)
    return server


@pytest.fixture(scope="module")
def ctl(shards):
    return runner(shards.address)


@pytest.fixture
def home(tmp_path):
    """Where a person's files lie."""
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}


def rows(text):
    return list(csv.reader(io.StringIO(text, newline="")))


class TestStatements:
    def test_all_shards_or_one(self, ctl, shards):
        assert rows(ctl("query", "SELECT COUNT(*) AS n FROM jobs", "--csv")) == [["n"], ["6"]]
        each = rows(ctl("query", "SELECT shard_id, jobs FROM shards ORDER BY shard_id", "--csv"))[1:]
        assert len(each) == 2 and sum(int(jobs) for _, jobs in each) == 6
        for shard, jobs in each:
            asked = "SELECT COUNT(*) AS n FROM jobs"
            one = ctl("query", "--shard", shard, asked, "--csv")
            assert rows(one) == [["n"], [jobs]] and ctl("query", shard, asked, "--csv") == one
            assert ctl("query", shard, "--csv", stdin=asked) == one

    def test_from_a_file_and_from_the_standard_input(self, ctl, tmp_path):
        statement = "SELECT id -- the first\nFROM jobs ORDER BY id LIMIT 1;\n"
        (tmp_path / "q.sql").write_text(statement)
        for arguments, stdin in [(["-f", tmp_path / "q.sql"], None), (["-f", "-"], statement), (["-"], statement), ([], statement)]:
            assert rows(ctl("query", "--csv", *arguments, stdin=stdin)) == [["id"], ["acme-0"]]

    def test_of_one_tenant(self, ctl):
        assert rows(ctl("query", "SELECT COUNT(*) AS n FROM jobs", "--csv", "--tenant", "beta"))[1] == ["3"]

    def test_with_parameters(self, ctl):
        text = ctl(
            "query", "SELECT id FROM jobs WHERE tenant = $1 AND priority >= $2 ORDER BY id", "-p", "acme", "-p", "1", "--jsonl")
        assert [json.loads(line) for line in text.splitlines()] == [{"id": "acme-1"}, {"id": "acme-2"}]
        typed = "SELECT $1 AS a, $2 AS b, $3 AS c, $4 AS d, $5 AS e, $6 AS f"
        values = ["text:4711", "4711", "1.5", "true", "null", "float:2"]
        [row] = [json.loads(line) for line in ctl("query", typed, "--jsonl", *(w for v in values for w in ("-p", v))).splitlines()]
        assert row == {"a": "4711", "b": 4711, "c": 1.5, "d": True, "e": None, "f": 2.0}
        assert "behind the colon stands a whole number" in ctl("query", typed, "-p", "int:x", code=2)
        for statement, hint in [("SELECT 1 -- $1", "it has no $1"), ("SELECT $1, '$2' AS a", "the last is $1")]:
            error = ctl("query", statement, "-p", "1", "-p", "2", code=2)
            assert "--param is given 2 times" in error and hint in error

    def test_a_tenant_where_there_are_none_is_refused(self, new_server, home, tmp_path):
        with Client(new_server("--shards", 1).address) as client:
            ctl = runner(client.cluster().this_grpc_addr)
            for more in [[], ["--arrow", tmp_path / "x"], ["--shard", client.shard]]:
                assert "the servers have tenancy off" in ctl("query", "SELECT 1", "-t", "acme", *more, code=1)
            assert not (tmp_path / "x").exists()
            assert "leave --tenant out" in ctl("counts", "-t", "acme", code=2)
            assert client.cluster().tenancy is False
            prompt = Prompt(client.cluster().this_grpc_addr, home)
            assert "the servers have tenancy off" in prompt.run("\\tenant acme")
            assert "1 row(s) returned" in prompt.run("SELECT 1 AS a;") and "No tenant is named" in prompt.run("\\tenant")
            prompt.leave()

    @pytest.mark.parametrize("arguments, stdin, code, words", [
        (["SELECT 1", "--file", "x"], None, 2, "exclude each other"), (["--csv", "--json", "SELECT 1"], None, 2, "--csv and --json exclude"),
        ([], "", 2, "a statement is needed"), (["-f", "/nowhere"], None, 1, "--file: cannot read /nowhere: No such file"),
        (["SELECT 1", "--arrow", "x", "--csv"], None, 2, "--arrow and --csv exclude each other"),
        (["SELECT 1", "--arrow", "x", "-x"], None, 2, "--arrow and --expanded exclude each other"),
        (["--saved", "nonsense"], None, 1, "no statement is saved as nonsense; there is backlog"),
        (["--shard", "x", "99999999-9999-9999-9999-999999999999", "SELECT 1"], None, 2, "<shard> and --shard exclude"),
        (["--shard", "99999999-9999-9999-9999-999999999999", "SELECT 1"], None, 1, "not found in cluster"),
        pytest.param(["-"], "x" * (2 << 20), 1, "the statement is larger than 1 MiB", id="large"),
    ])
    def test_mistakes(self, ctl, arguments, stdin, code, words):
        assert words in ctl("query", *arguments, stdin=stdin, code=code)


class TestForms:
    ODD = ["a,b", 'say "x"', "two\r\nlines", "", " blanks ", "日本語", "NULL", "'", ";"]

    def test_csv_is_what_python_reads(self, shards):
        columns = ", ".join(f"${n + 1} AS c{n}" for n in range(len(self.ODD)))
        statement = f"SELECT {columns}, NULL AS nothing, x'00ff' AS b, 1 = 1 AS t, 0.5 AS r"
        parameters = [word for value in self.ODD for word in ("-p", f"text:{value}")]
        # As bytes: Python would read CR LF as LF.
        text = subprocess.run(
            [program("siloctl"), "-a", shards.address, "query", statement, "--csv", *parameters], env=environment(), check=True,
            stdout=subprocess.PIPE).stdout.decode()
        assert text.endswith("\r\n")
        assert rows(text) == [[f"c{n}" for n in range(len(self.ODD))] + ["nothing", "b", "t", "r"], self.ODD + ["", "00ff", "true", "0.5"]]
        # NULL and an empty text differ.
        assert ',"",' in text and ",,00ff," in text

    def test_json_is_an_object_and_jsonl_a_row_a_line(self, ctl):
        statement = "SELECT id, priority, NULL AS x FROM jobs WHERE tenant = 'acme' ORDER BY id"
        document = pretty(ctl("query", statement, "--json"))
        assert document["row_count"] == 3 and document["columns"][1] == {"name": "priority", "data_type": "UInt8"}
        assert document["rows"][2] == {"id": "acme-2", "priority": 2, "x": None}
        assert [json.loads(line) for line in ctl("query", statement, "--jsonl").splitlines()] == document["rows"]

    def test_columns_of_one_name_keep_their_values(self, ctl):
        join = "SELECT * FROM (SELECT 1 AS a) x CROSS JOIN (SELECT 2 AS a) y"
        assert rows(ctl("query", join, "--csv")) == [["a", "a"], ["1", "2"]]

    def test_a_table(self, ctl):
        text = ctl("query", "SELECT 'x' AS name, 41 + 1 AS n, NULL AS none, 'NULL' AS word, x'0aff' AS b, 'a' || char_length('bc') AS t")
        assert text.splitlines() == [
            "name |  n | none | word   | b       | t", "-----+----+------+--------+---------+---",
            "x    | 42 | NULL | 'NULL' | x'0aff' | a2", "", "1 row(s) returned",
        ]

    def test_wide_letters_take_two_columns(self, ctl):
        lines = ctl("query", "SELECT '日本語' AS a, 'x' AS b UNION ALL SELECT 'abc', 'y'").splitlines()
        assert sorted(lines[2:4]) == ["abc    | y", "日本語 | x"]

    def test_below_each_other_with_all_lines(self, ctl):
        text = ctl("query", "SELECT 7 AS n, $1 AS text", "-p", "one\ntwo\x1b", "-x")
        assert text.splitlines()[:4] == ["-[ 1 ]-----", "n    | 7", "text | one", "     | two\\u001b"]

    def test_it_fits_the_terminal(self, shards):
        def at(columns, *words):
            terminal = Terminal("siloctl", "-a", shards.address, "query", *words, extra={"TERM": "dumb"}, columns=columns)
            text = terminal.read().replace("\r\n", "\n")
            assert terminal.end() == 0
            return text.splitlines()

        lines = at(40, "SELECT id, payload, priority FROM jobs WHERE tenant = 'acme' ORDER BY id")
        assert max(map(width, lines)) <= 40 and "…" in lines[2] and lines[2].endswith("|        0")
        assert at(60, "SELECT * FROM jobs WHERE id = 'acme-0'")[0] == "-[ 1 ]-----"


class TestErrors:
    @pytest.mark.parametrize("statement, marked", [
        ("SELECT id\nFROM jobs WHERE", "line 2: FROM jobs WHERE\n" + " " * len("line 2: FROM jobs WHERE") + "^"),
        ("SELECT FROM jobs", "line 1: SELECT FROM jobs\n               ^"),
    ])
    def test_the_place_is_shown(self, ctl, statement, marked):
        assert marked in ctl("query", statement, code=1)

    def test_the_name_that_was_meant(self, ctl):
        error = ctl("query", "SELECT id FROM jbos", code=1)
        assert "did you mean jobs?" in error and "line 1: SELECT id FROM jbos\n                       ^" in error
        assert "did you mean count?" in ctl("query", "SELECT cuont(id) FROM jobs", code=1)
        error = ctl("query", 'SELECT id FROM jobs WHERE status_kind = "Wait ing"', code=1)
        assert "did you mean the text 'Wait ing'? Texts stand in single quotes\n" in error and error.count("did you mean") == 1
        assert error.splitlines()[2] == " " * len("line 1: SELECT id FROM jobs WHERE status_kind = ") + "^"

    @pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
    def test_a_word_that_is_no_status_is_told_of(self, shards, form):
        ended = run("siloctl", "-a", shards.address, "query", "SELECT id FROM jobs WHERE status_kind IN ('Wating', 'Running')", *form)
        assert ended.returncode == 0 and "Wating" not in ended.stdout
        assert ended.stderr == (
            "Note: no job has the status 'Wating'; there are Waiting, Scheduled, Running, Succeeded, Failed, Cancelled\n")


class TestSaved:
    def test_who_gives_no_statement_is_told_of_them(self, shards):
        assert "siloctl query --saved backlog" in run("siloctl", "query", "--help").stdout
        # At a terminal for what is typed, and none for what is shown.
        words = [program("siloctl"), "-a", shards.address, "query"]
        terminal = Terminal("/bin/sh", "-c", '"$@" | cat', "sh", *words)
        text = terminal.read()
        assert "a statement is needed: as <sql>, by --file or --saved, or on the standard input" in text, text
        terminal.end()

    def test_those_built_in_are_answered(self, ctl, home):
        listed = ctl("query", "--saved", "x", code=1).strip().removesuffix(".").split("there is ")[1].split(", ")
        assert {"backlog", "failures", "tenants", "holders"} <= set(listed)
        for name in listed:
            ctl("query", "--saved", name, *(["-p", "gate"] if name == "holders" else []), "--csv")
        [heading, *both] = rows(ctl("query", "--saved", "tenants", "--csv"))
        assert sorted(both) == [["acme", "3"], ["beta", "3"]] and heading == ["tenant", "waiting"]

    def test_who_holds_a_key(self, server, client):
        id = client.enqueue("held", limits=[pb.Limit(concurrency=pb.ConcurrencyLimit(key="gate", max_concurrency=1))])

        def holder():
            [line] = runner(server.address)("query", "--saved", "holders", "-p", "gate", "--jsonl").splitlines()
            return json.loads(line)

        # It has the slot before a worker has it.
        assert (holder()["job_id"], holder()["worker_id"]) == (f"{id}:1", None)
        client.take("held")
        assert holder()["job_id"] == id and holder()["worker_id"]

    def test_a_file_that_is_wrong_is_said(self, shards, home):
        folder = os.path.join(home["XDG_CONFIG_HOME"], "silo")
        os.makedirs(folder)
        with open(os.path.join(folder, "queries.sql"), "w") as file:
            file.write("-- mine\nSELECT 1;\n")
        assert "queries.sql:2: a statement needs its name above it" in runner(shards.address, extra=home)("query", "--saved", "x", code=1)


def width(line):
    return sum(2 if "\u3000" < c < "\uff00" else 1 for c in line)


class Prompt:
    """Types at the prompt, and reads what came of it."""

    def __init__(self, address, home, *options):
        self.terminal = Terminal(
            "siloctl", "-a", address, "query", *options, extra=home | {"LC_ALL": "C.UTF-8"}, controls=True, columns=200)
        self.seen = 0
        self.wait(r"> $")

    @property
    def text(self):
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]|\r", "", self.terminal.text)

    def wait(self, pattern):
        """What is new, once the pattern is in it; a program that goes on writing something else is not waited for for ever."""
        while not re.search(pattern, self.text[self.seen:]):
            before = len(self.terminal.text)
            self.terminal.read(re.compile(f"(?s).{{{before + 1}}}"), patience=20)
            assert len(self.terminal.text) > before and len(self.text) < self.seen + 60_000, self.text[self.seen:][-4000:]
        new = self.text[self.seen:]
        self.seen = len(self.text)
        return new

    def type(self, text, until=r"\n[^\n]*silo[^\n]*> $"):
        self.terminal.write(text)
        return self.wait(until)

    def run(self, line, until=r"\n[^\n]*silo[^\n]*> $"):
        return self.type(line + "\n", until)

    def leave(self):
        self.terminal.write("\\q\n")
        self.terminal.read()
        assert self.terminal.end() == 0


@pytest.fixture
def prompt(shards, home):
    prompt = Prompt(shards.address, home)
    yield prompt
    if prompt.terminal.process.poll() is None:
        prompt.leave()


class TestPrompt:
    def test_statements_over_several_lines(self, prompt):
        assert "  -> " in prompt.run("SELECT COUNT(*) AS jobs", r"-> $")
        assert re.search(r"jobs\n----\n +6\n\n1 row\(s\) returned", prompt.run("FROM jobs; -- all"))
        text = prompt.run("SELECT 1 AS a; SELECT 'x;y' AS b;")
        assert "x;y" in text and text.count("1 row(s) returned") == 2
        assert "'> " in prompt.run("SELECT 'a", r"'> $")
        assert "a\\nb" in prompt.run("b' AS t;")

    def test_what_is_shown_of_tables(self, prompt):
        assert re.search(r"leases +attempts that run", prompt.run("\\d"))
        assert re.search(r"enqueue_time_ms +Int64", prompt.run("\\d jobs")) and "metadata" in prompt.text
        assert "did you mean jobs?" in prompt.run("\\d jbos")

    def test_switches(self, prompt):
        assert "Time: " not in prompt.run("SELECT 1 AS a;")
        prompt.run("\\timing")
        assert re.search(r"Time: \d+ ms", prompt.run("SELECT 1 AS a;"))
        prompt.run("\\x on")
        assert "-[ 1 ]-" in prompt.run("SELECT 1 AS a;")
        prompt.run("\\x off")
        prompt.run("\\format csv")
        assert "a,b\n1,2\n" in prompt.run("SELECT 1 AS a, 2 AS b;")
        prompt.run("\\format json")
        assert '"row_count" : 1' in prompt.run("SELECT 1 AS a;")
        assert "there is no format xml: table, csv, json, jsonl" in prompt.run("\\format xml")

    def test_whose_rows_and_where(self, prompt, ctl):
        prompt.run("\\tenant acme")
        assert "silo[acme]> " in prompt.text and re.search(r"n\n-\n3", prompt.run("SELECT COUNT(*) AS n FROM jobs;"))
        prompt.run("\\tenant")
        [shard, jobs] = rows(ctl("query", "SELECT shard_id, jobs FROM shards LIMIT 1", "--csv"))[1]
        prompt.run(f"\\shard {shard}")
        assert re.search(rf"n\n-\n{jobs}", prompt.run("SELECT COUNT(*) AS n FROM jobs;"))
        assert "not found in cluster" in prompt.run("\\shard 99999999-9999-9999-9999-999999999999")
        prompt.run("\\shard all")
        assert re.search(r"n\n-\n6", prompt.run("SELECT COUNT(*) AS n FROM jobs;"))

    def test_into_a_file(self, prompt, tmp_path):
        prompt.run("\\format csv")
        prompt.run(f"\\o {tmp_path}/out.csv")
        assert "1 row written to" in prompt.run("SELECT 'é' AS a;")
        prompt.run("\\o")
        assert (tmp_path / "out.csv").read_bytes() == "a\r\né\r\n".encode()
        assert f"cannot write {tmp_path}/none/x: No such file or directory" in prompt.run(f"\\o {tmp_path}/none/x")
        assert "Is a directory" in prompt.run(f"\\o {tmp_path}")

    def test_saving_and_running(self, prompt, shards, home):
        assert "no statement yet" in prompt.run("\\save early")
        prompt.run("SELECT id FROM jobs WHERE tenant = 'acme' AND priority = 1;")
        path = os.path.join(home["XDG_CONFIG_HOME"], "silo/queries.sql")
        assert f"Saved as mine in {path}" in prompt.run("\\save mine")
        prompt.run("SELECT $1 AS a, $2 AS b \\save two")
        assert "acme-1" in prompt.run("\\run mine")
        assert re.search(r"x y \| 5", prompt.run("\\run two 'x y' 5"))
        listed = prompt.run("\\saved")
        assert re.search(r"mine +own", listed) and re.search(r"backlog +built in +jobs that", listed)
        assert "no statement is saved as none" in prompt.run("\\run none")
        assert "a name has 1 to 64 letters" in prompt.run("\\save a/b")
        with open(path) as file:
            assert file.read() == (
                "-- name: mine\nSELECT id FROM jobs WHERE tenant = 'acme' AND priority = 1;\n\n-- name: two\nSELECT $1 AS a, $2 AS b;\n")
        ctl = runner(shards.address, extra=home)
        assert ctl("query", "--saved", "mine", "--csv") == "id\nacme-1\n"

    def test_mistakes_are_said_and_it_goes_on(self, prompt):
        assert "there is no \\foramt; did you mean \\format? \\? lists what there is" in prompt.run("\\foramt csv")
        assert "it is written \\run name" in prompt.run("\\run")
        assert "\\watch takes seconds from 0.1" in prompt.run("SELECT 1 \\watch x")
        assert "did you mean jobs?\nline 1: SELECT 1 FROM jbos\n                      ^\n" in prompt.run("SELECT 1 FROM jbos;")
        assert "1 row(s)" in prompt.run("SELECT 1 AS a;")
        assert "\\timing" in prompt.run("\\?")

    def test_watching_ends_with_ctrl_c(self, prompt):
        prompt.run("SELECT COUNT(*) AS n FROM jobs;")
        prompt.terminal.write("\\watch 0.1\n")
        for _ in range(3):
            prompt.wait(r"Every 0.1 s: [^\n]+\n(?s:.)*1 row\(s\) returned\n")
        assert "Cancelled" not in prompt.type("\x03")
        assert "1 row(s)" in prompt.run("SELECT 1 AS a;")

    def test_ctrl_c_is_heard_wherever_watching_stands(self, prompt):
        prompt.run("SELECT 1 AS a;")
        for moment in range(60):
            prompt.terminal.write("\\watch 0.1\n")
            prompt.wait(r"Every 0.1 s: [^\n]+\n" if moment % 2 else r"1 row\(s\) returned\n")
            prompt.type("\x03")

    def test_ctrl_c_ends_a_watch_whose_server_is_gone(self, new_server, home):
        server = new_server("--shards", 1)
        prompt = Prompt(server.address, home)
        prompt.run("SELECT 1 AS a;")
        prompt.terminal.write("\\watch 0.1\n")
        prompt.wait(r"1 row\(s\) returned\n")
        server.stop()
        prompt.wait(r"Error: UNAVAILABLE")
        prompt.type("\x03")
        prompt.leave()

    def test_ctrl_c_ends_the_statement_alone(self, shards, home):
        def running():
            return Page.of(shards).sum("silo_query_inflight")

        def ended():
            return Page.of(shards).sum("silo_query_duration_seconds_count")

        before = ended()
        prompt = Prompt(shards.address, home)
        # What it asks by itself when it begins would be taken for the statement.
        until(lambda: ended() - before >= len(TABLES) and running() == 0, what="the columns of all tables to be known")
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) AS endless FROM n;"
        prompt.terminal.write(numbers + "\n")
        # Before it runs the key would be one at the line; a second one has the terminal drop what was written.
        until(lambda: running() > 0, what="the statement to run")
        assert "Cancelled\n" in prompt.type("\x03")
        until(lambda: running() == 0, what="the server to hear of it")
        assert "1 row(s)" in prompt.run("SELECT 1 AS a;")
        prompt.leave()

    def test_ctrl_c_forgets_what_is_typed(self, prompt):
        prompt.run("SELECT nonsense", r"-> $")
        assert "^C" in prompt.type("FROM\x03")
        assert "1 row(s)" in prompt.run("SELECT 1 AS a;")

    @pytest.mark.parametrize("word", ["quit", "exit;", " Quit ", ".quit", "\\q"])
    def test_words_that_end_it(self, prompt, word):
        prompt.terminal.write(f"{word}\n")
        prompt.terminal.read()
        assert prompt.terminal.end() == 0

    def test_words_of_other_prompts(self, prompt):
        assert "\\timing" in prompt.run("help") and "\\timing" in prompt.run(".help")
        for word in [".tables", "show tables;", ".schema"]:
            assert re.search(r"leases +attempts that run", prompt.run(word)), word
        for word in [".schema jobs", "describe jobs;", "DESC jobs"]:
            assert re.search(r"enqueue_time_ms +Int64", prompt.run(word)), word
        prompt.run(".mode csv")
        assert "a,b\n1,2\n" in prompt.run("SELECT 1 AS a, 2 AS b;")
        assert "there is no \\.nonsense; \\? lists what there is" in prompt.run(".nonsense")
        prompt.run("SELECT 1 AS a", r"-> $")
        assert "Ctrl-C forgets the statement that is begun; \\q then leaves" in prompt.run("quit", r"-> $")
        prompt.type("\x03")

    def test_ctrl_d_ends_it(self, prompt):
        prompt.terminal.write("\x04")
        prompt.terminal.read()
        assert prompt.terminal.end() == 0

    def test_history(self, prompt, shards, home):
        prompt.run("SELECT 'first'", r"-> $")
        prompt.run("  AS a; -- words")
        prompt.leave()
        path = os.path.join(home["XDG_STATE_HOME"], "silo/query_history")
        with open(path) as file:
            assert file.read() == "SELECT 'first' AS a;\n\\\\q\n"
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        with open(path, "a") as file:
            file.write("".join(f"SELECT {n};\n" for n in range(1500)) + "SELECT 'a\\nb' AS two;\n")
        again = Prompt(shards.address, home)
        assert "a\\nb" in again.run("\x1b[A")
        assert "1498" in again.run("\x12SELECT 1498\r", r"1498\n(?s:.)*> $")
        again.leave()
        with open(path) as file:
            assert 1000 <= len(file.readlines()) <= 1003

    def test_a_history_that_cannot_be_kept(self, shards, home):
        home["XDG_STATE_HOME"] = "/proc/nowhere"
        prompt = Prompt(shards.address, home)
        assert "is not kept: cannot write /proc/nowhere" in prompt.run("SELECT 1 AS a;")
        assert "not kept" not in prompt.run("SELECT 2 AS a;")
        prompt.leave()

    def test_a_server_that_goes_and_comes_back(self, new_server, home):
        server = new_server("--shards", 1, listen=fixed_address())
        prompt = Prompt(server.address, home)
        assert "1 row(s)" in prompt.run("SELECT 1 AS a;")
        server.stop()
        assert "Error: UNAVAILABLE" in prompt.run("SELECT 2 AS a;")
        server.start()
        until(lambda: "1 row(s)" in prompt.run("SELECT 3 AS a;"))
        prompt.leave()


class TestTab:
    def knows_columns(self, prompt):
        found = "range_end" in prompt.type("SELECT shards.range_e\t", r"range_end|\x07")
        prompt.type("\x03")
        return found

    @pytest.mark.parametrize("typed, becomes", [
        ("sel\t1 AS a;", "select 1 AS a;"), ("SEL\t1 AS a;", "SELECT 1 AS a;"), ("SELECT COUNT(*) AS n FROM att\t;", "FROM attempts;"),
        ("SELECT COUNT(*) AS n FROM att\tLIMIT 1;", "FROM attempts LIMIT 1;"), ("SELECT 1 AS a FROM jobs JOIN shar\tON 1 = 1;", "JOIN shards ON 1 = 1;"),
        ("SELECT j.enq\t FROM jobs j;", "SELECT j.enqueue_time_ms FROM jobs j;"), ("SELECT x.range_e\t FROM shards x;", "SELECT x.range_end FROM shards x;"),
        ("SELECT worker_i\t FROM leases;", "SELECT worker_id FROM leases;"),
        ("SELECT group_c\tid) FROM jobs;", "SELECT group_concat(id) FROM jobs;"),
        ("WITH mine AS (SELECT 1 AS a) SELECT a FROM mi\t;", "FROM mine;"),
        ("SELECT l.job_id FROM jobs j JOIN leases l ON l.job_id = j.i\t;", "ON l.job_id = j.id;"),
        ("\\form\tcsv", "\\format csv"), ("\\d ten\t", "\\d tenant_counts"), ("\\run back\t", "\\run backlog"),
    ])
    def test_it_writes_what_is_meant(self, prompt, home, typed, becomes):
        # The columns are learnt while one begins to type.
        until(lambda: self.knows_columns(prompt))
        assert "Error" not in prompt.run(typed)
        prompt.leave()
        with open(os.path.join(home["XDG_STATE_HOME"], "silo/query_history")) as file:
            assert file.read().replace("\\\\", "\\").splitlines()[-2].endswith(becomes)

    def test_several_are_listed(self, prompt):
        assert re.search(r"queue_counts +queues", prompt.type("SELECT * FROM qu\t\t", r"queues"))
        prompt.type("\x03")

    def test_every_word_is_one_that_the_server_knows(self, ctl, shards):
        source = (ROOT / "Sources/SQLText/SQLWords.swift").read_text()
        names = re.search(r'functions = words\(\s*"""(.*?)"""', source, re.DOTALL).group(1).split()
        assert len(names) > 50
        for name in names:
            # Some take so many arguments, and most do not.
            told = run("siloctl", "--address", f"http://{shards.address}", "query", f"SELECT {name}(1, 2, 3, 4, 5, 6, 7)")
            assert "there is no function" not in told.stdout + told.stderr, name
        schema = (ROOT / "Sources/SQLText/SQLTable.swift").read_text()
        tables = set(re.findall(r'Table\(name: "(\w+)"', schema))
        documented = re.findall(r"^### `(\w+)`$", (ROOT / "docs/querying.md").read_text(), re.MULTILINE)
        assert tables == set(documented) and "jobs" in tables
        for table in tables:
            ctl("query", f"SELECT * FROM {table} LIMIT 0")
