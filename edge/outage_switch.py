"""Which of two stores counts: the shared one, or this process alone while that is unavailable.

A process that counts alone admits a quarter of each limit, so that a few edges together admit about
as many as the shared store would. What was counted before the outage is not known meanwhile.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mail.errors import StoreUnavailable

SHARE = 4  # of a limit, a process that counts alone admits this part
ASK_AGAIN_S = 1.0  # after an error the shared store is left alone for this time

T = TypeVar("T")
log = logging.getLogger(__name__)


def share(limit: int) -> int:
    """The part of `limit` that a process admits while it counts alone."""
    return max(1, limit // SHARE)


class OutageSwitch:
    """Calls the shared store, and a local one while the shared store is away.

    `what` is counted, for the log. While it is away one call in ASK_AGAIN_S waits for it.
    """

    def __init__(self, what: str, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock_s = clock_s
        self._away_until_s: float | None = None  # None: not known to be away

    async def either(
        self, shared: Callable[[], Awaitable[T]], local: Callable[[], Awaitable[T]]
    ) -> T:
        """The answer of `shared`; that of `local` if the shared store raises StoreUnavailable."""
        if self._away_until_s is not None:
            now_s = self._clock_s()
            if now_s < self._away_until_s:
                return await local()
            self._away_until_s = now_s + ASK_AGAIN_S  # meanwhile other calls are local
        try:
            answer = await shared()
        except StoreUnavailable as error:
            self._is_away(error)
            return await local()
        if self._away_until_s is not None:
            log.warning("%s are counted together again", self._what)
            self._away_until_s = None
        return answer

    def _is_away(self, error: StoreUnavailable) -> None:
        if self._away_until_s is None:
            log.warning("%s are counted by each process alone: %s", self._what, error)
        self._away_until_s = self._clock_s() + ASK_AGAIN_S
