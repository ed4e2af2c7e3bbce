"""How much is stored, as it was some seconds ago: asked often, read seldom."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mail.errors import StoreUnavailable
from schemas.mailbox import Usage

KEEP_S = 3.0
KEPT_MAX = 10_000  # the oldest are forgotten first
PATIENCE_S = 1.0  # for one who waits; the store may take longer
DEARNESS = 50  # what takes long to read is kept for so many times as long


@dataclass(slots=True)
class _Kept:
    task: asyncio.Task[Usage]
    until_s: float = math.inf  # while it is read


class UsageCache:
    """Of users or of domains, by id. Whoever asks meanwhile waits for the same read."""

    def __init__(
        self,
        ask: Callable[[str], Awaitable[Usage]],
        *,
        keep_s: float = KEEP_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._keep_s = keep_s
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    async def of(self, id_: str) -> Usage:
        """StoreUnavailable: the store is away or slow; asked again when that has been kept."""
        kept = self._kept.get(id_)
        if kept is None or kept.until_s <= self._clock():
            kept = self._begin(id_)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.shield(kept.task)
        except TimeoutError:
            raise StoreUnavailable("mail", "usage is not told in time") from None

    def _begin(self, id_: str) -> _Kept:
        self._kept.pop(id_, None)
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        kept = self._kept[id_] = _Kept(asyncio.ensure_future(self._read(id_)))
        began_s = self._clock()

        def keep(task: asyncio.Task[Usage]) -> None:
            now_s = self._clock()
            kept.until_s = now_s + max(self._keep_s, DEARNESS * (now_s - began_s))
            if not task.cancelled():
                task.exception()  # seen, though nobody may have waited for it

        kept.task.add_done_callback(keep)
        return kept

    async def _read(self, id_: str) -> Usage:
        return await self._ask(id_)
