"""What siloctl shows of things that others wrote: control characters, times that are none, MessagePack's own types, large numbers."""

import datetime
import json

import msgpack
import pytest

from support.client import Client, new_id
from support.generated import pb
from support.programs import run
from support.siloctl import runner

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
#: Colour, title and cursor codes, C1's one-byte CSI, DEL, overrides of the direction, line separators.
NASTY = "a\x1b[31mb\x1b]0;pwned\x07c\x9b2Jd\x7fe\u202ef\u2066g\u2028h\r\ni\x00"


def is_clean(text):
    return not any(
        ord(c) < 0x20 and c != "\n" or 0x7F <= ord(c) < 0xA0 or c in "\u061c\u200e\u200f\u2028\u2029"
        or 0x202A <= ord(c) <= 0x202E or 0x2066 <= ord(c) <= 0x2069 for c in text
    )


@pytest.fixture(scope="module")
def ctl(server):
    return runner(server.address)


class TestControlCharacters:
    def test_in_a_job(self, ctl, client):
        id = client.enqueue("g" + NASTY, id=new_id() + NASTY.replace("\x00", ""), metadata={"k" + NASTY: "v" + NASTY})
        arguments = [client.shard, id]
        for command in [["job", "get", *arguments, "--attempts"], ["job", "explain", *arguments]]:
            text = ctl(*command)
            assert is_clean(text) and r"a\u001b[31mb" in text and r"\u202e" in text and r"\u009b" in text
            as_json = ctl(*command, "--json")
            assert is_clean(as_json)
            assert json.loads(as_json)["id"] == id, "programs get the text itself"
        assert is_clean(ctl("job", "cancel", *arguments))

    def test_in_a_result(self, ctl, client):
        id = client.succeeded("g", {NASTY: NASTY})
        text = ctl("job", "result", client.shard, id, "-f", "msgpack")
        assert is_clean(text) and json.loads(text.splitlines()[-1]) == {NASTY: NASTY}

    def test_in_the_code_of_a_failure(self, ctl, client):
        id = client.enqueue("g")
        client.fail(client.lease_one(id), code=NASTY)
        text = ctl("job", "result", client.shard, id)
        assert is_clean(text) and r"Error Code: a\u001b[31mb" in text

    def test_in_a_pause(self, ctl, client):
        reason = NASTY.replace("\x00", "")
        client.pause(reason, task_group="g" + reason)
        text = ctl("pauses")
        assert is_clean(text) and r"\u001b]0;pwned\u0007" in text
        # What a cell takes on the screen is what it is padded for.
        heading, row = text.splitlines()[0], text.splitlines()[-1]
        assert heading.index("Reason") == row.rindex(r"a\u001b[31m")
        client.resume(task_group="g" + reason)

    def test_in_errors(self, ctl, client):
        error = ctl("job", "get", client.shard, "absent" + NASTY.replace("\x00", ""), code=1)
        assert is_clean(error) and error.count("\n") == 1
        mistake = ctl("enqueue", "g", "1", "--label", NASTY.replace("\x00", ""), code=2)
        assert is_clean(mistake)

    def test_other_languages_stay_as_they_are(self, ctl, client):
        id = client.enqueue("gruppe-ü-日本-🙂", metadata={"ключ": "שלום"})
        text = ctl("job", "get", client.shard, id)
        assert "gruppe-ü-日本-🙂" in text and "ключ: שלום" in text


class TestTimes:
    @pytest.mark.parametrize("start", [INT64_MAX, INT64_MAX - 1, 253_402_300_800_000])
    def test_what_is_no_time_is_never(self, ctl, client, start):
        id = client.enqueue("g", start_at_ms=start)
        text = ctl("job", "get", client.shard, id)
        assert "Next Attempt:   never\n" in text
        assert json.loads(ctl("job", "get", client.shard, id, "--json"))["next_attempt_starts_after_ms"] == start
        explanation = ctl("job", "explain", client.shard, id)
        assert "never" in explanation and "days" not in explanation.split("Job:")[1]

    def test_attempts_at_the_ends_of_time(self, ctl, client):
        id = new_id()
        [result] = client.import_jobs({"id": id, "attempts": [pb.ImportAttempt(
            status=pb.ATTEMPT_STATUS_FAILED, started_at_ms=INT64_MIN, finished_at_ms=INT64_MAX, error_code="E",
        )]})
        assert result.success
        assert "never" in ctl("job", "get", client.shard, id, "--attempts").splitlines()[-1]
        ctl("job", "explain", client.shard, id)


