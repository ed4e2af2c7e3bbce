"""Lists of the mail store by arrival, with filters and positions (table place), messages by uid.

Each folder has one range of rows for read and one for unread messages. A list of several ranges,
such as a list of all mail, merges them, so a delivery writes one row only. In all mail a message of
several folders is shown by its place without FLAG_REPEATED. Other filters are evaluated on the
columns of `place`; a keyword is looked up in `keyword` first. A page with a cursor reads about
SCAN_MAX rows under a filter, one with a position at most POSITION_MAX.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any

import msgspec

from mail.mailbox.list_filters import (
    FLAG_ATTACHMENTS,
    FLAG_FLAGGED,
    FLAG_REPEATED,
    sender_key,
)
from mail.pagination import FROM_NEWEST, ListPosition, ListStart
from schemas.ids import FolderId
from schemas.mailbox import SEEN, Filter, Message

SCAN_MAX = 20_000  # about 5 ms
_MERGED_MAX = 60  # ranges that a statement merges; more are sorted
_message = msgspec.msgpack.Decoder(Message).decode
_PLACES = """FROM place WHERE place.mailbox_key = :mailbox
    AND place.folder_id = :folder_{n} AND place.unread = :unread_{n}"""
_BY_KEYWORD = """FROM keyword CROSS JOIN place ON place.mailbox_key = :mailbox
    AND place.folder_id = :folder_{n} AND place.unread = :unread_{n}
    AND place.received_at_ms = keyword.received_at_ms AND place.message_id = keyword.message_id
    WHERE keyword.mailbox_key = :mailbox AND keyword.keyword = :keyword"""
_KEYWORDS = "FROM keyword WHERE keyword.mailbox_key = :mailbox AND keyword.keyword = :keyword"
_MANY_PLACES = """FROM place WHERE place.mailbox_key = :mailbox
    AND place.folder_id IN (SELECT value FROM json_each(:folders))
    AND place.unread IN (SELECT value FROM json_each(:unread))"""

_Row = tuple[int, str, int]  # received_at_ms, message_id, message_key
Bounds = dict[str, tuple[str, ListPosition | None]]  # by name: comparison, position or none


@dataclass(frozen=True, slots=True)
class ListRows:
    """Rows, newest first, and where the list goes on in the direction of reading."""

    rows: tuple[Message, ...]
    end: ListPosition | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredList:
    """A list of the mail store: the messages of a mailbox in folders, under a filter.

    `is_all_mail`: the folders are those of all mail, and a message of several is shown once.
    """

    mailbox_key: int
    folder_ids: tuple[FolderId, ...]
    filter: Filter
    is_all_mail: bool
    ranges: tuple[tuple[FolderId, bool], ...] = field(init=False)
    source: str = field(init=False)  # the table whose order the ranges have
    conditions: str = field(init=False)
    values: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        filter_, has_keyword = self.filter, self.filter.keyword not in (None, SEEN)
        unread = [value for value in (False, True) if filter_.unread in (None, value)]
        if filter_.keyword == SEEN:
            unread = [value for value in unread if not value]
        ranges = tuple((folder_id, value) for folder_id in self.folder_ids for value in unread)
        object.__setattr__(self, "ranges", ranges)
        object.__setattr__(self, "source", "keyword" if has_keyword else "place")
        object.__setattr__(self, "values", self._values())
        object.__setattr__(self, "conditions", self._conditions())

    @property
    def is_scan(self) -> bool:
        """Whether rows of the ranges may not meet the filter."""
        filter_ = self.filter
        conditions = (filter_.flagged, filter_.has_attachments, filter_.sender)
        return self.source == "keyword" or any(value is not None for value in conditions)

    def select(self, columns: str, n: int, more: str = "") -> str:
        """A statement over range `n`; `more` are conditions and an order."""
        from_ = (_BY_KEYWORD if self.source == "keyword" else _PLACES).format(n=n)
        return f"SELECT {columns} {from_} {self.conditions} {more}"

    def order(self, *, is_newer: bool = False) -> str:
        way = "" if is_newer else " DESC"
        return f"ORDER BY {self.source}.received_at_ms{way}, {self.source}.message_id{way}"

    def between(self, bounds: Bounds) -> str:
        """The condition that a row is between the bounds, which are parameters too."""
        position = f"({self.source}.received_at_ms, {self.source}.message_id)"
        return " ".join(
            f"AND {position} {comparison} (:{name}_ms, :{name}_id)"
            for name, (comparison, at) in bounds.items()
            if at is not None
        )

    def bounds(self, start: ListStart = FROM_NEWEST) -> Bounds:
        """The bounds of the filter's dates and of a start; one in each direction."""
        ends = {
            "low": None if self.filter.after_ms is None else (self.filter.after_ms, ""),
            "high": None if self.filter.before_ms is None else (self.filter.before_ms, ""),
        }
        if start.before is not None and start.is_newer:
            ends["low"] = max(ends["low"] or start.before, start.before)
        elif start.before is not None:
            ends["high"] = min(ends["high"] or start.before, start.before)
        return {"low": (">", ends["low"]), "high": ("<", ends["high"])}

    @property
    def columns(self) -> str:
        return f"{self.source}.received_at_ms, {self.source}.message_id, place.message_key"

    def _conditions(self) -> str:
        filter_, conditions = self.filter, ""
        if self.values["mask"]:
            conditions += " AND place.flags & :mask = :flags"
        if filter_.sender is not None:
            conditions += " AND place.sender = :sender"
        return conditions

    def _values(self) -> dict[str, Any]:
        filter_ = self.filter
        flags = (
            (filter_.flagged, FLAG_FLAGGED),
            (filter_.has_attachments, FLAG_ATTACHMENTS),
            (False if self.is_all_mail else None, FLAG_REPEATED),
        )
        values = {f"folder_{n}": folder_id for n, (folder_id, _) in enumerate(self.ranges)}
        return values | {
            **{f"unread_{n}": unread for n, (_, unread) in enumerate(self.ranges)},
            "mailbox": self.mailbox_key,
            "keyword": filter_.keyword,
            "mask": sum(flag for is_set, flag in flags if is_set is not None),
            "flags": sum(flag for is_set, flag in flags if is_set),
            "sender": None if filter_.sender is None else sender_key(filter_.sender),
        }


