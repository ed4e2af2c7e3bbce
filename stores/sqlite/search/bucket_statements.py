"""One bucket of the full-text index, as SQL: what a batch of changes writes, what a search reads.

Order: a document's id is its arrival time and the beginning of its message id, so that SQLite walks
matches newest first without sorting, and stops at the page's end.
"""

import hashlib
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from mail.pagination import ListPosition
from mail.ports import IndexMatches
from mail.query.highlighter import HighlightedText, Highlighter
from mail.query.planner import IndexQuery
from mail.query.tokenizer import TEXT_MAX_CHARS
from mail.query.tree import SEARCHED_FIELDS, Node
from schemas.search import IndexDocument
from stores.sqlite.search.fts5_query import COLUMNS, columns, expression
from stores.sqlite.search.time_limit import is_interrupt

_TIE_BITS = 21  # of the message id, below the time
_TIME_MAX_MS = (1 << 42) - 1  # the year 2109
_ID_MAX = (1 << 63) - 1
_PACKING = 1  # zlib's level: three times quicker than the usual one, and a tenth larger

_SOME = "SELECT message_id FROM doc WHERE user_id=? LIMIT ?"
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
# CROSS JOIN: matches first, in their order; `doc` names them, and checks owner and size once more.
_JOINED = "fts CROSS JOIN doc ON doc.id = fts.rowid"
_BOUNDS = "fts MATCH ? AND fts.rowid >= ? AND fts.rowid < ?"
_FULL_BOUNDS = f"{_BOUNDS} AND doc.user_id = ? AND doc.size_bytes BETWEEN ? AND ?"
_SEARCH_START = f"SELECT fts.rowid, doc.message_id FROM {_JOINED} WHERE {_FULL_BOUNDS}"
_SEARCH_END = " ORDER BY fts.rowid DESC LIMIT ?"
_SEARCH = _SEARCH_START + _SEARCH_END
_OTHERS_BETWEEN = 8  # matches walked for each that is asked about

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(IndexDocument).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexChange:
    """A document to add or, when it is None, the message to remove."""

    user_id: str
    message_id: str
    document: IndexDocument | None


# A statement about `fts`, the id it is about, and the columns that it adds or removes.
_Step = tuple[str, int, tuple[str, ...]]


def write(connection: sqlite3.Connection, changes: Sequence[IndexChange]) -> None:
    """Make `changes` in a running transaction; of several for one message the last one counts.

    FTS5 writes out its buffer whenever ids do not ascend: so its part is done last, in order.
    """
    # Merges free pages all the time; zeroing them costs a third and hides nothing while the
    # mail itself is stored beside.
    connection.execute("PRAGMA secure_delete=FAST")
    last = {(change.user_id, change.message_id): change for change in changes}
    steps = [step for change in last.values() for step in _steps(connection, change)]
    for statement, id_, texts in sorted(steps, key=lambda step: step[1]):
        connection.execute(statement, (id_, *texts))


def find(
    connection: sqlite3.Connection, user_id: str, query: IndexQuery, *, before: int, limit: int
) -> IndexMatches:
    """Ids and message ids of the first `limit` matches below the id `before`, newest first.

    When it is interrupted it gives what it has found; sqlite3.Error when that is nothing.
    """
    low, high = _times(query)
    values = (expression(user_id, query), low, min(before, high), user_id, *_sizes(query))
    found: list[ListPosition] = []
    try:
        for row in connection.execute(_SEARCH, (*values, limit)):
            found.append(row)  # noqa: PERF402  (what was found before an interrupt counts)
    except sqlite3.OperationalError as error:
        if not (found and is_interrupt(error)):
            raise
        return IndexMatches(found, has_more=True)
    return IndexMatches(found, has_more=len(found) == limit)


def matching(
    connection: sqlite3.Connection, user_id: str, query: IndexQuery, message_ids: Sequence[str]
) -> set[str]:
    """Those that match.

    One search from the first to the last of them, when few others match in between; else FTS5
    looks for each, which takes it as long as a search.
    """
    found = [connection.execute(_FIND, (user_id, one)).fetchone() for one in message_ids]
    ids = {row[0] for row in found if row}
    if not ids:
        return set()
    low, high = _times(query)
    low, high = max(low, min(ids)), min(high, max(ids) + 1)
    values = (expression(user_id, query), low, high, user_id, *_sizes(query))
    most = _OTHERS_BETWEEN * len(ids)
    between: list[ListPosition] = connection.execute(_SEARCH, (*values, most)).fetchall()
    if len(between) == most:
        only = f" AND fts.rowid IN ({','.join('?' * len(ids))})"
        between = connection.execute(
            _SEARCH_START + only + _SEARCH_END, (*values, *ids, len(ids))
        ).fetchall()
    return {message_id for id_, message_id in between if id_ in ids}


