"""Pages of message lists and of conversation lists, by cursor or by position.

A list under a filter is read in windows, and one page with a cursor reads about `scan_max` rows.
unread, flagged and a keyword need no scan: each has a list of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mail.mailbox.conversations import in_all_mail
from mail.mailbox.list_filters import (
    FLAG_ATTACHMENTS,
    FLAG_FLAGGED,
    FLAG_REPEATED,
    folders_of,
    sender_key,
)
from mail.pagination import (
    NEWEST,
    OLDEST,
    ListPosition,
    ListStart,
    PagePart,
    check_position,
    cursors_of,
    list_scope,
)
from schemas.conversations import ALL_MAIL
from schemas.ids import FolderId
from schemas.mailbox import SEEN, Filter, FolderCounts, MailboxState, Page
from stores.cassandra.mail_store.list_scan import Bounds, ListScan
from stores.cassandra.mail_store.lists import (
    CONVERSATIONS,
    FLAG_UNREAD,
    FLAGGED,
    KEYWORD,
    READ,
    UNREAD,
    ListHead,
)
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.session import Row

COUNT_WINDOW = 5_000  # rows in one query that counts
FILTER_WINDOW = 500
Condition = Callable[[Row], bool]
_COLUMNS = "flags, sender, folders"
_FLAGS, _SENDER, _FOLDERS = 2, 3, 4  # indexes in a row


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredRows:
    """Rows of lists that meet a condition. `is_scan`: rows may be read that do not meet it."""

    scan: ListScan
    meets: Condition
    is_scan: bool

    async def page(
        self, start: ListStart, limit: int, scan_max: int
    ) -> tuple[list[Row], ListPosition | None]:
        """Rows in the order of the list, and where it goes on in the direction of reading."""
        shown: list[Row] = []
        read, end = 0, None
        window = max(FILTER_WINDOW, limit + 1) if self.is_scan else limit + 1
        async for rows in self.scan.windows(window, is_newer=start.is_newer):
            read += len(rows)
            shown += filter(self.meets, rows)
            if len(shown) > limit:
                end = shown[limit - 1][:2]
                break
            if self.is_scan and read >= max(scan_max, limit + 1):
                end = rows[-1][:2]
                break
            end = None
        return self._in_order(shown[:limit], start), end

    async def page_at(self, position: int, limit: int) -> tuple[list[Row], ListPosition | None]:
        passed, shown = 0, []
        window = min(COUNT_WINDOW, position + limit + 1) if not self.is_scan else COUNT_WINDOW
        async for rows in self.scan.windows(window):
            met = list(filter(self.meets, rows))
            skipped = min(len(met), position - passed)
            passed += skipped
            shown += met[skipped:]
            if len(shown) > limit:
                break
        end = shown[limit - 1][:2] if len(shown) > limit else None
        return shown[:limit], end

    async def count(self) -> int:
        number = 0
        async for rows in self.scan.windows(COUNT_WINDOW):
            number += sum(map(self.meets, rows))
        return number

    @staticmethod
    def _in_order(rows: list[Row], start: ListStart) -> list[Row]:
        return rows[::-1] if start.is_newer else rows


def bounds_of(start: ListStart, low: ListPosition = OLDEST, high: ListPosition = NEWEST) -> Bounds:
    """The bounds of a page that begins at `start`, within others."""
    if start.before is None:
        return low, high
    return (max(low, start.before), high) if start.is_newer else (low, min(high, start.before))


async def page(reads: MailboxReads, part: PagePart[Filter]) -> Page:
    """Return a page. Raises Refused: the position cannot be counted."""
    state = part.state or (await reads.stored(part.user_id))[1]
    heads = await reads.heads(part.user_id)
    if part.position is None:
        listed = _listed(reads, part, state, heads)
        found, end = await listed.page(part.start, part.limit, part.scan_max)
        return await _page(reads, part, found, part.start, end, state)
    total, unread = _counts(state, heads, part.folder_id)
    check_position(part.position, total, is_filtered=part.is_filtered)
    listed = _listed(reads, part, state, heads)
    found, end = await listed.page_at(part.position, part.limit)
    start = ListStart(found[0][:2] if part.position and found else None)
    known = part.known_total(total, unread)
    counted = await listed.count() if known is None else known
    made = await _page(reads, part, found, start, end, state)
    return Page(
        made.messages, made.next_cursor, made.previous_cursor, made.seq, part.position, counted
    )


async def _page(
    reads: MailboxReads,
    part: PagePart[Filter],
    found: Sequence[Row],
    start: ListStart,
    end: ListPosition | None,
    state: MailboxState,
) -> Page:
    """The page of list rows; a list row without a message is left out: a damaged list."""
    rows = await reads.rows(part.user_id, [row[1] for row in found])
    messages = tuple(rows[row[1]] for row in found if row[1] in rows)
    scope = list_scope(part.user_id, part.folder_id, part.conditions)
    cursors = cursors_of(start, [row[:2] for row in found], end, *scope)
    return Page(messages, *cursors, seq=state.seq)


def _listed(
    reads: MailboxReads,
    part: PagePart[Filter],
    state: MailboxState,
    heads: dict[str, ListHead],
) -> FilteredRows:
    conditions, folders = part.conditions, folders_of(state, part.folder_id)
    names = _names(conditions, folders)
    low = OLDEST if conditions.after_ms is None else (conditions.after_ms, "")
    high = NEWEST if conditions.before_ms is None else (conditions.before_ms, "")
    lists = [(name, heads[name]) for name in names if name in heads]
    bounds = bounds_of(part.start, low, high)
    return FilteredRows(
        scan=ListScan(reads.session, part.user_id, lists, _COLUMNS, bounds),
        meets=_condition(conditions, part.folder_id),
        is_scan=_is_scan(conditions),
    )


def _names(conditions: Filter, folders: Sequence[FolderId]) -> list[str]:
    """The lists with the rows that may meet the conditions."""
    if conditions.keyword not in (None, SEEN):
        return [f"{KEYWORD}{conditions.keyword}"]
    if conditions.flagged:
        return [FLAGGED + folder_id for folder_id in folders]
    kinds = {
        kind for kind, is_unread in ((UNREAD, True), (READ, False))
        if conditions.unread in (None, is_unread) and not (is_unread and conditions.keyword == SEEN)
    }  # fmt: skip
    return [kind + folder_id for folder_id in folders for kind in sorted(kinds)]


def _is_scan(conditions: Filter) -> bool:
    narrow = (conditions.has_attachments, conditions.sender)
    is_of_keyword = conditions.keyword not in (None, SEEN)
    needs_flags = conditions.flagged is False or (
        conditions.flagged and conditions.unread is not None
    )
    return is_of_keyword or bool(needs_flags) or any(value is not None for value in narrow)


def _condition(conditions: Filter, folder_id: FolderId | None) -> Condition:
    flags = (
        (conditions.flagged, FLAG_FLAGGED),
        (conditions.has_attachments, FLAG_ATTACHMENTS),
        (conditions.unread, FLAG_UNREAD),
        (False if conditions.keyword == SEEN else None, FLAG_UNREAD),
        (False if folder_id is None else None, FLAG_REPEATED),
    )
    asked = [(flag, flag * is_set) for is_set, flag in flags if is_set is not None]
    sender = None if conditions.sender is None else sender_key(conditions.sender)

    def meets(row: Row) -> bool:
        return (
            all(row[_FLAGS] & flag == wanted for flag, wanted in asked)
            and sender in (None, row[_SENDER])
            and _is_in(row[_FOLDERS], folder_id)
        )

    return meets


def _is_in(folders: Sequence[FolderId] | None, folder_id: FolderId | None) -> bool:
    """Whether a row of a keyword is in the list; a row of a folder has no `folders`."""
    if folders is None:
        return True
    return any(map(in_all_mail, folders)) if folder_id is None else folder_id in folders


def _counts(
    state: MailboxState, heads: dict[str, ListHead], folder_id: FolderId | None
) -> tuple[int, int]:
    """Messages and unread messages of the list without a filter."""
    if folder_id is None:
        head = heads.get(CONVERSATIONS + ALL_MAIL, ListHead())
        return head.messages, head.unread_messages
    counts = state.folders.get(folder_id) or FolderCounts(folder_id)
    return counts.total, counts.unread
