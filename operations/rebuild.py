"""rebuild: write lists, counts or the search index again from the journals, while Postriver runs.

Lists and counts are rebuilt by the mailbox's own process, on the command RebuildViews: that process
keeps the counts in memory too, and its next commit would overwrite a row that was corrected in the
store alone. The index is filled from this process while the stage `index` writes it: both add by
message id. Where a second index can be filled, a rebuild of the whole index leaves no gap in
searches.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from dataclasses import replace
from typing import Protocol, TypeVar

from agents.background.index_backfill import fill_and_mark
from agents.ports import IndexPorts
from mail.clock import now_ms
from mail.errors import Refused
from mail.ids import new_command_id
from mail.lifecycle import running
from mail.ports import SearchIndex
from schemas.directory import User
from schemas.events.mailbox_commands import RebuildViews
from schemas.events.mailbox_events import CommandAnswered, MailboxEvent
from schemas.ids import UserId
from streams.config import Bootstrap, PublisherConfig
from streams.publisher import KafkaPublisher
from streams.readers.event_tail import EventTail

T = TypeVar("T")
READY_LIMIT_S = 20.0
ANSWER_LIMIT_S = 1800.0  # a mailbox of some 200,000 messages takes minutes on a busy machine


async def rebuild_views(
    bootstrap: Bootstrap, users: Iterable[User], part: str
) -> AsyncIterator[tuple[User, CommandAnswered]]:
    """Rebuild `part` of each mailbox, one after the other, and yield the mailbox's answer.

    Raises Refused: no answer in time; the mailboxes before it are rebuilt.
    """
    config = PublisherConfig(bootstrap=bootstrap, client_id="rebuild", linger_ms=0)
    async with running(EventTail(bootstrap)) as tail, running(KafkaPublisher(config)) as publisher:
        await _within(READY_LIMIT_S, tail.wait_ready(), "the broker does not answer")
        for user in users:
            yield user, await _rebuild_mailbox(tail, publisher, user, part)


async def rebuild_index(user_id: UserId, ports: IndexPorts) -> int:
    """Rebuild the search index of one mailbox; return the number of documents.

    If this is cut short, the role `index` adds the missing documents.
    """
    await ports.search.clear(user_id)
    return await fill_and_mark(user_id, ports)


class WholeIndex(Protocol):
    """A search index that can be filled again while it is searched."""

    async def begin(self) -> SearchIndex:
        """Return an index that gets every write from now on, and is not searched yet."""
        ...

    async def switch(self) -> None:
        """Search the index of `begin` instead, at once."""
        ...


async def rebuild_whole_index(
    user_ids: Iterable[UserId], ports: IndexPorts, whole: WholeIndex
) -> int:
    """Fill a second index from the mailboxes while the first is searched, then search the second.

    Returns the number of documents that were added. If this is cut short, the next call goes on
    with the same second index.
    """
    ports, added = replace(ports, search=await whole.begin()), 0
    for user_id in user_ids:
        added += await fill_and_mark(user_id, ports)
    await whole.switch()
    return added


async def _rebuild_mailbox(
    tail: EventTail, publisher: KafkaPublisher, user: User, part: str
) -> CommandAnswered:
    command = RebuildViews(
        command_id=new_command_id(),
        user_id=user.user_id,
        domain_id=user.domain_id,
        parts=(part,),
        at_ms=now_ms(),
    )
    answer: asyncio.Future[CommandAnswered] = asyncio.get_running_loop().create_future()

    def on_event(event: MailboxEvent) -> None:
        if not isinstance(event, CommandAnswered) or answer.done():
            return
        if event.answers == command.command_id:
            answer.set_result(event)

    unsubscribe = tail.subscribe(user.user_id, on_event)
    try:
        await publisher.publish(command)
        return await _within(ANSWER_LIMIT_S, answer, f"no answer for {user.address}")
    finally:
        unsubscribe()


async def _within(limit_s: float, wait: Awaitable[T], failure: str) -> T:
    try:
        async with asyncio.timeout(limit_s):
            return await wait
    except TimeoutError:
        raise Refused(
            f"{failure} within {limit_s:g} s: see postriver status. The command stays in the log, "
            "and repeating it is harmless"
        ) from None
