"""Machine: processors, memory, clock, limits, disk, ports.

Functions named read_* measure; the others judge a measurement.
"""

import ctypes
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from cli.doctor.finding import Finding, note, ok, problem
from stack.ports import ListenPort, PortsTaken, check_ports, listener
from stack.supervision.supervisor import OPEN_FILES_WANTED
from streams.readers.backlog_gate import GateConfig, least_free_bytes
from streams.topology import FOREVER, PARTITIONS, SEGMENT_BYTES, TOPICS

MIB = 1024**2
GIB = 1024**3
ACTIVATED_PORTS = tuple(
    f"POSTRIVER_{name}_PORT"
    for name in ("SMTP", "HTTP", "SUBMISSION", "SUBMISSIONS", "POP3", "POP3S")
)
MANAGER = "systemd"  # its socket units listen while the stack is down
CORES_MIN = 2
MEMORY_MIN_BYTES = int(3.5 * GIB)  # a machine of 4 GB
MEMORY_FREE_MIN_BYTES = 256 * MIB
OPEN_FILES_MIN = 4096
INODES_FREE_MIN_SHARE = 0.05
SYNC_SLOW_S = 0.05  # every mail waits for several syncs
SYNC_TOO_SLOW_S = 0.5
SYNC_NONE_S = 0.000_02  # faster than any disk that syncs
SYNC_TRIES = 5
CLOCK_SLACK_S = 120.0
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The file system of the state folder."""

    size_bytes: int
    free_bytes: int
    inodes: int  # 0: no limit
    inodes_free: int


def processors(cores: int) -> list[Finding]:
    if cores < CORES_MIN:
        return [note("cores", f"{cores}", f"{CORES_MIN} are recommended; mail will be slow")]
    return [ok("cores", str(cores))]


def memory(total_bytes: int, free_bytes: int) -> list[Finding]:
    what = f"{total_bytes / GIB:.1f} GiB, {free_bytes / GIB:.1f} GiB available"
    if free_bytes < MEMORY_FREE_MIN_BYTES:
        return [problem("memory", what, "stop other programs: ps aux --sort=-rss | head")]
    if total_bytes < MEMORY_MIN_BYTES:
        return [note("memory", what, "4 GB are recommended; the kernel may kill processes")]
    return [ok("memory", what)]


def open_files(most: int) -> list[Finding]:
    what = f"{most} open files allowed"
    if most == resource.RLIM_INFINITY or most >= OPEN_FILES_WANTED:
        return [ok("files", what if most >= 0 else "no limit")]
    do = f"raise it to {OPEN_FILES_WANTED}: ulimit -Hn, LimitNOFILE= of a systemd unit"
    return [(problem if most < OPEN_FILES_MIN else note)("files", what, do)]


def space(disk: Disk, folder: Path) -> list[Finding]:
    least = least_free_bytes(GateConfig(folder=folder), disk.size_bytes)
    what = f"{disk.free_bytes // MIB} MiB of {disk.size_bytes // MIB} MiB free at {folder}"
    do = f"free space: du -xh {folder} | sort -h | tail"
    if disk.free_bytes < least:
        return [problem("disk", f"{what}: new mail is refused with 452", do)]
    if disk.free_bytes < 2 * least:
        return [note("disk", f"{what}; below {least // MIB} MiB mail is refused", do)]
    return [ok("disk", what)]


def log_room(disk: Disk) -> list[Finding]:
    """Check the space that consumed records may take, since a segment is deleted as a whole.

    Two segments of each partition: the active one, and the one before it until it is deleted.
    """
    kept_bytes = 2 * SEGMENT_BYTES * PARTITIONS * sum(topic.settings == FOREVER for topic in TOPICS)
    what = f"consumed records in the log may take {kept_bytes / GIB:.1f} GiB"
    do = f"{4 * kept_bytes // GIB} GiB or more for the state folder"
    if kept_bytes > disk.size_bytes // 2:
        return [problem("log", f"{what} of {disk.size_bytes / GIB:.1f}", do)]
    if kept_bytes > disk.size_bytes // 4:
        return [note("log", f"{what} of {disk.size_bytes / GIB:.1f}", do)]
    return [ok("log", what)]


def inodes(disk: Disk, folder: Path) -> list[Finding]:
    if not disk.inodes:
        return [ok("inodes", "no limit")]
    what = f"{disk.inodes_free} of {disk.inodes} free at {folder}"
    if disk.inodes_free < disk.inodes * INODES_FREE_MIN_SHARE:
        return [
            problem("inodes", what, f"find the folder with most: du --inodes -x {folder} | sort -n")
        ]
    return [ok("inodes", what)]


def syncing(median_s: float) -> list[Finding]:
    what = f"{median_s * 1000:.1f} ms to sync a file to disk"
    if median_s > SYNC_TOO_SLOW_S:
        return [
            problem("fsync", what, "each mail waits for several: use a faster disk, or less load")
        ]
    if median_s > SYNC_SLOW_S:
        return [note("fsync", what, "each mail waits for several: a faster disk helps most")]
    if median_s < SYNC_NONE_S:
        return [note("fsync", what, "this disk does not sync: a power cut may lose mail")]
    return [ok("fsync", what)]


def clock(newest_s: float, now_s: float, *, synchronised: bool) -> list[Finding]:
    """Check the clock. `newest_s`: the latest date of our log files."""
    if newest_s > now_s + CLOCK_SLACK_S:
        what = f"{newest_s - now_s:.0f} s behind the dates of our log files"
        return [problem("clock", what, "set it: timedatectl set-ntp true")]
    if not synchronised:
        what = "not synchronised, by the kernel"
        return [note("clock", what, "synchronise it: apt install chrony")]
    return [ok("clock", "synchronised")]


def ports(
    listen_ports: Iterable[ListenPort], listens: Callable[[int], str | None] = listener
) -> list[Finding]:
    """Check, while the stack is down, that its ports are free or held by the service manager."""
    listen_ports = list(listen_ports)
    activated = [
        port
        for port in listen_ports
        if port.setting in ACTIVATED_PORTS and listens(port.port) == MANAGER
    ]
    ours = [port for port in listen_ports if port not in activated]
    findings = [ok("ports", f"{MANAGER} holds {port.port} and passes it on") for port in activated]
    try:
        check_ports(ours)
    except PortsTaken as taken:
        do = "stop that program, or choose another port by this setting"
        return [*findings, *(problem("ports", line, do) for line in str(taken).splitlines())]
    free = ", ".join(str(port.port) for port in ours)
    return [*findings, ok("ports", f"free: {free}")] if ours else findings


def read_disk(folder: Path) -> Disk:
    usage, filesystem = shutil.disk_usage(folder), os.statvfs(folder)
    return Disk(
        size_bytes=usage.total,
        free_bytes=usage.free,
        inodes=filesystem.f_files,
        inodes_free=filesystem.f_favail,
    )


def read_sync_s(folder: Path) -> float:
    """Return the median time to write and sync 4 KiB. Raises OSError."""
    took = []
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        for _ in range(SYNC_TRIES):
            file.write(os.urandom(4096))
            file.flush()
            began_s = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began_s)
    return sorted(took)[SYNC_TRIES // 2]


def read_newest_s(folder: Path) -> float:
    """Return the latest modification time of a log file; 0 without log files."""
    return max((path.stat().st_mtime for path in (folder / "log").glob("*.log")), default=0.0)


def read_synchronised() -> bool:
    """Whether the kernel reports a synchronised clock (adjtimex(2), read only)."""
    state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    return state != _TIME_ERROR


def machine() -> list[Finding]:
    """Check processors, memory and the limit of open files."""
    memory_now = psutil.virtual_memory()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return [
        *processors(len(os.sched_getaffinity(0))),
        *memory(memory_now.total, memory_now.available),
        *open_files(most),
    ]
