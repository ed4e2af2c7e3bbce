"""Retry schedule of the relay queue: when an attempt is repeated, delayed mail reported, given up.

Times are derived from the mail's id and the number of the attempt, so that a process that repeats
the work after a crash computes the same times (RFC 5321 §4.5.4.1).
"""

import hashlib
from dataclasses import dataclass

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySchedule:
    """Delays in milliseconds. RFC 5321 asks for 30 minutes between attempts, met from the sixth.

    The jitter spreads mails that were deferred together; it makes a delay longer, never shorter,
    so that no server that asks for a pause (greylisting) is tried too early.
    """

    first_ms: int = MINUTE_MS
    longest_ms: int = 4 * HOUR_MS
    jitter: float = 0.25  # the longest addition, as a share of the delay
    give_up_ms: int = 5 * 24 * HOUR_MS  # after the mail was queued (§4.5.4.1: 4 to 5 days)
    notice_ms: int = 4 * HOUR_MS  # after the mail was queued: the sender learns of the delay

    def __post_init__(self) -> None:
        if not 0 < self.first_ms <= self.longest_ms <= self.give_up_ms:
            msg = "a retry schedule needs 0 < first_ms <= longest_ms <= give_up_ms"
            raise ValueError(msg)
        if not (0 <= self.jitter <= 1 and self.notice_ms > 0):
            msg = "a retry schedule needs 0 <= jitter <= 1 and notice_ms > 0"
            raise ValueError(msg)

    def delay_ms(self, attempt: int, *, seed: str) -> int:
        """Return the pause after attempt `attempt` (1: the first), with the jitter of `seed`.

        Doubles from `first_ms` up to `longest_ms`. Raises ValueError: `attempt` is below 1.
        """
        if attempt < 1:
            msg = f"attempt {attempt}: the first is 1"
            raise ValueError(msg)
        doublings = min(attempt - 1, self.longest_ms.bit_length())
        base_ms = min(self.first_ms << doublings, self.longest_ms)
        return base_ms + int(base_ms * self.jitter * _fraction(seed, attempt))

    def next_attempt_ms(
        self, attempt: int, *, seed: str, queued_ms: int, now_ms: int
    ) -> int | None:
        """Return when to try after `attempt` was deferred at `now_ms`; None: give up.

        The last attempt is at the end of the time, not before it, so that the whole time is used.
        Raises ValueError: `attempt` is below 1.
        """
        give_up_at_ms = queued_ms + self.give_up_ms
        if now_ms >= give_up_at_ms:
            return None
        return min(now_ms + self.delay_ms(attempt, seed=seed), give_up_at_ms)

    def notice_is_due(self, *, queued_ms: int, now_ms: int) -> bool:
        """Whether a mail that is queued since then is late enough for a delay notice."""
        return now_ms >= queued_ms + self.notice_ms


def _fraction(seed: str, attempt: int) -> float:
    """A number in [0, 1) that `seed` and `attempt` determine."""
    digest = hashlib.sha256(f"{seed}\0{attempt}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)
