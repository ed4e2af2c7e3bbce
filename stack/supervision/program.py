"""Description of a supervised program: an immutable value, made by the caller."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from stack.state_folder import StateFolder
from stack.supervision.probes import Probe

REFUSED = 78  # exit code of a task (EX_CONFIG): another try would end in the same way


class ProgramKind(StrEnum):
    ENGINE = "engine"  # third-party server; stopped last
    ROLE = "role"  # process of Postriver, worker or edge
    TASK = "task"  # runs to its end once; exit 0 makes it ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program. `name` is a file name: of its log, its socket and its label in metrics."""

    name: str
    kind: ProgramKind
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)  # the whole environment, see `base_env`
    cwd: Path | None = None
    descriptors: tuple[int, ...] = ()  # inherited from the supervisor under the same number
    after: tuple[str, ...] = ()  # names that must have been ready once before this one starts
    not_yet: Callable[[], str | None] = lambda: None  # the reason to delay its start, or None
    before_start: Callable[[], None] = lambda: None  # called before each start of its process
    ready: Probe | None = None  # None: `http`'s /readyz, else ready as soon as it runs
    http: Path | None = None  # unix socket with /healthz, /readyz, /metrics, /status
    detail: str = ""  # one line for `status`
    start_timeout_s: float = 180.0  # not ready by then: killed and started again
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 10.0  # from the stop signal to SIGKILL
    unhealthy_after: int = 3  # failed health checks in a row before it is killed
    health_every_s: float = 5.0
    memory_max_bytes: int | None = None  # of address space, for each of its processes
    needed: bool = True  # False: the machine is ready without it

    def readiness(self) -> Probe | None:
        if self.ready is None and self.http is not None:
            return _http_probe(self.http, "/readyz")
        return self.ready

    def liveness(self) -> Probe | None:
        return self.readiness() if self.http is None else _http_probe(self.http, "/healthz")


def _http_probe(socket: Path, page: str) -> Probe:
    from stack.supervision.http_probe import HttpProbe  # noqa: PLC0415  see there

    return HttpProbe(socket, page)


def base_env(home: StateFolder, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of every program, without the operator's shell: starts repeat."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(home.path),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        **(extra or {}),
    }


def check_programs(programs: tuple[Program, ...]) -> None:
    """Raise ValueError: a name occurs twice, `after` names no program, or the order is cyclic."""
    by_name = {program.name: program for program in programs}
    if len(by_name) != len(programs):
        raise ValueError("two programs have the same name")
    settled: set[str] = set()
    while len(settled) < len(programs):
        fresh = {n for n, p in by_name.items() if n not in settled and settled.issuperset(p.after)}
        if not fresh:
            stuck = sorted(by_name.keys() - settled)
            raise ValueError(f"never able to start: {', '.join(stuck)} (check `after`)")
        settled |= fresh
