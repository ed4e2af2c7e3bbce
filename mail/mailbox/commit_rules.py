"""Checks of a commit that every mail store makes before it writes."""

from mail.errors import JournalConflict
from mail.ports import Commit
from schemas.events.mailbox_events import MailboxChanged, MessageChange
from schemas.mailbox import Message


def check_whole(commit: Commit) -> None:
    """Check that entry, rows and state of `commit` describe the same change.

    Raises ValueError: they do not.
    """
    entry, rows = commit.entry, commit.messages
    whole = (
        commit.state.seq == entry.seq
        and commit.state.usage == entry.usage
        and len(rows) == len(entry.changes) == len({row.message_id for row in rows})
        and all(_describes(entry, *pair) for pair in zip(entry.changes, rows, strict=True))
    )
    if not whole:
        msg = f"commit of user {entry.user_id} seq {entry.seq} disagrees with itself"
        raise ValueError(msg)


def is_repeated(entry: MailboxChanged, *, last_seq: int, journalled: MailboxChanged | None) -> bool:
    """Whether the journal already has `entry`; `journalled` is the journal's entry at its seq.

    Raises JournalConflict: the journal has another entry at this seq, or `entry` does not follow
    `last_seq`.
    """
    if journalled == entry:
        return True
    if journalled is not None or entry.seq != last_seq + 1:
        raise JournalConflict(entry.user_id, entry.seq)
    return False


def _describes(entry: MailboxChanged, change: MessageChange, row: Message) -> bool:
    """Whether `row` is the message after `change`."""
    return (
        (entry.user_id, entry.seq) == (row.user_id, row.changed_seq)
        and change.message_id == row.message_id
        and change.places == row.places
        and change.keywords == row.keywords
        and change.deleted_in == row.deleted_in
        and change.thread_id == row.thread_id
        and (change.change == "destroyed") == row.destroyed
    )
