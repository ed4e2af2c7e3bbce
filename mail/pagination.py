"""Pagination: cursors of message lists, and pages of rows.

A cursor is opaque to the client: URL-safe base64 of msgpack and a checksum over position and list.
The checksum detects cursors of another list or of another origin. It is not a secret: a forged
position would only point into the caller's own list.
"""

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from mail.errors import Refused
from schemas.conversations import ConversationFilter
from schemas.ids import FolderId, UserId
from schemas.mailbox import Filter, MailboxState, Message, Page

CURSOR_MAX_CHARS = 512
PAGE_MAX = 500
POSITION_MAX = 200_000  # rows before a position, and rows that an exact total counts
_CHECKSUM_BYTES = 8
_NEWER = "newer"  # the last part of the scope of cursors that go back
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_PAYLOAD = msgspec.msgpack.Decoder(tuple[_Int64, str])

ListPosition = tuple[int, str]  # received_at_ms, message_id of the last row of a page
NEWEST: ListPosition = (2**63 - 1, "\U0010ffff")  # before the first message of a list, newest first
OLDEST: ListPosition = (-(2**63), "")  # after the last message
T = TypeVar("T")
FilterT = TypeVar("FilterT", Filter, ConversationFilter)


class RowPage(NamedTuple, Generic[T]):
    """One page of an ordered list of rows; it may hold fewer rows than the limit.

    `cursor` is the argument for the next page; None: the list ends with this page.
    """

    rows: list[T]
    cursor: str | None


class PagedList(Protocol[T]):
    """A paged list, such as `Users.list_users`.

    Rows that are there from the first page to the last are each on exactly one page; rows added
    meanwhile are on at most one. Raises Refused: `limit` is not 1 to PAGE_MAX.
    """

    async def __call__(self, *, cursor: str | None = None, limit: int) -> RowPage[T]: ...


def row_page(rows: Sequence[T], limit: int, key: Callable[[T], str]) -> RowPage[T]:
    """The first `limit` of `rows`; one row more than that means that the list goes on.

    `key` gives the cursor of a row.
    """
    shown = list(rows[:limit])
    return RowPage(shown, key(shown[-1]) if len(rows) > limit else None)


async def all_rows(list_rows: PagedList[T], *, limit: int = PAGE_MAX) -> AsyncIterator[T]:
    """Yield every row of a paged list, reading `limit` rows at a time."""
    page = await list_rows(limit=limit)
    while True:
        for row in page.rows:
            yield row
        if page.cursor is None:
            return
        page = await list_rows(cursor=page.cursor, limit=limit)


def encode_cursor(position: ListPosition, *scope: str) -> str:
    """The cursor of a position in the list that `scope` names (user, folder, filter)."""
    payload = msgspec.msgpack.encode(position)
    return base64.urlsafe_b64encode(payload + _checksum(payload, scope)).decode().rstrip("=")


def decode_cursor(cursor: str, *scope: str) -> ListPosition:
    """The position in `cursor`. Raises Refused: not a cursor of this list."""
    try:
        raw = _unpadded(cursor)
        payload, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
        if checksum != _checksum(payload, scope):
            raise Refused("the cursor does not belong to this list")
        return _PAYLOAD.decode(payload)
    except (binascii.Error, UnicodeError, msgspec.DecodeError) as error:
        raise Refused("the cursor cannot be read") from error


@dataclass(frozen=True, slots=True)
class ListStart:
    """Where a page of a list begins: after `before`, or for None at the newest row.

    `is_newer`: the page ends before that position instead, so the cursor goes back.
    """

    before: ListPosition | None = None
    is_newer: bool = False


