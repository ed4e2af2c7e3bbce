"""Status of a worker: counters, held events and since when, lag, health."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from mail.clock import now_ms
from mail.errors import Transient
from mail.histogram import SLOW_S, Histogram

WorkerSlot = tuple[str, str, int]  # stage, topic, partition
OUTCOMES = ("done", "parked", "held", "retried")  # held and retried count attempts, not events
PartitionId = tuple[str, int]  # topic, partition


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEvent:
    """An event that waits for an engine; its partition waits with it."""

    stage: str
    topic: str
    partition: int
    offset: int
    engine: str
    since_ms: int
    detail: str

    def plain(self) -> dict[str, str | int]:
        """Return the fields by name, for JSON."""
        return asdict(self)


@dataclass(slots=True, kw_only=True)
class RoleStatus:
    """State of one role's worker: written by the harness, read by the health endpoints."""

    ready: bool = False
    lags: dict[str, int] = field(default_factory=dict)  # records, of the whole group, by topic
    moved_s: dict[PartitionId, float] = field(  # of assigned partitions: last progress
        default_factory=dict
    )
    events: Counter[tuple[str, str]] = field(default_factory=Counter)  # stage, outcome
    times: defaultdict[str, Histogram] = field(  # by stage: first attempt to acknowledged outputs
        default_factory=lambda: defaultdict(Histogram)
    )
    ages: defaultdict[str, Histogram] = field(  # by stage: the mail's 250 to the end of the stage
        default_factory=lambda: defaultdict(lambda: Histogram(SLOW_S))
    )
    unready_since_s: float = field(default_factory=time.monotonic)
    _backlog: dict[PartitionId, int] = field(  # of assigned partitions with unconsumed events
        default_factory=dict
    )
    _held: dict[tuple[WorkerSlot, int], HeldEvent] = field(default_factory=dict)

    @property
    def lag(self) -> int:
        """Events that the group has not consumed."""
        return sum(self.lags.values())

    @property
    def partitions(self) -> int:
        """Number of partitions assigned to this worker."""
        return len(self.moved_s)

    def partitions_of(self, topic: str) -> frozenset[int]:
        """The partitions of `topic` assigned to this worker; empty during a rebalance."""
        return frozenset(part for name, part in self.moved_s if name == topic and self.ready)

    @property
    def held(self) -> list[HeldEvent]:
        """The event of each partition that has been held longest; the longest hold first."""
        first: dict[WorkerSlot, HeldEvent] = {}
        for (slot, _), event in sorted(self._held.items(), key=lambda row: row[1].since_ms):
            first.setdefault(slot, event)
        return list(first.values())

    def hold(self, slot: WorkerSlot, offset: int, cause: Transient) -> bool:
        """Record that the event at `offset` waits; return whether it is the first of its slot.

        Repeated calls keep the time of the first cause and the text of the last cause.
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
        """End the hold of the event at `offset`; its stall timer starts now."""
        self._held.pop((slot, offset), None)
        self.moves(slot[1:])

    def count(self, stage: str, outcome: str) -> None:
        """Count an `outcome`, one of OUTCOMES."""
        self.events[stage, outcome] += 1

    def done(self, stage: str, took_s: float, *, accepted_at_ms: int | None = None) -> None:
        """Count an event whose outputs are acknowledged, `took_s` after its first attempt began."""
        self.count(stage, "done")
        self.times[stage].seen(took_s)
        if accepted_at_ms is not None:
            self.ages[stage].seen(max(0, now_ms() - accepted_at_ms) / 1000)

    def assigned(self, parts: Iterable[PartitionId]) -> None:
        """Record a completed rebalance with the partitions assigned to this worker."""
        self.moved_s = dict.fromkeys(parts, time.monotonic())
        self._backlog.clear()
        self.ready = True

    def revoked(self) -> None:
        self.ready = False
        self.unready_since_s = time.monotonic()

    def set_lags(self, lags: Mapping[PartitionId, int]) -> None:
        """Store the lag of the whole group, by partition, as just read."""
        self.lags = {}
        for (topic, _), events in lags.items():
            self.lags[topic] = self.lags.get(topic, 0) + events
        self._set_backlog({part: lags[part] for part in self.moved_s if lags.get(part)})

    def lag_unknown(self) -> None:
        """Restart the stall timers: the lag is unknown while the broker is unreachable."""
        self._set_backlog({})

    def _set_backlog(self, backlog: dict[PartitionId, int]) -> None:
        self._backlog = backlog
        for part in self.moved_s.keys() - backlog.keys():
            self.moves(part)

    def moves(self, part: PartitionId) -> None:
        """Restart the stall timer of `part`: it made progress."""
        if part in self.moved_s:
            self.moved_s[part] = time.monotonic()

    def stalled_s(self, part: PartitionId) -> float:
        """Return the time since `part` made progress; 0 while an event of it is held."""
        if any(slot[1:] == part for slot, _ in self._held):
            return 0.0
        return time.monotonic() - self.moved_s.get(part, time.monotonic())

    def unhealthy(self, *, start_limit_s: float, stall_limit_s: float) -> str | None:
        """Return why the process should be restarted, or None. A hold is never a reason."""
        unready_s = time.monotonic() - self.unready_since_s
        if not self.ready and unready_s > start_limit_s:
            return f"no partitions for {unready_s:.0f} s"
        for part, events in self._backlog.items():
            if (stalled_s := self.stalled_s(part)) > stall_limit_s:
                topic, number = part
                return (
                    f"{events} events wait at {topic}/{number}, no progress for {stalled_s:.0f} s"
                )
        return None