class TestMessagePack:
    def show(self, ctl, client, raw):
        id = client.enqueue("g")
        task = client.lease_one(id)
        client.call("ReportOutcome", shard=task.shard, task_id=task.id, success=pb.SerializedBytes(msgpack=raw))
        return ctl("job", "result", client.shard, id, "-f", "msgpack").splitlines()[-1]

    @pytest.mark.parametrize("seconds, nanoseconds, size, text", [
        (0, 0, 4, "1970-01-01T00:00:00Z"), (2**32 - 1, 0, 4, "2106-02-07T06:28:15Z"),
        (1_772_366_400, 123_000_000, 8, "2026-03-01T12:00:00.123Z"), (2**34 - 1, 999_999_999, 8, "2514-05-30T01:53:03.999999999Z"),
        (-1, 500_000_000, 12, "1969-12-31T23:59:59.5Z"), (-62_135_596_800, 0, 12, "0001-01-01T00:00:00Z"),
        (253_402_300_800, 0, 12, "+010000-01-01T00:00:00Z"),
    ])
    def test_dates_in_three_sizes(self, ctl, client, seconds, nanoseconds, size, text):
        raw = msgpack.packb({"at": msgpack.Timestamp(seconds, nanoseconds)})
        assert bytes([{4: 0xD6, 8: 0xD7, 12: 0xC7}[size]]) in raw
        assert json.loads(self.show(ctl, client, raw)) == {"at": text}
        if seconds < 2**34 and seconds > -62_135_596_801 and not nanoseconds:
            moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
            assert moment.isoformat() + "Z" == text

    def test_the_ends_of_dates(self, ctl, client):
        for seconds in [INT64_MAX, INT64_MIN]:
            raw = bytes([0xC7, 12, 0xFF, 0, 0, 0, 0]) + seconds.to_bytes(8, "big", signed=True)
            assert json.loads(self.show(ctl, client, raw)).endswith("Z")

    def test_what_only_looks_like_a_date_is_its_bytes(self, ctl, client):
        # A billion nanoseconds and more, and a length that no date has.
        assert json.loads(self.show(ctl, client, b"\xc7\x0c\xff" + b"\xff" * 12)) == "/" * 16
        assert json.loads(self.show(ctl, client, b"\xc7\x03\xff" + b"\x00" * 3)) == "AAAA"

    def test_undefined_as_javascript_writes_it(self, ctl, client):
        assert self.show(ctl, client, b"\xd4\x00\x00") == "undefined"
        assert json.loads(self.show(ctl, client, b"\x81\xa1a\xd4\x00\x00")) == {"a": None}


class TestNumbers:
    @pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30, -(10**30)])
    @pytest.mark.parametrize("form", ["{}", "[1, {}]", '{{"a": {{"b": {}}}}}'])
    def test_integers_that_would_become_others_are_refused(self, ctl, number, form):
        error = ctl("enqueue", "g", form.format(number), code=2)
        assert f"the whole number {number} does not lie between -2^63 and 2^64 - 1" in error

    def test_in_an_import_file(self, ctl, tmp_path):
        path = tmp_path / "jobs.json"
        path.write_text(json.dumps([{"id": "a", "task_group": "g", "payload": {"n": 2**64}}]))
        assert f"the whole number {2**64} does not lie" in ctl("job", "import", path, code=1)

    @pytest.mark.parametrize("value", [2**64 - 1, -(2**63), "18446744073709551616", {"18446744073709551616": "\\\"9" * 30}, 1.5e30])
    def test_what_fits_is_stored_as_it_is(self, ctl, client, value):
        id = json.loads(ctl("enqueue", "g", json.dumps(value), "--json"))["id"]
        assert msgpack.unpackb(client.job(id).payload.msgpack) == value

    def test_other_encodings_are_no_json(self, ctl):
        error = ctl("enqueue", "g", "-", code=2, stdin="1\x00")
        assert "not a JSON document" in error


class TestSecrets:
    @pytest.fixture(scope="class")
    def guarded(self, start_server, tmp_path_factory):
        return start_server("--shards", 1, extra={"SILO_AUTH_TOKEN": "s3cret"}, data="memory:")

    def ctl(self, address, *arguments, extra=None):
        return run("siloctl", "--address", address, "cluster", "info", *arguments, extra=extra)

    def test_the_secret_comes_from_a_file(self, guarded, tmp_path):
        path = tmp_path / "token"
        path.write_text("s3cret\n")
        assert self.ctl(guarded.address, "--auth-token-file", path).returncode == 0
        assert self.ctl(guarded.address, extra={"SILO_AUTH_TOKEN": "s3cret"}).returncode == 0
        path.write_text("wrong")
        refused = self.ctl(guarded.address, "--auth-token-file", path)
        assert refused.returncode == 1 and "--auth-token-file" in refused.stderr

    @pytest.mark.parametrize("content", ["", " \n", "two lines\nof text", "ü"])
    def test_a_file_without_one(self, guarded, tmp_path, content):
        path = tmp_path / "token"
        path.write_text(content)
        ended = self.ctl(guarded.address, "--auth-token-file", path)
        assert ended.returncode == 1 and f"{path} must hold the secret" in ended.stderr

    def test_mistakes(self, guarded, tmp_path):
        absent = tmp_path / "absent"
        error = self.ctl(guarded.address, "--auth-token-file", absent).stderr
        assert error == f"Error: --auth-token-file: cannot read {absent}: No such file or directory\n"
        both = self.ctl(guarded.address, "--auth-token", "a", "--auth-token-file", tmp_path / "absent")
        assert both.returncode == 2 and "exclude each other" in both.stderr

    def test_the_help_says_who_can_see_it(self):
        assert "ps" in next(line for line in run("siloctl", "--help").stdout.splitlines() if "--auth-token " in line)
