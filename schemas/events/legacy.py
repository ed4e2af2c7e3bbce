"""Events of earlier versions, and their conversion; no other module knows them.

Log and journal keep events as they were written. Decoders accept the older tags as well as the
present tags, and pass each event to `current`.
"""

from typing import Any

import msgspec

from schemas.events.mailbox_commands import ChangeMessages, TrashMessages
from schemas.events.mailbox_events import (
    Delivered,
    MailboxChanged,
    MessageChange,
    MessageChangeKind,
    Position,
)
from schemas.ids import CommandId, DomainId, FolderId, MessageId, UserId
from schemas.mailbox import FolderCounts


class ChangeKeywords(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.change_keywords.v1"):
    """Change keywords of one message."""

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    message_id: MessageId
    add: tuple[str, ...]
    remove: tuple[str, ...]
    at_ms: int


class DeleteMessages(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.delete_messages.v1"):
    """Move to the trash, and destroy messages that were only in the trash already.

    The command does not say which messages its author saw in the trash. It is therefore converted
    to TrashMessages, which destroys nothing.
    """

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    message_ids: tuple[MessageId, ...]
    if_changed_seq: int | None = None
    at_ms: int


class MailboxChangedV1(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.changed.v1"):
    """A step of the first version: one message, without usage and thread id."""

    user_id: UserId
    domain_id: DomainId
    seq: int
    command_id: CommandId
    position: Position
    change: MessageChangeKind
    message_id: MessageId
    places: dict[FolderId, int]
    keywords: tuple[str, ...]
    folders: tuple[FolderCounts, ...]
    at_ms: int
    delivered: Delivered | None = None


OLDER: dict[type, type] = {
    ChangeMessages: ChangeKeywords,
    TrashMessages: DeleteMessages,
    MailboxChanged: MailboxChangedV1,
}


def current(event: Any) -> Any:
    """The event in its present form; an event of a present tag is returned unchanged."""
    match event:
        case MailboxChangedV1():
            return _changed(event)
        case ChangeKeywords():
            return _change(event)
        case DeleteMessages():
            return TrashMessages(
                command_id=event.command_id,
                user_id=event.user_id,
                domain_id=event.domain_id,
                message_ids=event.message_ids,
                unchanged_since_seq=event.if_changed_seq,
                at_ms=event.at_ms,
            )
    return event


def _change(command: ChangeKeywords) -> ChangeMessages:
    return ChangeMessages(
        command_id=command.command_id,
        user_id=command.user_id,
        domain_id=command.domain_id,
        message_ids=(command.message_id,),
        add_keywords=command.add,
        remove_keywords=command.remove,
        at_ms=command.at_ms,
    )


def _changed(event: MailboxChangedV1) -> MailboxChanged:
    change = MessageChange(
        change=event.change,
        message_id=event.message_id,
        places=event.places,
        keywords=event.keywords,
        delivered=event.delivered,
    )
    return MailboxChanged(
        user_id=event.user_id,
        domain_id=event.domain_id,
        seq=event.seq,
        command_id=event.command_id,
        position=event.position,
        changes=(change,),
        folders=event.folders,
        at_ms=event.at_ms,
    )
