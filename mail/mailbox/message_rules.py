"""Rules of commands on messages by id: each message is changed, or fails for itself.

A rule adds changes and failures to a CommitBuilder. Commands with one kind of change and batches
use the same rules. `rows` may have tombstones; a message without a row does not exist.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from mail.mailbox.command_rules import CommandOutcome, outcome_of
from mail.mailbox.commit_builder import CHANGES_MAX, CommitBuilder
from mail.mailbox.folders import exists
from mail.mailbox.keywords import KEYWORDS_MAX, normal_keywords
from schemas.events.mailbox_commands import (
    ChangeMessages,
    DestroyMessages,
    ExpungeMessages,
    MessageCommand,
    TrashMessages,
)
from schemas.events.mailbox_events import REFUSED, CommandAnswered, Position
from schemas.ids import FolderId, MessageId
from schemas.mailbox import JUNK, TRASH, MailboxState, Message

PLACES_MAX = 50  # folders of one message
_BAD_KEYWORD = "A keyword is invalid (RFC 8621 §4.1.1)."
NO_FOLDER = "There is no such folder."
_FULL = "This is too much for one command: give fewer messages."


def change_messages(
    state: MailboxState,
    rows: Mapping[MessageId, Message],
    command: MessageCommand,
    position: Position,
) -> CommandOutcome:
    """Apply `command` to each of its messages."""
    if len(command.message_ids) > CHANGES_MAX:
        return CommandAnswered.to(command, REFUSED, f"At most {CHANGES_MAX} messages at once.")
    if fault := fault_of(state, command):
        return CommandAnswered.to(command, REFUSED, fault)
    builder = CommitBuilder(state, command, position)
    apply(builder, rows, command)
    return outcome_of(builder, command)


def fault_of(state: MailboxState, command: MessageCommand) -> str:
    """Why `command` can change no message at all; "" if it can."""
    if not isinstance(command, ChangeMessages):
        return ""
    given = (*command.add_keywords, *command.remove_keywords, *(command.set_keywords or ()))
    if normal_keywords(given) is None:
        return _BAD_KEYWORD
    folder_ids = {*(command.set_folder_ids or ()), *command.add_folder_ids}
    return "" if all(exists(state, id_) for id_ in folder_ids) else NO_FOLDER


def apply(
    builder: CommitBuilder, rows: Mapping[MessageId, Message], command: MessageCommand
) -> None:
    """Add the change or the failure of each message of `command`, which has no fault."""
    if isinstance(command, ChangeMessages):
        command = _with_normal_keywords(command)
    change: Callable[[CommitBuilder, Message, Any], None] = _RULES[type(command)]
    for message_id in dict.fromkeys(command.message_ids):
        row = rows.get(message_id)
        if row is None or row.destroyed:
            builder.not_found(message_id)
        elif (
            command.unchanged_since_seq is not None
            and row.changed_seq > command.unchanged_since_seq
        ):
            builder.conflict(message_id)
        elif builder.is_full:
            builder.refuse(message_id, _FULL)
        else:
            change(builder, row, command)


def changes_row(row: Message, command: ChangeMessages) -> bool:
    """Whether `command`, which has normal keywords, would change keywords or folders of `row`."""
    keywords, folder_ids = _keywords_after(row, command), _folders_after(row, command)
    return keywords != set(row.keywords) or set(folder_ids) != row.places.keys()


def is_discarded(row: Message) -> bool:
    """Whether the message is in trash or junk and in no other folder: only then it is destroyed."""
    return bool(row.places) and row.places.keys() <= {TRASH, JUNK}


def fault_of_keywords(keywords: Collection[str]) -> str:
    """Why a message cannot have these keywords, which are valid; "" if it can."""
    return (
        "" if len(keywords) <= KEYWORDS_MAX else "The message has as many keywords as it can have."
    )


def _change(builder: CommitBuilder, row: Message, command: ChangeMessages) -> None:
    keywords = _keywords_after(row, command)
    folder_ids = _folders_after(row, command)
    fault = fault_of_keywords(keywords) or _fault_of_folders(folder_ids)
    if fault:
        builder.refuse(row.message_id, fault)
        return
    marked = set(row.deleted_in) - set(command.renew_uids_in)
    builder.put(
        row,
        folder_ids=folder_ids,
        keywords=tuple(sorted(keywords)),
        deleted_in=(marked | set(command.mark_deleted_in)) - set(command.unmark_deleted_in),
        renew_uids_in=command.renew_uids_in,
    )


def _trash(builder: CommitBuilder, row: Message, _: TrashMessages) -> None:
    builder.put(row, folder_ids=(TRASH,))


def _destroy(builder: CommitBuilder, row: Message, _: DestroyMessages) -> None:
    if is_discarded(row):
        builder.destroy(row)
    else:
        builder.conflict(row.message_id)


def _expunge(builder: CommitBuilder, row: Message, command: ExpungeMessages) -> None:
    removed = {command.folder_id} if command.folder_id else set(row.places)
    if not removed <= row.places.keys():
        builder.not_found(row.message_id)
    elif command.only_marked and not removed <= set(row.deleted_in):
        builder.conflict(row.message_id)
    elif rest := [id_ for id_ in row.places if id_ not in removed]:
        builder.put(row, folder_ids=rest)
    else:
        builder.destroy(row)


_RULES: dict[type, Callable[[CommitBuilder, Message, Any], None]] = {
    ChangeMessages: _change,
    TrashMessages: _trash,
    DestroyMessages: _destroy,
    ExpungeMessages: _expunge,
}


def _with_normal_keywords(command: ChangeMessages) -> ChangeMessages:
    """The command with its keywords, which are valid, in their normal form."""
    add, remove = normal_keywords(command.add_keywords), normal_keywords(command.remove_keywords)
    base = command.set_keywords
    return msgspec.structs.replace(
        command,
        add_keywords=tuple(add or ()),
        remove_keywords=tuple(remove or ()),
        set_keywords=None if base is None else tuple(normal_keywords(base) or ()),
    )


def _keywords_after(row: Message, command: ChangeMessages) -> set[str]:
    """The message's keywords after the command: replace, then remove, then add."""
    base = row.keywords if command.set_keywords is None else command.set_keywords
    return (set(base) - set(command.remove_keywords)) | set(command.add_keywords)


def _folders_after(row: Message, command: ChangeMessages) -> tuple[FolderId, ...]:
    """The message's folders after the command: replace, then remove, then add; each folder once."""
    base = row.places if command.set_folder_ids is None else command.set_folder_ids
    removed = frozenset(command.remove_folder_ids)
    return tuple(
        dict.fromkeys((*(id_ for id_ in base if id_ not in removed), *command.add_folder_ids))
    )


def _fault_of_folders(folder_ids: Sequence[FolderId]) -> str:
    """Why a message cannot be in these folders, which exist; "" if it can."""
    if not folder_ids:
        return "A message is always in at least one folder."
    return "" if len(folder_ids) <= PLACES_MAX else f"A message can be in {PLACES_MAX} folders."
