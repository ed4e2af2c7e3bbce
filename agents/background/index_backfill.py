"""Index backfill: add documents that the search index has lost, while the index stage runs.

Reads the mail store, contents, and the search index. The index names users whose documents were
dropped when its format changed, the stage those whose mailbox has a message that stays lacking.
Writes the search index. A mailbox is walked until a walk adds nothing, because messages may be
moved during a walk. No document is removed: search ignores documents without a message.

A store unreachable: Transient, the rest is done at the next turn.
Content that is not in the content store: logged and skipped.
Safe to repeat, also at the same time as the index stage or another backfill: documents that are in
the index are not added again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from agents.index import add
from agents.ports import IndexPorts
from mail.errors import ContentMissing
from schemas.ids import UserId
from schemas.mailbox import Filter, Message
from schemas.search import IndexedTo

CONCURRENT_MAX = 32  # mails read at the same time: as many as the index writes together
PAGE = 64  # messages

_LOG = logging.getLogger(__name__)


async def refill(ports: IndexPorts) -> int:
    """Fill the index for all users that it has lost, and for mailboxes that it lags behind.

    Returns the number of added documents.
    """
    added = 0
    for user_id in dict.fromkeys((*await ports.search.unfilled(), *ports.progress.lagging())):
        _LOG.info("user %s: filling the search index again", user_id)
        added += await fill_and_mark(user_id, ports)
        _LOG.info("user %s: the search index is filled; %d documents so far", user_id, added)
    return added


async def fill_and_mark(user_id: UserId, ports: IndexPorts) -> int:
    """Add the missing documents of one mailbox, and mark it as filled; return their number."""
    state = await ports.store.state(user_id)
    added = await fill(user_id, ports)
    await ports.search.mark_filled(user_id, IndexedTo(state.epoch, state.seq))
    ports.progress.end_look(user_id, raised=True)
    return added


async def fill(user_id: UserId, ports: IndexPorts) -> int:
    """Add the missing documents of one mailbox; return their number."""
    added, missing = 0, set[str]()
    while count := await _walk(user_id, ports, missing):
        added += count
    return added


async def _walk(user_id: UserId, ports: IndexPorts, missing: set[str]) -> int:
    """Walk all folders once; return the number of added documents.

    `missing` collects the ids of messages without content.
    """
    slots, added = asyncio.Semaphore(CONCURRENT_MAX), 0

    async def add_row(row: Message) -> None:
        async with slots:
            try:
                await add(row, ports)
            except ContentMissing as error:
                _LOG.warning("message %s is not indexed: %s", row.message_id, error)
                missing.add(row.message_id)

    async for rows in _pages(user_id, ports):
        known = await ports.search.indexed(user_id, [row.message_id for row in rows])
        lacking = [row for row in rows if row.message_id not in known | missing]
        await asyncio.gather(*map(add_row, lacking))
        added += len(lacking)
    return added


async def _pages(user_id: UserId, ports: IndexPorts) -> AsyncIterator[tuple[Message, ...]]:
    for folder in await ports.store.folders(user_id):
        cursor = None
        while True:
            page = await ports.store.page(
                user_id, folder.counts.id, conditions=Filter(), limit=PAGE, cursor=cursor
            )
            yield page.messages
            cursor = page.next_cursor
            if cursor is None:
                break