def count(connection: sqlite3.Connection, user_id: str, query: IndexQuery, *, limit: int) -> int:
    """How many match, at most `limit`."""
    low, high = _times(query)
    values: tuple[str | int, ...] = (expression(user_id, query), low, high)
    matches = f"SELECT 1 FROM fts WHERE {_BOUNDS}"
    if query.min_bytes is not None or query.max_bytes is not None:
        values = (*values, user_id, *_sizes(query))
        matches = f"SELECT 1 FROM {_JOINED} WHERE {_FULL_BOUNDS}"
    found = connection.execute(f"SELECT count(*) FROM ({matches} LIMIT ?)", (*values, limit))
    (number,) = found.fetchone()
    return int(number)


def highlight(
    connection: sqlite3.Connection, user_id: str, node: Node, message_ids: Sequence[str]
) -> dict[str, HighlightedText]:
    highlighter, found = Highlighter(node), {}
    for message_id in message_ids:
        row = connection.execute(_TEXT, (user_id, message_id)).fetchone()
        if row is not None:
            document = _unpack(zlib.decompress(row[0]))
            found[message_id] = highlighter.highlight(document.subject, document.body)
    return found


def indexed(connection: sqlite3.Connection, user_id: str, message_ids: Sequence[str]) -> set[str]:
    return {one for one in message_ids if connection.execute(_FIND, (user_id, one)).fetchone()}


def some(connection: sqlite3.Connection, user_id: str, *, limit: int) -> list[str]:
    """Message ids of documents that the index holds."""
    found = connection.execute(_SOME, (user_id, limit))
    return [message_id for (message_id,) in found]


def mark_unfilled(connection: sqlite3.Connection, user_id: str) -> None:
    connection.execute("INSERT OR IGNORE INTO unfilled VALUES (?)", (user_id,))


def unfilled(connection: sqlite3.Connection) -> list[str]:
    return [user_id for (user_id,) in connection.execute("SELECT user_id FROM unfilled")]


def mark_filled(connection: sqlite3.Connection, user_id: str) -> None:
    connection.execute("DELETE FROM unfilled WHERE user_id=?", (user_id,))


def _steps(connection: sqlite3.Connection, change: IndexChange) -> Iterator[_Step]:
    """Make one change in `doc` and `text`, and tell what is left to do in `fts`."""
    found = connection.execute(_FIND, (change.user_id, change.message_id)).fetchone()
    packed = _packed(change.document) if change.document is not None else b""
    digest = hashlib.blake2b(packed, digest_size=16).digest()
    if found is not None and change.document is not None and found[1] == digest:
        return
    if found is not None:
        yield _REMOVE_FTS, found[0], columns(_stored(connection, found[0]))
        connection.execute(_REMOVE_DOC, (found[0],))
        connection.execute(_REMOVE_TEXT, (found[0],))
    if change.document is not None:
        id_ = _free_id(connection, change.document)
        row = (id_, change.user_id, change.message_id, change.document.size_bytes, digest)
        connection.execute(_ADD_DOC, row)
        connection.execute(_ADD_TEXT, (id_, zlib.compress(packed, _PACKING)))
        yield _ADD_FTS, id_, columns(change.document)


def _packed(document: IndexDocument) -> bytes:
    """What of it is searchable, in valid Unicode."""
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
    """The first id that is late enough, and the first that is too late."""
    low = 0 if query.since_ms is None else _first_id(query.since_ms)
    return low, _ID_MAX if query.before_ms is None else _first_id(query.before_ms)


def _first_id(time_ms: int) -> int:
    return min(max(time_ms, 0) << _TIE_BITS, _ID_MAX)


def _free_id(connection: sqlite3.Connection, document: IndexDocument) -> int:
    """By arrival, then by message id; the next one where two agree in 21 bits and a millisecond."""
    time_ms = min(max(document.received_at_ms, 0), _TIME_MAX_MS)
    id_ = time_ms << _TIE_BITS | _tie(document.message_id)
    while connection.execute(_TAKEN, (id_,)).fetchone():
        id_ -= 1
    return id_


def _tie(message_id: str) -> int:
    """The first 21 bits of a UUID's text, in the text's order."""
    try:
        return int(message_id[:6], 16) >> (24 - _TIE_BITS)
    except ValueError:
        return 0
