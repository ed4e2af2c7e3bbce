"""Counters of the API: requests by route and status, response times, sockets."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from mail.histogram import Histogram


@dataclass(slots=True)
class ApiMetrics:
    """Monotonic, but for the gauge `sockets`.

    Routes are patterns, never paths with ids.
    """

    requests: Counter[tuple[str, str, int]] = field(
        default_factory=Counter
    )  # method, route, status
    times: defaultdict[tuple[str, str], Histogram] = field(  # method, route; sockets left out
        default_factory=lambda: defaultdict(Histogram)
    )
    frames: int = 0
    sockets: int = 0
    sockets_closed_slow: int = 0

    def count_response(self, method: str, route: str, status: int, took_s: float | None) -> None:
        """Count a response; `took_s` None for a WebSocket, whose duration the client decides."""
        self.requests[method, route, status] += 1
        if took_s is not None:
            self.times[method, route].seen(took_s)
