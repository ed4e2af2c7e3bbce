"""index: what arrives can be searched; what is destroyed cannot be found.

Reads mailbox.events, in no order. Emits nothing. A created message is added with its head, its text
(at most 256 Ki characters) and the names of its attachments; a mail with many recipients is read
once. Changed keywords, places and folders, and answers, concern rows, not the index.
What is destroyed never stays, however the work on its two events interleaves (decision 0027):
whoever has added a message looks at its row once more, and removes it when it is destroyed.
A store unreachable: Transient, the partition holds. Content that is not in the store: Poison.
Safe to repeat: documents are keyed by message id.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import TypeGuard

from agents.content_access import reading
from agents.ports import IndexPorts
from mail.mime.message_parser import SearchableText
from mail.ports import Attempt
from schemas.events.mailbox_events import MailboxChanged, MailboxEvent
from schemas.events.unions import Event
from schemas.mail import EmailAddress
from schemas.mailbox import Message
from schemas.search import IndexDocument

_LOG = logging.getLogger(__name__)


async def index(event: MailboxEvent, _work: Attempt, ports: IndexPorts) -> Sequence[Event]:
    changes = event.changes if isinstance(event, MailboxChanged) else ()
    for change in changes:
        if change.change == "created":
            await _add(event.user_id, change.message_id, ports)
    gone = [change.message_id for change in changes if change.change == "destroyed"]
    if gone:  # up to 500, written together
        await asyncio.gather(*(ports.search.remove(event.user_id, one) for one in gone))
    return ()


async def _add(user_id: str, message_id: str, ports: IndexPorts) -> None:
    """Its row was written before its event: one that is not there was destroyed since."""
    row = await ports.store.message(user_id, message_id)
    if _is_there(row):
        await add(row, ports)
        return
    _LOG.info("message %s has no row any more: not indexed", message_id)
    await ports.search.remove(user_id, message_id)  # an earlier try may have added it


async def add(row: Message, ports: IndexPorts) -> None:
    """Make the row's message searchable, unless it is destroyed. ContentMissing, StoreUnavailable.

    A row that is there after the document was written is destroyed later, so the event of that
    comes later still and its removal finds the document; else the removal here does. A row never
    comes back to life.
    """

    async def read() -> SearchableText:
        async with reading(row.content, ports.contents, ports.budget) as content:
            return await ports.parser.words(content)

    await ports.search.add(_document(row, await ports.texts.of(row.mail_id, read)))
    if not _is_there(await ports.store.message(row.user_id, row.message_id)):
        await ports.search.remove(row.user_id, row.message_id)


def _is_there(row: Message | None) -> TypeGuard[Message]:
    return row is not None and not row.destroyed


def _document(row: Message, words: SearchableText) -> IndexDocument:
    head = row.head
    return IndexDocument(
        message_id=row.message_id,
        user_id=row.user_id,
        domain_id=row.domain_id,
        received_at_ms=row.received_at_ms,
        size_bytes=row.content.size_bytes,
        has_attachments=head.has_attachments,
        subject=head.subject,
        sender=_names(head.sender) if head.sender else "",
        to=_names(*head.to),
        cc=_names(*head.cc),
        body=words.text,
        filenames="\n".join(words.filenames),
    )


def _names(*mailboxes: EmailAddress) -> str:
    return "\n".join(f"{one.name} {one.address}".strip() for one in mailboxes)
