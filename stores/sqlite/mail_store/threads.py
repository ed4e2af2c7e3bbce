"""The mail store's conversations: which thread an id is bound to, and a thread's messages."""

from collections.abc import Mapping, Sequence
from sqlite3 import Connection

import msgspec

from mail.pagination import ListPosition
from schemas.mailbox import Message

_message = msgspec.msgpack.Decoder(Message).decode
_MEMBERS = """SELECT message FROM member JOIN message USING (mailbox_key, message_key)
    WHERE mailbox_key = ? AND thread_id = ?
    AND (member.received_at_ms, member.message_id) > (?, ?)
    ORDER BY member.received_at_ms, member.message_id LIMIT ?"""


def threads_of(connection: Connection, mailbox_key: int, keys: Sequence[bytes]) -> dict[bytes, str]:
    marks = ",".join("?" * len(keys))
    found = connection.execute(
        f"SELECT key, thread_id FROM thread WHERE mailbox_key = ? AND key IN ({marks})",  # noqa: S608  (marks only)
        (mailbox_key, *keys),
    )
    return dict(found.fetchall())


def bind(connection: Connection, mailbox_key: int, threads: Mapping[bytes, str]) -> None:
    """What is bound stays."""
    for hash_, thread_id in threads.items():
        row = (mailbox_key, hash_, thread_id)
        connection.execute("INSERT OR IGNORE INTO thread VALUES (?, ?, ?)", row)


def members(
    connection: Connection, mailbox_key: int, thread_id: str, after: ListPosition, limit: int
) -> list[Message]:
    """A thread's messages behind a place, in the order of their arrival."""
    found = connection.execute(_MEMBERS, (mailbox_key, thread_id, *after, limit))
    return [_message(blob) for (blob,) in found]


def join(connection: Connection, mailbox_key: int, message_key: int, row: Message) -> None:
    for member in members_of(mailbox_key, message_key, row):
        connection.execute("INSERT INTO member VALUES (?, ?, ?, ?, ?)", member)


def members_of(
    mailbox_key: int, message_key: int, row: Message
) -> set[tuple[int, str, int, str, int]]:
    """The rows of `member` that a message has; a destroyed one has none."""
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
    """Schema 3: the members that follow from the messages of schema 2."""
    found = connection.execute("SELECT mailbox_key, message_key, message FROM message")
    for mailbox_key, message_key, blob in found:
        join(connection, mailbox_key, message_key, _message(blob))
