"""The text of mails for the index, read once for all recipients of a mail."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from mail.parse import Words

MAILS_KEPT = 64  # of at most 256 Ki characters each


class Texts:
    """The last MAILS_KEPT readings, by mail id."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Words] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def of(self, mail_id: str, read: Callable[[], Awaitable[Words]]) -> Words:
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
