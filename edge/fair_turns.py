"""Fair turns at scarce work, such as argon2 or parsing: one queue per key (a peer, a user).

Queues are served in rotation, so that a key with many requests delays its own requests alone. When
all places to wait are taken, the longest queue gives up its last place.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class QueueFull(Exception):
    """All places to wait are taken."""


class FairTurns:
    """`slots` turns at once, at most `slots_per_key` of one key; at most `waiting_max` wait."""

    def __init__(self, slots: int, waiting_max: int, *, slots_per_key: int | None = None) -> None:
        self._free = slots
        self._slots_per_key = slots_per_key or slots
        self._waiting_max = waiting_max
        self._running: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Turns that wait for a slot."""
        return sum(map(len, self._queues.values()))

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Hold a slot within the block. Raises QueueFull: try again later."""
        await self._wait(self._enqueue(key), key)
        try:
            yield
        finally:
            self._release(key)

    def _enqueue(self, key: str) -> "asyncio.Future[None]":
        if self.waiting >= self._waiting_max:
            self._make_room(key)
        place = asyncio.get_running_loop().create_future()
        self._queues.setdefault(key, deque()).append(place)
        self._grant()
        return place

    def _make_room(self, key: str) -> None:
        """Drop the last place of the longest queue. Raises QueueFull: that of `key` is as long."""
        longest = max(self._queues, key=lambda each: len(self._queues[each]))
        if len(self._queues[longest]) <= len(self._queues.get(key, ())) + 1:
            raise QueueFull
        place = self._queues[longest][-1]
        self._remove(longest, place)
        if not place.done():
            place.set_exception(QueueFull())

    async def _wait(self, place: "asyncio.Future[None]", key: str) -> None:
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._release(key)  # granted at the moment of the cancellation
            self._remove(key, place)
            raise

    def _remove(self, key: str, place: "asyncio.Future[None]") -> None:
        """Remove a place from its queue, if the queue has it."""
        queue = self._queues.get(key, deque())
        if place in queue:
            queue.remove(place)
        if not queue:
            self._queues.pop(key, None)

    def _release(self, key: str) -> None:
        self._free += 1
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        self._grant()

    def _grant(self) -> None:
        for key in list(self._queues):
            if not self._free:
                return
            if self._running[key] < self._slots_per_key and (place := self._next(key)):
                self._free -= 1
                self._running[key] += 1
                place.set_result(None)

    def _next(self, key: str) -> "asyncio.Future[None] | None":
        """The first waiting place of the queue, which moves to the end of the rotation."""
        queue = self._queues[key]
        while queue and queue[0].done():  # cancelled, and its waiter has not run since
            queue.popleft()
        place = queue.popleft() if queue else None
        self._queues.move_to_end(key)
        if not queue:
            del self._queues[key]
        return place
