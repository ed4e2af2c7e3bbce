"""Searches in one bucket of the full-text index.

FTS5 finds what tokens decide. If a query has other conditions (mail/query/narrowing.py), FTS5 finds
candidates, newest first, and the definition of a match decides each of them by its packed document.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from mail.pagination import ListPosition
from mail.ports import IndexMatches
from mail.query.highlighter import HighlightedText, Highlighter
from mail.query.matcher import SearchedDocument, document_facts, matches
from mail.query.narrowing import narrowed, to_verify
from mail.query.planner import IndexQuery
from mail.query.time_budget import SearchTimedOut
from mail.query.tree import EVERYTHING, NOTHING, Contains, Node, WordsNode, leaves
from schemas.ids import MessageId, UserId
from stores.packed_documents import unpacked
from stores.sqlite.search.bucket_statements import FIND, ID_MAX, first_id
from stores.sqlite.search.fts5_query import expression
from stores.sqlite.search.time_limit import is_interrupt

_TEXT = (
    "SELECT head, body FROM doc JOIN text ON text.id = doc.id"
    " WHERE doc.user_id=? AND doc.message_id=?"
)
# CROSS JOIN makes SQLite read the matches first, in their order, and then join `doc`, which has the
# message ids and the exact owner, size and day.
_JOINED = "fts CROSS JOIN doc ON doc.id = fts.rowid"
_WITH_TEXT = f"{_JOINED} CROSS JOIN text ON text.id = fts.rowid"
_BOUNDS = "fts MATCH ? AND fts.rowid >= ? AND fts.rowid < ?"
_FULL_BOUNDS = (
    f"{_BOUNDS} AND doc.user_id = ? AND doc.size_bytes BETWEEN ? AND ?"
    " AND doc.sent_day BETWEEN ? AND ?"
)
_ORDER = " ORDER BY fts.rowid DESC"
_NO_TEXTS = "NULL, NULL"
_HEADS = "text.head, NULL"
_HEADS_AND_BODIES = "text.head, text.body"
_READ_PER_ID = 8  # matches that `matching` reads for each message id, before it searches by id
_DAY_MAX = 1 << 40

_Row = tuple[int, MessageId, bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class BucketSearch:
    """The statements of one query. `ends_s`: perf_counter() at which decisions by document end."""

    connection: sqlite3.Connection
    user_id: UserId
    query: IndexQuery
    ends_s: float = float("inf")

    def find(self, *, before: int, limit: int) -> IndexMatches:
        """Return ids and message ids of the first `limit` matches below the id `before`.

        A search that its time limit ends returns the matches so far, and the last id examined.
        Raises sqlite3.Error or SearchTimedOut: nothing was examined by then.
        """
        positions: list[ListPosition] = []
        examined: ListPosition | None = None
        try:
            for id_, message_id, is_match in self._decided(before, limit):
                examined = id_, message_id
                if is_match:
                    positions.append(examined)
                if len(positions) == limit:
                    return IndexMatches(positions, examined)
        except (sqlite3.OperationalError, SearchTimedOut) as error:
            is_timeout = isinstance(error, SearchTimedOut) or is_interrupt(error)
            if examined is None or not is_timeout:
                raise
            return IndexMatches(positions, examined)
        return IndexMatches(positions, None)

    def matching(self, message_ids: Sequence[MessageId]) -> set[MessageId]:
        """Return those of `message_ids` that match.

        One search covers the range from the lowest to the highest id, if few other messages match
        in that range. Otherwise FTS5 searches for each id, and each takes as long as a search.
        """
        rows = [
            self.connection.execute(FIND, (self.user_id, id_)).fetchone() for id_ in message_ids
        ]
        ids = {row[0] for row in rows if row}
        if not ids or self._narrowed.text == NOTHING:
            return set()
        low, high = self._times()
        bounds = max(low, min(ids)), min(high, max(ids) + 1)
        limit = _READ_PER_ID * len(ids)
        select = self._select(_NO_TEXTS)
        found = self.connection.execute(
            f"{select}{_ORDER} LIMIT ?", (*self._values(*bounds), limit)
        ).fetchall()
        if len(found) == limit:
            has_id = f" AND fts.rowid IN ({','.join('?' * len(ids))})"
            found = self.connection.execute(
                select + has_id, (*self._values(*bounds), *ids)
            ).fetchall()
        found_ids = [MessageId(message_id) for id_, message_id, *_ in found if id_ in ids]
        return {message_id for message_id in found_ids if self._is_match_by_text(message_id)}

    def count(self, *, limit: int) -> int:
        """Return the number of matches, at most `limit`.

        Raises SearchTimedOut: decisions by document took too long.
        """
        if self._narrowed.text == NOTHING:
            return 0
        if self._unverified != EVERYTHING:
            decided = self._decided(ID_MAX, limit)
            matching = (True for _, _, is_match in decided if is_match)
            return sum(1 for _ in zip(range(limit), matching, strict=False))
        has_bounds = {*_bounds_of(self.query)} != {None}
        values = self._values(*self._times())
        matches_ = f"SELECT 1 FROM {_JOINED} WHERE {_FULL_BOUNDS}"
        if not has_bounds:
            values, matches_ = values[:3], f"SELECT 1 FROM fts WHERE {_BOUNDS}"
        statement = f"SELECT count(*) FROM ({matches_} LIMIT ?)"
        (number,) = self.connection.execute(statement, (*values, limit)).fetchone()
        return int(number)

    @property
    def _unverified(self) -> Node:
        return to_verify(self.query.text)

    @property
    def _narrowed(self) -> IndexQuery:
        return msgspec.structs.replace(self.query, text=narrowed(self.query.text))

    def _decided(self, before: int, limit: int) -> Iterator[tuple[int, MessageId, bool]]:
        """Iterate over candidates below `before`, newest first, and whether each is a match."""
        if self._narrowed.text == NOTHING:
            return
        low, high = self._times()
        values = self._values(low, min(before, high))
        node = self._unverified
        if node == EVERYTHING:
            statement = f"{self._select(_NO_TEXTS)}{_ORDER} LIMIT ?"
            for id_, message_id, *_ in self.connection.execute(statement, (*values, limit)):
                yield id_, message_id, True
            return
        rows = self.connection.execute(f"{self._select(_texts_for(node))}{_ORDER}", values)
        for id_, message_id, head, body in rows:
            yield id_, message_id, self._is_match(node, head, body)

    def _is_match_by_text(self, message_id: MessageId) -> bool:
        node = self._unverified
        if node == EVERYTHING:
            return True
        row = self.connection.execute(_TEXT, (self.user_id, message_id)).fetchone()
        return row is not None and self._is_match(node, *row)

    def _is_match(self, node: Node, head: bytes, body: bytes | None) -> bool:
        if time.perf_counter() > self.ends_s:
            raise SearchTimedOut
        document = unpacked(head, body)
        return matches(node, SearchedDocument(document), document_facts(document))

    def _select(self, texts: str) -> str:
        joined = _JOINED if texts == _NO_TEXTS else _WITH_TEXT
        return f"SELECT fts.rowid, doc.message_id, {texts} FROM {joined} WHERE {_FULL_BOUNDS}"

    def _values(self, low: int, high: int) -> tuple[str | int, ...]:
        """Return the values of _FULL_BOUNDS for ids from `low` to below `high`."""
        query = self._narrowed
        max_bytes = ID_MAX if query.max_bytes is None else query.max_bytes
        since_day = -_DAY_MAX if query.sent_since_day is None else query.sent_since_day
        before_day = _DAY_MAX if query.sent_before_day is None else query.sent_before_day
        sizes, days = (query.min_bytes or 0, max_bytes), (since_day, before_day - 1)
        return expression(self.user_id, query), low, high, self.user_id, *sizes, *days

    def _times(self) -> tuple[int, int]:
        """Return the lowest id in the query's time range, and the lowest id after the range."""
        query = self.query
        low = 0 if query.since_ms is None else first_id(query.since_ms)
        return low, ID_MAX if query.before_ms is None else first_id(query.before_ms)


def highlight(
    connection: sqlite3.Connection, user_id: UserId, node: Node, message_ids: Sequence[MessageId]
) -> dict[str, HighlightedText]:
    """Highlight the matches of `node` in the texts of those messages that the index has."""
    highlighter = Highlighter(node)
    texts: dict[str, HighlightedText] = {}
    for message_id in message_ids:
        row = connection.execute(_TEXT, (user_id, message_id)).fetchone()
        if row is not None:
            document = unpacked(*row)
            texts[message_id] = highlighter.highlight(document.subject, document.body)
    return texts


def _bounds_of(query: IndexQuery) -> tuple[int | None, ...]:
    """Return the bounds that only `doc` decides."""
    return query.min_bytes, query.max_bytes, query.sent_since_day, query.sent_before_day


def _texts_for(node: Node) -> str:
    """Return the columns of `text` that decide `node`."""
    reads_body = any(
        isinstance(leaf, WordsNode | Contains) and leaf.field in {None, "body"}
        for leaf in leaves(node)
    )
    return _HEADS_AND_BODIES if reads_body else _HEADS
