"""CPU and memory of processes with their children, from /proc."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SUPERVISOR = "supervisor"  # its children are counted as processes of their own


def cpu_s(pids: Mapping[str, int]) -> dict[str, float]:
    """Return user and system time by name, including running and ended children."""
    return {name: _cpu_s(pid, children=name != SUPERVISOR) for name, pid in pids.items()}


def _cpu_s(pid: int, *, children: bool) -> float:
    """Return the CPU seconds of one process; 0: it has ended, and now counts for its parent."""
    try:
        process = psutil.Process(pid)
        spent = process.cpu_times()
        below = process.children() if children else []
    except psutil.NoSuchProcess:
        return 0.0
    total: float = spent.user + spent.system
    if children:
        total += spent.children_user + spent.children_system
        total += sum(_cpu_s(child.pid, children=True) for child in below)
    return total


class Meter:
    """CPU time by name since the meter was created."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._began_s = time.monotonic()
        self._before = cpu_s(pids)

    def spent_ms(self) -> dict[str, float]:
        now = cpu_s(self._pids)
        return {name: (now[name] - self._before[name]) * 1000 for name in now}

    def ms_per(self, count: float) -> dict[str, float]:
        return {name: round(ms / count, 4) for name, ms in self.spent_ms().items()}

    def ms_per_s(self) -> dict[str, float]:
        return self.ms_per(time.monotonic() - self._began_s)


def written_bytes(pids: Mapping[str, int]) -> dict[str, int]:
    """Bytes that each process and its running children gave to the disk."""
    return {
        name: sum(map(_written_bytes, _tree(pid, alone=name == SUPERVISOR)))
        for name, pid in pids.items()
    }


def _written_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes:")).split()[1])


def memory_mib(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the proportional set size: a page shared by n processes counts as 1/n in each."""
    return {
        name: round(sum(map(_pss_bytes, _tree(pid, alone=name == SUPERVISOR))) / 2**20, 1)
        for name, pid in pids.items()
    }


def _tree(pid: int, *, alone: bool) -> list[int]:
    children = [] if alone else psutil.Process(pid).children(recursive=True)
    return [pid, *(child.pid for child in children)]


def _pss_bytes(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) * 1024
