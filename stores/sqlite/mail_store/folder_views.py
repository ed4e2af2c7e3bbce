"""Statements of mail.ports.FolderViews: slots of a folder, uids that ended, keywords in use."""

from array import array
from sqlite3 import Connection

import msgspec

from mail.errors import JournalTruncated
from schemas.folder_slots import FolderSlots
from schemas.ids import FolderId, MessageId, UserId
from stores.sqlite.mail_store.journal_and_rows import header_of

_integers = msgspec.json.Decoder(list[int]).decode
_message_ids = msgspec.json.Decoder(list[MessageId]).decode
# Columns as JSON arrays: rows would be tracked by the garbage collector, at twice the CPU.
_SLOTS = """SELECT json_group_array(uid), json_group_array(message_id),
        json_group_array(changed_seq), json_group_array(flags),
        json_group_array(size_bytes), json_group_array(received_at_ms)
    FROM (SELECT * FROM uid
        WHERE mailbox_key = ? AND folder_id = ? AND changed_seq > ? ORDER BY uid)"""
_VANISHED = """SELECT DISTINCT uid FROM vanished
    WHERE mailbox_key = ? AND folder_id = ? AND seq > ? ORDER BY uid"""
_NEXT_KEYWORD = "SELECT min(keyword) FROM keyword WHERE mailbox_key = ? AND keyword > ?"


def slots(connection: Connection, user_id: UserId, folder_id: FolderId) -> FolderSlots:
    return changed(connection, user_id, folder_id, since_seq=-1)


def changed(
    connection: Connection, user_id: UserId, folder_id: FolderId, *, since_seq: int
) -> FolderSlots:
    key = header_of(connection, user_id).key
    columns = connection.execute(_SLOTS, (key, folder_id, since_seq)).fetchone()
    uids, message_ids, changed_seqs, flags, sizes_bytes, received_at_ms = columns
    return FolderSlots(
        uids=array("I", _integers(uids)),
        message_ids=_message_ids(message_ids),
        changed_seqs=array("Q", _integers(changed_seqs)),
        flags=array("I", _integers(flags)),
        sizes_bytes=array("Q", _integers(sizes_bytes)),
        received_at_ms=array("q", _integers(received_at_ms)),
    )


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
