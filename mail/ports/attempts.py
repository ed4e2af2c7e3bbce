"""Counted attempts: sliding windows that all processes of the service share."""

from collections.abc import Sequence
from typing import Protocol

from schemas.directory import AttemptLimit, CountedAttempt

CLOCK_SKEW_MS = 60_000  # an attempt dated further ahead than this is of a clock that was set back


class Attempts(Protocol):
    """Attempts (of signing in) by opaque keys. They outlive the processes that count them."""

    async def begin(self, attempt: CountedAttempt, limits: Sequence[AttemptLimit]) -> int:
        """Count `attempt` under each of its keys, unless one of `limits` is reached.

        Returns 0 when it was counted, else the milliseconds until it would be: at most the window.
        Atomic: of attempts that begin at once no more pass than the limits allow.
        """
        ...

    async def wait_ms(self, limits: Sequence[AttemptLimit], *, at_ms: int) -> int:
        """Return what `begin` would return at `at_ms`, without counting."""
        ...

    async def withdraw(self, attempt: CountedAttempt) -> None:
        """Remove the attempt from its counts; no error if it is not counted."""
        ...

    async def prune(self, *, before_ms: int) -> int:
        """Drop attempts from before; return the number of counts."""
        ...
