"""Conversations of the mail store: bindings of thread keys, and the messages of a thread."""

from collections.abc import Iterable, Mapping, Sequence
from sqlite3 import Connection

import msgspec

from mail.pagination import ListPosition
from schemas.ids import FolderId, MessageId, ThreadId
from schemas.mailbox import Message
from stores.sqlite.mail_store import conversations

_message = msgspec.msgpack.Decoder(Message).decode
_MEMBERS = """SELECT received_at_ms, message_id, message_key FROM member
    WHERE mailbox_key = ? AND thread_id = ? AND folder_id = ?
    AND (received_at_ms, message_id) > (?, ?)
    ORDER BY received_at_ms, message_id LIMIT ?"""
_NEWEST = """SELECT received_at_ms, message_id, message_key FROM member
    WHERE mailbox_key = ? AND thread_id = ? AND folder_id = ?
    ORDER BY received_at_ms DESC, message_id DESC LIMIT ?"""
_ROW = "SELECT message FROM message WHERE mailbox_key = ? AND message_key = ?"
Member = tuple[int, MessageId, int]  # received_at_ms, message_id, message_key


def threads_of(
    connection: Connection, mailbox_key: int, keys: Sequence[bytes]
) -> dict[bytes, ThreadId]:
    """Return the thread of each key that is bound."""
    marks = ",".join("?" * len(keys))
    rows = connection.execute(
        f"SELECT key, thread_id FROM thread WHERE mailbox_key = ? AND key IN ({marks})",  # noqa: S608  (marks only)
        (mailbox_key, *keys),
    )
    return dict(rows.fetchall())


def bind(connection: Connection, mailbox_key: int, threads: Mapping[bytes, ThreadId]) -> None:
    """Bind the keys to their threads; a key that is bound already keeps its thread."""
    for key, thread_id in threads.items():
        row = (mailbox_key, key, thread_id)
        connection.execute("INSERT OR IGNORE INTO thread VALUES (?, ?, ?)", row)


def members(
    connection: Connection, mailbox_key: int, thread_id: ThreadId, after: ListPosition, limit: int
) -> list[Message]:
    """Return the messages of a thread after a position, in the order of their arrival.

    Each folder of the thread has one range of rows; a message of several folders is shown once.
    """
    found: set[Member] = set()
    for folder_id in conversations.newest(connection, mailbox_key, thread_id):
        values = (mailbox_key, thread_id, folder_id, *after, limit)
        found.update(connection.execute(_MEMBERS, values))
    return rows_of(connection, mailbox_key, sorted(found)[:limit])


def newest_members(
    connection: Connection,
    mailbox_key: int,
    thread_id: ThreadId,
    folder_ids: Iterable[FolderId],
    limit: int,
) -> list[Member]:
    """Return the newest messages of a thread that are in any of the folders, newest first."""
    found: set[Member] = set()
    for folder_id in folder_ids:
        found.update(connection.execute(_NEWEST, (mailbox_key, thread_id, folder_id, limit)))
    return sorted(found, reverse=True)[:limit]


def rows_of(connection: Connection, mailbox_key: int, found: Iterable[Member]) -> list[Message]:
    """Return the message rows of list rows; a row of another mailbox is not returned."""
    blobs = (connection.execute(_ROW, (mailbox_key, key)).fetchone() for _, _, key in found)
    return [_message(blob[0]) for blob in blobs if blob is not None]
