"""What travels on the topics: facts in the past tense, frozen, versioned by their tag.

A new field has a default; a changed meaning is a new tag. Ids are made before the work and travel.
"""

import msgspec

from schemas.content import Content, Stored
from schemas.mail import Envelope, Head, Hop, Verdict
from schemas.mailbox import FolderCounts, Usage
from schemas.operator_commands import FoldJournal, RebuildViews


class Position(msgspec.Struct, frozen=True):
    """Where a command stands in the log; `epoch` changes when the topic is made anew."""

    epoch: str
    partition: int
    offset: int


class MailReceived(msgspec.Struct, frozen=True, kw_only=True, tag="mail.received.v1"):
    """We answered 250: the mail is durable and ours (RFC 5321 §6.1)."""

    mail_id: str  # UUIDv7, made at ingress
    envelope: Envelope
    content: Content  # trace header (Return-Path, Received), then the bytes as accepted
    trace_size_bytes: int
    received_at_ms: int
    hops: tuple[Hop, ...] = ()


class MailValidated(msgspec.Struct, frozen=True, kw_only=True, tag="mail.validated.v1"):
    """Its structure was read, or marked unreadable."""

    mail_id: str
    envelope: Envelope
    content: Content
    trace_size_bytes: int
    received_at_ms: int
    head: Head
    hops: tuple[Hop, ...] = ()


class MailScanned(msgspec.Struct, frozen=True, kw_only=True, tag="mail.scanned.v1"):
    """Both scanners spoke, and it may be delivered: clean or (into Junk) spam.

    Or an operator released it from quarantine against `verdict`: then `released_by` says who.
    """

    mail_id: str
    envelope: Envelope
    content: Content
    trace_size_bytes: int
    received_at_ms: int
    head: Head
    verdict: Verdict
    hops: tuple[Hop, ...] = ()
    released_by: str = ""
    scanned_at_ms: int = 0  # or released; 0 in what earlier versions wrote, and in notices


class Deliver(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.deliver.v1"):
    """Put one message into one mailbox. Idempotent by `message_id`."""

    command_id: str
    user_id: str
    domain_id: str
    message_id: str  # UUIDv5(mail_id, user, received | sent)
    mail_id: str
    folder_id: str
    keywords: tuple[str, ...]
    content: Stored
    received_at_ms: int
    at_ms: int  # when it was scanned or released; handlers have no clock
    head: Head
    verdict: Verdict
    hops: tuple[Hop, ...]


class ChangeMessages(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mailbox.change_messages.v1"
):
    """Change keywords (RFC 8621 §4.1.1) and folders of up to 500 messages; all or none.

    Folders: first `set_folder_ids`, when given, then removal, then addition.
    """

    command_id: str
    user_id: str
    domain_id: str
    message_ids: tuple[str, ...]
    add_keywords: tuple[str, ...] = ()
    remove_keywords: tuple[str, ...] = ()
    set_folder_ids: tuple[str, ...] | None = None
    add_folder_ids: tuple[str, ...] = ()
    remove_folder_ids: tuple[str, ...] = ()
    if_changed_seq: int | None = None  # else `conflict`: what every message's changed_seq must be
    at_ms: int


class TrashMessages(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.trash_messages.v1"):
    """Move up to 500 messages to the trash. Never destroys, so a repeat changes nothing."""

    command_id: str
    user_id: str
    domain_id: str
    message_ids: tuple[str, ...]
    if_changed_seq: int | None = None
    at_ms: int


class DestroyMessages(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.destroy_messages.v1"):
    """Destroy up to 500 messages that the author saw in trash or junk.

    Messages that changed after `unchanged_since_seq`, or lie elsewhere, are passed over.
    """

    command_id: str
    user_id: str
    domain_id: str
    message_ids: tuple[str, ...]
    unchanged_since_seq: int  # the mailbox's seq that the author read before the messages
    at_ms: int


class CreateFolder(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.create_folder.v1"):
    command_id: str
    user_id: str
    domain_id: str
    folder_id: str  # made by who orders it; never used before
    name: str
    parent_id: str = ""
    at_ms: int


class ChangeFolder(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.change_folder.v1"):
    """A new name or another parent; None leaves what is."""

    command_id: str
    user_id: str
    domain_id: str
    folder_id: str
    name: str | None = None
    parent_id: str | None = None
    at_ms: int


class FolderOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order to all messages of a folder, carried out in chunks.

    A chunk journals the next one as its follow-up. Uids bound it: what came into the folder after
    the author read it has a uid of `bound_uid` or more, and is left alone.
    """

    command_id: str
    user_id: str
    domain_id: str
    folder_id: str
    at_ms: int
    origin_id: str = ""  # the first chunk's command_id; "" in the first
    chunk: int = 0
    after_uid: int = 0
    bound_uid: int = 0  # the folder's next_uid that the author read; 0: an older version's first


class DeleteFolder(FolderOrder, frozen=True, kw_only=True, tag="mailbox.delete_folder.v1"):
    """What lies nowhere else goes to the trash, then the folder goes.

    Refused when a message came into the folder after the author read it.
    """


class EmptyFolder(FolderOrder, frozen=True, kw_only=True, tag="mailbox.empty_folder.v1"):
    """What lies nowhere else goes to the trash; from trash and junk it is destroyed for good."""


class MarkAllRead(FolderOrder, frozen=True, kw_only=True, tag="mailbox.mark_all_read.v1"):
    """Every message of the folder becomes $seen."""


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


FolderWide = DeleteFolder | EmptyFolder | MarkAllRead
MessageOrder = ChangeMessages | TrashMessages | DestroyMessages  # an owner's, to chosen messages
Change = Deliver | MessageOrder | CreateFolder | ChangeFolder | FolderWide
Command = Change | RebuildViews | FoldJournal
MailboxEvent = MailboxChanged | CommandAnswered
Event = MailReceived | MailValidated | MailScanned | Command | MailboxEvent
