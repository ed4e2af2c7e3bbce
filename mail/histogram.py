"""Histogram of durations in buckets, as Prometheus reads it."""

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate

QUICK_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
SLOW_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)


@dataclass(slots=True)
class Histogram:
    """Durations in seconds. One thread writes; another may read slightly older values."""

    bounds_s: tuple[float, ...] = QUICK_S
    sum_s: float = 0.0
    counts: list[int] = field(init=False)  # durations up to each bound, then above the last

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds_s) + 1)

    def seen(self, took_s: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(self.bounds_s, took_s)] += 1
        self.sum_s += took_s

    def cumulative(self) -> list[tuple[str, int]]:
        """Pairs of upper bound and number of durations up to it; the last bound is +Inf."""
        names = [*map(str, self.bounds_s), "+Inf"]
        return list(zip(names, accumulate(self.counts), strict=True))
