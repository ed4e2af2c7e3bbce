"""Events of a mailbox: the changes of one command, or the answer to a command without changes."""

from typing import Final, Literal, Self

import msgspec

from schemas.content import Stored
from schemas.events.mailbox_commands import (
    NO_COMMAND,
    Command,
    DeleteFolder,
    EmptyFolder,
    FolderCommand,
    MarkAllRead,
    RebuildViews,
)
from schemas.ids import CommandId, DomainId, DraftId, FolderId, MailId, MessageId, ThreadId, UserId
from schemas.mail import Hop, Verdict
from schemas.mailbox import NO_DRAFT, NO_THREAD, TOP, FolderCounts, FolderSettings, TypeSeqs, Usage
from schemas.submissions import SubmissionNote
from schemas.user_settings import SettingsPatch

UNCHANGED: Final = "unchanged"  # the mailbox already was as the command asked
NOT_FOUND: Final = "not_found"
REFUSED: Final = "refused"  # `detail` says why, fit for the author of the command
CONFLICT: Final = "conflict"  # a message has another `changed_seq` than the author read
REBUILT: Final = "rebuilt"  # `detail` says how many differences were repaired

AnswerOutcome = Literal["unchanged", "not_found", "refused", "conflict", "rebuilt"]
MessageChangeKind = Literal["created", "updated", "destroyed"]
FolderChangeKind = Literal["created", "renamed", "updated", "destroyed"]


class Position(msgspec.Struct, frozen=True):
    """The place of a command in the log; `epoch` changes when the topic is recreated."""

    epoch: str
    partition: int
    offset: int


class Delivered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a created message that its later journal entries do not repeat.

    With places, keywords and the header in the content it is enough to rebuild the message row.
    """

    mail_id: MailId
    content: Stored
    received_at_ms: int
    verdict: Verdict
    hops: tuple[Hop, ...]
    draft_id: DraftId = NO_DRAFT


class MessageChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The change of one message."""

    change: MessageChangeKind
    message_id: MessageId
    places: dict[FolderId, int] = {}  # folder id -> uid, after the change
    keywords: tuple[str, ...] = ()  # sorted, after the change
    thread_id: ThreadId = NO_THREAD
    delivered: Delivered | None = None  # with `created` only
    deleted_in: tuple[FolderId, ...] = ()  # sorted: where it is marked as deleted, after the change
    left: dict[FolderId, int] = {}  # folders that it left -> the uid that ended


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """The messages that a command does not change, by reason."""

    not_found: tuple[MessageId, ...] = ()
    conflicts: tuple[MessageId, ...] = ()
    refusals: dict[MessageId, str] = {}

    def __bool__(self) -> bool:
        return bool(self.not_found or self.conflicts or self.refusals)


class FolderChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The change of a folder; name and parent after the change, "" for a standard folder."""

    change: FolderChangeKind  # a moved folder is `renamed`; `updated`: settings only
    id: FolderId
    name: str = ""
    parent_id: FolderId = TOP
    settings: FolderSettings | None = None  # None: not changed


class MailboxChanged(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mailbox.changed.v2"
):
    """One step of a mailbox: the journal entry, the entry of the change feed, and the event.

    Holds ids, places, keywords, counts and references; no subject and no body. One command is one
    step with one `seq`, however many messages it changes.
    """

    user_id: UserId
    domain_id: DomainId
    seq: int  # dense per user, from 1
    command_id: CommandId
    position: Position
    changes: tuple[MessageChange, ...] = ()  # at most 500
    folder_changes: tuple[FolderChange, ...] = ()
    folders: tuple[FolderCounts, ...]  # of the changed folders, after the change
    usage: Usage | None = None  # after the change; None in entries of the first version
    at_ms: int
    not_found: tuple[MessageId, ...] = ()  # message ids of the command that do not exist
    conflicts: tuple[MessageId, ...] = ()  # not changed: they changed after the author read them
    refusals: dict[MessageId, str] = {}  # not changed, and why
    subscribed_names: tuple[str, ...] | None = None  # after the change; None: not changed
    type_seqs: TypeSeqs | None = None  # after the change; None in entries of earlier versions
    settings: SettingsPatch | None = None  # the settings that changed, after the change
    submission: SubmissionNote | None = None  # the submission that changed, after the change
    origin_id: CommandId = NO_COMMAND  # of a bulk command's first chunk; "" in the first chunk
    follow_up: DeleteFolder | EmptyFolder | MarkAllRead | None = None  # the next chunk

    @property
    def answers(self) -> CommandId:
        """The id of the command that is complete with this step; "" while chunks follow."""
        return NO_COMMAND if self.follow_up else self.origin_id or self.command_id


class CommandAnswered(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mailbox.answered.v1"
):
    """The answer to a command that changed nothing, or to a rebuild. It takes no seq."""

    user_id: UserId
    domain_id: DomainId
    command_id: CommandId
    outcome: AnswerOutcome
    detail: str = ""
    not_found: tuple[MessageId, ...] = ()  # message ids of the command that do not exist
    conflicts: tuple[MessageId, ...] = ()
    refusals: dict[MessageId, str] = {}  # why each message is refused
    origin_id: CommandId = NO_COMMAND  # command_id of the first chunk or step; "" in the first

    @classmethod
    def to(
        cls,
        command: Command,
        outcome: AnswerOutcome,
        detail: str = "",
        *,
        failures: Failures | None = None,
    ) -> Self:
        """The answer `outcome` to `command`."""
        failures = failures or Failures()
        origin_id = (
            command.origin_id if isinstance(command, FolderCommand | RebuildViews) else NO_COMMAND
        )
        return cls(
            user_id=command.user_id,
            domain_id=command.domain_id,
            command_id=command.command_id,
            outcome=outcome,
            detail=detail,
            not_found=failures.not_found,
            conflicts=failures.conflicts,
            refusals=failures.refusals,
            origin_id=origin_id,
        )

    @property
    def answers(self) -> CommandId:
        """The id of the command as its author sent it."""
        return self.origin_id or self.command_id


MailboxEvent = MailboxChanged | CommandAnswered
