"""Messages that the index lacks: found by seq, and decided by the definition of a match.

The index records the moment of a mailbox up to which it holds every message (IndexedTo). A search
reads which messages changed since then, asks the index which of them it lacks, and reads those from
their content. So a search finds what was just stored. What changed is read from the folders, not
from the journal, so that a long time without changes is no gap.
Limits: CHECKED_MAX messages compared with the index; DECIDED_MAX contents of DECIDED_MAX_BYTES
together, read within READ_MAX_S. Beyond them the newest are decided, and the result says that it is
not complete.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mail.errors import ContentMissing
from mail.mime.message_parser import SearchableText
from mail.ports import MATCHES_MAX, ContentStore, Parser, SearchReader
from mail.query.matcher import SearchedDocument
from mail.query.time_budget import TimeBudget
from mail.search.documents import document_of
from schemas.folder_slots import FolderSlots
from schemas.ids import FolderId, MessageId, UserId
from schemas.mailbox import MailboxState, Message
from schemas.search import IndexedTo

CHECKED_MAX = 2_000
DECIDED_MAX = 64
DECIDED_MAX_BYTES = 8 * 1024 * 1024
READ_MAX_S = 1.0
_NO_TEXT = SearchableText("", ())


class ChangedRows(Protocol):
    """The three methods of MailStore that say what the index may lack."""

    async def state(self, user_id: UserId) -> MailboxState: ...

    async def messages(
        self, user_id: UserId, message_ids: Sequence[MessageId]
    ) -> dict[MessageId, Message]: ...

    async def changed(
        self, user_id: UserId, folder_id: FolderId, *, since_seq: int
    ) -> FolderSlots: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """Ids of messages that the index lacks, those that changed last first, at the moment `now`.

    Not `complete`: there may be more.
    """

    now: IndexedTo
    since: IndexedTo
    message_ids: tuple[MessageId, ...] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Unindexed:
    """Messages that the index lacks, with their documents. Not `complete`: there may be more."""

    rows: dict[MessageId, Message] = field(default_factory=dict)
    documents: dict[MessageId, SearchedDocument] = field(default_factory=dict)
    complete: bool = True


async def lacking(
    index: SearchReader, store: ChangedRows, user_id: UserId, *, checked_max: int
) -> Lacking:
    """Compare the messages that changed since the last mark with the index, `checked_max` of them.

    A mark of another epoch, or beyond the mailbox's seq, is of a history before a restore: then
    every message is compared.
    """
    since, state = await index.indexed_to(user_id), await store.state(user_id)
    now = IndexedTo(state.epoch, state.seq)
    if since == now:
        return Lacking(now=now, since=since)
    is_same_history = since.epoch == now.epoch and since.seq < now.seq
    since_seq = since.seq if is_same_history else 0
    if not since_seq and state.usage.messages > checked_max:
        return Lacking(now=now, since=since, complete=False)
    changed = await _changed(store, user_id, state, since_seq)
    newest = sorted(changed, key=lambda id_: changed[id_], reverse=True)[:checked_max]
    lacked: list[MessageId] = []
    for start in range(0, len(newest), MATCHES_MAX):
        batch = newest[start : start + MATCHES_MAX]
        indexed = await index.indexed(user_id, batch)
        lacked += (id_ for id_ in batch if id_ not in indexed)
    complete = len(newest) == len(changed)
    return Lacking(now=now, since=since, message_ids=tuple(lacked), complete=complete)


async def _changed(
    store: ChangedRows, user_id: UserId, state: MailboxState, since_seq: int
) -> dict[MessageId, int]:
    """Return the seq of the last change of each message that changed after `since_seq`."""
    changed: dict[MessageId, int] = {}
    for folder_id, counts in state.folders.items():
        if counts.modseq > since_seq or not counts.modseq:  # 0: not recorded yet
            slots = await store.changed(user_id, folder_id, since_seq=since_seq)
            changed.update(zip(slots.message_ids, slots.changed_seqs, strict=True))
    return changed


@dataclass(frozen=True, slots=True, kw_only=True)
class UnindexedReader:
    """Reads the messages that the index lacks, within the limits of this module."""

    index: SearchReader
    store: ChangedRows
    contents: ContentStore
    parser: Parser

    async def read(self, user_id: UserId, budget: TimeBudget) -> Unindexed:
        """Return the messages that the index lacks; the time is spent from `budget`.

        Raises StoreUnavailable or ParserUnavailable.
        """
        began_s = time.perf_counter()
        try:
            return await self._read(user_id)
        finally:
            budget.spend(time.perf_counter() - began_s)

    async def _read(self, user_id: UserId) -> Unindexed:
        lacked = await lacking(self.index, self.store, user_id, checked_max=CHECKED_MAX)
        message_ids = lacked.message_ids[:DECIDED_MAX]
        rows = await self.store.messages(user_id, message_ids) if message_ids else {}
        documents: dict[MessageId, SearchedDocument] = {}
        complete = lacked.complete and len(message_ids) == len(lacked.message_ids)
        left_bytes = DECIDED_MAX_BYTES
        try:
            async with asyncio.timeout(READ_MAX_S):
                for message_id, row in rows.items():
                    left_bytes -= row.content.size_bytes
                    if left_bytes < 0:
                        complete = False
                        break
                    documents[message_id] = await self._document(row)
        except TimeoutError:
            complete = False
        read = {message_id: rows[message_id] for message_id in documents}
        return Unindexed(rows=read, documents=documents, complete=complete)

    async def _document(self, row: Message) -> SearchedDocument:
        """Return the document; of a content that is missing, what the row alone has."""
        try:
            text = await self.parser.words(await self.contents.get(row.content.ref))
        except ContentMissing:
            text = _NO_TEXT
        return SearchedDocument(document_of(row, text))
