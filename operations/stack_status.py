"""State of the stack as its supervisors report it: processes, what is held, lag of two hours."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from mail.errors import Transient

STEP_MS = 30_000  # between samples, by cli/roles/lag_history.py
MINUTES_MAX = 120


T = TypeVar("T")


class StatusUnavailable(Transient):
    """A supervisor does not answer."""

    def __init__(self, detail: str) -> None:
        super().__init__("supervisor", detail)


class HeldReport(msgspec.Struct, frozen=True, kw_only=True):
    """An event that waits for an engine, the longest of its partition."""

    stage: str = ""
    topic: str = ""
    partition: int = 0
    offset: int = 0
    engine: str = ""
    since_ms: int = 0
    detail: str = ""


class RoleReport(msgspec.Struct, frozen=True, kw_only=True):
    """`lag`: events that wait for the role; None: the process does not answer."""

    name: str
    lag: int | None = None
    held: list[HeldReport] = []
    warnings: list[str] = []


class ProcessReport(msgspec.Struct, frozen=True, kw_only=True):
    """A process or an engine; `detail` is of an engine."""

    name: str
    state: str
    restarts: int = 0
    detail: str = ""


class StackReport(msgspec.Struct, frozen=True, kw_only=True):
    """What /status of a supervisor says."""

    state: str
    processes: list[ProcessReport] = []
    engines: list[ProcessReport] = []
    roles: list[RoleReport] = []
    warnings: list[str] = []
    signatures: str = ""


class LagSamples(msgspec.Struct, frozen=True, kw_only=True):
    """Samples of one process, oldest first: (time in ms, lag)."""

    name: str
    samples: list[tuple[int, int]] = []


class StackStatus(Protocol):
    """The supervisors of an installation. Every method raises StatusUnavailable."""

    async def report(self) -> StackReport: ...

    async def lags(self) -> list[LagSamples]: ...


class LagSeries(msgspec.Struct, frozen=True, kw_only=True):
    """The lag of one process, a value for each step; null: no sample."""

    name: str
    values: list[int | None]


class LagHistoryReport(msgspec.Struct, frozen=True, kw_only=True):
    """Series that end now; `from_ms` is the time of their first value."""

    from_ms: int
    step_ms: int
    series: list[LagSeries]


def lag_history(lags: Sequence[LagSamples], *, minutes: int, now_ms: int) -> LagHistoryReport:
    """Return the last `minutes` in steps of 30 s; the newest sample of a step counts."""
    steps = minutes * 60_000 // STEP_MS
    from_ms = (now_ms // STEP_MS - steps + 1) * STEP_MS
    series = [
        LagSeries(name=each.name, values=_values(each.samples, from_ms, steps)) for each in lags
    ]
    return LagHistoryReport(from_ms=from_ms, step_ms=STEP_MS, series=series)


def _values(samples: Sequence[tuple[int, int]], from_ms: int, steps: int) -> list[int | None]:
    values: list[int | None] = [None] * steps
    for at_ms, lag in samples:
        step = (at_ms - from_ms) // STEP_MS
        if 0 <= step < steps:
            values[step] = lag
    return values


def merged(reports: Sequence[tuple[str, StackReport]]) -> StackReport:
    """Return the reports of several machines as one; each name gets the name of its machine.

    The state is `ready` if every machine is ready, else that of the first which is not.
    """
    if len(reports) == 1:
        return reports[0][1]
    named = msgspec.structs.replace
    return StackReport(
        state=next((each.state for _, each in reports if each.state != "ready"), "ready"),
        processes=[named(p, name=f"{p.name}@{at}") for at, each in reports for p in each.processes],
        engines=[named(p, name=f"{p.name}@{at}") for at, each in reports for p in each.engines],
        roles=[named(r, name=f"{r.name}@{at}") for at, each in reports for r in each.roles],
        warnings=[f"{at}: {text}" for at, each in reports for text in each.warnings],
        signatures=", ".join(sorted({each.signatures for _, each in reports})),
    )


def decoded_report(body: Any) -> StackReport:
    """The report in the JSON of /status. Raises StatusUnavailable: it is no report."""
    return _converted(body, StackReport)


def decoded_lags(body: Any) -> list[LagSamples]:
    """The samples in the JSON of /history. Raises StatusUnavailable: there are none."""
    return _converted(body.get("roles") if isinstance(body, dict) else body, list[LagSamples])


def _converted(body: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise StatusUnavailable(f"the report cannot be read: {error}") from error
