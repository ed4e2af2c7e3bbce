"""How each fault is made and undone. What has ended meanwhile is not looked for again."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from stack.state_folder import socket_path
from tests.support.stack_world import World, eventually

from .clocks import Clocks
from .copies import Copies
from .disk import Disk
from .plan import EVERYTHING, SUPERVISOR, Fault
from .wire import cut_off

PORTS = {"ingress": 0, "api": 1, "kafka": 3}  # after the first of a World


@dataclass(frozen=True, slots=True)
class Saboteur:
    """Does to `world` what a plan says."""

    world: World
    disk: Disk | None
    clocks: Clocks | None
    copies: Copies

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:
        """The fault stands within the block; afterwards it is mended."""
        ways: dict[str, Callable[[str], Iterator[None]]] = {
            "killed": self._killed,
            "frozen": self._frozen,
            "cut off": self._cut_off,
            "full": self._full,
            "power cut": self._power_cut,
            "clock set": lambda role: self._clock_set(role, fault.offset_s),
            "backed up": self._backed_up,
        }
        yield from ways[fault.kind](fault.victim)

    def _killed(self, victim: str) -> Iterator[None]:
        for each in self._processes(victim):
            _signal(each, signal.SIGKILL)
        yield
        if victim in {SUPERVISOR, EVERYTHING}:
            self._start_again()

    def _frozen(self, victim: str) -> Iterator[None]:
        """With everything frozen the supervisor is too: a laptop's lid."""
        frozen = [each for one in self._processes(victim) for each in (one, *_children(one))]
        for each in frozen:
            _signal(each, signal.SIGSTOP)
        yield
        for each in frozen:
            _signal(each, signal.SIGCONT)

    def _cut_off(self, victim: str) -> Iterator[None]:
        if victim in PORTS:
            with cut_off(self.world.base + PORTS[victim]):
                yield
            return
        path = socket_path(self.world.home, victim)
        aside = path.with_suffix(".aside")
        path.rename(aside)
        yield
        if path.exists():  # it was started again meanwhile
            aside.unlink()
        else:
            aside.rename(path)

    def _full(self, victim: str) -> Iterator[None]:
        del victim
        assert self.disk is not None
        self.disk.fill()
        yield
        self.disk.empty()

    def _power_cut(self, victim: str) -> Iterator[None]:
        """Promises made between the cut and the end of the processes count: none could be kept."""
        assert self.disk is not None
        processes = self._processes(victim)
        tree = [each for one in processes for each in (one, *_children(one))]
        self.disk.cut_power()
        for each in tree:
            _signal(each, signal.SIGKILL)
        psutil.wait_procs(tree, timeout=20)
        self.disk.come_back()
        yield
        self._start_again()

    def _clock_set(self, role: str, offset_s: int) -> Iterator[None]:
        """A clock that is set while its process runs, and set back afterwards."""
        assert self.clocks is not None
        self.clocks.set(role, offset_s)
        yield
        self.clocks.set(role, 0)

    def _backed_up(self, victim: str) -> Iterator[None]:
        """While everything goes on; what it holds is looked at when the run has ended."""
        del victim
        self.copies.make(self.world)
        yield

    def _start_again(self) -> None:
        """As an operator would: until the old one has let go of its folder, and once more."""
        eventually(lambda: self.world.up().startswith("ready"), within_s=240, what="up")

    def _processes(self, victim: str) -> list[psutil.Process]:
        """A process that is just being started again is waited for."""
        if victim == SUPERVISOR:
            return [psutil.Process(self.world.supervisor_pid())]
        if victim == EVERYTHING:
            pids = [self.world.supervisor_pid(), *self.world.pids().values()]
            return [one for pid in pids if (one := _alive(pid)) is not None]
        return [eventually(lambda: _alive(self.world.pids().get(victim, 0)), what=victim)]


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
