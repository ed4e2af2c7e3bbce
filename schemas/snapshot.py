"""What the folded part of a journal leaves: enough to go on from, and to rebuild from, for ever."""

import msgspec

from schemas.events.mailbox_events import Delivered
from schemas.mailbox import MailboxState


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message as the journal tells of it: its row is this and the head of its content."""

    message_id: str
    places: dict[str, int] = {}
    keywords: tuple[str, ...] = ()
    thread_id: str = ""  # "" in what the first version wrote: rebuilt from heads, in order
    created_seq: int
    changed_seq: int
    delivered: Delivered
    destroyed: bool = False


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox as it was after `state.seq`, the last entry that was folded; 0 before any was."""

    state: MailboxState = MailboxState()
    at_ms: int = 0  # of that entry

    @property
    def seq(self) -> int:
        return self.state.seq
