"""Where the server's time of a job goes, by stage: .deps/python/bin/python -m bench.stages

Loads a server as the rows of `bench.peers` do, one job a call and then in batches of 100, records all processors with perf meanwhile,
and counts each sample of the server for the innermost frame that tells its stage. Needs perf, and the right to see the kernel's symbols.
"""

import collections
import pathlib
import re
import subprocess
import tempfile

from .peers.client import PAYLOAD_BYTES
from .peers.phase import Meter
from .peers.rows import ROWS
from .peers.shared import ROOT, free_port

LOADS = {"silobench": "one job a call", "silobench-100": "100 a call"}
SECONDS, SKIPPED_SECONDS = 14, 3

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


def measure(name, folder):
    """Microseconds of the server's time for a job, by stage, under the load that the comparison with other queues puts on it."""
    folder = folder / name
    folder.mkdir()
    driver, recording = ROWS[name].driver(folder, free_port()), folder / "perf.data"
    driver.start()
    try:
        pid, meter = driver.servers[0].pid, Meter(driver)
        perf = subprocess.Popen(
            ["perf", "record", "-D", str(SKIPPED_SECONDS * 1000), "-a", "-F", "1997", "-g", "-o", recording, "sleep",
             str(SECONDS - 1)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        figures = driver.run_tool(SECONDS, PAYLOAD_BYTES, meter)
        if perf.wait():
            raise RuntimeError(f"perf record ended with code {perf.returncode}")
        counts = collections.Counter(stage(*sample) for sample in samples(recording, pid))
    finally:
        driver.stop()
    spent = meter.server / figures["jobs"] * 1e6
    return {name: counts[name] / sum(counts.values()) * spent for name in STAGES} | {"all": spent}


def main():
    with tempfile.TemporaryDirectory(prefix="bench-stages-", dir=ROOT / ".build") as name:
        columns = [measure(row, pathlib.Path(name)) for row in LOADS]
    print("| stage | " + " | ".join(LOADS.values()) + " |\n|---|" + "---:|" * len(LOADS))
    for name in [*STAGES, "all"]:
        print(f"| {name} | " + " | ".join(f"{column[name]:.1f}" for column in columns) + " |")


if __name__ == "__main__":
    main()
