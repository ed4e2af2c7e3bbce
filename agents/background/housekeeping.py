"""Housekeeping guard: work that deletes by age is skipped while the wall clock is doubtful.

Reads the time of the newest accepted mail from the ledger. The first skipped turn is logged;
`reason` says why turns are skipped, for `postriver status`.
The ledger unreachable: Transient, the turn is skipped.
"""

import logging
from dataclasses import dataclass, field

from mail.clock_guard import SILENCE_MAX_DAYS, ClockGuard
from mail.ports import LedgerReader

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Housekeeping:
    """Create one at the start of each process: the guard compares clocks with that moment."""

    ledger: LedgerReader
    what: str  # what is deleted, for log and status
    guard: ClockGuard = field(default_factory=ClockGuard)
    silence_max_days: int = SILENCE_MAX_DAYS
    reason: str | None = None

    async def allowed(self) -> bool:
        """Whether a turn may delete by age now."""
        newest_ms = await self.ledger.newest_accepted_ms()
        reason = self.guard.fault(newest_ms, silence_max_days=self.silence_max_days)
        if reason is not None and self.reason is None:
            log.warning("%s are not deleted by age: %s", self.what, reason)
        self.reason = reason
        return reason is None

    def warnings(self) -> list[str]:
        """One sentence for the operator while turns are skipped."""
        return [f"{self.what} are not deleted by age: {self.reason}"] if self.reason else []
