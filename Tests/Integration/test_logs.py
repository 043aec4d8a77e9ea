"""The log: its lines, which of them are written, the file that they go to, and a disk that is full."""

import json
import os
import re
import signal
import subprocess

import grpc
import pytest
from support.client import INVALID_ARGUMENT, Client, packed, refused
from support.generated import pb
from support.programs import PATIENCE, Server, environment, program, run
from support.waiting import until

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = ("traceparent", f"00-{TRACE}-{SPAN}-01")


def raw(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def set_filter(client, filter=None):
    return client.stub.SetLogFilter(pb.SetLogFilterRequest(filter=filter))


def fail(client, **options):
    """A call that is refused, of which a debug line tells."""
    with pytest.raises(grpc.RpcError):
        client.stub.GetJob(pb.GetJobRequest(shard=client.shard, id="nobody"), **options)


def test_a_line_of_a_call_says_which_call_and_which_span(new_server):
    server = new_server("--shards", 1, extra={"SILO_LOG": "info,calls=debug"})
    with Client(server.address) as client:
        fail(client, metadata=[TRACEPARENT])
    (line,) = until(lambda: [line for line in raw(server.log_path) if line["target"] == "calls"])
    assert (line["level"], line["trace_id"], line["span_id"]) == ("DEBUG", TRACE, SPAN)
    assert line["span"] == {"name": "grpc_request", "rpc.method": "GetJob"} and line["spans"] == [line["span"]]
    assert line["fields"]["message"] == "call failed" and line["fields"]["code"] == "NOT_FOUND"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["timestamp"])
    (other,) = [line for line in raw(server.log_path) if line["fields"]["message"] == "server started"]
    assert "trace_id" not in other and "span" not in other


def test_which_lines_are_written_is_changed_while_it_runs(new_server):
    server = new_server("--shards", 1)
    with Client(server.address) as client:
        assert set_filter(client).filter == "info"
        fail(client)
        answer = set_filter(client, "warn,calls=debug")
        assert (answer.before, answer.filter) == ("info", "warn,calls=debug")
        fail(client)
        until(lambda: [line for line in server.log() if line["target"] == "calls"])
        assert len([line for line in server.log() if line["target"] == "calls"]) == 1
        for bad in ("loud", "calls=loud", "nothing=info", "=", "x" * 2000):
            with refused(INVALID_ARGUMENT, containing="filter"):
                set_filter(client, bad)
        assert set_filter(client, "").filter == "info"
        assert set_filter(client).filter == "info"


def test_a_crowd_of_failures_is_a_few_lines_and_a_count(new_server):
    server = new_server("--shards", 1, extra={"SILO_LOG": "info,calls=debug"})
    with Client(server.address) as client:
        for _ in range(200):
            fail(client)
    (rest,) = until(lambda: [line for line in server.log() if line["message"] == "lines left out"])
    assert len([line for line in server.log() if line["message"] == "call failed"]) + rest["count"] == 200


def test_an_operator_shows_and_changes_it_with_siloctl(new_server):
    server = new_server("--shards", 1)

    def level(*words):
        return run("siloctl", "-a", f"http://{server.address}", "log-level", *words)

    assert level().stdout == "info\n"
    assert level("--set", "warn,calls=debug").stdout == "warn,calls=debug (before: info)\n"
    assert json.loads(level("--json").stdout) == {"filter": "warn,calls=debug", "before": "warn,calls=debug"}
    wrong = level("--set", "loud")
    assert wrong.returncode == 1 and "loud is no level of the log" in wrong.stderr
    assert level("--set", "default").stdout == "info (before: warn,calls=debug)\n"


# Text


def text_of(server_folder, extra, flags=(), terminal=False):
    """What a server in text writes until it serves."""
    server = Server(server_folder, "--shards", 1)
    arguments = [program("silo"), "--listen", "127.0.0.1:0", "--data", server.data, *flags]
    reader, writer = os.openpty() if terminal else os.pipe()
    process = subprocess.Popen(arguments, stdout=writer, stderr=writer, env=environment(extra))
    os.close(writer)
    text = b""
    try:
        while b"server started" not in text:
            text += os.read(reader, 65536)
    finally:
        process.terminate()
        process.wait(PATIENCE)
        os.close(reader)
    return text.decode()


