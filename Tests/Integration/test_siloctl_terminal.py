"""How siloctl shows things to people: colours, times, widths, payloads; and that its page of documentation is current."""

import datetime
import json
import re
import socket
import time

import pytest

from support.generated import pb
from support.programs import ROOT, run
from support.siloctl import Terminal, fields, pretty, runner
from support.waiting import milliseconds


@pytest.fixture(scope="module")
def ctl(server):
    return runner(server.address)


def at_terminal(server, *arguments, extra=None, code=0):
    terminal = Terminal("siloctl", "-a", server.address, *arguments, extra=extra)
    text = terminal.read().replace("\r\n", "\n")
    assert terminal.end() == code, text
    return text


class TestColours:
    def test_they_are_for_terminals(self, server, client, ctl):
        id = client.succeeded("g", 1)
        assert "\x1b[32msucceeded\x1b[0m" in at_terminal(server, "job", "get", client.shard, id)
        assert "\x1b" not in ctl("job", "get", client.shard, id)
        assert json.loads(at_terminal(server, "job", "get", client.shard, id, "--json"))["status"] == "succeeded"

    @pytest.mark.parametrize("extra", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}])
    def test_nor_for_all_of_these(self, server, client, extra):
        id = client.succeeded("g", 1)
        text = at_terminal(server, "job", "get", client.shard, id, extra=extra)
        assert "succeeded" in text and "\x1b" not in text

    def test_an_empty_no_color_is_none(self, server):
        assert "\x1b[1m" in at_terminal(server, "cluster", "info", extra={"NO_COLOR": ""})


class TestTimes:
    def show(self, ctl, client, start, *flags, **options):
        id = client.enqueue("g", start_at_ms=start)
        return fields(ctl("job", "get", client.shard, id, *flags, **options).splitlines())["Next Attempt"]

    def test_in_the_local_zone_with_the_distance(self, client, server):
        start = 4_102_444_800_500
        berlin = runner(server.address, extra={"TZ": "Europe/Berlin"})
        assert re.fullmatch(r"2100-01-01 01:00:00 CET, in \d+ days", self.show(berlin, client, start))
        assert self.show(berlin, client, start, "--iso") == "2100-01-01T01:00:00.500+01:00"
        assert re.fullmatch(r"2100-01-01 00:00:00 UTC, in \d+ days", self.show(berlin, client, start, "--utc"))
        assert self.show(berlin, client, start, "--utc", "--iso") == "2100-01-01T00:00:00.500Z"
        newfoundland = runner(server.address, extra={"TZ": "America/St_Johns"})
        assert self.show(newfoundland, client, start, "--iso") == "2099-12-31T20:30:00.500-03:30"

    def test_against_pythons(self, client, server):
        kolkata = runner(server.address, extra={"TZ": "Asia/Kolkata"})
        for start in [milliseconds() + 10**9, 253_402_300_799_000 - 86_400_000, 7_258_118_400_001]:
            zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
            expected = datetime.datetime.fromtimestamp(start / 1000, zone).isoformat(timespec="milliseconds")
            assert self.show(kolkata, client, start, "--iso") == expected

    def test_just_now_and_ago(self, ctl, client):
        id = client.enqueue("g")
        assert "just now" in ctl("job", "get", client.shard, id) or "ago" in ctl("job", "get", client.shard, id)
        [result] = client.import_jobs({"id": "long-ago", "enqueue_time_ms": milliseconds() - 7 * 3_600_000})
        assert result.success
        assert "7 h ago" in fields(ctl("job", "get", client.shard, "long-ago").splitlines())["Enqueued"]


