"""index: the search index follows created and destroyed messages.

Reads mailbox.events, in no order. Emits nothing. Writes the search index.
A created message is added with its header summary, its text (at most 256 Ki characters), the
names of its attachments, and the fields of its header (mail/search/documents.py). A mail with many
recipients is parsed once. Changes of keywords and folders, and answers, do not concern the index:
search reads them from message rows.
A destroyed message never stays in the index, even if its two events are handled at the same time or
in reverse order (decision 0027): after a message is added its row is read again, and the document
is removed if the message has been destroyed.
Now and then the stage records up to which seq the index holds every message of the mailbox
(agents/index_progress.py).

A store unreachable: Transient, the partition holds.
Content that is not in the store: Poison.
Safe to repeat: documents are keyed by message id.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import TypeGuard

from agents.content_access import reading
from agents.index_progress import look
from agents.ports import IndexPorts
from mail.mime.message_parser import SearchableText
from mail.ports import Attempt
from mail.search.documents import document_of
from schemas.events.mailbox_events import MailboxChanged, MailboxEvent
from schemas.events.unions import Event
from schemas.ids import MessageId, UserId
from schemas.mailbox import Message

_LOG = logging.getLogger(__name__)


async def index(event: MailboxEvent, _work: Attempt, ports: IndexPorts) -> Sequence[Event]:
    """Add the created messages of one step to the index; remove the destroyed messages."""
    changes = event.changes if isinstance(event, MailboxChanged) else ()
    for change in changes:
        if change.change == "created":
            await _add(event.user_id, change.message_id, ports)
    destroyed = [change.message_id for change in changes if change.change == "destroyed"]
    if destroyed:  # up to 500, written together
        await asyncio.gather(*(ports.search.remove(event.user_id, id_) for id_ in destroyed))
    created = sum(change.change == "created" for change in changes)
    if ports.progress.begin_look(event.user_id, created=created, changed=len(changes)):
        raised = await look(event.user_id, ports.store, ports.search)
        ports.progress.end_look(event.user_id, raised=raised)
    return ()


async def _add(user_id: UserId, message_id: MessageId, ports: IndexPorts) -> None:
    """Add a created message. A missing row means it was destroyed: rows precede their events."""
    row = await ports.store.message(user_id, message_id)
    if _exists(row):
        await add(row, ports)
        return
    _LOG.info("message %s has no row: not indexed", message_id)
    await ports.search.remove(user_id, message_id)  # an earlier attempt may have added it


async def add(row: Message, ports: IndexPorts) -> None:
    """Add the message of `row` to the index, unless it has been destroyed.

    If the message still exists after the document was written, it can only be destroyed later; the
    event of that comes later still, and its removal finds the document. If the message no longer
    exists, the document is removed here. A destroyed message is never restored.
    Raises ContentMissing: the content is not in the store. StoreUnavailable.
    """

    async def read() -> SearchableText:
        async with reading(row.content, ports.contents, ports.budget) as content:
            return await ports.parser.words(content)

    await ports.search.add(document_of(row, await ports.texts.of(row.mail_id, read)))
    if not _exists(await ports.store.message(row.user_id, row.message_id)):
        await ports.search.remove(row.user_id, row.message_id)


def _exists(row: Message | None) -> TypeGuard[Message]:
    return row is not None and not row.destroyed
