"""The mail store's lists: by arrival with filters (place), and by uid.

Read and unread lie apart, and so do folders: a list of several merges them, that of all mail too,
so that a delivery pays for one row only. Other filters are answered by the columns of `place`
alone; one call looks at about SCAN_MAX rows.
"""

from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

import msgspec

from mail.mailbox.list_filters import sender_key, sender_of
from mail.pagination import ListPosition
from schemas.mailbox import Filter, Message, is_flagged, is_unread
from schemas.sqlite.mail_store import FLAG_ATTACHMENTS, FLAG_FLAGGED

SCAN_MAX = 20_000  # about 5 ms
_message = msgspec.msgpack.Decoder(Message).decode
_FIRST: ListPosition = (-(2**63), "")
_BEHIND = 2**63 - 1  # a time behind which every message lies
_IN_RANGE = """FROM place
    WHERE mailbox_key = :mailbox AND folder_id = :folder AND unread = :unread
    AND (received_at_ms, message_id) < (:below_ms, :below_id)
    AND (received_at_ms, message_id) >= (:from_ms, :from_id)"""
_ORDER = " ORDER BY received_at_ms DESC, message_id DESC"
_FOUND = f"""SELECT received_at_ms, message_id, message_key {_IN_RANGE}
    AND flags & :mask = :flags AND (:sender IS NULL OR sender = :sender)
    {_ORDER} LIMIT :limit"""
_EDGE = f"SELECT received_at_ms, message_id {_IN_RANGE} {_ORDER} LIMIT 1 OFFSET :scan - 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPart:
    """Which part of a list."""

    filter: Filter
    before: ListPosition | None
    limit: int
    scan_max: int = SCAN_MAX


@dataclass(frozen=True, slots=True)
class ListRows:
    """Rows, newest first; `on` is where to go on, None at the end of the list."""

    rows: tuple[Message, ...]
    on: ListPosition | None


def listed(
    connection: Connection, mailbox_key: int, folder_ids: tuple[str, ...], part: ListPart
) -> ListRows:
    asked = part.filter.unread
    ranges = [
        {"folder": folder_id, "unread": unread}
        for folder_id in folder_ids
        for unread in ((False, True) if asked is None else (asked,))
    ]
    named = _named(mailbox_key, part, len(ranges))
    edge = _edge(connection, named, ranges) if named["mask"] or named["sender"] else None
    if edge is not None:
        named |= {"from_ms": edge[0], "from_id": edge[1]}
    found = {place for each in ranges for place in connection.execute(_FOUND, named | each)}
    places = sorted(found, reverse=True)
    shown = places[: part.limit]
    on = shown[-1][:2] if len(places) > part.limit else edge
    rows = (_message_at(connection, mailbox_key, key) for _, _, key in shown)
    return ListRows(tuple(row for row in rows if row is not None), on)


def by_uid(
    connection: Connection, mailbox_key: int, folder_id: str, after_uid: int, limit: int
) -> list[Message]:
    found = connection.execute(
        "SELECT message FROM uid JOIN message USING (mailbox_key, message_key)"
        " WHERE mailbox_key = ? AND folder_id = ? AND uid > ? ORDER BY uid LIMIT ?",
        (mailbox_key, folder_id, after_uid, limit),
    )
    return [_message(blob) for (blob,) in found]


def move(
    connection: Connection, key: int, message_key: int, before: Message | None, after: Message
) -> None:
    """Take a message out of the lists where it was, and put it into those where it is."""
    was = places(key, message_key, before) if before else set()
    now = places(key, message_key, after)
    for place in was - now:
        connection.execute(
            "DELETE FROM place WHERE mailbox_key = ? AND folder_id = ? AND unread = ?"
            " AND received_at_ms = ? AND message_id = ?",
            place[:5],
        )
    for place in now - was:
        connection.execute("INSERT INTO place VALUES (?, ?, ?, ?, ?, ?, ?, ?)", place)
    _move_uids(connection, key, message_key, before.places if before else {}, after.places)


def _move_uids(
    connection: Connection, key: int, message_key: int, was: dict[str, int], now: dict[str, int]
) -> None:
    for folder_id, uid in was.items() - now.items():
        connection.execute(
            "DELETE FROM uid WHERE mailbox_key = ? AND folder_id = ? AND uid = ?",
            (key, folder_id, uid),
        )
    for folder_id, uid in now.items() - was.items():
        connection.execute(
            "INSERT INTO uid VALUES (?, ?, ?, ?)", (key, folder_id, uid, message_key)
        )


def _named(mailbox_key: int, part: ListPart, ranges: int) -> dict[str, Any]:
    asked = part.filter
    below = (_BEHIND if asked.before_ms is None else asked.before_ms, "")
    below = below if part.before is None else min(below, part.before)
    first = _FIRST if asked.after_ms is None else (asked.after_ms, "")
    each = ((asked.flagged, FLAG_FLAGGED), (asked.has_attachments, FLAG_ATTACHMENTS))
    return {
        "mailbox": mailbox_key,
        "below_ms": below[0],
        "below_id": below[1],
        "from_ms": first[0],
        "from_id": first[1],
        "mask": sum(flag for is_asked, flag in each if is_asked is not None),
        "flags": sum(flag for is_asked, flag in each if is_asked),
        "sender": None if asked.sender is None else sender_key(asked.sender),
        "limit": part.limit + 1,
        "scan": max(part.scan_max // max(ranges, 1), part.limit + 1),
    }


def _edge(
    connection: Connection, named: dict[str, Any], ranges: list[dict[str, Any]]
) -> ListPosition | None:
    """Down to where one call looks, in every range; None: down to the end."""
    edges = [connection.execute(_EDGE, named | each).fetchone() for each in ranges]
    return max((edge for edge in edges if edge is not None), default=None)


_PlaceRow = tuple[int, str, int, int, str, int, int, str]


def places(key: int, message_key: int, row: Message) -> set[_PlaceRow]:
    """The rows of `place` that a message has; a destroyed one has none."""
    if row.destroyed:
        return set()
    unread, sender = int(is_unread(row.keywords)), sender_of(row)
    flags = is_flagged(row.keywords) * FLAG_FLAGGED + row.head.has_attachments * FLAG_ATTACHMENTS
    at_ms, id_ = row.received_at_ms, row.message_id
    return {
        (key, folder_id, unread, at_ms, id_, message_key, flags, sender) for folder_id in row.places
    }


def _message_at(connection: Connection, mailbox_key: int, message_key: int) -> Message | None:
    """None: the mailbox has no such row; its list is damaged."""
    found = connection.execute(
        "SELECT message FROM message WHERE mailbox_key = ? AND message_key = ?",
        (mailbox_key, message_key),
    ).fetchone()
    return _message(found[0]) if found else None
