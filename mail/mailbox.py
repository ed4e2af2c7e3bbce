"""What a command does to a mailbox: pure functions of the command and of the state before it.

No clock, no random, no id is made here, so that two owners of a partition, or the same one after a
crash, compute the same and the journal can tell a repeat from a conflict.
"""

import msgspec

from mail.errors import Poison
from mail.keywords import KEYWORDS_MAX, normal_keywords
from mail.ports import Commit
from schemas.events import ChangeKeywords, Deliver, Delivered, MailboxChanged, Position
from schemas.mailbox import FOLDERS, SEEN, FolderCounts, MailboxState, Message

UNCHANGED = "unchanged"
NOT_FOUND = "not_found"
REFUSED = "refused"


def was_applied(state: MailboxState, position: Position) -> bool:
    """Whether the command at `position` came before the last one that changed the mailbox.

    Positions of another epoch or partition say nothing: then only ids tell.
    """
    same_log = (state.epoch, state.partition) == (position.epoch, position.partition)
    return same_log and position.offset <= state.offset


def deliver(state: MailboxState, command: Deliver, position: Position) -> Commit:
    """A new message in one folder. Poison: no such folder, no such keyword."""
    keywords = _checked_keywords(command)
    before = state.folders.get(command.folder_id) or FolderCounts(command.folder_id)
    after = msgspec.structs.replace(
        before,
        total=before.total + 1,
        unread=before.unread + _unread(keywords),
        next_uid=before.next_uid + 1,
    )
    message = _new_message(command, state.seq + 1, before.next_uid, keywords)
    return _commit(state, command, position, message, (after,))


def change_keywords(
    state: MailboxState, row: Message | None, command: ChangeKeywords, position: Position
) -> Commit | str:
    """Keywords added and removed, adding last; or why nothing changes (CommandAnswered)."""
    add, remove = normal_keywords(command.add), normal_keywords(command.remove)
    if add is None or remove is None:
        return REFUSED
    if row is None or row.destroyed:
        return NOT_FOUND
    keywords = tuple(sorted((frozenset(row.keywords) - remove) | add))
    if len(keywords) > KEYWORDS_MAX:
        return REFUSED
    if keywords == row.keywords:
        return UNCHANGED
    message = msgspec.structs.replace(row, keywords=keywords, changed_seq=state.seq + 1)
    step = _unread(keywords) - _unread(row.keywords)
    return _commit(state, command, position, message, _recounted(state, row, step))


def _checked_keywords(command: Deliver) -> tuple[str, ...]:
    keywords = normal_keywords(command.keywords)
    if command.folder_id not in FOLDERS or keywords is None or len(keywords) > KEYWORDS_MAX:
        raise Poison(f"command {command.command_id} names no folder or keyword of ours")
    return tuple(sorted(keywords))


def _new_message(command: Deliver, seq: int, uid: int, keywords: tuple[str, ...]) -> Message:
    return Message(
        message_id=command.message_id,
        user_id=command.user_id,
        domain_id=command.domain_id,
        mail_id=command.mail_id,
        places={command.folder_id: uid},
        keywords=keywords,
        created_seq=seq,
        changed_seq=seq,
        received_at_ms=command.received_at_ms,
        content=command.content,
        head=command.head,
        verdict=command.verdict,
        hops=command.hops,
    )


def _recounted(state: MailboxState, row: Message, step: int) -> tuple[FolderCounts, ...]:
    """The folders in which the message lies, their unread count moved by `step`."""
    held = [state.folders.get(id_) or FolderCounts(id_) for id_ in sorted(row.places)]
    return tuple(msgspec.structs.replace(one, unread=one.unread + step) for one in held)


def _unread(keywords: tuple[str, ...]) -> int:
    return int(SEEN not in keywords)


def _commit(
    state: MailboxState,
    command: Deliver | ChangeKeywords,
    position: Position,
    message: Message,
    folders: tuple[FolderCounts, ...],
) -> Commit:
    seq = state.seq + 1
    entry = MailboxChanged(
        user_id=command.user_id,
        domain_id=message.domain_id,
        seq=seq,
        command_id=command.command_id,
        position=position,
        change="created" if isinstance(command, Deliver) else "updated",
        message_id=message.message_id,
        places=message.places,
        keywords=message.keywords,
        folders=folders,
        at_ms=command.at_ms,
        delivered=_delivered(command) if isinstance(command, Deliver) else None,
    )
    after = MailboxState(
        seq=seq,
        epoch=position.epoch,
        partition=position.partition,
        offset=position.offset,
        folders=state.folders | {one.id: one for one in folders},
    )
    return Commit(entry=entry, message=message, state=after)


def _delivered(command: Deliver) -> Delivered:
    return Delivered(
        mail_id=command.mail_id,
        content=command.content,
        received_at_ms=command.received_at_ms,
        verdict=command.verdict,
        hops=command.hops,
    )
