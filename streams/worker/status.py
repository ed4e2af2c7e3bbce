"""What a worker knows of itself: counters, what is held and since when, how far behind it is."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mail.clock import now_ms
from mail.errors import Transient
from mail.histogram import SLOW_S, Histogram

WorkerSlot = tuple[str, str, int]  # stage, topic, partition
OUTCOMES = ("done", "parked", "held", "retried")  # held, retried: tries, not events
PartitionId = tuple[str, int]  # topic, partition


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEvent:
    """A partition that waits for an engine."""

    stage: str
    topic: str
    partition: int
    offset: int
    engine: str
    since_ms: int
    detail: str

    def plain(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True, kw_only=True)
class RoleStatus:
    """Written by the harness, read by whoever serves /status, /healthz and /metrics."""

    ready: bool = False
    lags: dict[str, int] = field(default_factory=dict)  # of the whole group, by topic
    moved_s: dict[PartitionId, float] = field(
        default_factory=dict
    )  # ours: last seen moving, or empty
    events: Counter[tuple[str, str]] = field(default_factory=Counter)  # stage, outcome
    times: defaultdict[str, Histogram] = field(  # stage: first try to acknowledged outputs
        default_factory=lambda: defaultdict(Histogram)
    )
    ages: defaultdict[str, Histogram] = field(  # stage: the mail's 250 to the stage's end
        default_factory=lambda: defaultdict(lambda: Histogram(SLOW_S))
    )
    unready_since_s: float = field(default_factory=time.monotonic)
    _behind: dict[PartitionId, int] = field(
        default_factory=dict
    )  # ours that have events, as last read
    _held: dict[tuple[WorkerSlot, int], HeldEvent] = field(default_factory=dict)

    @property
    def lag(self) -> int:
        """Events that wait for this group."""
        return sum(self.lags.values())

    @property
    def partitions(self) -> int:
        """How many are assigned to this worker."""
        return len(self.moved_s)

    @property
    def held(self) -> list[HeldEvent]:
        """One for each partition, the longest first."""
        first: dict[WorkerSlot, HeldEvent] = {}
        for (slot, _), one in sorted(self._held.items(), key=lambda row: row[1].since_ms):
            first.setdefault(slot, one)
        return list(first.values())

    def hold(self, slot: WorkerSlot, offset: int, cause: Transient) -> bool:
        """The event at `offset` waits; the first cause's time stays, the last one's words count.

        True when it is the first of its partition.
        """
        first = not any(other == slot for other, _ in self._held)
        earlier = self._held.get((slot, offset))
        since_ms = earlier.since_ms if earlier else now_ms()
        stage, topic, partition = slot
        self._held[slot, offset] = HeldEvent(
            stage=stage,
            topic=topic,
            partition=partition,
            offset=offset,
            engine=cause.engine,
            since_ms=since_ms,
            detail=str(cause),
        )
        return first

    def release(self, slot: WorkerSlot, offset: int) -> None:
        """The event at `offset` was served: it has the usual time to end from here on."""
        self._held.pop((slot, offset), None)
        self.moves(slot[1:])

    def count(self, stage: str, outcome: str) -> None:
        """`outcome`: one of OUTCOMES."""
        self.events[stage, outcome] += 1

    def done(self, stage: str, took_s: float, *, accepted_at_ms: int | None = None) -> None:
        """An event's outputs are acknowledged, `took_s` after its first try began."""
        self.count(stage, "done")
        self.times[stage].seen(took_s)
        if accepted_at_ms is not None:
            self.ages[stage].seen(max(0, now_ms() - accepted_at_ms) / 1000)

    def assigned(self, parts: Iterable[PartitionId]) -> None:
        self.moved_s = dict.fromkeys(parts, time.monotonic())
        self._behind.clear()
        self.ready = True

    def revoked(self) -> None:
        self.ready = False
        self.unready_since_s = time.monotonic()

    def acked(self, part: PartitionId) -> None:
        self.moves(part)

    def behind(self, lags: Mapping[PartitionId, int]) -> None:
        """What waits for the whole group by partition, as just read."""
        self.lags = {}
        for (topic, _), events in lags.items():
            self.lags[topic] = self.lags.get(topic, 0) + events
        self._wait({part: lags[part] for part in self.moved_s if lags.get(part)})

    def unread(self) -> None:
        """The broker does not say what waits: nobody can be blamed for not doing it."""
        self._wait({})

    def _wait(self, behind: dict[PartitionId, int]) -> None:
        self._behind = behind
        for part in self.moved_s.keys() - behind.keys():
            self.moves(part)

    def moves(self, part: PartitionId) -> None:
        """Something of `part` goes on: it is not stalled."""
        if part in self.moved_s:
            self.moved_s[part] = time.monotonic()

    def stalled_s(self, part: PartitionId) -> float:
        """For how long `part` has not moved though nothing holds it; 0 for a held one."""
        if any(slot[1:] == part for slot, _ in self._held):
            return 0.0
        return time.monotonic() - self.moved_s.get(part, time.monotonic())

    def unhealthy(self, *, start_limit_s: float, stall_limit_s: float) -> str | None:
        """Why the process should be started again; a held partition is never a reason."""
        unready_s = time.monotonic() - self.unready_since_s
        if not self.ready and unready_s > start_limit_s:
            return f"no partitions for {unready_s:.0f} s"
        for part, events in self._behind.items():
            if (stalled_s := self.stalled_s(part)) > stall_limit_s:
                topic, number = part
                return f"{events} events wait at {topic}/{number}, none done for {stalled_s:.0f} s"
        return None
