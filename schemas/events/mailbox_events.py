"""Events of a mailbox: the changes of one command, or the answer of one without changes."""

import msgspec

from schemas.content import Stored
from schemas.events.mailbox_commands import (
    DeleteFolder,
    EmptyFolder,
    MarkAllRead,
)
from schemas.mail import Hop, Verdict
from schemas.mailbox import FolderCounts, Usage


class Position(msgspec.Struct, frozen=True):
    """Where a command stands in the log; `epoch` changes when the topic is made anew."""

    epoch: str
    partition: int
    offset: int


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """What a created message's journal entry holds beyond places: enough to rebuild its row."""

    mail_id: str
    content: Stored
    received_at_ms: int
    verdict: Verdict
    hops: tuple[Hop, ...]


class MessageChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one message."""

    change: str  # created | updated | destroyed
    message_id: str
    places: dict[str, int] = {}  # folder id -> uid, after the change
    keywords: tuple[str, ...] = ()  # sorted, after the change
    thread_id: str = ""
    delivered: Delivered | None = None  # with `created` only


class FolderChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a folder of the owner's making; name and parent after the change."""

    change: str  # created | renamed (or moved) | destroyed
    id: str
    name: str = ""
    parent_id: str = ""


class MailboxChanged(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mailbox.changed.v2"
):
    """One step of a mailbox: the journal's row, the change feed's entry and the event, all in one.

    Ids, places, keywords, counts and references; no subject and no body. One command is one step
    with one `seq`, however many messages it touches.
    """

    user_id: str
    domain_id: str
    seq: int  # dense per user, from 1
    command_id: str
    position: Position
    changes: tuple[MessageChange, ...] = ()  # at most 500
    folder_changes: tuple[FolderChange, ...] = ()
    folders: tuple[FolderCounts, ...]  # the touched ones, after the change
    usage: Usage | None = None  # after the change; entries of the first version lack it
    at_ms: int
    not_found: tuple[str, ...] = ()  # those of the command's message ids that are not there
    origin_id: str = ""  # the order of which this is a later chunk
    follow_up: DeleteFolder | EmptyFolder | MarkAllRead | None = None  # the chunk that comes next

    @property
    def answers(self) -> str:
        """The id of the command that is carried out with this; "" while chunks follow."""
        return "" if self.follow_up else self.origin_id or self.command_id


class CommandAnswered(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mailbox.answered.v1"
):
    """A command that changed nothing, and why. Takes no seq.

    `unchanged` (already so), `not_found`, `refused` (`detail` says why, fit for who asked),
    `conflict` (a message has another `changed_seq`), `rebuilt` (`detail` says how much differed).
    """

    user_id: str
    domain_id: str
    command_id: str
    outcome: str
    detail: str = ""
    not_found: tuple[str, ...] = ()
    origin_id: str = ""

    @property
    def answers(self) -> str:
        return self.origin_id or self.command_id


MailboxEvent = MailboxChanged | CommandAnswered
