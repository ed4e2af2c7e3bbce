"""Conversations of the mail store: bindings of thread keys, and the messages of a thread."""

from collections.abc import Mapping, Sequence
from sqlite3 import Connection

import msgspec

from mail.pagination import ListPosition
from schemas.ids import ThreadId
from schemas.mailbox import Message

_message = msgspec.msgpack.Decoder(Message).decode
_MEMBERS = """SELECT message FROM member JOIN message USING (mailbox_key, message_key)
    WHERE mailbox_key = ? AND thread_id = ?
    AND (member.received_at_ms, member.message_id) > (?, ?)
    ORDER BY member.received_at_ms, member.message_id LIMIT ?"""


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
    """Return the messages of a thread after a position, in the order of their arrival."""
    blobs = connection.execute(_MEMBERS, (mailbox_key, thread_id, *after, limit))
    return [_message(blob) for (blob,) in blobs]
