"""One bucket of the full-text index, as SQL: what a batch of changes writes, what a query reads.

Order: a document's id is its arrival time and the beginning of its message id, so that SQLite walks
matches newest first without sorting, and stops at the page's end.
Owners: each document has one more token, made of its user's id. It holds a character that no text
yields (mail/text.py), so no query can name it; every search demands it.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mail.query import Query, Term, words_of
from schemas.records import IndexDocument

_TIE_BITS = 21  # of the message id, below the time
_TIME_MAX_MS = (1 << 42) - 1  # the year 2109
_OWNER_MARK = "\ue000"  # private use: never a letter
NEWEST = (1 << 63) - 1

_FIND = "SELECT id, digest FROM doc WHERE user_id=? AND message_id=?"
_TAKEN = "SELECT 1 FROM doc WHERE id=?"
_ADD_DOC = "INSERT INTO doc (id, user_id, message_id, digest) VALUES (?,?,?,?)"
_ADD_FTS = (
    "INSERT INTO fts (rowid, owner, subject, sender, recipients, body, filenames)"
    " VALUES (?,?,?,?,?,?,?)"
)
_REMOVE_DOC = "DELETE FROM doc WHERE id=?"
_REMOVE_FTS = "DELETE FROM fts WHERE rowid=?"
# CROSS JOIN: matches first, in their order; `doc` only names them, and checks the owner once more.
_SEARCH = (
    "SELECT fts.rowid, doc.message_id FROM fts CROSS JOIN doc ON doc.id = fts.rowid"
    " WHERE fts MATCH ? AND fts.rowid < ? AND doc.user_id = ?"
    " ORDER BY fts.rowid DESC LIMIT ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A document to add or, when it is None, the message to remove."""

    user_id: str
    message_id: str
    document: IndexDocument | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What a document is in the tables; `columns` are fts's, owner first."""

    digest: bytes
    columns: tuple[str, ...]


_Step = tuple[int, tuple[str, ...] | None]  # an id in `fts`, and the columns to add or None: remove


def write(connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
    """Make `changes` in a running transaction; of several for one message the last one counts.

    FTS5 writes out its buffer whenever ids do not ascend: so its part is done last, in order.
    """
    # Merges free pages all the time; zeroing them costs a third and hides nothing while the
    # mail itself is stored beside.
    connection.execute("PRAGMA secure_delete=FAST")
    last = {(change.user_id, change.message_id): change for change in changes}
    steps = [step for change in last.values() for step in _steps(connection, change)]
    for id_, columns in sorted(steps, key=lambda step: step[0]):
        if columns is None:
            connection.execute(_REMOVE_FTS, (id_,))
        else:
            connection.execute(_ADD_FTS, (id_, *columns))


def search(
    connection: sqlite3.Connection, user_id: str, query: Query, *, before: int, limit: int
) -> list[tuple[int, str]]:
    """Ids and message ids of the first `limit` matches below the id `before`, newest first."""
    found = connection.execute(_SEARCH, (_expression(user_id, query), before, user_id, limit))
    return found.fetchall()


def _steps(connection: sqlite3.Connection, change: Change) -> Iterator[_Step]:
    """Make one change in `doc`, and tell what is left to do in `fts`."""
    found = connection.execute(_FIND, (change.user_id, change.message_id)).fetchone()
    row = _row(change.document) if change.document is not None else None
    if found is not None and row is not None and found[1] == row.digest:
        return
    if found is not None:
        connection.execute(_REMOVE_DOC, (found[0],))
        yield found[0], None
    if change.document is not None and row is not None:
        id_ = _free_id(connection, change.document)
        connection.execute(_ADD_DOC, (id_, change.user_id, change.message_id, row.digest))
        yield id_, row.columns


def _row(document: IndexDocument) -> _Row:
    columns = (_owner(document.user_id), *map(" ".join, words_of(document).values()))
    told = "\n".join((str(document.received_at_ms), *columns))
    return _Row(digest=hashlib.blake2b(told.encode(), digest_size=16).digest(), columns=columns)


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


def _owner(user_id: str) -> str:
    return _OWNER_MARK + hashlib.blake2b(user_id.encode(), digest_size=16).hexdigest()


def _expression(user_id: str, query: Query) -> str:
    """`query` in FTS5's language. Tokens hold letters only, so nothing needs escaping."""
    terms = " AND ".join(map(_phrase, query.all_of))
    return f'"{_owner(user_id)}" AND {terms}'


def _phrase(term: Term) -> str:
    words = f'"{" ".join(term.tokens)}"'
    return words if term.field is None else f"{term.field} : {words}"
