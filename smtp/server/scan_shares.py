"""Fair shares of the scanners: the heaviest senders are delayed first.

The log is first come, first served, and scanning is slow. While more than `scan_wait_s` of scanning
waits, a peer's site or a reverse-path's domain that used its share in the last `scan_window_s` gets
451. Shares are max-min fair: the scanners' rate is divided among all senders of the window, and a
sender gets at most its demand and at most half. A sender without mail in the window may send one
mail. Each ingress process counts on its own, in memory bounded by the rate of acceptance.
"""

import time
from collections.abc import Callable, Collection

from edge.sliding_window import SlidingSums
from edge.trusted_networks import one_network
from mail.ports import ScanLog
from smtp.server.config import SmtpConfig
from smtp.server.scan_delay import ScanDelay, units_of

_LEVEL_S = 0.25  # for which a computed level is reused


class ScanShares:
    """The shares of one server. Before `follow`, every mail is admitted."""

    def __init__(self, config: SmtpConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self.work = ScanDelay()
        self._config = config
        self._log: ScanLog | None = None
        self._clock = clock
        self._sites = _Level(config, clock)
        self._domains = _Level(config, clock)

    def follow(self, log: ScanLog) -> None:
        """Estimate the waiting work from `log`."""
        self._log = log

    async def refresh(self) -> None:
        """Update the estimate from the log; called once a second.

        Raises BrokerUnavailable: the estimate is unchanged.
        """
        if self._log is not None and not self.work.is_known_idle:
            self.work.observe(await self._log.progress(), self._clock())

    def admits(self, client: str, reverse_path: str, size_bytes: int) -> bool:
        """Whether a mail may be accepted now. `size_bytes`: 0 when unknown."""
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
        """Count an accepted mail."""
        units = units_of(size_bytes)
        self.work.accepted(units)
        if client in self._config.trusted:
            return
        self._sites.sums.add(one_network(client), units)
        if domain := _domain_of(reverse_path):
            self._domains.sums.add(domain, units)


class _Level:
    """Units that each key (site or domain) sent in the window, and the share of a key."""

    def __init__(self, config: SmtpConfig, clock: Callable[[], float]) -> None:
        self.sums = SlidingSums(window_s=config.scan_window_s, clock=clock)
        self._window_s = config.scan_window_s
        self._clock = clock
        self._level = (float("-inf"), 0.0)  # time of computation, level

    def admits(self, key: str, units: float, rate: float) -> bool:
        sent = self.sums.of(key)
        return not sent or sent + units <= self._share(rate * self._window_s)

    def _share(self, capacity: float) -> float:
        at_s, level = self._level
        if self._clock() - at_s > _LEVEL_S:
            level = min(fair_level(self.sums.all().values(), capacity), capacity / 2)
            self._level = (self._clock(), level)
        return level


def fair_level(demands: Collection[float], capacity: float) -> float:
    """The level at which all demands, capped at it, add up to `capacity`; infinite if all fit."""
    left = capacity
    for number, demand in enumerate(sorted(demands)):
        share = left / (len(demands) - number)
        if demand > share:
            return share
        left -= demand
    return float("inf")


def _domain_of(reverse_path: str) -> str:
    """The domain in lower case; "" for the null reverse-path, which counts by site alone."""
    return reverse_path.rpartition("@")[2].lower().removesuffix(".")
