"""Counts for whoever exposes them: requests by route and status, time spent, sockets."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass(slots=True)
class ApiMetrics:
    """Monotonic, but for the gauge `sockets`. Routes are patterns, never paths with ids."""

    requests: Counter[tuple[str, str, int]] = field(
        default_factory=Counter
    )  # method, route, status
    seconds: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    frames: int = 0
    sockets: int = 0
    sockets_closed_slow: int = 0

    def seen(self, method: str, route: str, status: int, took_s: float) -> None:
        self.requests[method, route, status] += 1
        self.seconds[method, route] += took_s
