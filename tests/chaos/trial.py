"""Trial of one seed: start a stack, carry out the plan, check the invariants, and report."""

import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.support.stack_world import UNLIMITED_SENDING, World, free_port_base, started
from tests.support.waiting import eventually

from .clocks import Clocks
from .copies import Backups
from .disk import Disk, disk
from .faults import FaultInjector
from .load import Load
from .mails import OWNERS
from .plan import ENGINES, ROLES, Round
from .posting import Posting
from .proof import Findings

MAILS_S = 3.0  # less than two shared cores process with SpamAssassin
READY_WITHIN_S = 240.0
NOTICED_AFTER_S = 1.0  # until the supervisor notices the end of a process
RESTARTS_MAX = 12  # of one process in one run; more is a restart loop
MIB = 1024**2
MEMORY_MAX_MIB = {
    "kafka": 1500, "clamd": 2500, "spamd": 400,
    "cassandra": 2500, "opensearch": 2500, "redis": 300, "versitygw": 500,
}  # fmt: skip
ROLE_MEMORY_MAX_MIB = 400


@dataclass(slots=True)
class RoundReport:
    """One round, as observed by the senders and owners."""

    fault: str
    for_s: float
    ready_after_s: float  # from the end of the fault until the supervisor says ready
    no_250_s: float  # longest time without an accepted mail
    replies: dict[str, int]
    no_reading_s: float
    reading: dict[str, int]


@dataclass(slots=True)
class Report:
    seed: int
    findings: list[str] = field(default_factory=list)
    rounds: list[RoundReport] = field(default_factory=list)
    accepted: int = 0
    refused: int = 0
    doubt: int = 0
    orders: dict[str, int] = field(default_factory=dict)  # answered requests of owners
    posts: dict[str, int] = field(default_factory=dict)  # answered requests that send by the API
    restarts: dict[str, int] = field(default_factory=dict)
    memory_mib: dict[str, int] = field(default_factory=dict)
    took_s: float = 0.0

    def plain(self) -> dict[str, Any]:
        return asdict(self)


class Memory:
    """Sampler of the peak memory of each process."""

    def __init__(self, world: World) -> None:
        self.most_mib: Counter[str] = Counter()
        self._world = world
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._end.wait(2.0):
            for name, pid in self._world.pids().items():
                try:
                    size_mib = psutil.Process(pid).memory_info().rss // MIB
                except psutil.NoSuchProcess:
                    continue
                self.most_mib[name] = max(self.most_mib[name], size_mib)

    def findings(self) -> Iterator[str]:
        for name, size_mib in self.most_mib.items():
            if size_mib > MEMORY_MAX_MIB.get(name, ROLE_MEMORY_MAX_MIB):
                yield f"{name} grew to {size_mib} MiB"


@contextmanager
def state_parent() -> Iterator[tuple[Path, Disk | None]]:
    """A folder for the state folder, on a separate disk if this machine can have one."""
    top = Path(tempfile.mkdtemp(prefix="postriver-chaos-"))
    top.chmod(0o711)
    try:
        with disk(top) as mounted:
            yield (mounted.root if mounted else top), mounted
    finally:
        shutil.rmtree(top, ignore_errors=True)


def trial(report: Report, plan: Sequence[Round], *, logs: Path) -> None:
    """Carry out `plan` and fill in the report; no findings: all invariants hold.

    With findings, or if the run cannot be finished, HOME/log is copied to `logs`.
    """
    began_s = time.monotonic()
    with state_parent() as (folder, disk):
        sets_clock = any(round_.fault.offset_s for round_ in plan)
        clocks = Clocks(folder, ROLES) if sets_clock else None
        world = World(folder / "home", free_port_base(), extra=dict(UNLIMITED_SENDING))
        if clocks:
            world.program = (str(clocks.python), "-P", "-m", "cli")
        backups = Backups(folder)
        try:
            with started(world):
                _run(report, plan, FaultInjector(world, disk, clocks, backups))
            report.findings += backups.findings()
        except BaseException:
            keep_logs(world, logs)
            raise
        if report.findings:
            keep_logs(world, logs)
    report.took_s = round(time.monotonic() - began_s, 1)


def _run(report: Report, plan: Sequence[Round], injector: FaultInjector) -> None:
    world = injector.world
    unknown = world.pids().keys() - {*ENGINES, *ROLES}
    assert not unknown, f"plan.py has no faults for {unknown}"
    owners = {address: world.add_user(address) for address in OWNERS}
    load = Load(world, owners, report.seed, MAILS_S)
    posting = Posting(world, report.seed)
    injector.backups.load = load
    with ExitStack() as running:
        memory = Memory(world)
        running.callback(memory.stop)
        load.start()
        running.callback(load.stop)
        posting.start()
        running.callback(posting.stop)
        for round_ in plan:
            time.sleep(round_.wait_s)
            report.rounds.append(_run_round(round_, injector, load))
        time.sleep(2.0)
    report.findings += Findings(load, world, owners).all()
    report.findings += posting.findings()
    report.findings += memory.findings()
    report.memory_mib = dict(memory.most_mib)
    outcomes = Counter(attempt.outcome for attempt in load.attempts)
    report.accepted, report.refused = outcomes["accepted"], outcomes["refused"]
    report.doubt = outcomes["doubt"]
    report.orders = dict(sum((owner.done for owner in load.owners.values()), Counter()))
    report.posts = dict(posting.answered) | {"mails": len(posting.posts)}
    report.restarts = restarts(world)
    report.findings += [
        f"{name} was started {times} times" for name, times in report.restarts.items()
        if times > RESTARTS_MAX
    ]  # fmt: skip


def _run_round(round_: Round, injector: FaultInjector, load: Load) -> RoundReport:
    since_s = time.monotonic()
    with injector.inject(round_.fault):
        time.sleep(round_.for_s)
    ended_s = time.monotonic()
    time.sleep(NOTICED_AFTER_S)
    eventually(lambda: injector.world.look()["state"] == "ready", within_s=READY_WITHIN_S)
    ready_s = time.monotonic()
    eventually(lambda: load.sending.succeeded_since(ready_s), within_s=READY_WITHIN_S, what="a 250")
    until_s = time.monotonic()
    return RoundReport(
        fault=str(round_.fault),
        for_s=round(round_.for_s, 1),
        ready_after_s=round(ready_s - ended_s, 1),
        no_250_s=round(load.sending.longest_gap_s(since_s, until_s), 1),
        replies=dict(load.sending.problems(since_s, until_s)),
        no_reading_s=round(load.reading.longest_gap_s(since_s, until_s), 1),
        reading=dict(load.reading.problems(since_s, until_s)),
    )


def restarts(world: World) -> dict[str, int]:
    """Return how often each process ended or was killed, from the log of the supervisor."""
    log = (world.home / "log" / "supervisor.log").read_text(errors="replace")
    return dict(Counter(re.findall(r"WARNING (?:\S+ )?([\w-]+) ended by", log)))


def keep_logs(world: World, logs: Path) -> None:
    shutil.copytree(world.home / "log", logs, dirs_exist_ok=True)
