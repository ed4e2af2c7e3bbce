"""The snapshot of a journal: the folded entries as one record per message.

Snapshot and later entries together are enough to rebuild every view.
"""

import msgspec

from schemas.events.mailbox_events import Delivered
from schemas.ids import FolderId, MessageId, ThreadId
from schemas.mailbox import NO_THREAD, MailboxState
from schemas.user_settings import StoredSettings


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message according to the journal; with its header summary this makes the message row."""

    message_id: MessageId
    places: dict[FolderId, int] = {}
    keywords: tuple[str, ...] = ()
    thread_id: ThreadId = NO_THREAD  # in the first version: computed from the headers, in order
    created_seq: int
    changed_seq: int
    delivered: Delivered
    destroyed: bool = False
    deleted_in: tuple[FolderId, ...] = ()  # sorted


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The mailbox after the last folded entry, `state.seq`; 0 if no entry is folded."""

    state: MailboxState = MailboxState()
    at_ms: int = 0  # time of the last folded entry
    settings: StoredSettings = StoredSettings()

    @property
    def seq(self) -> int:
        return self.state.seq
