"""Profiles and dumps of a server under load, read by the tools that people use."""

import os
import re
import subprocess
import threading

import pytest

from support.client import RESOURCE_EXHAUSTED, Client, refused
from support.programs import ROOT, run
from support.waiting import until


@pytest.fixture
def busy(server):
    """Enqueues, leases and reports until the test ends."""
    stopping = threading.Event()

    def work():
        with Client(server.address) as client:
            while not stopping.is_set():
                client.enqueue(payload="x" * 2000)
                for task in client.lease():
                    client.succeed(task)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    yield server
    stopping.set()
    for worker in workers:
        worker.join()


def read_with(tool, *arguments):
    ended = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_pprof_reads_a_profile_of_the_processor_with_names_as_people_write_them(busy, tmp_path):
    with Client(busy.address) as client:
        answer = client.call("CpuProfile", duration_seconds=3, frequency=500)
    assert answer.duration_seconds == 3
    assert answer.samples > 20
    (tmp_path / "cpu.pb").write_bytes(answer.profile_data)
    top = read_with(ROOT / ".deps/bin/pprof", "-top", "-cum", "-nodecount=2000", tmp_path / "cpu.pb")
    assert "Type: cpu" in top
    # Swift's, demangled, and those of a C++ and a Rust library.
    assert re.search(r"SiloEngine\.ShardLoop\.\(?turn", top), top
    assert "grpc_core::" in top
    assert not re.search(r"% +\$s", top), top
    total = re.search(r"Duration: ([\d.]+)s, Total samples = ([\d.]+)(m?s)", top)
    assert 2.5 < float(total[1]) < 10
    assert float(total[2]) > 0


def test_pprof_and_jeprof_read_a_profile_of_the_heap(busy, tmp_path):
    with Client(busy.address) as client:
        answer = client.call("HeapProfile", timeout=120, duration_seconds=2)
    assert answer.profile_data.startswith(b"heap_v2/")
    (tmp_path / "silo.heap").write_bytes(answer.profile_data)
    program = f"/proc/{busy.process.pid}/exe"
    text = read_with("jeprof", "--text", "--show_bytes", os.path.realpath(program), tmp_path / "silo.heap")
    assert re.search(r"^Total: [1-9]\d* B", text, re.MULTILINE), text
    assert "Silo" in text


def test_there_is_one_profile_at_a_time_and_one_that_nobody_waits_for_ends(new_server):
    server = new_server()
    with Client(server.address) as client:
        long = client.begin("CpuProfile", timeout=400, duration_seconds=300)
        until(lambda: any(line["message"] == "profile started" for line in server.log()), 30, "the profile to start")
        with refused(RESOURCE_EXHAUSTED, containing="a profile of this server is under way"):
            client.call("HeapProfile", duration_seconds=1)
        long.cancel()
        until(lambda: any(line["message"] == "profile finished" for line in server.log()), 30, "the profile to end")
        assert client.call("CpuProfile", duration_seconds=1).profile_data


def test_siloctl_says_how_large_the_file_is_and_which_program_it_is_of(new_server, tmp_path):
    server = new_server("--shards", 1)
    shown = run("siloctl", "-a", server.address, "profile", "-d", "1", "-o", tmp_path / "cpu.pb.gz").stdout
    size = (tmp_path / "cpu.pb.gz").stat().st_size
    assert re.search(rf"^Size: +({size} bytes|{size / 1024:.1f} KiB)$", shown, re.MULTILINE), (size, shown)
    shown = run("siloctl", "-a", server.address, "heap-profile", "-d", "1", "-o", tmp_path / "h.heap").stdout
    program = os.path.realpath(f"/proc/{server.process.pid}/exe")
    assert f"jeprof --text --show_bytes {program} {tmp_path / 'h.heap'}" in shown
    # The library has nothing to say beside the log.
    assert server.errors() == [] and all(line["level"] != "RAW" for line in server.log())


def test_a_dump_tells_what_each_shard_does(new_server):
    server = new_server("--shards", 2)
    with Client(server.address) as client:
        quiet = client.call("DumpTasks")
        assert quiet.task_count == 2
        assert quiet.dump.count("loop: waits for work") == 2
        assert len(re.findall(r"^task \d: shard [0-9a-f-]{36}", quiet.dump, re.MULTILINE)) == 2
        client.enqueue()
        assert "jobs: 1 stored, 0 of them finished; 0 leases" in client.call("DumpTasks").dump
