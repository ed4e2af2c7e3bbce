"""Clock guard: whether the wall clock can be trusted for a step that cannot be undone.

Housekeeping that deletes by age (contents, ledger, journal entries, sessions) asks the guard before
each turn, and skips the turn if the guard gives a reason. A wall clock that jumps ahead would make
all data old at once.
"""

import time
from collections.abc import Callable

from mail.clock import DAY_MS, now_ms

MOVED_MAX_MS = 3_600_000  # change between wall clock and boot clock since the guard was created
SILENCE_MAX_DAYS = 30  # without an accepted mail, before the wall clock is doubted
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_ms() -> int:
    """Milliseconds since this machine started, time in suspend included; cannot be set."""
    return time.clock_gettime_ns(_BOOT_CLOCK) // 1_000_000


class ClockGuard:
    """Create one at the start of the process. Both clocks are parameters only for tests."""

    def __init__(
        self, wall_ms: Callable[[], int] = now_ms, boot_clock_ms: Callable[[], int] = boot_ms
    ) -> None:
        self._wall_ms = wall_ms
        self._boot_clock_ms = boot_clock_ms
        self._apart_ms = wall_ms() - boot_clock_ms()

    def now_ms(self) -> int:
        """The wall clock, in Unix milliseconds."""
        return self._wall_ms()

    def moved(self) -> str | None:
        """Why the wall clock is not trusted: it was set by more than MOVED_MAX_MS. None: it is.

        A clock that was set stays in doubt until the process starts again.
        """
        moved_ms = self._wall_ms() - self._boot_clock_ms() - self._apart_ms
        if abs(moved_ms) <= MOVED_MAX_MS:
            return None
        way = "ahead" if moved_ms > 0 else "back"
        hours = abs(moved_ms) / 3_600_000
        return f"the clock was set {way} by {hours:.1f} h: check it, then restart this role"

    def fault(
        self, newest_accepted_ms: int | None, *, silence_max_days: int = SILENCE_MAX_DAYS
    ) -> str | None:
        """Why a turn must be skipped: `moved`, or no mail was accepted for `silence_max_days`.

        `newest_accepted_ms`: acceptance time of the newest mail that is known; None: no mail yet,
        which proves nothing.
        """
        if reason := self.moved():
            return reason
        if newest_accepted_ms is None:
            return None
        days = (self._wall_ms() - newest_accepted_ms) / DAY_MS
        if days <= silence_max_days:
            return None
        return f"the clock is {days:.0f} days ahead of the newest accepted mail: check it"
