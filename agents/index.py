"""index: what arrives can be searched; what is destroyed cannot be found.

Reads mailbox.events. Emits nothing. A created message is added with its head, its text (at most
256 Ki characters) and the names of its attachments; a mail with many recipients is read once.
Changed keywords, places and folders, and answers, concern rows, not the index.
A store unreachable: Transient, the partition holds. Content that is not in the store: Poison.
A message without a row has been destroyed since, for rows are written before events: passed over.
Safe to repeat: documents are keyed by message id.
"""

import logging
from collections.abc import Sequence

from agents.contents import parse_off_loop, reading
from agents.ports import IndexPorts
from mail.parse import Words, read_words
from mail.ports import Work
from schemas.events import Event, MailboxChanged, MailboxEvent
from schemas.mail import Mailbox
from schemas.mailbox import Message
from schemas.records import IndexDocument

_LOG = logging.getLogger(__name__)


async def index(event: MailboxEvent, _work: Work, ports: IndexPorts) -> Sequence[Event]:
    for change in event.changes if isinstance(event, MailboxChanged) else ():
        if change.change == "created":
            await _add(event.user_id, change.message_id, ports)
        elif change.change == "destroyed":
            await ports.search.remove(event.user_id, change.message_id)
    return ()


async def _add(user_id: str, message_id: str, ports: IndexPorts) -> None:
    row = await ports.store.message(user_id, message_id)
    if row is None or row.destroyed:
        _LOG.info("message %s has no row any more: not indexed", message_id)
        return
    await add(row, ports)


async def add(row: Message, ports: IndexPorts) -> None:
    """Make the row's message searchable. ContentMissing, StoreUnavailable."""

    async def read() -> Words:
        async with reading(row.content, ports.contents, ports.budget) as content:
            return await parse_off_loop(read_words, content)

    await ports.search.add(_document(row, await ports.texts.of(row.mail_id, read)))


def _document(row: Message, words: Words) -> IndexDocument:
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


def _names(*mailboxes: Mailbox) -> str:
    return "\n".join(f"{one.name} {one.address}".strip() for one in mailboxes)
