"""Views written anew while live: lists and counts by the mailbox itself, by order of an operator.

A state row alone would not do: the mailbox's process holds the counts too, and its next commit
would bring the wrong ones back. So the order goes the way of all commands, and is answered.
The index is filled from here, beside the stage that writes it too: both add by message id.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import TypeVar

from agents.background.index_backfill import fill
from agents.ports import IndexPorts
from mail.clock import now_ms
from mail.errors import Refused
from mail.ids import new_id
from mail.lifecycle import running
from schemas.directory import User
from schemas.events.mailbox_commands import RebuildViews
from schemas.events.mailbox_events import CommandAnswered, MailboxEvent
from streams.config import Bootstrap, PublisherConfig
from streams.publisher import KafkaPublisher
from streams.readers.event_tail import EventTail

T = TypeVar("T")
READY_LIMIT_S = 20.0
ANSWER_LIMIT_S = 1800.0  # a mailbox of some 200,000 messages takes minutes on a busy machine


async def rebuild_views(
    bootstrap: Bootstrap, users: Iterable[User], part: str
) -> AsyncIterator[tuple[User, CommandAnswered]]:
    """One mailbox after the other. Refused: no answer; what went before is done."""
    river = PublisherConfig(bootstrap=bootstrap, client_id="rebuild", linger_ms=0)
    async with running(EventTail(bootstrap)) as tail, running(KafkaPublisher(river)) as publisher:
        await _within(READY_LIMIT_S, tail.wait_ready(), "the broker does not answer")
        for user in users:
            yield user, await _ordered(tail, publisher, user, part)


async def rebuild_index(user_id: str, ports: IndexPorts) -> int:
    """How many documents were made. Ended in the middle, the role `index` does the rest."""
    await ports.search.clear(user_id)
    documents = await fill(user_id, ports)
    await ports.search.mark_filled(user_id)
    return documents


async def _ordered(
    tail: EventTail, publisher: KafkaPublisher, user: User, part: str
) -> CommandAnswered:
    command = RebuildViews(
        command_id=new_id(),
        user_id=user.user_id,
        domain_id=user.domain_id,
        parts=(part,),
        at_ms=now_ms(),
    )
    answer: asyncio.Future[CommandAnswered] = asyncio.get_running_loop().create_future()

    def listen(event: MailboxEvent) -> None:
        if not isinstance(event, CommandAnswered) or answer.done():
            return
        if event.answers == command.command_id:
            answer.set_result(event)

    leave = tail.subscribe(user.user_id, listen)
    try:
        await publisher.publish(command)
        return await _within(ANSWER_LIMIT_S, answer, f"no answer for {user.address}")
    finally:
        leave()


async def _within(limit_s: float, wait: Awaitable[T], why: str) -> T:
    try:
        async with asyncio.timeout(limit_s):
            return await wait
    except TimeoutError:
        raise Refused(
            f"{why} within {limit_s:g} s: look at postriver status; the order stands in the log, "
            "and to repeat it is harmless"
        ) from None
