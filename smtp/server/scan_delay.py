"""How long mail that is taken now will wait for the scanners: an estimate, pure.

Work is counted in units: a small mail is one, and each 256 KiB one more. The log says how many
mails wait. Which ones they are is known of those that this process accepted: the last ones. Others,
of an earlier life or another process, count as small.
"""

from collections import deque

from mail.ports import ScanProgress

UNIT_BYTES = 256 * 1024
FIRST_RATE = 5.0  # units a second until it is measured
_LEAST_RATE = 0.2
_MEASURED_S = (3.0, 10.0)  # of busy time: the least for a rate, and what it looks back
_OUTAGE_S = 5.0  # without a scanned mail: the scanners are away, not slow
_REMEMBERED = 20_000  # accepted mails


def units_of(size_bytes: int) -> float:
    return 1.0 + size_bytes / UNIT_BYTES


class ScanDelay:
    """Units that wait, and the measured rate of scanning."""

    def __init__(self) -> None:
        self.rate = FIRST_RATE
        self._accepted: deque[float] = deque()  # units of mails that may still wait
        self._accepted_units = 0.0
        self._others = 0
        self._last: tuple[float, ScanProgress] | None = None
        self._busy_s = 0.0
        self._busy_units = 0.0
        self._still_s = 0.0  # since something was scanned

    @property
    def waiting_s(self) -> float:
        return (self._accepted_units + self._others) / self.rate

    @property
    def is_known_idle(self) -> bool:
        """Nothing waited at the last look, and no mail came since."""
        return self._last is not None and not self._accepted and not self._others

    def accepted(self, units: float) -> None:
        self._accepted.append(units)
        self._accepted_units += units
        if len(self._accepted) > _REMEMBERED:
            self._forget_first()

    def seen(self, progress: ScanProgress, now_s: float) -> None:
        """Take what the log says at `now_s`, a monotonic clock."""
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
        """Only time in which mail waited and was scanned tells a rate, and an outage does not."""
        if self._last is None:
            return
        last_s, last = self._last
        passed_s = now_s - last_s
        units = max(0, progress.scanned - last.scanned) * units_each
        if not progress.waiting and passed_s > 0:
            self.rate = max(self.rate, units / passed_s)  # it did so much, and could do more
        if not (last.waiting and progress.waiting):
            self._busy_s = self._busy_units = self._still_s = 0.0
            return
        self._still_s += passed_s
        if not units:
            return
        self._busy_s += self._still_s if self._still_s < _OUTAGE_S else passed_s
        self._still_s = 0.0
        self._busy_units += units
        least_s, most_s = _MEASURED_S
        if self._busy_s >= least_s:
            self.rate = max(_LEAST_RATE, self._busy_units / self._busy_s)
        if self._busy_s > most_s:
            self._busy_s /= 2
            self._busy_units /= 2
