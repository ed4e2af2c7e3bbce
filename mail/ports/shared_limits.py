"""Limits that processes of the service share: counted attempts, and tokens for requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.directory import AttemptLimit, CountedAttempt

CLOCK_SKEW_MS = 60_000  # an attempt dated further ahead than this is of a clock that was set back
REFILL_S = 60.0  # an empty bucket of tokens is full again after this time


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensTaken:
    """What was taken from a bucket, and what is in it after that.

    `wait_s`: seconds until the bucket has a token; 0 when some were taken.
    """

    tokens: int
    remaining: int
    wait_s: float
    full_in_s: float

    @classmethod
    def of(cls, *, tokens: int, quota: int, full_in_s: float) -> "TokensTaken":
        """From a bucket of `quota` tokens that is full in `full_in_s` seconds, after the taking."""
        each_s = REFILL_S / quota
        return cls(
            tokens=tokens,
            remaining=max(0, int((REFILL_S - full_in_s) / each_s + 1e-6)),
            wait_s=0.0 if tokens else max(0.0, full_in_s + each_s - REFILL_S),
            full_in_s=full_in_s,
        )


class RequestTokens(Protocol):
    """Token buckets by opaque keys (users or peers). A bucket has `quota` tokens at first.

    A token comes back each REFILL_S / quota seconds. A bucket may be lost: it is full then.
    """

    quota: int  # at least 1

    async def take(self, key: str, *, most: int = 1) -> TokensTaken:
        """Take `most` tokens, or what the bucket has, whole tokens only.

        Atomic: callers at once take no more than there is.
        """
        ...
