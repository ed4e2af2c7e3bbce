"""Tokens for requests: of one process, while a shared store is away, and held in batches.

A process takes a hundredth of a bucket at a time from the shared store, and spends these tokens
without asking. A token admits one request wherever it is held. So in any time the processes
together admit at most what the bucket gives in that time, and what each of them held before: a
hundredth of the quota for each process.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.outage_switch import OutageSwitch, share
from edge.token_bucket import TokenBuckets
from mail.ports import RequestTokens, TokensTaken

BATCHES = 100  # of a bucket; a quota below twice this is taken token by token
KEYS_MAX = 20_000  # beyond it the tokens held for the least recently used key are lost

MakeTokens = Callable[[str, int], RequestTokens]  # from the name of a limit and its quota


class LocalTokens(RequestTokens):
    """Tokens that this process counts."""

    def __init__(self, quota: int, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.quota = quota
        self._buckets = TokenBuckets(quota, clock_s)

    async def take(self, key: str, *, most: int = 1) -> TokensTaken:
        tokens = min(most, self._buckets.remaining(key))
        if tokens:
            self._buckets.take(key, tokens)
        full_in_s = self._buckets.full_in_s(key)
        return TokensTaken.of(tokens=tokens, quota=self.quota, full_in_s=full_in_s)


def local_tokens(name: str, quota: int) -> RequestTokens:
    """MakeTokens of a service whose processes each count for themselves."""
    del name
    return LocalTokens(quota)


class TokensInOutage(RequestTokens):
    """The `shared` tokens, and those of this process while that store is unavailable."""

    def __init__(
        self, shared: RequestTokens, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.quota = shared.quota
        self._shared = shared
        self._local = LocalTokens(share(shared.quota), clock_s)
        self._switch = OutageSwitch("requests", clock_s)

    async def take(self, key: str, *, most: int = 1) -> TokensTaken:
        return await self._switch.either(
            lambda: self._shared.take(key, most=most), lambda: self._local.take(key, most=most)
        )


@dataclass(slots=True)
class _Held:
    """Tokens of a key that this process has, and the bucket as it was at `at_s`."""

    tokens: int = 0
    bucket: TokensTaken | None = None
    at_s: float = 0.0
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)  # calls at once share one batch


class TokenBatches(RequestTokens):
    """Tokens of `source`, taken from it in batches. A bucket that was empty is not asked early."""

    def __init__(
        self,
        source: RequestTokens,
        clock_s: Callable[[], float] = time.monotonic,
        *,
        keys_max: int = KEYS_MAX,
    ) -> None:
        self.quota = source.quota
        self._keys_max = keys_max
        self.batch = max(1, source.quota // BATCHES)
        self._source = source
        self._clock_s = clock_s
        self._held: OrderedDict[str, _Held] = OrderedDict()  # the most recently used last

    async def take(self, key: str, *, most: int = 1) -> TokensTaken:
        held = self._of(key)
        if self._must_ask(held, most):
            async with held.taking:
                if self._must_ask(held, most):
                    held.bucket = await self._source.take(key, most=max(most, self.batch))
                    held.tokens += held.bucket.tokens
                    held.at_s = self._clock_s()
        tokens = min(most, held.tokens)
        held.tokens -= tokens
        return self._taken(held, tokens)

    def _of(self, key: str) -> _Held:
        held = self._held.setdefault(key, _Held())
        self._held.move_to_end(key)
        if len(self._held) > self._keys_max:
            self._held.popitem(last=False)
        return held

    def _must_ask(self, held: _Held, most: int) -> bool:
        """Whether `most` are not held, and the bucket may have some."""
        waited_s = self._clock_s() - held.at_s
        return held.tokens < most and (held.bucket is None or held.bucket.wait_s <= waited_s)

    def _taken(self, held: _Held, tokens: int) -> TokensTaken:
        """As of a bucket that has what is held too; what other processes took since is unknown."""
        assert held.bucket is not None
        waited_s = self._clock_s() - held.at_s
        full_in_s = max(0.0, held.bucket.full_in_s - waited_s)
        bucket = TokensTaken.of(tokens=tokens, quota=self.quota, full_in_s=full_in_s)
        return TokensTaken(
            tokens=tokens,
            remaining=min(self.quota, bucket.remaining + held.tokens),
            wait_s=0.0 if tokens else max(0.0, held.bucket.wait_s - waited_s),
            full_in_s=full_in_s,
        )
