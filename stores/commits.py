"""What every mail store asks of a commit before it writes anything."""

from mail.errors import JournalConflict
from mail.ports import Commit
from schemas.events import MailboxChanged
from schemas.mailbox import FOLDERS, SEEN, FolderCounts, MailboxState


def check_whole(commit: Commit) -> None:
    """ValueError: entry, row and state of `commit` do not tell of the same change."""
    entry, message = commit.entry, commit.message
    told = (entry.user_id, entry.message_id, entry.seq, entry.seq, entry.places, entry.keywords)
    if told != (
        message.user_id,
        message.message_id,
        message.changed_seq,
        commit.state.seq,
        message.places,
        message.keywords,
    ):
        msg = f"commit of user {entry.user_id} seq {entry.seq} disagrees with itself"
        raise ValueError(msg)


def is_repeated(entry: MailboxChanged, *, last_seq: int, journalled: MailboxChanged | None) -> bool:
    """Whether `entry` stands in the journal already; `journalled` is what stands at its seq.

    JournalConflict: something else stands there, or `entry` does not follow on `last_seq`.
    """
    if journalled == entry:
        return True
    if journalled is not None or entry.seq != last_seq + 1:
        raise JournalConflict(entry.user_id, entry.seq)
    return False


def all_folders(state: MailboxState) -> tuple[FolderCounts, ...]:
    """The standard folders in their order, zero where nothing has happened."""
    return tuple(state.folders.get(folder) or FolderCounts(folder) for folder in FOLDERS)


def is_unread(keywords: tuple[str, ...]) -> bool:
    """Unread is the absence of $seen (RFC 8621 §4.1.1)."""
    return SEEN not in keywords