def page(
    connection: Connection, list_: FilteredList, start: ListStart, limit: int, scan_max: int
) -> ListRows:
    """Return one page; with a filter it may be short: about `scan_max` rows are read."""
    is_newer, order = start.is_newer, list_.order(is_newer=start.is_newer)
    bounds, scan_end = list_.bounds(start), None
    if list_.is_scan:
        scan = max(scan_max // max(len(list_.ranges), 1), limit + 1)
        scan_end = _scan_end(connection, list_, bounds, scan, is_newer=is_newer)
    if scan_end is not None:
        bounds |= {"high": ("<=", scan_end)} if is_newer else {"low": (">=", scan_end)}
    values = list_.values | _parameters(bounds) | {"limit": limit + 1}
    found: set[_Row] = set()
    for n in range(len(list_.ranges)):
        query = list_.select(list_.columns, n, f"{list_.between(bounds)} {order} LIMIT :limit")
        found.update(connection.execute(query, values))
    in_order = sorted(found, reverse=not is_newer)
    shown = in_order[:limit]
    end = shown[-1][:2] if len(in_order) > limit else scan_end
    return ListRows(_messages(connection, list_, sorted(shown, reverse=True)), end)


def page_at(connection: Connection, list_: FilteredList, position: int, limit: int) -> ListRows:
    """Return the page from a position on; reads every row before it."""
    if not list_.ranges:
        return ListRows((), None)
    bounds = list_.bounds()
    between = list_.between(bounds)
    values = list_.values | _parameters(bounds) | {"limit": limit + 1, "position": position}
    if len(list_.ranges) > _MERGED_MAX and list_.source == "place":
        folders, unread = (sorted(set(part)) for part in zip(*list_.ranges, strict=True))
        encode = msgspec.json.encode
        values |= {
            "folders": encode(folders).decode(),
            "unread": encode(list(map(int, unread))).decode(),
        }
        query = (
            f"SELECT {list_.columns} {_MANY_PLACES} {list_.conditions} {between} {list_.order()}"
        )
    else:
        ranges = [list_.select(list_.columns, n, between) for n in range(len(list_.ranges))]
        query = f"{' UNION ALL '.join(ranges)} ORDER BY 1 DESC, 2 DESC"
    found = connection.execute(f"{query} LIMIT :limit OFFSET :position", values).fetchall()
    shown = found[:limit]
    end = shown[-1][:2] if len(found) > limit else None
    return ListRows(_messages(connection, list_, shown), end)


def count(connection: Connection, list_: FilteredList) -> int:
    """Return the number of messages that meet the filter; reads every row of the ranges."""
    total, bounds = 0, list_.bounds()
    values, between = list_.values | _parameters(bounds), list_.between(bounds)
    for n in range(len(list_.ranges)):
        ((rows,),) = connection.execute(list_.select("count(*)", n, between), values).fetchall()
        total += rows
    return total


def by_uid(
    connection: Connection, mailbox_key: int, folder_id: FolderId, after_uid: int, limit: int
) -> list[Message]:
    blobs = connection.execute(
        "SELECT message FROM uid JOIN message USING (mailbox_key, message_key)"
        " WHERE mailbox_key = ? AND folder_id = ? AND uid > ? ORDER BY uid LIMIT ?",
        (mailbox_key, folder_id, after_uid, limit),
    )
    return [_message(blob) for (blob,) in blobs]


def _parameters(bounds: Bounds) -> dict[str, Any]:
    positions = {name: at or (0, "") for name, (_, at) in bounds.items()}
    return {
        name: value
        for bound, (at_ms, id_) in positions.items()
        for name, value in ((f"{bound}_ms", at_ms), (f"{bound}_id", id_))
    }


def _scan_end(
    connection: Connection, list_: FilteredList, bounds: Bounds, scan: int, *, is_newer: bool
) -> ListPosition | None:
    """The last position that one call reads, in every range; None: to the end of the list."""
    columns = f"{list_.source}.received_at_ms, {list_.source}.message_id"
    sources = (
        [_KEYWORDS]
        if list_.source == "keyword"
        else [_PLACES.format(n=n) for n in range(len(list_.ranges))]
    )
    more = f"{list_.between(bounds)} {list_.order(is_newer=is_newer)} LIMIT 1 OFFSET :scan - 1"
    values = list_.values | _parameters(bounds) | {"scan": scan}
    queries = (f"SELECT {columns} {source} {more}" for source in sources)
    ends = [connection.execute(query, values).fetchone() for query in queries]
    first = min if is_newer else max
    return first((end for end in ends if end is not None), default=None)


def _messages(
    connection: Connection, list_: FilteredList, rows: Iterable[_Row]
) -> tuple[Message, ...]:
    """Return the message rows; one that the mailbox does not have is left out: a damaged list."""
    query = "SELECT message FROM message WHERE mailbox_key = ? AND message_key = ?"
    blobs = (connection.execute(query, (list_.mailbox_key, row[2])).fetchone() for row in rows)
    return tuple(_message(blob[0]) for blob in blobs if blob is not None)
