"""Orphan processes of a former run: started sessions are recorded, and their rest is ended.

Each program leads a session of its own, so its children (spamd's workers) are found by session
after their parent ended. A record counts only for its boot, and while the leader's pid was not
given to another process.
"""

import ctypes
import json
import logging
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from stack.state_folder import StateFolder

POLL_S = 0.05
PR_SET_CHILD_SUBREAPER = 36

log = logging.getLogger("postriver.stack")


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A started session: its leader's pid, and the leader's start in kernel ticks since boot.

    Ticks do not depend on the wall clock, which may be set.
    """

    name: str
    pid: int
    start_ticks: int
    boot_id: str


class ProcessRecords:
    """HOME/run/processes.json: written before a program is relied upon, by rename."""

    def __init__(self, home: StateFolder) -> None:
        self._path = home.run / "processes.json"
        self._records: dict[str, ProcessRecord] = {}

    def read(self) -> list[ProcessRecord]:
        """Return the records of a former run; empty if the file is missing or unreadable."""
        try:
            return [ProcessRecord(**each) for each in json.loads(self._path.read_bytes())]
        except (OSError, ValueError, TypeError):
            return []

    def add(self, name: str, pid: int) -> None:
        ticks = start_ticks(pid)
        if ticks is not None:
            self._records[name] = ProcessRecord(name, pid, ticks, boot_id())
            self._write()

    def remove(self, name: str) -> None:
        self._records.pop(name, None)
        self._write()

    def _write(self) -> None:
        """Write all records; after a failure on a full disk the next write has all of them."""
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_text(json.dumps([asdict(each) for each in self._records.values()]))
            fresh.replace(self._path)
        except OSError as cause:
            log.warning("cannot note what runs: %s", cause)


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def start_ticks(pid: int) -> int | None:
    """Return the start of `pid` in kernel ticks since boot (proc(5), field 22), or None."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def members(record: ProcessRecord) -> list[psutil.Process]:
    """Return the live processes of the recorded session, leader included, without zombies."""
    if record.boot_id != boot_id() or _pid_reused(record):
        return []
    return [process for process in psutil.process_iter() if _belongs(process, record)]


def end(records: Iterable[ProcessRecord], *, term_s: float = 5.0, kill_s: float = 5.0) -> list[str]:
    """Send SIGTERM, then SIGKILL, to the processes of `records`; return the names found.

    A session that forks meanwhile is checked again until no process is left.
    """
    remaining = [record for record in records if members(record)]
    names = [record.name for record in remaining]
    for number, limit_s in ((signal.SIGTERM, term_s), (signal.SIGKILL, kill_s)):
        deadline = time.monotonic() + limit_s
        sent: set[int] = set()
        while remaining and time.monotonic() < deadline:
            found = [process for record in remaining for process in members(record)]
            if not found:
                return names
            for process in found:
                if process.pid not in sent:
                    sent.add(process.pid)
                    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                        process.send_signal(number)
            time.sleep(POLL_S)
    return names


def kill_session(pid: int, ticks: int) -> None:
    """Send SIGKILL to the session that `pid` led, and reap children of this process."""
    end([ProcessRecord("", pid, ticks, boot_id())], term_s=0.0)
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, ChildProcessError, psutil.Error):
            if process.pid != pid and os.getsid(process.pid) == pid:
                os.waitpid(process.pid, os.WNOHANG)


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose parent ends, to reap them.

    spamd ends before its workers; pid 1 of a container may not reap them.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def _pid_reused(record: ProcessRecord) -> bool:
    ticks = start_ticks(record.pid)
    return ticks is not None and ticks != record.start_ticks


def _belongs(process: psutil.Process, record: ProcessRecord) -> bool:
    try:
        return (
            os.getsid(process.pid) == record.pid
            and process.uids().real == os.getuid()
            and (start_ticks(process.pid) or 0) >= record.start_ticks
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except (psutil.Error, ProcessLookupError, PermissionError):
        return False
