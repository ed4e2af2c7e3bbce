"""Tables of a rebuild: its progress, one record per message of the journal, thread bindings.

A check creates temporary tables of the same names, which hide the tables of a rebuild under way.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from sqlite3 import Connection

import msgspec

from mail.mailbox.threads import thread_keys
from schemas.consistency import Rebuild
from schemas.ids import MessageId, ThreadId
from schemas.mailbox import Message
from schemas.snapshot import MessageRecord
from schemas.sqlite.mail_store import SCRATCH, SCRATCH_CORRESPONDENTS

_encode = msgspec.msgpack.Encoder().encode
_record = msgspec.msgpack.Decoder(MessageRecord).decode
_rebuild = msgspec.msgpack.Decoder(Rebuild).decode
_BIND = """INSERT INTO rebuild_binding VALUES (?, ?, ?, ?)
    ON CONFLICT (mailbox_key, key) DO UPDATE
    SET created_seq = excluded.created_seq, thread_id = excluded.thread_id
    WHERE excluded.created_seq < created_seq"""
_BINDINGS = """SELECT expected.key, expected.created_seq, expected.thread_id, thread.thread_id,
        gone.created_seq
    FROM rebuild_binding AS expected
    LEFT JOIN thread ON thread.mailbox_key = expected.mailbox_key AND thread.key = expected.key
    LEFT JOIN rebuild_binding AS gone ON gone.mailbox_key = expected.mailbox_key
        AND gone.key = CAST('destroyed ' || thread.thread_id AS BLOB)
    WHERE expected.mailbox_key = ? AND expected.key > ? ORDER BY expected.key LIMIT ?"""
_SCRATCH_KEYS = (
    ("rebuild_record", "message_id"),
    ("rebuild_binding", "key"),
    ("rebuild_correspondent", "address"),
)
_DESTROYED = b"destroyed "  # prefix of a thread id; such a key is longer than a message id's hash


@dataclass(frozen=True, slots=True)
class RecordTable:
    """A table with one record per message: `snapshot_record` or `rebuild_record`."""

    name: str

    def get(self, connection: Connection, key: int, message_id: MessageId) -> MessageRecord | None:
        query = f"SELECT record FROM {self.name} WHERE mailbox_key = ? AND message_id = ?"  # noqa: S608
        row = connection.execute(query, (key, message_id)).fetchone()
        return _record(row[0]) if row else None

    def put(self, connection: Connection, key: int, record: MessageRecord) -> None:
        statement = f"INSERT OR REPLACE INTO {self.name} VALUES (?, ?, ?)"  # noqa: S608
        connection.execute(statement, (key, record.message_id, _encode(record)))

    def after(
        self, connection: Connection, key: int, after_id: str, limit: int
    ) -> list[MessageRecord]:
        """Return the records with a message id above `after_id`, in the order of the ids."""
        query = (
            f"SELECT record FROM {self.name} WHERE mailbox_key = ? AND message_id > ?"  # noqa: S608
            " ORDER BY message_id LIMIT ?"
        )
        return [_record(blob) for (blob,) in connection.execute(query, (key, after_id, limit))]


REBUILD_RECORDS = RecordTable("rebuild_record")


def progress(connection: Connection, key: int) -> Rebuild | None:
    """Return the progress of the mailbox's last rebuild."""
    row = connection.execute("SELECT rebuild FROM rebuild WHERE mailbox_key = ?", (key,)).fetchone()
    return _rebuild(row[0]) if row else None


def put_progress(connection: Connection, key: int, rebuild: Rebuild) -> None:
    connection.execute("INSERT OR REPLACE INTO rebuild VALUES (?, ?)", (key, _encode(rebuild)))


def is_rebuilding(connection: Connection, key: int) -> bool:
    rebuild = progress(connection, key)
    return rebuild is not None and not rebuild.is_finished


def make_temporary(connection: Connection) -> None:
    for statement in (*SCRATCH, *SCRATCH_CORRESPONDENTS):
        connection.execute(str(statement).replace("CREATE TABLE", "CREATE TEMPORARY TABLE", 1))


def clear(connection: Connection, key: int, limit: int) -> int:
    """Delete up to `limit` rows of the mailbox from each table; return the number of rows."""
    deleted = 0
    for name, column in _SCRATCH_KEYS:
        deleted += connection.execute(
            f"DELETE FROM {name} WHERE mailbox_key = ? AND {column} IN"  # noqa: S608
            f" (SELECT {column} FROM {name} WHERE mailbox_key = ? ORDER BY {column} LIMIT ?)",
            (key, key, limit),
        ).rowcount
    return deleted


def bind(connection: Connection, key: int, row: Message) -> None:
    """Bind the message's thread keys to its thread; the message created first keeps a key.

    A destroyed message has no header: it binds one key, which names its thread.
    """
    thread_key_list: Iterable[bytes] = thread_keys(row.head)
    if row.destroyed:
        thread_key_list = (_DESTROYED + row.thread_id.encode(),)
    bindings = [(key, thread_key, row.created_seq, row.thread_id) for thread_key in thread_key_list]
    connection.executemany(_BIND, bindings)


@dataclass(frozen=True, slots=True)
class ThreadBinding:
    """A thread key, the first living message that has it, and the thread that it is bound to."""

    key: bytes
    created_seq: int
    thread_id: ThreadId
    bound_to: ThreadId | None  # the thread in the table `thread`
    destroyed_seq: int | None  # created_seq of the first destroyed message of `bound_to`


def bindings(connection: Connection, key: int, after: bytes, limit: int) -> list[ThreadBinding]:
    """Return the bindings with a thread key above `after`, in the order of the keys.

    The key of a destroyed message has no row in `thread`: it is returned as bound correctly.
    """
    rows = (ThreadBinding(*row) for row in connection.execute(_BINDINGS, (key, after, limit)))
    return [
        ThreadBinding(row.key, row.created_seq, row.thread_id, row.thread_id, None)
        if row.key.startswith(_DESTROYED)
        else row
        for row in rows
    ]
