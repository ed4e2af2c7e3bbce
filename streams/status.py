"""What a worker knows of itself: counters, what is held and since when, how far behind it is."""

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from mail.errors import Transient

Slot = tuple[str, str, int]  # stage, topic, partition
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A partition that waits for an engine."""

    stage: str
    topic: str
    partition: int
    engine: str
    since_ms: int
    detail: str

    def plain(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True, kw_only=True)
class RoleStatus:
    """Written by the harness, read by whoever serves /status, /healthz and /metrics."""

    ready: bool = False
    lag: int = 0
    partitions: int = 0
    events: Counter[tuple[str, str]] = field(default_factory=Counter)  # stage, outcome
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    buckets: defaultdict[str, list[int]] = field(  # stage: events up to BOUNDS_S[i], then the rest
        default_factory=lambda: defaultdict(lambda: [0] * (len(BOUNDS_S) + 1))
    )
    unready_since_s: float = field(default_factory=time.monotonic)
    moved_s: float = field(default_factory=time.monotonic)  # last acknowledgement
    _held: dict[tuple[Slot, int], Held] = field(default_factory=dict)

    @property
    def held(self) -> list[Held]:
        """One for each partition, the longest first."""
        first: dict[Slot, Held] = {}
        for (slot, _), one in sorted(self._held.items(), key=lambda row: row[1].since_ms):
            first.setdefault(slot, one)
        return list(first.values())

    def hold(self, slot: Slot, offset: int, cause: Transient) -> bool:
        """The event at `offset` waits; the first cause's time stays, the last one's words count.

        True when it is the first of its partition.
        """
        first = not any(other == slot for other, _ in self._held)
        earlier = self._held.get((slot, offset))
        since_ms = earlier.since_ms if earlier else now_ms()
        stage, topic, partition = slot
        self._held[slot, offset] = Held(
            stage=stage,
            topic=topic,
            partition=partition,
            engine=cause.engine,
            since_ms=since_ms,
            detail=str(cause),
        )
        return first

    def release(self, slot: Slot, offset: int) -> None:
        self._held.pop((slot, offset), None)

    def count(self, stage: str, outcome: str) -> None:
        """`outcome`: done, parked, held (tries that hold), retried (tries that fail otherwise)."""
        self.events[stage, outcome] += 1

    def done(self, stage: str, took_s: float) -> None:
        """An event's outputs are acknowledged, `took_s` after its first try began."""
        self.count(stage, "done")
        self.seconds[stage] += took_s
        self.buckets[stage][bisect_left(BOUNDS_S, took_s)] += 1

    def assigned(self, partitions: int) -> None:
        self.partitions = partitions
        self.ready = True
        self.moved_s = time.monotonic()

    def revoked(self) -> None:
        self.ready = False
        self.unready_since_s = time.monotonic()

    def acked(self) -> None:
        self.moved_s = time.monotonic()

    def unhealthy(self, *, start_limit_s: float, stall_limit_s: float) -> str | None:
        """Why the process should be started again; a held partition is never a reason."""
        now_s = time.monotonic()
        if not self.ready and now_s - self.unready_since_s > start_limit_s:
            return f"no partitions for {now_s - self.unready_since_s:.0f} s"
        if self.lag and not self._held and now_s - self.moved_s > stall_limit_s:
            return f"{self.lag} events wait and none was done for {now_s - self.moved_s:.0f} s"
        return None
