"""Where the server's time of a job goes, by stage: python bench/stages.py

Starts a server, loads it with silo-bench one job a call and then in batches of 100, records all processors with perf meanwhile, and
counts each sample of the server for the innermost frame that tells its stage. Needs perf, and the right to see the kernel's symbols.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / ".build/release"
ADDRESS = "127.0.0.1:7459"
LOADS = {1: (64, 256), 100: (8, 4000)}  # jobs a call: (loops of each kind, jobs between enqueue and report)

#: In the order of the table.
STAGES = (
    GRPC, SOCKETS, BINDING, SERVICE, SWITCHES, MAILBOX, ENGINE, MESSAGES, ROWS, LOG, DISK, CHECKPOINTS, COMMITTER, MEMORY, REST
) = [
    "gRPC's core: HTTP/2, metadata, its locks", "kernel: sockets and epoll", "calls between gRPC's core and Swift",
    "service: who calls, tenancy, bounds, routing to the shard",
    "switches between threads and tasks: futexes, dispatch, Swift's concurrency", "mailbox",
    "engine: commands, overlay, leases, turns", "messages, records and keys, decoded and encoded",
    "rows that are in the log and not yet in SlateDB, kept in order in memory", "log: coding of batches and its thread",
    "log: kernel's write and fdatasync", "checkpoints into SlateDB, its compaction, its files", "committer and answers, up to gRPC's core",
    "memory: the allocator where the caller is unknown, page faults", "interrupts and what else the kernel does",
]
SYSTEM_CALLS = [
    (r"futex|sched_yield|nanosleep|eventfd", SWITCHES), (r"sendmsg|recvmsg|epoll|accept|sock_|tcp_", SOCKETS),
    (r"page_fault|mmap|munmap|madvise|brk", MEMORY), (r"fdatasync|pwrite|ext4_|vfs_|fsync|openat|unlink|getdents|statx", DISK),
]
#: Of the server's own symbols, demangled.
MODULES = [
    (r"KeyEncoder|ShardKeys|\bProtobuf\.|StorageV1|SiloV1|PbGubernator", MESSAGES), (r"Mailbox", MAILBOX),
    (r"Committer|CommitMachine|\.answer\(", COMMITTER), (r"SortedEntries|LoggedRows|LayeredScan|LoggedState", ROWS),
    (r"LoggedStore\.\(?(move|runCheckpoints|checkpoint)|SlateStore|\bSlateDB\.|SlateDBBinding", CHECKPOINTS),
    (r"BatchCoding|LogWriter|LogThread|LogFormat|Checksum64|LoggedStore|SegmentContent|FolderLogDisk", LOG),
    (r"\bGRPC\.", BINDING), (r"SiloService|SiloServer", SERVICE), (r"SiloEngine|SiloStore|SiloCore", ENGINE),
]


def stage(command, frames):
    """Of one sample: the first frame, from the innermost out, that belongs to a stage; what anybody calls belongs to its caller."""
    fallback = None
    kernel = [symbol for symbol, module in frames if "kernel" in module or module == "[unknown]" and symbol.startswith("__x64")]
    if frames and "kernel" in frames[0][1]:
        found = next((name for pattern, name in SYSTEM_CALLS for symbol in kernel if re.search(pattern, symbol)), REST)
        return CHECKPOINTS if found == DISK and command.startswith("slatedb") else found
    if command.startswith(("slatedb", "tokio")):
        return CHECKPOINTS
    for symbol, module in frames:
        if "slatedb" in module:
            return CHECKPOINTS
        if re.search(r"libgrpc|libabsl|libupb|libgpr|libssl|libcrypto|libre2|libaddress", module):
            return GRPC
        if "silo" in module:
            name = symbol.rsplit(" of ", 1)[-1]  # what a specialization was made of
            return next((stage for pattern, stage in MODULES if re.search(pattern, name)), ENGINE)
        if fallback is None and re.search(r"tcmalloc", module):
            fallback = MEMORY
        if fallback is None and re.search(r"Concurrency|dispatch|pthread", module + symbol):
            fallback = SWITCHES
    return fallback or (GRPC if command.startswith("grpc") else SWITCHES if command.startswith("oot") else REST)


def samples(recording, pid):
    script = subprocess.Popen(
        ["perf", "script", "-i", recording, "--pid", str(pid), "-F", "comm,ip,sym,dso"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    names = subprocess.Popen(["swift", "demangle"], stdin=script.stdout, stdout=subprocess.PIPE, text=True)
    command, frames = None, []
    for line in names.stdout:
        if not line.strip():
            if command:
                yield command, frames
            command, frames = None, []
        elif not line[0].isspace():
            command = line.strip()
        elif match := re.match(r"\s+[0-9a-f]+ (.*) \((\S+)\)$", line.rstrip()):
            frames.append((match[1], match[2]))


def measure(batch, folder):
    loops, backlog = LOADS[batch]
    server = subprocess.Popen(
        [BUILD / "silo", "--data", folder / f"data-{batch}", "--listen", ADDRESS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(2)
        load = subprocess.Popen(
            [BUILD / "silo-bench", "--address", f"http://{ADDRESS}", "--json", "--duration-secs", "14", "--payload-bytes", "200",
             "--channels", "2", "--workers", str(loops), "--enqueuers", str(loops), "--batch", str(batch), "--max-tasks-per-poll",
             str(batch), "--backlog", str(backlog)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        time.sleep(3)
        recording = folder / "perf.data"
        subprocess.run(
            ["perf", "record", "-a", "-F", "1997", "-g", "-o", recording, "sleep", "10"], check=True, capture_output=True)
        figures = json.loads(load.communicate()[0].splitlines()[-1])
        user, system = pathlib.Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        spent = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK") / figures["completed"] * 1e6
        counts = collections.Counter(stage(*sample) for sample in samples(recording, server.pid))
    finally:
        server.terminate()
        server.wait()
    return {name: counts[name] / sum(counts.values()) * spent for name in STAGES} | {"all": spent}


def main():
    with tempfile.TemporaryDirectory(prefix="bench-stages-", dir=ROOT / ".build") as name:
        columns = [measure(batch, pathlib.Path(name)) for batch in LOADS]
    print("| stage | one job a call | 100 a call |\n|---|---:|---:|")
    for name in [*STAGES, "all"]:
        print(f"| {name} | " + " | ".join(f"{column[name]:.1f}" for column in columns) + " |")


if __name__ == "__main__":
    main()
