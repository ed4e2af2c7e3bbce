"""Usage cache: stored size and messages of users or domains, up to some seconds old."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mail.errors import StoreUnavailable
from schemas.mailbox import Usage

KEEP_S = 3.0  # shortest time that a usage is cached
KEPT_MAX = 10_000  # usages; the oldest is dropped first
WAIT_MAX_S = 1.0  # a caller waits so long; the read in the store may take longer
TTL_PER_READ_TIME = 50  # a usage is cached for so many times the time of its read


@dataclass(slots=True)
class _Kept:
    task: asyncio.Task[Usage]
    until_s: float = math.inf  # infinite during the read


class UsageCache:
    """Usage of users, or of domains, by id. Concurrent callers share one read."""

    def __init__(
        self,
        read: Callable[[str], Awaitable[Usage]],
        *,
        keep_s: float = KEEP_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_usage = read
        self._keep_s = keep_s
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    async def of(self, id_: str) -> Usage:
        """The usage of `id_`.

        Raises StoreUnavailable: the store failed, or took longer than WAIT_MAX_S. A failure is
        cached as long as a usage.
        """
        kept = self._kept.get(id_)
        if kept is None or kept.until_s <= self._clock():
            kept = self._begin(id_)
        try:
            async with asyncio.timeout(WAIT_MAX_S):
                return await asyncio.shield(kept.task)
        except TimeoutError:
            raise StoreUnavailable("mail", "usage was not read in time") from None

    def _begin(self, id_: str) -> _Kept:
        self._kept.pop(id_, None)
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        kept = self._kept[id_] = _Kept(asyncio.ensure_future(self._read(id_)))
        began_s = self._clock()

        def keep(task: asyncio.Task[Usage]) -> None:
            now_s = self._clock()
            kept.until_s = now_s + max(self._keep_s, TTL_PER_READ_TIME * (now_s - began_s))
            if not task.cancelled():
                task.exception()  # marks the exception as retrieved: all callers may have gone

        kept.task.add_done_callback(keep)
        return kept

    async def _read(self, id_: str) -> Usage:
        return await self._read_usage(id_)
