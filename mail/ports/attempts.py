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
        """What `begin` would return at `at_ms`; nothing is counted."""
        ...

    async def withdraw(self, attempt: CountedAttempt) -> None:
        """Uncount it. Not counted: no error."""
        ...

    async def prune(self, *, before_ms: int) -> int:
        """Forget attempts from before; returns how many counts there were."""
        ...
