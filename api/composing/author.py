"""The user who writes a mail, with what the process knows of the user's mailbox."""

import asyncio
from dataclasses import dataclass

from api.context import AppContext
from mail.composing.faults import ComposingFault
from mail.composing.written_fields import WrittenFields, written_fields
from mail.mime.header_fields import HEADER_MAX_BYTES
from schemas.directory import User
from schemas.ids import DraftId, MessageId
from schemas.mailbox import DRAFTS, Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """A user, and the process that serves the user."""

    context: AppContext
    user: User

    async def message(self, id_: str, place: str) -> Message:
        """The author's message of this id. Raises ComposingFault: there is no such message."""
        row = await self.context.ports.store.message(self.user.user_id, MessageId(id_))
        if row is None or not row.shown_places:
            raise ComposingFault(place, "There is no such message.")
        return row

    async def draft(self, draft_id: str) -> Message | None:
        """The message that is the present version of a draft; None: there is no such draft.

        A message that another program saved in Drafts is a draft too, by the id of the message.
        """
        store, user_id = self.context.ports.store, self.user.user_id
        row = await store.by_draft(user_id, DraftId(draft_id))
        if row is None:
            row = await store.message(user_id, MessageId(draft_id))
            if row is not None and (row.draft_id or DRAFTS not in row.places):
                return None
        return row if row is not None and row.shown_places else None

    async def written_fields(self, row: Message) -> WrittenFields:
        """The fields in the header of a draft's version."""
        size_bytes = min(row.content.size_bytes, HEADER_MAX_BYTES)
        header = await self.context.ports.contents.read(
            row.content.ref, start=0, size_bytes=size_bytes
        )
        return await asyncio.to_thread(written_fields, header)
