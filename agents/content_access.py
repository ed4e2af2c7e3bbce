"""Content access for stages: the octets of a mail within a memory budget, and a text cache."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from mail.mime.message_parser import SearchableText
from mail.ports import ContentStore
from schemas.content import Content, Inline, Stored
from schemas.ids import MailId

BUDGET_MAX_BYTES = 256 * 1024 * 1024  # stored contents in memory at the same time, per process


class MemoryBudget:
    """Memory limit for contents that are not inline in events; requests are served in order."""

    def __init__(self, max_bytes: int = BUDGET_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._used_bytes = 0
        self._turn = asyncio.Lock()
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def room(self, size_bytes: int) -> AsyncIterator[None]:
        """Reserve `size_bytes` for the block, waiting until they are free.

        A content larger than the whole budget reserves the whole budget.
        """
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
    """The octets of `content`; they count towards the budget until the end of the block.

    Inline content does not count: the limit of events in flight per partition bounds it.
    Raises ContentMissing: the content is not in the store. StoreUnavailable.
    """
    if isinstance(content, Inline):
        yield content.data
        return
    async with budget.room(content.size_bytes):
        yield await contents.get(content.ref)


async def keep_content(mail_id: MailId, content: Content, contents: ContentStore) -> Stored:
    """Put inline content into the content store; return the reference, once it is durable."""
    if isinstance(content, Stored):
        return content
    return await contents.put(mail_id, content.data)


MAILS_KEPT = 64  # texts of at most 256 Ki characters each


class TextCache:
    """Searchable text of the MAILS_KEPT mails that were used last, by mail id."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, SearchableText] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def of(
        self, mail_id: MailId, read: Callable[[], Awaitable[SearchableText]]
    ) -> SearchableText:
        """The text from the cache or from `read`; concurrent callers share one `read`."""
        lock = self._locks.get(mail_id)
        if lock is None:
            lock = self._locks[mail_id] = asyncio.Lock()
        async with lock:
            text = self._kept.pop(mail_id, None) or await read()
            self._kept[mail_id] = text
            if len(self._kept) > MAILS_KEPT:
                self._kept.popitem(last=False)
            return text