FROM_NEWEST = ListStart()


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePart(Generic[FilterT]):
    """What to read of one list: `limit` rows from a start or from a position.

    `folder_id` None: the list of all mail. `scan_max`: rows that one page with a filter reads.
    `state`: of the mailbox, as the caller has read it; None: not known.
    """

    user_id: UserId
    folder_id: FolderId | None
    conditions: FilterT
    limit: int
    start: ListStart = FROM_NEWEST
    position: int | None = None
    scan_max: int
    state: MailboxState | None = None

    @property
    def is_filtered(self) -> bool:
        return self.conditions != type(self.conditions)()

    def known_total(self, total: int, unread: int) -> int | None:
        """The number of rows that meet the filter; None: not known from the counts of the list.

        `total`, `unread`: of the list without a filter.
        """
        if msgspec.structs.replace(self.conditions, unread=None) != type(self.conditions)():
            return None
        return {None: total, True: unread, False: total - unread}[self.conditions.unread]


def start_of(cursor: str | None, *scope: str) -> ListStart:
    """The start of the page of a cursor. Raises Refused: not a cursor of this list."""
    if cursor is None:
        return FROM_NEWEST
    try:
        return ListStart(decode_cursor(cursor, *scope))
    except Refused:
        return ListStart(decode_cursor(cursor, *scope, _NEWER), is_newer=True)


def cursors_of(
    start: ListStart,
    positions: Sequence[ListPosition],
    end: ListPosition | None,
    *scope: str,
) -> tuple[str | None, str | None]:
    """The next and the previous cursor of a page with rows at `positions`, newest first.

    `end`: where the list goes on in the direction of reading; None: it ends with this page.
    """
    if start.is_newer:
        assert start.before is not None
        # Without a newer row the next page begins with the row of the cursor.
        last = positions[-1] if positions else (start.before[0], start.before[1] + "\0")
        newer = None if end is None else encode_cursor(end, *scope, _NEWER)
        return encode_cursor(last, *scope), newer
    older = None if end is None else encode_cursor(end, *scope)
    first = positions[0] if positions else start.before
    if start.before is None or first is None:
        return older, None
    return older, encode_cursor(first, *scope, _NEWER)


def check_limit(limit: int) -> int:
    """Return `limit`. Raises Refused: it is not 1 to PAGE_MAX."""
    if not 1 <= limit <= PAGE_MAX:
        raise Refused(f"limit must be 1 to {PAGE_MAX}")
    return limit


def place_of(row: Message) -> ListPosition:
    """The position of a message in lists."""
    return row.received_at_ms, row.message_id


def page_of(rows: Sequence[Message], limit: int, *scope: str) -> Page:
    """The page of the first `limit` rows; a further row means that there is a next page."""
    page, has_next = tuple(rows[:limit]), len(rows) > limit
    return Page(page, encode_cursor(place_of(page[-1]), *scope) if has_next else None)


def list_scope(user_id: str, folder_id: FolderId | None, conditions: Filter) -> tuple[str, ...]:
    """The scope of a list for its cursors: owner, folder, filter.

    Without a keyword it is that of versions without this condition, so that their cursors go on.
    """
    name = repr(msgspec.structs.replace(conditions, keyword=None)).replace(", keyword=None)", ")")
    return user_id, folder_id or "", name, *((conditions.keyword,) if conditions.keyword else ())


def conversation_scope(
    user_id: str, folder_id: FolderId | None, conditions: ConversationFilter
) -> tuple[str, ...]:
    """The scope of a list of conversations for its cursors."""
    return user_id, folder_id or "", "threads", repr(conditions)


def check_position(position: int, rows: int, *, is_filtered: bool) -> None:
    """Raises Refused: a negative position, or too many rows to count to it.

    `rows`: of the list without a filter.
    """
    if position < 0 or max(position, rows * is_filtered) > POSITION_MAX:
        raise Refused(
            f"positions are exact from 0 to {POSITION_MAX}, with a filter in as many rows"
        )


def _unpadded(cursor: str) -> bytes:
    if len(cursor) > CURSOR_MAX_CHARS:
        raise Refused("the cursor cannot be read")
    raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True)
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != cursor:
        raise Refused("the cursor cannot be read")
    return raw


def _checksum(payload: bytes, scope: tuple[str, ...]) -> bytes:
    named = msgspec.msgpack.encode((payload, scope))
    return hashlib.blake2b(named, digest_size=_CHECKSUM_BYTES).digest()
