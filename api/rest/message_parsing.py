"""Parse stored mails for their readers: never on the event loop, in fair turns, at their expense.

Octets say little about the work in them, so even a small mail is parsed on a thread. What is large
or of an unusual shape goes to the parser's child processes, which have limits. Small mails do not
wait behind large ones, and no user holds all places of either kind.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from api.context import AppContext
from api.problems import unavailable
from edge.fair_turns import FairTurns, QueueFull
from mail.mime.message_parser import Attachment, ParsedMessage
from mail.mime.message_parser import attachment as attachment_of
from mail.mime.parse_requests import is_quick, read_shown
from schemas.mailbox import Message

T = TypeVar("T")


async def shown(edge: AppContext, row: Message) -> ParsedMessage:
    """The mail as its page shows it; texts have one character too many where they were cut."""
    most = edge.config.text_max_chars
    return await _parsed(
        edge,
        row,
        lambda content: read_shown(content, text_max_chars=most),
        lambda content: edge.ports.parser.shown(content, text_max_chars=most),
    )


async def attached(edge: AppContext, row: Message, n: int) -> tuple[Attachment, bytes]:
    """NotFound: it has fewer attachments."""
    return await _parsed(
        edge,
        row,
        lambda content: attachment_of(content, n),
        lambda content: edge.ports.parser.attachment(content, n),
    )


async def _parsed(
    edge: AppContext,
    row: Message,
    here: Callable[[bytes], T],
    by_child: Callable[[bytes], Awaitable[T]],
) -> T:
    contents, ref = edge.ports.contents, row.content.ref
    if row.content.size_bytes > edge.config.quick_max_bytes:
        async with _turn(edge, edge.reads, row.user_id):
            return await by_child(await contents.get(ref))
    content = await contents.get(ref)
    if is_quick(content, edge.config.quick_max_bytes):
        async with _turn(edge, edge.quick_reads, row.user_id):
            return await asyncio.to_thread(here, content)
    async with _turn(edge, edge.reads, row.user_id):
        return await by_child(content)


@asynccontextmanager
async def _turn(edge: AppContext, line: FairTurns, user_id: str) -> AsyncIterator[None]:
    try:
        async with line.turn(user_id):
            with edge.work.charged(user_id):
                yield
    except QueueFull:
        raise unavailable(edge.config.retry_after_s) from None
