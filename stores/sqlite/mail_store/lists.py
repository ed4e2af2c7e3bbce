"""Lists of the mail store by arrival, with filters (table place), and messages by uid.

Each folder has one range of rows for read and one for unread messages. A list of several ranges,
such as a list of all mail, merges them, so a delivery writes one row only. Other filters are
evaluated on the columns of `place` alone; one call reads about SCAN_MAX rows.
"""

from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

import msgspec

from mail.mailbox.list_filters import sender_key
from mail.pagination import ListPosition
from schemas.ids import FolderId
from schemas.mailbox import Filter, Message
from schemas.sqlite.mail_store import FLAG_ATTACHMENTS, FLAG_FLAGGED

SCAN_MAX = 20_000  # about 5 ms
_message = msgspec.msgpack.Decoder(Message).decode
_FIRST: ListPosition = (-(2**63), "")
_LATEST_MS = 2**63 - 1  # later than every message
_IN_RANGE = """FROM place
    WHERE mailbox_key = :mailbox AND folder_id = :folder AND unread = :unread
    AND (received_at_ms, message_id) < (:below_ms, :below_id)
    AND (received_at_ms, message_id) >= (:from_ms, :from_id)"""
_ORDER = " ORDER BY received_at_ms DESC, message_id DESC"
_MATCHES = f"""SELECT received_at_ms, message_id, message_key {_IN_RANGE}
    AND flags & :mask = :flags AND (:sender IS NULL OR sender = :sender)
    {_ORDER} LIMIT :limit"""
_SCAN_END = f"SELECT received_at_ms, message_id {_IN_RANGE} {_ORDER} LIMIT 1 OFFSET :scan - 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPart:
    """One page of a filtered list: at most `limit` rows older than the position `before`."""

    filter: Filter
    before: ListPosition | None
    limit: int
    scan_max: int = SCAN_MAX


@dataclass(frozen=True, slots=True)
class ListRows:
    """Rows, newest first, and the position before the next page; None at the end of the list."""

    rows: tuple[Message, ...]
    next_position: ListPosition | None


def page(
    connection: Connection, mailbox_key: int, folder_ids: tuple[FolderId, ...], part: ListPart
) -> ListRows:
    """Return one page of the messages that are in any of the folders.

    Under a filter the page may be short: the call stops after about `part.scan_max` rows.
    """
    filtered = part.filter.unread
    ranges = [
        {"folder": folder_id, "unread": unread}
        for folder_id in folder_ids
        for unread in ((False, True) if filtered is None else (filtered,))
    ]
    values = _values(mailbox_key, part, len(ranges))
    scan_end = _scan_end(connection, values, ranges) if values["mask"] or values["sender"] else None
    if scan_end is not None:
        values |= {"from_ms": scan_end[0], "from_id": scan_end[1]}
    matches = {row for range_ in ranges for row in connection.execute(_MATCHES, values | range_)}
    newest_first = sorted(matches, reverse=True)
    shown = newest_first[: part.limit]
    next_position = shown[-1][:2] if len(newest_first) > part.limit else scan_end
    rows = (_message_at(connection, mailbox_key, key) for _, _, key in shown)
    return ListRows(tuple(row for row in rows if row is not None), next_position)


def by_uid(
    connection: Connection, mailbox_key: int, folder_id: FolderId, after_uid: int, limit: int
) -> list[Message]:
    blobs = connection.execute(
        "SELECT message FROM uid JOIN message USING (mailbox_key, message_key)"
        " WHERE mailbox_key = ? AND folder_id = ? AND uid > ? ORDER BY uid LIMIT ?",
        (mailbox_key, folder_id, after_uid, limit),
    )
    return [_message(blob) for (blob,) in blobs]


def _values(mailbox_key: int, part: ListPart, ranges: int) -> dict[str, Any]:
    """The values of the statements' parameters, except those of a range."""
    filter_ = part.filter
    below = (_LATEST_MS if filter_.before_ms is None else filter_.before_ms, "")
    below = below if part.before is None else min(below, part.before)
    first = _FIRST if filter_.after_ms is None else (filter_.after_ms, "")
    flags = ((filter_.flagged, FLAG_FLAGGED), (filter_.has_attachments, FLAG_ATTACHMENTS))
    return {
        "mailbox": mailbox_key,
        "below_ms": below[0],
        "below_id": below[1],
        "from_ms": first[0],
        "from_id": first[1],
        "mask": sum(flag for is_set, flag in flags if is_set is not None),
        "flags": sum(flag for is_set, flag in flags if is_set),
        "sender": None if filter_.sender is None else sender_key(filter_.sender),
        "limit": part.limit + 1,
        "scan": max(part.scan_max // max(ranges, 1), part.limit + 1),
    }


def _scan_end(
    connection: Connection, values: dict[str, Any], ranges: list[dict[str, Any]]
) -> ListPosition | None:
    """The oldest position that one call reads, in every range; None: to the end of the list."""
    ends = [connection.execute(_SCAN_END, values | range_).fetchone() for range_ in ranges]
    return max((end for end in ends if end is not None), default=None)


def _message_at(connection: Connection, mailbox_key: int, message_key: int) -> Message | None:
    """Return the message row. None: the mailbox does not have it, so its list is damaged."""
    row = connection.execute(
        "SELECT message FROM message WHERE mailbox_key = ? AND message_key = ?",
        (mailbox_key, message_key),
    ).fetchone()
    return _message(row[0]) if row else None
