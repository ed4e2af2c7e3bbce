"""Fair shares of the scanners: who sends most is told to wait before others have to.

The log is first come, first served, and scanning is slow. So while more than `scan_wait_s` of
scanning waits, a peer's site or a reverse-path's domain that had its share in the last
`scan_window_s` hears 451. A share is max-min fair: the scanners' rate is given to all who sent,
none gets more than it wants nor more than half. Who sent nothing in the window may send one mail.
Counted by each ingress process on its own, in memory that the rate of accepting bounds.
"""

import time
from collections.abc import Callable, Collection

from edge.sliding_window import SlidingSums
from edge.trusted_networks import one_network
from mail.ports import ScanLog
from smtp.server.config import SmtpConfig
from smtp.server.scan_delay import ScanDelay, units_of

_LEVEL_S = 0.25  # how long a computed level holds


class ScanShares:
    """One server's counts. Until it follows a log, nothing ever waits."""

    def __init__(self, config: SmtpConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self.work = ScanDelay()
        self._config = config
        self._log: ScanLog | None = None
        self._clock = clock
        self._sites = _Level(config, clock)
        self._domains = _Level(config, clock)

    def follow(self, log: ScanLog) -> None:
        self._log = log

    async def look(self) -> None:
        """Bring the estimate up to the log; once a second. BrokerUnavailable: it stays."""
        if self._log is not None and not self.work.is_known_idle:
            self.work.seen(await self._log.progress(), self._clock())

    def admits(self, client: str, reverse_path: str, size_bytes: int) -> bool:
        """Whether a mail may be taken now; `size_bytes`: 0 when it is not known."""
        if self._log is None or client in self._config.trusted:
            return True
        if self.work.waiting_s <= self._config.scan_wait_s:
            return True
        units, rate = units_of(size_bytes), self.work.rate
        domain = _domain_of(reverse_path)
        return self._sites.admits(one_network(client), units, rate) and (
            not domain or self._domains.admits(domain, units, rate)
        )

    def count(self, client: str, reverse_path: str, size_bytes: int) -> None:
        """A mail was accepted."""
        units = units_of(size_bytes)
        self.work.accepted(units)
        if client in self._config.trusted:
            return
        self._sites.sums.add(one_network(client), units)
        if domain := _domain_of(reverse_path):
            self._domains.sums.add(domain, units)


class _Level:
    """What each key of one kind sent in the window, and the share of each."""

    def __init__(self, config: SmtpConfig, clock: Callable[[], float]) -> None:
        self.sums = SlidingSums(window_s=config.scan_window_s, clock=clock)
        self._window_s = config.scan_window_s
        self._clock = clock
        self._level = (float("-inf"), 0.0)  # when, and what

    def admits(self, key: str, units: float, rate: float) -> bool:
        had = self.sums.of(key)
        return not had or had + units <= self._share(rate * self._window_s)

    def _share(self, capacity: float) -> float:
        at_s, level = self._level
        if self._clock() - at_s > _LEVEL_S:
            level = min(fair_level(self.sums.all().values(), capacity), capacity / 2)
            self._level = (self._clock(), level)
        return level


def fair_level(wanted: Collection[float], capacity: float) -> float:
    """The level at which all, cut to it, need `capacity`; infinite when all fit uncut."""
    left = capacity
    for number, want in enumerate(sorted(wanted)):
        share = left / (len(wanted) - number)
        if want > share:
            return share
        left -= want
    return float("inf")


def _domain_of(reverse_path: str) -> str:
    """Lower case; "" for the null reverse-path, which has a peer only."""
    return reverse_path.rpartition("@")[2].lower().removesuffix(".")
