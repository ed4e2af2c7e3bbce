"""refill: documents that the search index has lost are added again, beside the live ones.

Reads the mail store, contents, and the search index, which says whose documents went when a version
of it came that keeps them otherwise. Writes the search index. Lists are walked until a walk adds
nothing, since messages may be moved meanwhile. Nothing is removed: documents without a message are
no hits.
A store unreachable: Transient, the rest is done at the next turn. Content that is not in the
content store: logged and passed over.
Safe to repeat, beside the index stage, and by several at once: what is known is not read again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from agents.index import add
from agents.ports import IndexPorts
from mail.errors import ContentMissing
from schemas.mailbox import Filter, Message

AT_ONCE = 32  # mails being read: as many as the index writes together
PAGE = 64

_LOG = logging.getLogger(__name__)


async def refill(ports: IndexPorts) -> int:
    """Fill every mailbox that the index has lost; how many documents were added."""
    added = 0
    for user_id in await ports.search.unfilled():
        _LOG.info("user %s: filling the search index again", user_id)
        added += await fill(user_id, ports)
        await ports.search.mark_filled(user_id)
        _LOG.info("user %s: the search index is filled; %d documents so far", user_id, added)
    return added


async def fill(user_id: str, ports: IndexPorts) -> int:
    """Add what the index lacks of one mailbox; how many documents that were."""
    added, missing = 0, set[str]()
    while count := await _walk(user_id, ports, missing):
        added += count
    return added


async def _walk(user_id: str, ports: IndexPorts, missing: set[str]) -> int:
    """One walk through all lists; `missing` collects what has no content."""
    turns, added = asyncio.Semaphore(AT_ONCE), 0

    async def one(row: Message) -> None:
        async with turns:
            try:
                await add(row, ports)
            except ContentMissing as error:
                _LOG.warning("message %s is not indexed: %s", row.message_id, error)
                missing.add(row.message_id)

    async for rows in _pages(user_id, ports):
        known = await ports.search.indexed(user_id, [row.message_id for row in rows])
        lacking = [row for row in rows if row.message_id not in known | missing]
        await asyncio.gather(*map(one, lacking))
        added += len(lacking)
    return added


async def _pages(user_id: str, ports: IndexPorts) -> AsyncIterator[tuple[Message, ...]]:
    for folder in await ports.store.folders(user_id):
        cursor = None
        while True:
            page = await ports.store.page(
                user_id, folder.counts.id, wanted=Filter(), limit=PAGE, cursor=cursor
            )
            yield page.messages
            cursor = page.next_cursor
            if cursor is None:
                break
