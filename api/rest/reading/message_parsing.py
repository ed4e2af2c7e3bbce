"""Parse stored mails for their readers: off the event loop, in fair turns, charged to the reader.

The size of a mail does not bound the work of parsing it, so small mails are parsed on a thread too.
Large mails and mails of unusual structure go to the parser's child processes, which have resource
limits. Small mails do not wait for large mails, and no user can hold all slots of either kind.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from api.context import AppContext
from api.problems import unavailable
from edge.fair_turns import FairTurns, QueueFull
from mail.html.view_document import ViewDocument
from mail.mime.message_parser import Attachment, ParsedMessage, all_attachments
from mail.mime.message_parser import attachment as attachment_of
from mail.mime.parse_requests import is_quick, read_editable, read_shown, read_viewed
from schemas.ids import UserId
from schemas.mailbox import Message

T = TypeVar("T")


async def parse_for_display(context: AppContext, row: Message) -> ParsedMessage:
    """The content as the message resource shows it; a longer text has `text_max_chars` + 1."""
    max_chars = context.config.text_max_chars
    return await _parse(
        context,
        row,
        on_thread=lambda content: read_shown(content, text_max_chars=max_chars),
        in_child=lambda content: context.ports.parser.shown(content, text_max_chars=max_chars),
    )


async def parse_for_view(
    context: AppContext, row: Message, *, remote_images: bool = False
) -> ViewDocument:
    """The document that displays the message; a longer content is cut at `text_max_chars`."""
    max_chars = context.config.text_max_chars
    return await _parse(
        context,
        row,
        on_thread=lambda content: read_viewed(
            content, text_max_chars=max_chars, remote_images=remote_images
        ),
        in_child=lambda content: context.ports.parser.viewed(
            content, text_max_chars=max_chars, remote_images=remote_images
        ),
    )


async def parse_for_editing(context: AppContext, row: Message) -> ParsedMessage:
    """The whole content of a mail that its owner goes on writing."""
    return await _parse(
        context, row, on_thread=read_editable, in_child=context.ports.parser.editable
    )


async def parse_attachment(context: AppContext, row: Message, n: int) -> tuple[Attachment, bytes]:
    """Attachment `n` and its decoded content. Raises NotFound: the mail has fewer attachments."""
    return await _parse(
        context,
        row,
        on_thread=lambda content: attachment_of(content, n),
        in_child=lambda content: context.ports.parser.attachment(content, n),
    )


async def parse_all_attachments(
    context: AppContext, row: Message
) -> tuple[Sequence[Attachment], Sequence[bytes]]:
    """All attachments and the decoded content of each."""
    return await _parse(
        context, row, on_thread=all_attachments, in_child=context.ports.parser.files
    )


async def _parse(
    context: AppContext,
    row: Message,
    *,
    on_thread: Callable[[bytes], T],
    in_child: Callable[[bytes], Awaitable[T]],
) -> T:
    contents, ref = context.ports.contents, row.content.ref
    if row.content.size_bytes > context.config.quick_max_bytes:
        async with _turn(context, context.parse_turns, row.user_id):
            return await in_child(await contents.get(ref))
    content = await contents.get(ref)
    if is_quick(content, context.config.quick_max_bytes):
        async with _turn(context, context.quick_parse_turns, row.user_id):
            return await asyncio.to_thread(on_thread, content)
    async with _turn(context, context.parse_turns, row.user_id):
        return await in_child(content)


@asynccontextmanager
async def _turn(context: AppContext, turns: FairTurns, user_id: UserId) -> AsyncIterator[None]:
    """Wait for a slot of `turns`; charge the time of the block to the user.

    Raises Problem 503: too many requests wait.
    """
    try:
        async with turns.turn(user_id):
            with context.work_shares.charged(user_id):
                yield
    except QueueFull:
        raise unavailable(context.config.retry_after_s) from None
