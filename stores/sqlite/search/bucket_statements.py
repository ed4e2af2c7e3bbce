"""Statements on one bucket of the full-text index: write a batch of changes, run searches.

The id of a document is its arrival time followed by the first bits of its message id. So SQLite
reads matches newest first without sorting, and stops at the end of the page.
"""

import hashlib
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

import msgspec

from mail.pagination import ListPosition
from mail.ports import IndexMatches
from mail.query.highlighter import HighlightedText, Highlighter
from mail.query.planner import IndexQuery
from mail.query.tokenizer import TEXT_MAX_CHARS
from mail.query.tree import SEARCHED_FIELDS, Node
from schemas.ids import MessageId, UserId
from schemas.search import IndexDocument
from stores.sqlite.search.fts5_query import COLUMNS, columns, expression
from stores.sqlite.search.time_limit import is_interrupt

_TIE_BITS = 21  # of the message id, after the time
_TIME_MAX_MS = (1 << 42) - 1  # the year 2109
_ID_MAX = (1 << 63) - 1
_ZLIB_LEVEL = 1  # three times faster than the default level, and a tenth larger

_FIRST_IDS = "SELECT message_id FROM doc WHERE user_id=? LIMIT ?"
_FIND = "SELECT id, digest FROM doc WHERE user_id=? AND message_id=?"
_TAKEN = "SELECT 1 FROM doc WHERE id=?"
_ADD_DOC = "INSERT INTO doc (id, user_id, message_id, size_bytes, digest) VALUES (?,?,?,?,?)"
_ADD_TEXT = "INSERT INTO text (id, packed) VALUES (?,?)"
_NAMES, _VALUES = ", ".join(COLUMNS), ",".join("?" * len(COLUMNS))
_ADD_FTS = f"INSERT INTO fts (rowid, {_NAMES}) VALUES (?,{_VALUES})"
_REMOVE_FTS = f"INSERT INTO fts (fts, rowid, {_NAMES}) VALUES ('delete',?,{_VALUES})"
_REMOVE_DOC = "DELETE FROM doc WHERE id=?"
_REMOVE_TEXT = "DELETE FROM text WHERE id=?"
_TEXT = (
    "SELECT packed FROM doc JOIN text ON text.id = doc.id WHERE doc.user_id=? AND doc.message_id=?"
)
# CROSS JOIN makes SQLite read the matches first, in their order, and then join `doc`, which has the
# message ids and the exact owner and size.
_JOINED = "fts CROSS JOIN doc ON doc.id = fts.rowid"
_BOUNDS = "fts MATCH ? AND fts.rowid >= ? AND fts.rowid < ?"
_FULL_BOUNDS = f"{_BOUNDS} AND doc.user_id = ? AND doc.size_bytes BETWEEN ? AND ?"
_SEARCH_START = f"SELECT fts.rowid, doc.message_id FROM {_JOINED} WHERE {_FULL_BOUNDS}"
_SEARCH_END = " ORDER BY fts.rowid DESC LIMIT ?"
_SEARCH = _SEARCH_START + _SEARCH_END
_READ_PER_ID = 8  # matches that `matching` reads for each message id, before it searches by id

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(IndexDocument).decode


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


def find(
    connection: sqlite3.Connection, user_id: UserId, query: IndexQuery, *, before: int, limit: int
) -> IndexMatches:
    """Return ids and message ids of the first `limit` matches below the id `before`, newest first.

    An interrupted search returns the matches found so far. Raises sqlite3.Error if there are no
    matches yet.
    """
    low, high = _times(query)
    values = (expression(user_id, query), low, min(before, high), user_id, *_sizes(query))
    positions: list[ListPosition] = []
    try:
        for row in connection.execute(_SEARCH, (*values, limit)):
            positions.append(row)  # noqa: PERF402  (an interrupt must keep the matches before it)
    except sqlite3.OperationalError as error:
        if not (positions and is_interrupt(error)):
            raise
        return IndexMatches(positions, has_more=True)
    return IndexMatches(positions, has_more=len(positions) == limit)


def matching(
    connection: sqlite3.Connection,
    user_id: UserId,
    query: IndexQuery,
    message_ids: Sequence[MessageId],
) -> set[MessageId]:
    """Return those of `message_ids` that match.

    One search covers the range from the lowest to the highest id, if few other messages match in
    that range. Otherwise FTS5 searches for each id, and each takes as long as a search.
    """
    rows = [connection.execute(_FIND, (user_id, id_)).fetchone() for id_ in message_ids]
    ids = {row[0] for row in rows if row}
    if not ids:
        return set()
    low, high = _times(query)
    low, high = max(low, min(ids)), min(high, max(ids) + 1)
    values = (expression(user_id, query), low, high, user_id, *_sizes(query))
    limit = _READ_PER_ID * len(ids)
    matches: list[ListPosition] = connection.execute(_SEARCH, (*values, limit)).fetchall()
    if len(matches) == limit:
        has_id = f" AND fts.rowid IN ({','.join('?' * len(ids))})"
        matches = connection.execute(
            _SEARCH_START + has_id + _SEARCH_END, (*values, *ids, len(ids))
        ).fetchall()
    return {MessageId(message_id) for id_, message_id in matches if id_ in ids}


