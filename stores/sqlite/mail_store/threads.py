"""Conversations of the mail store: bindings of thread keys, and the messages of a thread."""

from collections.abc import Mapping, Sequence
from sqlite3 import Connection

import msgspec

from mail.pagination import ListPosition
from schemas.ids import MessageId, ThreadId
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


def join(connection: Connection, mailbox_key: int, message_key: int, row: Message) -> None:
    for member in members_of(mailbox_key, message_key, row):
        connection.execute("INSERT INTO member VALUES (?, ?, ?, ?, ?)", member)


def members_of(
    mailbox_key: int, message_key: int, row: Message
) -> set[tuple[int, ThreadId, int, MessageId, int]]:
    """The rows of `member` for a message; a destroyed message has no rows."""
    if row.destroyed:
        return set()
    return {(mailbox_key, row.thread_id, row.received_at_ms, row.message_id, message_key)}


def leave(connection: Connection, mailbox_key: int, row: Message) -> None:
    connection.execute(
        "DELETE FROM member WHERE mailbox_key = ? AND thread_id = ?"
        " AND received_at_ms = ? AND message_id = ?",
        (mailbox_key, row.thread_id, row.received_at_ms, row.message_id),
    )


def join_all(connection: Connection) -> None:
    """Migrate to schema 3: write the rows of `member` for the messages of schema 2."""
    rows = connection.execute("SELECT mailbox_key, message_key, message FROM message")
    for mailbox_key, message_key, blob in rows:
        join(connection, mailbox_key, message_key, _message(blob))
