"""Statements of mail.ports.FolderViews: slots of a folder, uids that ended, keywords in use."""

from sqlite3 import Connection

from mail.errors import JournalTruncated
from schemas.folder_slots import FolderSlots, slots_of
from schemas.ids import FolderId, UserId
from stores.sqlite.mail_store.journal_and_rows import header_of

_SLOTS = """SELECT uid, message_id, changed_seq, flags, size_bytes, received_at_ms FROM uid
    WHERE mailbox_key = ? AND folder_id = ? AND changed_seq > ? ORDER BY uid"""
_VANISHED = """SELECT DISTINCT uid FROM vanished
    WHERE mailbox_key = ? AND folder_id = ? AND seq > ? ORDER BY uid"""
_NEXT_KEYWORD = "SELECT min(keyword) FROM keyword WHERE mailbox_key = ? AND keyword > ?"


def slots(connection: Connection, user_id: UserId, folder_id: FolderId) -> FolderSlots:
    return changed(connection, user_id, folder_id, since_seq=-1)


def changed(
    connection: Connection, user_id: UserId, folder_id: FolderId, *, since_seq: int
) -> FolderSlots:
    key = header_of(connection, user_id).key
    return slots_of(connection.execute(_SLOTS, (key, folder_id, since_seq)).fetchall())


def vanished(
    connection: Connection, user_id: UserId, folder_id: FolderId, *, since_seq: int
) -> tuple[int, ...]:
    """Raises JournalTruncated: steps after `since_seq` are folded."""
    mailbox = header_of(connection, user_id)
    if since_seq < mailbox.folded_seq:
        raise JournalTruncated(mailbox.folded_seq)
    rows = connection.execute(_VANISHED, (mailbox.key, folder_id, since_seq))
    return tuple(uid for (uid,) in rows)


def keywords(connection: Connection, user_id: UserId) -> tuple[str, ...]:
    """Reads one row of the index for each keyword."""
    key, names, after = header_of(connection, user_id).key, [], ""
    while (row := connection.execute(_NEXT_KEYWORD, (key, after)).fetchone())[0] is not None:
        (after,) = row
        names.append(after)
    return tuple(names)
