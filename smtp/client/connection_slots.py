"""Limits of connections at once: for a domain, for a host, and in all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


class NoSlot(Exception):
    """No slot was free in time."""


@dataclass(slots=True)
class _Slots:
    semaphore: asyncio.Semaphore
    users: int = field(default=0)  # that hold or wait


class KeyedSlots:
    """At most `slots_max` holders at once for each key; a key without holders takes no memory."""

    def __init__(self, slots_max: int) -> None:
        self._slots_max = slots_max
        self._slots: dict[str, _Slots] = {}

    def __len__(self) -> int:
        return len(self._slots)

    @asynccontextmanager
    async def hold(self, key: str, *, within_s: float) -> AsyncIterator[None]:
        """Hold a slot of `key` within the block. Raises NoSlot."""
        slots = self._slots.get(key)
        if slots is None:
            slots = self._slots[key] = _Slots(asyncio.Semaphore(self._slots_max))
        slots.users += 1
        try:
            try:
                async with asyncio.timeout(within_s):
                    await slots.semaphore.acquire()
            except TimeoutError:
                raise NoSlot from None
            try:
                yield
            finally:
                slots.semaphore.release()
        finally:
            slots.users -= 1
            if not slots.users:
                del self._slots[key]
