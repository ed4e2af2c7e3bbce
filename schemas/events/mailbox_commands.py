"""Commands to one user's mailbox: of its owner, of delivery, and of maintenance."""

import msgspec

from schemas.content import Stored
from schemas.mail import HeaderSummary, Hop, Verdict


class RebuildViews(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mailbox.rebuild_views.v1"
):
    """An operator's: rewrite from the journal what differs from it, one bounded step.

    A command, since counts are in the single writer's hands too. A step publishes the next one; the
    last one is answered.
    """

    command_id: str
    user_id: str
    domain_id: str
    parts: tuple[str, ...]  # lists, counts (schemas/consistency.py)
    at_ms: int
    origin_id: str = ""  # the first step's command_id; "" in the first
    step: int = 0

    @property
    def rebuild_id(self) -> str:
        return self.origin_id or self.command_id


class FoldJournal(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.fold_journal.v1"):
    """The mailbox's own: fold the journal's old entries into the snapshot, one bounded step.

    Published behind every 64th change of a mailbox, and again as long as entries are due.
    """

    command_id: str
    user_id: str
    domain_id: str
    at_ms: int  # of the change; what is old is measured from here


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
    head: HeaderSummary
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


class FolderCommand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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


class DeleteFolder(FolderCommand, frozen=True, kw_only=True, tag="mailbox.delete_folder.v1"):
    """What lies nowhere else goes to the trash, then the folder goes.

    Refused when a message came into the folder after the author read it.
    """


class EmptyFolder(FolderCommand, frozen=True, kw_only=True, tag="mailbox.empty_folder.v1"):
    """What lies nowhere else goes to the trash; from trash and junk it is destroyed for good."""


class MarkAllRead(FolderCommand, frozen=True, kw_only=True, tag="mailbox.mark_all_read.v1"):
    """Every message of the folder becomes $seen."""


BulkFolderCommand = DeleteFolder | EmptyFolder | MarkAllRead


MessageCommand = ChangeMessages | TrashMessages | DestroyMessages  # an owner's, to chosen messages


SequencedCommand = Deliver | MessageCommand | CreateFolder | ChangeFolder | BulkFolderCommand


Command = SequencedCommand | RebuildViews | FoldJournal
