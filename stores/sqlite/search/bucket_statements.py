"""Statements on one bucket of the full-text index: write changes, list documents, keep progress.

The id of a document is its arrival time followed by the first bits of its message id. So SQLite
reads matches newest first without sorting, and stops at the end of the page.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from mail.query.matcher import sent_day
from schemas.ids import MessageId, UserId
from schemas.search import IndexDocument, IndexedTo
from stores.packed_documents import compressed, packed, unpacked
from stores.sqlite.search.fts5_query import COLUMNS, columns

_TIE_BITS = 21  # of the message id, after the time
_TIME_MAX_MS = (1 << 42) - 1  # the year 2109
ID_MAX = (1 << 63) - 1

_FIRST_IDS = "SELECT message_id FROM doc WHERE user_id=? LIMIT ?"
FIND = "SELECT id, digest FROM doc WHERE user_id=? AND message_id=?"
_TAKEN = "SELECT 1 FROM doc WHERE id=?"
_ADD_DOC = (
    "INSERT INTO doc (id, user_id, message_id, size_bytes, sent_day, digest) VALUES (?,?,?,?,?,?)"
)
_ADD_TEXT = "INSERT INTO text (id, head, body) VALUES (?,?,?)"
_NAMES, _VALUES = ", ".join(COLUMNS), ",".join("?" * len(COLUMNS))
_ADD_FTS = f"INSERT INTO fts (rowid, {_NAMES}) VALUES (?,{_VALUES})"
_REMOVE_FTS = f"INSERT INTO fts (fts, rowid, {_NAMES}) VALUES ('delete',?,{_VALUES})"
_PROGRESS = "SELECT epoch, seq FROM progress WHERE user_id=?"
_MARK_PROGRESS = """INSERT INTO progress (user_id, epoch, seq) VALUES (?,?,?)
    ON CONFLICT (user_id) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq
    WHERE epoch <> excluded.epoch OR seq < excluded.seq"""
_REMOVE_DOC = "DELETE FROM doc WHERE id=?"
_REMOVE_TEXT = "DELETE FROM text WHERE id=?"
_TEXT = "SELECT head, body FROM text WHERE id=?"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexChange:
    """A document to add; None: remove the document of the message."""

    user_id: UserId
    message_id: MessageId
    document: IndexDocument | None


# A statement on `fts`, the id of its row, and the columns that it adds or removes.
_FtsStatement = tuple[str, int, tuple[str, ...]]


def write(connection: sqlite3.Connection, changes: Sequence[IndexChange]) -> None:
    """Write `changes` in the running transaction; the last change of a message counts.

    FTS5 flushes its buffer whenever ids do not ascend, so its statements run last, in id order.
    """
    # FTS5 merges free pages all the time. Overwriting them costs a third more and hides nothing,
    # because the mail store holds the mail itself.
    connection.execute("PRAGMA secure_delete=FAST")
    last = {(change.user_id, change.message_id): change for change in changes}
    fts = [statement for change in last.values() for statement in _change(connection, change)]
    for statement, id_, texts in sorted(fts, key=itemgetter(1)):
        connection.execute(statement, (id_, *texts))


def indexed(
    connection: sqlite3.Connection, user_id: UserId, message_ids: Sequence[MessageId]
) -> set[str]:
    return {id_ for id_ in message_ids if connection.execute(FIND, (user_id, id_)).fetchone()}


def first_ids(connection: sqlite3.Connection, user_id: UserId, *, limit: int) -> list[MessageId]:
    """Return message ids of up to `limit` documents of the user, in any order."""
    rows = connection.execute(_FIRST_IDS, (user_id, limit))
    return [message_id for (message_id,) in rows]


def mark_unfilled(connection: sqlite3.Connection, user_id: UserId) -> None:
    """List the user as unfilled, and forget how far the index was filled."""
    connection.execute("INSERT OR IGNORE INTO unfilled VALUES (?)", (user_id,))
    connection.execute("DELETE FROM progress WHERE user_id=?", (user_id,))


def unfilled(connection: sqlite3.Connection) -> list[UserId]:
    return [user_id for (user_id,) in connection.execute("SELECT user_id FROM unfilled")]


def indexed_to(connection: sqlite3.Connection, user_id: UserId) -> IndexedTo:
    row = connection.execute(_PROGRESS, (user_id,)).fetchone()
    return IndexedTo(*row) if row else IndexedTo()


def mark_indexed(connection: sqlite3.Connection, user_id: UserId, to: IndexedTo) -> None:
    connection.execute(_MARK_PROGRESS, (user_id, to.epoch, to.seq))


def mark_filled(connection: sqlite3.Connection, user_id: UserId, to: IndexedTo) -> None:
    mark_indexed(connection, user_id, to)
    connection.execute("DELETE FROM unfilled WHERE user_id=?", (user_id,))


def _change(connection: sqlite3.Connection, change: IndexChange) -> Iterator[_FtsStatement]:
    """Write one change to `doc` and `text`; yield the statements that it needs on `fts`."""
    row = connection.execute(FIND, (change.user_id, change.message_id)).fetchone()
    head, body = packed(change.document) if change.document is not None else (b"", b"")
    digest = hashlib.blake2b(head + body, digest_size=16).digest()
    if row is not None and change.document is not None and row[1] == digest:
        return
    if row is not None:
        old_id = row[0]
        yield _REMOVE_FTS, old_id, columns(_stored(connection, old_id))
        connection.execute(_REMOVE_DOC, (old_id,))
        connection.execute(_REMOVE_TEXT, (old_id,))
    if change.document is not None:
        id_ = _free_id(connection, change.document)
        document = change.document
        properties = (document.size_bytes, sent_day(document), digest)
        connection.execute(_ADD_DOC, (id_, change.user_id, change.message_id, *properties))
        connection.execute(_ADD_TEXT, (id_, compressed(head), compressed(body)))
        yield _ADD_FTS, id_, columns(change.document)


def _stored(connection: sqlite3.Connection, id_: int) -> IndexDocument:
    return unpacked(*connection.execute(_TEXT, (id_,)).fetchone())


def first_id(time_ms: int) -> int:
    """Return the lowest id of a document that arrived at `time_ms` or later."""
    return min(max(time_ms, 0) << _TIE_BITS, ID_MAX)


def _free_id(connection: sqlite3.Connection, document: IndexDocument) -> int:
    """Return the id of the document: arrival time, then the first bits of the message id.

    If that id is taken (same millisecond, same 21 bits), return the next lower free id.
    """
    id_ = id_of(document)
    while connection.execute(_TAKEN, (id_,)).fetchone():
        id_ -= 1
    return id_


def id_of(document: IndexDocument) -> int:
    """Return the id of the document, if no other document has it."""
    time_ms = min(max(document.received_at_ms, 0), _TIME_MAX_MS)
    return time_ms << _TIE_BITS | _tie(document.message_id)


def _tie(message_id: MessageId) -> int:
    """Return the first 21 bits of a UUID, which sort like its text; 0 for another id."""
    try:
        return int(message_id[:6], 16) >> (24 - _TIE_BITS)
    except ValueError:
        return 0
