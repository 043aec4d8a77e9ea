"""What the machine is, as far as it bends the figures."""

import os
import pathlib
import platform
import subprocess
import time

#: File systems in memory, where a sync costs nothing.
IN_MEMORY = ("tmpfs", "ramfs")


def describe(folder):
    """Lines for a report, by name."""
    cpus = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith(("model name", "Model"))]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "CPU": f"{cpus[0] if cpus else platform.machine()}, {os.cpu_count()} cores",
        "Memory": f"{memory:.0f} GiB",
        "File system": file_system(folder),
        "System": f"{platform.freedesktop_os_release().get('PRETTY_NAME', 'Linux')}, kernel {platform.release()}",
        "Load before": f"{os.getloadavg()[0]:.2f} processes ran on average in the minute before the start",
    }


def file_system(folder):
    return subprocess.check_output(["stat", "-f", "-c", "%T", folder], text=True).strip().replace("ext2/ext3", "ext4")


def sync_times(folder, pause, count=100):
    """Milliseconds of an append of 4 KiB and fdatasync: back to back, and with a pause before each as under light load."""
    def times(count, pause):
        taken = []
        for _ in range(count):
            time.sleep(pause)
            start = time.monotonic()
            os.write(file, bytes(4096))
            os.fdatasync(file)
            taken.append((time.monotonic() - start) * 1000)
        return sorted(taken)[count // 2]

    path = pathlib.Path(folder) / "sync"
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        return {"back to back": times(count, 0), "paced": times(count // 2, pause)}
    finally:
        os.close(file)
        path.unlink()