@pytest.mark.parametrize("terminal, extra, coloured", [
    (True, {}, True), (True, {"NO_COLOR": ""}, True), (True, {"NO_COLOR": "1"}, False), (False, {}, False),
])
def test_colours_are_for_terminals_and_those_who_want_them(tmp_path, terminal, extra, coloured):
    text = text_of(tmp_path, extra, terminal=terminal)
    assert ("\x1b[" in text) == coloured
    if coloured:
        assert "\x1b[32mINFO\x1b[0m" in text
    else:
        assert re.search(r"Z INFO silo: server started grpc=127\.0\.0\.1:\d+ ", text)


# A file


def lines_of(path):
    return [line["fields"]["message"] for line in raw(path)] if path.exists() else []


@pytest.fixture
def logged(tmp_path):
    """A server that logs into a file."""
    path = tmp_path / "silo.log"
    server = Server(tmp_path / "silo", "--shards", 1, "--log-file", path)
    server.spawn()
    started = until(lambda: [line for line in raw(path) if line["fields"]["message"] == "server started"] if path.exists() else [])
    server.address = started[0]["fields"]["grpc"]
    server.file = path
    yield server
    server.close()


def test_a_file_that_was_moved_away_is_opened_anew(logged):
    assert logged.log_path.read_text() == "" and logged.file.stat().st_mode & 0o077 == 0
    old = logged.file.rename(logged.file.with_suffix(".1"))
    with Client(logged.address) as client:
        set_filter(client, "debug")
        until(lambda: "log filter changed" in lines_of(old))
        logged.process.send_signal(signal.SIGHUP)
        until(lambda: "settings were read anew" in lines_of(logged.file))
        # A level that was changed by hand is as configured again.
        assert set_filter(client).filter == "info"
    assert logged.stop() == 0
    assert lines_of(logged.file)[-1] == "server stopped" and "server stopped" not in lines_of(old)


def test_a_file_that_cannot_be_opened_anew_leaves_the_old_one_in_force(logged):
    folder = logged.file.parent
    old = logged.file.rename(folder / "old.log")
    logged.file.mkdir()
    logged.process.send_signal(signal.SIGHUP)
    (line,) = until(lambda: [line for line in raw(old) if line["fields"]["message"] == "the log goes on in the old file"])
    assert line["level"] == "ERROR" and "Is a directory" in line["fields"]["error"]
    assert logged.stop() == 0 and lines_of(old)[-1] == "server stopped"


def test_a_file_that_cannot_be_opened_keeps_the_server_from_starting(tmp_path):
    server = Server(tmp_path, "--log-file", tmp_path / "missing" / "silo.log")
    server.spawn()
    assert server.process.wait(PATIENCE) == 1
    assert "--log-file: cannot write " in "\n".join(server.errors())


# A disk that is full


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB for a log."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "silo-test", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_loses_lines_and_nothing_else(small_disk, tmp_path):
    path = small_disk / "silo.log"
    server = Server(tmp_path / "silo", "--shards", 1, "--log-file", path, extra={"SILO_LOG": "info"})
    server.spawn()
    try:
        until(lambda: "server started" in lines_of(path))
        server.address = next(line["fields"]["grpc"] for line in raw(path) if line["fields"]["message"] == "server started")
        filler = small_disk / "filler"
        with open(filler, "wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(b"x" * 512)
        with Client(server.address) as client:
            for number in range(500):
                # Each writes a line, and none has room.
                set_filter(client, "info" if number % 2 else "info,calls=warn")
                request = pb.EnqueueRequest(shard=client.shard, task_group="g", payload=packed(number), priority=50)
                assert client.stub.Enqueue(request).id
            tasks = client.stub.LeaseTasks(pb.LeaseTasksRequest(worker_id="w", max_tasks=1000, task_group="g")).tasks
            assert len(tasks) == 500
            filler.unlink()
            # By itself, though no more lines come.
            told = until(lambda: [line for line in whole_lines(path) if line["fields"]["message"] == "lines were dropped"])
            assert told[-1]["fields"]["because"] == "No space left on device"
            assert sum(line["fields"]["count"] for line in told) > 300
            set_filter(client, "warn")
            until(lambda: whole_lines(path)[-1]["fields"]["message"] == "log filter changed")
        dropped = sum(line["fields"]["count"] for line in whole_lines(path) if line["fields"]["message"] == "lines were dropped")
        kept = len([line for line in whole_lines(path) if line["fields"]["message"] == "log filter changed"])
        assert dropped + kept == 501
        assert server.stop() == 0
    finally:
        server.close()


def whole_lines(path):
    """A line that the disk had room for in part is none."""
    lines = []
    for text in path.read_text(errors="replace").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            pass
    return lines