class TestPayloads:
    def test_a_long_one_is_cut_with_a_hint(self, ctl, client):
        value = {"text": "日本" * 300}
        id = client.enqueue("g", payload=value)
        shown = fields(ctl("job", "get", client.shard, id).splitlines())["Payload"]
        assert shown.startswith('{"text":"日本日') and shown.endswith("…  (1.8 KiB; --payload shows it all)") and len(shown) < 260
        assert json.loads(ctl("job", "get", client.shard, id, "--payload").splitlines()[-1]) == value
        assert pretty(ctl("job", "get", client.shard, id, "--json"))["payload"] == value

    def test_one_that_does_not_fit_beside_the_rest(self, ctl, client):
        id = client.enqueue("g", payload="x" * (20 << 20), timeout=120)
        assert "--payload shows it all" in fields(ctl("job", "get", client.shard, id).splitlines())["Payload"]
        document = pretty(ctl("job", "get", client.shard, id, "--json"))
        assert document["payload_omitted"] is True and "payload" not in document
        assert json.loads(ctl("job", "get", client.shard, id, "--payload").splitlines()[-1]) == "x" * (20 << 20)

    def test_what_is_no_messagepack(self, ctl, client):
        id = client.enqueue("g", pb.SerializedBytes(msgpack=b"\xc1\xff"))
        assert fields(ctl("job", "get", client.shard, id).splitlines())["Payload"] == "c1ff"
        assert pretty(ctl("job", "get", client.shard, id, "--json"))["payload_base64"] == "wf8="

    def test_retries_and_limits(self, ctl, client):
        id = pretty(ctl(
            "enqueue", "g", "1", "--retries", "3", "--limit", "db=10", "--floating", "api=5/60s", "--rate", "mail/a=100/day", "--rate",
            "mail/b=7/1m", "--json"))["id"]
        text = ctl("job", "get", client.shard, id)
        assert fields(text.splitlines())["Retries"].startswith("3, after 1.0 s, 2 times as long each time, at most 60.0 s")
        lines = text.splitlines()
        assert lines[lines.index("Limits:") + 1:][:4] == [
            "  db: at most 10 at once", "  api: at most 5 at once, until workers set another maximum, every 60.0 s",
            "  mail/a: 100 each day", "  mail/b: 7 in 60.0 s",
        ]
        document = pretty(ctl("job", "get", client.shard, id, "--json"))
        assert document["retry_policy"]["retry_count"] == 3
        # What is shown can be imported.
        job = {"id": f"{id}-again", "task_group": "g", "limits": document["limits"], "retry_policy": document["retry_policy"]}
        ctl("job", "import", "-", stdin=json.dumps([job]))
        assert pretty(ctl("job", "get", client.shard, f"{id}-again", "--json"))["limits"] == document["limits"]


class TestResults:
    def test_json_at_a_terminal_and_in_a_pipe(self, server, client, ctl):
        id = client.succeeded("g", {"a": 1})
        assert at_terminal(server, "job", "result", client.shard, id).splitlines()[-1] == '{"a":1}'
        assert ctl("job", "result", client.shard, id).splitlines()[-1] == '{"a":1}'
        assert at_terminal(server, "job", "result", client.shard, id, "-f", "hex").splitlines()[-1] == "81a16101"

    def test_what_is_no_messagepack_is_shown_all_the_same(self, server, client, ctl):
        id = client.enqueue("g")
        task = client.lease_one(id)
        client.call("ReportOutcome", shard=task.shard, task_id=task.id, success=pb.SerializedBytes(msgpack=b"\xc1"))
        assert at_terminal(server, "job", "result", client.shard, id).splitlines()[-1] == "c1"
        assert ctl("job", "result", client.shard, id).splitlines()[-1] == "c1"


class TestTables:
    def test_columns_are_as_wide_as_they_look(self, ctl, client):
        client.pause("why", task_group="日本語")
        client.pause("because", task_group="plain")
        lines = ctl("pauses").splitlines()
        # Two columns for each letter of East Asia.
        columns = [sum(2 if "\u3000" < c else 1 for c in line[:line.rindex("  ")]) for line in lines]
        assert len(set(columns)) == 1, lines
        for group in ["日本語", "plain"]:
            client.resume(task_group=group)


class TestWaiting:
    def test_at_a_terminal_it_says_what_it_waits_for(self):
        # Takes connections and never says a word.
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            begun = time.monotonic()
            terminal = Terminal("siloctl", "-a", address, "cluster", "info")
            assert f"Waiting for {address} ..." in terminal.read(r"Waiting")
            assert 1 < time.monotonic() - begun < 30
            terminal.process.kill()
            terminal.end()

    def test_the_main_job_does_not_wait_long_for_a_server_that_is_not_there(self, tmp_path):
        (tmp_path / "file").touch()
        ended = run("checksum", "--address", "127.0.0.1:1", "--directory", tmp_path)
        assert ended.returncode == 1 and "no server answers at 127.0.0.1:1" in ended.stderr
        assert "no answer from 127.0.0.1:1 yet, trying for 10 s" in ended.stdout


class TestDocumentation:
    def test_the_page_is_what_the_program_says(self):
        page = (ROOT / "docs/siloctl.md").read_text()
        assert page == run("siloctl", "__reference").stdout, "run make docs"
        for name in ["tenant locate", "shard storage", "counts", "servers"]:
            assert f"## `siloctl {name}" in page
