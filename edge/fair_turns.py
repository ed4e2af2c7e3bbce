"""Fair turns at scarce work: argon2, parsing. Each key (a peer, a user) waits in a line of its own.

Lines are served in rotation, so that whoever sends much waits for himself. When all places to wait
are taken, the longest line gives one up.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class QueueFull(Exception):
    """All places to wait are taken."""


class FairTurns:
    """`slots` turns at once, of one key at most `slots_per_key`; at most `waiting_max` wait."""

    def __init__(self, slots: int, waiting_max: int, *, slots_per_key: int | None = None) -> None:
        self._free = slots
        self._slots_per_key = slots_per_key or slots
        self._waiting_max = waiting_max
        self._running: Counter[str] = Counter()
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Hold a slot within the block. QueueFull: try again later."""
        await self._granted(self._line_up(key), key)
        try:
            yield
        finally:
            self._give_back(key)

    def _line_up(self, key: str) -> "asyncio.Future[None]":
        if sum(map(len, self._lines.values())) >= self._waiting_max:
            self._make_room(key)
        place = asyncio.get_running_loop().create_future()
        self._lines.setdefault(key, deque()).append(place)
        self._grant()
        return place

    def _make_room(self, key: str) -> None:
        """The last one of the longest line leaves, unless the line of `key` is as long."""
        longest = max(self._lines, key=lambda one: len(self._lines[one]))
        if len(self._lines[longest]) <= len(self._lines.get(key, ())) + 1:
            raise QueueFull
        place = self._lines[longest][-1]
        self._leave(longest, place)
        if not place.done():
            place.set_exception(QueueFull())

    async def _granted(self, place: "asyncio.Future[None]", key: str) -> None:
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._give_back(key)  # granted in the very moment of the cancelling
            self._leave(key, place)
            raise

    def _leave(self, key: str, place: "asyncio.Future[None]") -> None:
        """Take a place out of its line, if it stands there."""
        line = self._lines.get(key, deque())
        if place in line:
            line.remove(place)
        if not line:
            self._lines.pop(key, None)

    def _give_back(self, key: str) -> None:
        self._free += 1
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        self._grant()

    def _grant(self) -> None:
        for key in list(self._lines):
            if not self._free:
                return
            if self._running[key] < self._slots_per_key and (place := self._next(key)):
                self._free -= 1
                self._running[key] += 1
                place.set_result(None)

    def _next(self, key: str) -> "asyncio.Future[None] | None":
        """The first one in line that still waits; the line then stands behind all others."""
        line = self._lines[key]
        while line and line[0].done():  # cancelled, and not yet aware of it
            line.popleft()
        place = line.popleft() if line else None
        self._lines.move_to_end(key)
        if not line:
            del self._lines[key]
        return place
