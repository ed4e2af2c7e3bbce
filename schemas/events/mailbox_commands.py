"""Commands to one user's mailbox: delivery, changes by its owner, and maintenance."""

from typing import Literal

import msgspec

from schemas.content import Stored
from schemas.ids import CommandId, DomainId, DraftId, FolderId, MailId, MessageId, UserId
from schemas.mail import HeaderSummary, Hop, Verdict
from schemas.mailbox import NO_DRAFT, TOP
from schemas.submissions import SubmissionNote
from schemas.user_settings import SettingsPatch

NO_COMMAND = CommandId("")  # instead of the id of another command


class RebuildViews(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mailbox.rebuild_views.v1"
):
    """Maintenance by an operator: rewrite the views that differ from the journal, in steps.

    A rebuild is a command because only the single writer may write counts. Each bounded step
    publishes the command of the next step; the last step is answered.
    """

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    parts: tuple[str, ...]  # lists, counts (schemas/consistency.py)
    at_ms: int
    origin_id: CommandId = NO_COMMAND  # the first step's command_id; "" in the first step
    step: int = 0  # the first step is 0

    @property
    def rebuild_id(self) -> CommandId:
        """The command_id of the first step."""
        return self.origin_id or self.command_id


class FoldJournal(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.fold_journal.v1"):
    """Maintenance of the journal: fold old entries into the snapshot, one bounded step.

    Published by the mailbox stage after every 64th step of a mailbox, and again while entries are
    due.
    """

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    at_ms: int  # of the step; the age of entries is measured from here


class Deliver(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.deliver.v1"):
    """Add one message to one mailbox. Idempotent by `message_id`.

    A folder that does not exist is replaced by the inbox; with `strict` the command is refused.
    """

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    message_id: MessageId  # UUIDv5(mail_id, user, received | sent)
    mail_id: MailId
    folder_id: FolderId
    keywords: tuple[str, ...]
    content: Stored
    received_at_ms: int
    at_ms: int  # when it was scanned or released; handlers have no clock
    head: HeaderSummary
    verdict: Verdict
    hops: tuple[Hop, ...]
    more_folder_ids: tuple[FolderId, ...] = ()  # in addition to `folder_id`
    strict: bool = False
    draft_id: DraftId = NO_DRAFT  # of a new version: that of the message that it replaces


class ChangeMessages(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mailbox.change_messages.v1"
):
    """Change keywords (RFC 8621 §4.1.1) and folders of up to 500 messages, each for itself.

    Keywords and folders of a message: first the values to set, if given, then removal, then
    addition. A mark of deletion (RFC 9051 §2.3.2) belongs to one folder of the message; it ends
    when the message leaves the folder.
    """

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    message_ids: tuple[MessageId, ...]
    add_keywords: tuple[str, ...] = ()
    remove_keywords: tuple[str, ...] = ()
    set_keywords: tuple[str, ...] | None = None
    set_folder_ids: tuple[FolderId, ...] | None = None
    add_folder_ids: tuple[FolderId, ...] = ()
    remove_folder_ids: tuple[FolderId, ...] = ()
    mark_deleted_in: tuple[FolderId, ...] = ()
    unmark_deleted_in: tuple[FolderId, ...] = ()
    renew_uids_in: tuple[FolderId, ...] = ()  # new uids: a move to the same folder (RFC 6851 §3.2)
    unchanged_since_seq: int | None = msgspec.field(default=None, name="if_changed_seq")
    at_ms: int


class TrashMessages(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.trash_messages.v1"):
    """Move up to 500 messages to the trash. Never destroys, so a repeat changes nothing."""

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    message_ids: tuple[MessageId, ...]
    unchanged_since_seq: int | None = msgspec.field(default=None, name="if_changed_seq")
    at_ms: int


class DestroyMessages(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.destroy_messages.v1"):
    """Destroy up to 500 messages that the author saw in trash or junk.

    A message that is in another folder is left as it is: `conflict`.
    """

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    message_ids: tuple[MessageId, ...]
    unchanged_since_seq: int  # the mailbox's seq that the author read before the messages
    at_ms: int


class ExpungeMessages(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mailbox.expunge_messages.v1"
):
    """Remove up to 500 messages from a folder, and destroy those that are in no other folder.

    For IMAP EXPUNGE (RFC 9051 §6.4.3), POP3 DELE and JMAP destroy; nothing moves to the trash.
    """

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    message_ids: tuple[MessageId, ...]
    folder_id: FolderId = TOP  # TOP: remove from every folder
    only_marked: bool = False  # else `conflict`: the message is not marked as deleted in the folder
    unchanged_since_seq: int | None = None
    at_ms: int


MessageCommand = ChangeMessages | TrashMessages | DestroyMessages | ExpungeMessages  # by id
BatchPart = Deliver | MessageCommand


class Batch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mailbox.batch.v1"):
    """Deliveries and changes of up to 500 messages in one step: one seq and one event.

    No message is named twice. Each message succeeds or fails for itself; with `is_atomic`, one
    failure leaves the mailbox as it is. The command ids of the parts have no meaning.
    """

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    parts: tuple[BatchPart, ...]
    is_atomic: bool = False
    if_messages_seq: int | None = None  # `conflict` if a message changed later (RFC 8620 §5.3)
    at_ms: int


class CreateFolder(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.create_folder.v1"):
    """Create a folder."""

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    folder_id: FolderId  # made by the sender of the command; never used before
    name: str
    parent_id: FolderId = TOP
    at_ms: int


class ChangeFolder(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.change_folder.v1"):
    """Change a folder; None keeps a value. Standard folders keep their name and place."""

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    folder_id: FolderId
    name: str | None = None
    parent_id: FolderId | None = None
    subscribed: bool | None = None
    sort_order: int | None = None
    at_ms: int


class ChangeSubscriptions(
    msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.change_subscriptions.v1"
):
    """Subscribe to names that no folder has, or end such subscriptions (RFC 9051 §6.3.7)."""

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    at_ms: int


class ChangeSettings(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.change_settings.v1"):
    """Replace some of the user's settings, each as a whole."""

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    patch: SettingsPatch
    unchanged_since_seq: int | None = None  # `conflict` if the settings changed later
    at_ms: int


class NoteSubmission(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mailbox.note_submission.v1"
):
    """Report the state of a submission to the owner, as a step of the mailbox.

    Without `note` it is the answer to a command that changed no submission, and no step.
    """

    command_id: CommandId  # mail/ids.py derives it from the command to the submission
    user_id: UserId
    domain_id: DomainId
    note: SubmissionNote | None = None
    outcome: Literal["", "refused", "conflict", "not_found"] = ""
    detail: str = ""  # fit for the author of the command
    at_ms: int


class FolderCommand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A bulk command: a change of all messages of a folder, applied in chunks.

    Each chunk journals the command of the next chunk as its follow-up. Messages that came into the
    folder after the author read the folder have a uid of `bound_uid` or more; they do not change.
    """

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    folder_id: FolderId
    at_ms: int
    origin_id: CommandId = NO_COMMAND  # the first chunk's command_id; "" in the first chunk
    chunk: int = 0  # the first chunk is 0
    after_uid: int = 0  # messages up to this uid are done
    bound_uid: int = 0  # next_uid that the author read; 0: first chunk by an older version


class DeleteFolder(FolderCommand, frozen=True, kw_only=True, tag="mailbox.delete_folder.v1"):
    """Delete the folder; `rest` says what becomes of its messages that are in no other folder.

    Refused if a message came into the folder after the author read the folder.
    """

    rest: Literal["trash", "destroy", "refuse"] = "trash"  # refuse: if there is a message at all


class EmptyFolder(FolderCommand, frozen=True, kw_only=True, tag="mailbox.empty_folder.v1"):
    """Move messages that are in no other folder to the trash; in trash and junk, destroy them."""


class MarkAllRead(FolderCommand, frozen=True, kw_only=True, tag="mailbox.mark_all_read.v1"):
    """Set $seen on every message of the folder."""


BulkFolderCommand = DeleteFolder | EmptyFolder | MarkAllRead
FolderSettingsCommand = CreateFolder | ChangeFolder | ChangeSubscriptions
SequencedCommand = (
    BatchPart | Batch | FolderSettingsCommand | ChangeSettings | BulkFolderCommand | NoteSubmission
)
Command = SequencedCommand | RebuildViews | FoldJournal
