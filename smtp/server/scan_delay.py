"""Estimate of how long a mail accepted now will wait for the scanners; pure.

Work is counted in units: 1 for a mail, and 1 for each 256 KiB. The log gives the number of waiting
mails. This process knows the sizes of the mails that it accepted last; other waiting mails, from
before its start or of another process, count as small.
"""

from collections import deque

from mail.ports import ScanProgress

UNIT_BYTES = 256 * 1024
FIRST_RATE = 5.0  # units a second until it is measured
_LEAST_RATE = 0.2
_MEASURED_S = (3.0, 10.0)  # of busy time: least for a measurement, and most that it covers
_OUTAGE_S = 5.0  # without a scanned mail: the scanners are down, not slow
_REMEMBERED = 20_000  # accepted mails


def units_of(size_bytes: int) -> float:
    """The work of a mail of `size_bytes`."""
    return 1.0 + size_bytes / UNIT_BYTES


class ScanDelay:
    """Waiting units, and the measured rate of scanning in units per second."""

    def __init__(self) -> None:
        self.rate = FIRST_RATE
        self._accepted: deque[float] = deque()  # units of mails that may still wait
        self._accepted_units = 0.0
        self._others = 0
        self._last: tuple[float, ScanProgress] | None = None
        self._busy_s = 0.0
        self._busy_units = 0.0
        self._idle_s = 0.0  # since a mail was scanned

    @property
    def waiting_s(self) -> float:
        """Seconds until a mail accepted now is scanned."""
        return (self._accepted_units + self._others) / self.rate

    @property
    def is_known_idle(self) -> bool:
        """Whether nothing waited at the last observation and no mail was accepted since."""
        return self._last is not None and not self._accepted and not self._others

    def accepted(self, units: float) -> None:
        """Add a mail that this process accepted."""
        self._accepted.append(units)
        self._accepted_units += units
        if len(self._accepted) > _REMEMBERED:
            self._forget_first()

    def observe(self, progress: ScanProgress, now_s: float) -> None:
        """Update from the log's `progress` at `now_s`, a monotonic clock."""
        done, units = 0, 0.0
        while len(self._accepted) > progress.waiting:
            units += self._forget_first()
            done += 1
        self._others = progress.waiting - len(self._accepted)
        self._measure(progress, now_s, units / done if done else 1.0)
        self._last = (now_s, progress)

    def _forget_first(self) -> float:
        units = self._accepted.popleft()
        self._accepted_units = max(0.0, self._accepted_units - units)
        return units

    def _measure(self, progress: ScanProgress, now_s: float, units_each: float) -> None:
        """Measure the rate over time in which mail waited and was scanned; leave outages out."""
        if self._last is None:
            return
        last_s, last = self._last
        passed_s = now_s - last_s
        units = max(0, progress.scanned - last.scanned) * units_each
        if not progress.waiting and passed_s > 0:
            # A lower bound: the scanners were not always busy.
            self.rate = max(self.rate, units / passed_s)
        if not (last.waiting and progress.waiting):
            self._busy_s = self._busy_units = self._idle_s = 0.0
            return
        self._idle_s += passed_s
        if not units:
            return
        self._busy_s += self._idle_s if self._idle_s < _OUTAGE_S else passed_s
        self._idle_s = 0.0
        self._busy_units += units
        least_s, most_s = _MEASURED_S
        if self._busy_s >= least_s:
            self.rate = max(_LEAST_RATE, self._busy_units / self._busy_s)
        if self._busy_s > most_s:
            self._busy_s /= 2
            self._busy_units /= 2
