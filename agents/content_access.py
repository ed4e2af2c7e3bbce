"""A mail's octets for an agent, within a budget of memory."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from mail.mime.message_parser import SearchableText
from mail.ports import ContentStore
from schemas.content import Content, Inline, Stored

BUDGET_MAX_BYTES = 256 * 1024 * 1024  # of stored contents in memory at once, in one process


class MemoryBudget:
    """Memory for mails that are too big to travel inside events; first come, first served."""

    def __init__(self, max_bytes: int = BUDGET_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._used_bytes = 0
        self._turn = asyncio.Lock()
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def room(self, size_bytes: int) -> AsyncIterator[None]:
        """Wait until `size_bytes` fit; one that is larger than all waits for all."""
        size_bytes = min(size_bytes, self._max_bytes)
        async with self._turn, self._freed:
            await self._freed.wait_for(lambda: self._used_bytes + size_bytes <= self._max_bytes)
            self._used_bytes += size_bytes
        try:
            yield
        finally:
            self._used_bytes -= size_bytes
            async with self._freed:
                self._freed.notify_all()


@asynccontextmanager
async def reading(
    content: Content, contents: ContentStore, budget: MemoryBudget
) -> AsyncIterator[bytes]:
    """The octets, within the budget as long as the block lasts. ContentMissing, StoreUnavailable.

    Inline content is bounded already, by what the river keeps of a partition.
    """
    if isinstance(content, Inline):
        yield content.data
        return
    async with budget.room(content.size_bytes):
        yield await contents.get(content.ref)


async def keep_content(mail_id: str, content: Content, contents: ContentStore) -> Stored:
    """Durable in the content store from now on, whether it travelled inline or not."""
    if isinstance(content, Stored):
        return content
    return await contents.put(mail_id, content.data)


MAILS_KEPT = 64  # of at most 256 Ki characters each


class TextCache:
    """The last MAILS_KEPT readings, by mail id."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, SearchableText] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def of(
        self, mail_id: str, read: Callable[[], Awaitable[SearchableText]]
    ) -> SearchableText:
        """Kept, or by `read`, which runs once however many ask at the same time."""
        lock = self._locks.get(mail_id)
        if lock is None:
            lock = self._locks[mail_id] = asyncio.Lock()
        async with lock:
            words = self._kept.pop(mail_id, None) or await read()
            self._kept[mail_id] = words
            if len(self._kept) > MAILS_KEPT:
                self._kept.popitem(last=False)
            return words
