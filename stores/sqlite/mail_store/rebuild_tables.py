"""Scratch tables of a rebuild: its progress, the journal's records, and what binds threads.

A check makes the same tables as temporary ones, which hide those of a rebuild under way.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from sqlite3 import Connection

import msgspec

from mail.mailbox.threads import thread_keys
from schemas.consistency import Rebuild
from schemas.mailbox import Message
from schemas.snapshot import MessageRecord
from schemas.sqlite.mail_store import SCRATCH

_encode = msgspec.msgpack.Encoder().encode
_record = msgspec.msgpack.Decoder(MessageRecord).decode
_rebuild = msgspec.msgpack.Decoder(Rebuild).decode
_BIND = """INSERT INTO rebuild_binding VALUES (?, ?, ?, ?)
    ON CONFLICT (mailbox_key, key) DO UPDATE
    SET created_seq = excluded.created_seq, thread_id = excluded.thread_id
    WHERE excluded.created_seq < created_seq"""
_BINDINGS = """SELECT wanted.key, wanted.created_seq, wanted.thread_id, thread.thread_id,
        gone.created_seq
    FROM rebuild_binding AS wanted
    LEFT JOIN thread ON thread.mailbox_key = wanted.mailbox_key AND thread.key = wanted.key
    LEFT JOIN rebuild_binding AS gone ON gone.mailbox_key = wanted.mailbox_key
        AND gone.key = CAST('destroyed ' || thread.thread_id AS BLOB)
    WHERE wanted.mailbox_key = ? AND wanted.key > ? ORDER BY wanted.key LIMIT ?"""
_DESTROYED = b"destroyed "  # before a thread's id: longer than the hash of a message id


@dataclass(frozen=True, slots=True)
class JournalRecords:
    """A table of the journal's records: `snapshot_record`, or `rebuild_record`."""

    name: str

    def get(self, connection: Connection, key: int, message_id: str) -> MessageRecord | None:
        query = f"SELECT record FROM {self.name} WHERE mailbox_key = ? AND message_id = ?"  # noqa: S608
        found = connection.execute(query, (key, message_id)).fetchone()
        return _record(found[0]) if found else None

    def put(self, connection: Connection, key: int, record: MessageRecord) -> None:
        statement = f"INSERT OR REPLACE INTO {self.name} VALUES (?, ?, ?)"  # noqa: S608
        connection.execute(statement, (key, record.message_id, _encode(record)))

    def behind(
        self, connection: Connection, key: int, after_id: str, limit: int
    ) -> list[MessageRecord]:
        """Those with an id above `after_id`, by id."""
        query = (
            f"SELECT record FROM {self.name} WHERE mailbox_key = ? AND message_id > ?"  # noqa: S608
            " ORDER BY message_id LIMIT ?"
        )
        return [_record(blob) for (blob,) in connection.execute(query, (key, after_id, limit))]


TOLD = JournalRecords("rebuild_record")


def progress(connection: Connection, key: int) -> Rebuild | None:
    """Of the mailbox's last rebuild."""
    found = connection.execute(
        "SELECT rebuild FROM rebuild WHERE mailbox_key = ?", (key,)
    ).fetchone()
    return _rebuild(found[0]) if found else None


def put_progress(connection: Connection, key: int, made: Rebuild) -> None:
    connection.execute("INSERT OR REPLACE INTO rebuild VALUES (?, ?)", (key, _encode(made)))


def is_rebuilding(connection: Connection, key: int) -> bool:
    found = progress(connection, key)
    return found is not None and not found.is_finished


def make_temporary(connection: Connection) -> None:
    for statement in SCRATCH:
        connection.execute(str(statement).replace("CREATE TABLE", "CREATE TEMPORARY TABLE", 1))


def clear(connection: Connection, key: int, limit: int) -> int:
    """Take lines away, `limit` of each table; how many they were."""
    gone = 0
    for name, column in (("rebuild_record", "message_id"), ("rebuild_binding", "key")):
        gone += connection.execute(
            f"DELETE FROM {name} WHERE mailbox_key = ? AND {column} IN"  # noqa: S608
            f" (SELECT {column} FROM {name} WHERE mailbox_key = ? ORDER BY {column} LIMIT ?)",
            (key, key, limit),
        ).rowcount
    return gone


def bind(connection: Connection, key: int, row: Message) -> None:
    """Note what the message says of threads; of several that have a key the first one counts."""
    keys: Iterable[bytes] = thread_keys(row.head)
    if row.destroyed:
        keys = (_DESTROYED + row.thread_id.encode(),)
    connection.executemany(_BIND, [(key, one, row.created_seq, row.thread_id) for one in keys])


@dataclass(frozen=True, slots=True)
class ThreadBinding:
    """A key, the first living message that has it, and how it is bound."""

    key: bytes
    created_seq: int
    thread_id: str
    found: str | None
    destroyed_seq: int | None  # created_seq of the first destroyed message of the thread `found`


def bindings(connection: Connection, key: int, after: bytes, limit: int) -> list[ThreadBinding]:
    """By key; those that only tell of destroyed messages too, which are bound to themselves."""
    found = (ThreadBinding(*line) for line in connection.execute(_BINDINGS, (key, after, limit)))
    return [
        ThreadBinding(one.key, one.created_seq, one.thread_id, one.thread_id, None)
        if one.key.startswith(_DESTROYED)
        else one
        for one in found
    ]
