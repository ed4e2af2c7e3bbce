"""Cache of look-ups by time to live, in bounded memory; one look-up at a time for a key."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class AnswerCache(Generic[V]):
    """At most `entries_max` answers; beyond it the answer that was used least recently goes."""

    def __init__(self, *, entries_max: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries_max = entries_max
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, V]] = OrderedDict()  # least recent first
        self._pending: dict[str, asyncio.Task[V]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: str, look_up: Callable[[], Awaitable[tuple[V, float]]]) -> V:
        """Return the kept answer, or that of `look_up`, which returns it with its seconds to live.

        A look-up that has begun goes on when its caller is cancelled: others may wait for it.
        Errors of `look_up` reach every caller that waits, and are not kept.
        """
        entry = self._entries.get(key)
        if entry is not None and self._clock() < entry[0]:
            self._entries.move_to_end(key)
            return entry[1]
        task = self._pending.get(key)
        if task is None:
            task = asyncio.create_task(self._fill(key, look_up))
            self._pending[key] = task
        return await asyncio.shield(task)

    async def _fill(self, key: str, look_up: Callable[[], Awaitable[tuple[V, float]]]) -> V:
        try:
            answer, live_s = await look_up()
            self._entries[key] = (self._clock() + live_s, answer)
            self._entries.move_to_end(key)
            while len(self._entries) > self._entries_max:
                self._entries.popitem(last=False)
            return answer
        finally:
            del self._pending[key]