def count(connection: sqlite3.Connection, user_id: UserId, query: IndexQuery, *, limit: int) -> int:
    """Return the number of matches, at most `limit`."""
    low, high = _times(query)
    values: tuple[str | int, ...] = (expression(user_id, query), low, high)
    matches = f"SELECT 1 FROM fts WHERE {_BOUNDS}"
    if query.min_bytes is not None or query.max_bytes is not None:
        values = (*values, user_id, *_sizes(query))
        matches = f"SELECT 1 FROM {_JOINED} WHERE {_FULL_BOUNDS}"
    query_count = f"SELECT count(*) FROM ({matches} LIMIT ?)"
    (number,) = connection.execute(query_count, (*values, limit)).fetchone()
    return int(number)


def highlight(
    connection: sqlite3.Connection, user_id: UserId, node: Node, message_ids: Sequence[MessageId]
) -> dict[str, HighlightedText]:
    highlighter = Highlighter(node)
    texts: dict[str, HighlightedText] = {}
    for message_id in message_ids:
        row = connection.execute(_TEXT, (user_id, message_id)).fetchone()
        if row is not None:
            document = _unpack(zlib.decompress(row[0]))
            texts[message_id] = highlighter.highlight(document.subject, document.body)
    return texts


def indexed(
    connection: sqlite3.Connection, user_id: UserId, message_ids: Sequence[MessageId]
) -> set[str]:
    return {id_ for id_ in message_ids if connection.execute(_FIND, (user_id, id_)).fetchone()}


def first_ids(connection: sqlite3.Connection, user_id: UserId, *, limit: int) -> list[MessageId]:
    """Return message ids of up to `limit` documents of the user, in any order."""
    rows = connection.execute(_FIRST_IDS, (user_id, limit))
    return [message_id for (message_id,) in rows]


def mark_unfilled(connection: sqlite3.Connection, user_id: UserId) -> None:
    connection.execute("INSERT OR IGNORE INTO unfilled VALUES (?)", (user_id,))


def unfilled(connection: sqlite3.Connection) -> list[UserId]:
    return [user_id for (user_id,) in connection.execute("SELECT user_id FROM unfilled")]


def mark_filled(connection: sqlite3.Connection, user_id: UserId) -> None:
    connection.execute("DELETE FROM unfilled WHERE user_id=?", (user_id,))


def _change(connection: sqlite3.Connection, change: IndexChange) -> Iterator[_FtsStatement]:
    """Write one change to `doc` and `text`; yield the statements that it needs on `fts`."""
    row = connection.execute(_FIND, (change.user_id, change.message_id)).fetchone()
    packed = _packed(change.document) if change.document is not None else b""
    digest = hashlib.blake2b(packed, digest_size=16).digest()
    if row is not None and change.document is not None and row[1] == digest:
        return
    if row is not None:
        old_id = row[0]
        yield _REMOVE_FTS, old_id, columns(_stored(connection, old_id))
        connection.execute(_REMOVE_DOC, (old_id,))
        connection.execute(_REMOVE_TEXT, (old_id,))
    if change.document is not None:
        id_ = _free_id(connection, change.document)
        new_row = (id_, change.user_id, change.message_id, change.document.size_bytes, digest)
        connection.execute(_ADD_DOC, new_row)
        connection.execute(_ADD_TEXT, (id_, zlib.compress(packed, _ZLIB_LEVEL)))
        yield _ADD_FTS, id_, columns(change.document)


def _packed(document: IndexDocument) -> bytes:
    """Encode the document with its searchable texts cut to TEXT_MAX_CHARS, in valid Unicode."""
    texts = {
        field: getattr(document, field)[:TEXT_MAX_CHARS].encode("utf-8", "replace").decode()
        for field in SEARCHED_FIELDS
    }
    return _pack(msgspec.structs.replace(document, **texts))


def _stored(connection: sqlite3.Connection, id_: int) -> IndexDocument:
    (packed,) = connection.execute("SELECT packed FROM text WHERE id=?", (id_,)).fetchone()
    return _unpack(zlib.decompress(packed))


def _sizes(query: IndexQuery) -> tuple[int, int]:
    return query.min_bytes or 0, _ID_MAX if query.max_bytes is None else query.max_bytes


def _times(query: IndexQuery) -> tuple[int, int]:
    """Return the lowest id in the query's time range, and the lowest id after the range."""
    low = 0 if query.since_ms is None else _first_id(query.since_ms)
    return low, _ID_MAX if query.before_ms is None else _first_id(query.before_ms)


def _first_id(time_ms: int) -> int:
    return min(max(time_ms, 0) << _TIE_BITS, _ID_MAX)


def _free_id(connection: sqlite3.Connection, document: IndexDocument) -> int:
    """Return the id of the document: arrival time, then the first bits of the message id.

    If that id is taken (same millisecond, same 21 bits), return the next lower free id.
    """
    time_ms = min(max(document.received_at_ms, 0), _TIME_MAX_MS)
    id_ = time_ms << _TIE_BITS | _tie(document.message_id)
    while connection.execute(_TAKEN, (id_,)).fetchone():
        id_ -= 1
    return id_


def _tie(message_id: MessageId) -> int:
    """Return the first 21 bits of a UUID, which sort like its text; 0 for another id."""
    try:
        return int(message_id[:6], 16) >> (24 - _TIE_BITS)
    except ValueError:
        return 0
