"""Fault injection: how each fault begins and ends. Processes that have ended are ignored."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from stack.state_folder import socket_path
from tests.support.stack_world import World
from tests.support.waiting import eventually

from .clocks import Clocks
from .copies import Backups
from .disk import Disk
from .plan import EVERYTHING, SUPERVISOR, Fault
from .wire import blocked_port

PORTS = {  # after the first of a World
    "ingress": 0, "api": 1, "kafka": 3, "pop3": 7, "cassandra": 9, "versitygw": 12,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FaultInjector:
    """Injects the faults of a plan into `world`."""

    world: World
    disk: Disk | None
    clocks: Clocks | None
    backups: Backups

    @contextmanager
    def inject(self, fault: Fault) -> Iterator[None]:
        """The fault lasts for the block, and is repaired afterwards."""
        injections: dict[str, Callable[[str], Iterator[None]]] = {
            "killed": self._killed,
            "frozen": self._frozen,
            "cut off": self._cut_off,
            "full": self._full,
            "power cut": self._power_cut,
            "clock set": lambda role: self._clock_set(role, fault.offset_s),
            "backed up": self._backed_up,
        }
        yield from injections[fault.kind](fault.victim)

    def _killed(self, victim: str) -> Iterator[None]:
        for process in self._processes(victim):
            _signal(process, signal.SIGKILL)
        yield
        if victim in {SUPERVISOR, EVERYTHING}:
            self._start_stack()

    def _frozen(self, victim: str) -> Iterator[None]:
        """`everything` includes the supervisor, as when a laptop sleeps."""
        frozen = self._process_trees(victim)
        for process in frozen:
            _signal(process, signal.SIGSTOP)
        yield
        for process in frozen:
            _signal(process, signal.SIGCONT)

    def _cut_off(self, victim: str) -> Iterator[None]:
        ports = {name: self.world.base + step for name, step in PORTS.items()}
        ports["opensearch"] = self.world.opensearch_port
        if victim in ports:
            with blocked_port(ports[victim]):
                yield
            return
        path = socket_path(self.world.home, victim)
        aside = path.with_suffix(".aside")
        path.rename(aside)
        yield
        if path.exists():  # the engine was restarted during the fault
            aside.unlink()
        else:
            aside.rename(path)

    def _full(self, victim: str) -> Iterator[None]:
        del victim
        assert self.disk is not None
        self.disk.fill()
        yield
        self.disk.free()

    def _power_cut(self, victim: str) -> Iterator[None]:
        """A mail accepted between the cut and the kill would be lost: nothing reaches the disk."""
        assert self.disk is not None
        processes = self._process_trees(victim)
        self.disk.cut_power()
        for process in processes:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(processes, timeout=20)
        self.disk.restore_power()
        yield
        self._start_stack()

    def _clock_set(self, role: str, offset_s: int) -> Iterator[None]:
        """Set the clock of a running process, and set it back afterwards."""
        assert self.clocks is not None
        self.clocks.set(role, offset_s)
        yield
        self.clocks.set(role, 0)

    def _backed_up(self, victim: str) -> Iterator[None]:
        """Take a backup while the stack runs; it is checked after the run."""
        del victim
        self.backups.take(self.world)
        yield

    def _start_stack(self) -> None:
        """Start the stack, with retries until the old supervisor has released its folder."""
        eventually(lambda: self.world.up().startswith("ready"), within_s=240, what="up")

    def _processes(self, victim: str) -> list[psutil.Process]:
        """Return the processes of `victim`; wait for a process that is being restarted."""
        if victim == SUPERVISOR:
            return [psutil.Process(self.world.supervisor_pid())]
        if victim == EVERYTHING:
            pids = [self.world.supervisor_pid(), *self.world.pids().values()]
            return [process for pid in pids if (process := _alive(pid)) is not None]
        return [eventually(lambda: _alive(self.world.pids().get(victim, 0)), what=victim)]

    def _process_trees(self, victim: str) -> list[psutil.Process]:
        return [
            process
            for parent in self._processes(victim)
            for process in (parent, *_children(parent))
        ]


def _alive(pid: int) -> psutil.Process | None:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid) if pid else None
    return None


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
