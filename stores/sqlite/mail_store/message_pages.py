"""Pages of message lists, by cursor or by position, with their cursors and totals."""

from sqlite3 import Connection

import msgspec

from mail.mailbox.list_filters import folders_of
from mail.pagination import ListStart, PagePart, check_position, cursors_of, list_scope, place_of
from schemas.conversations import ALL_MAIL
from schemas.ids import FolderId
from schemas.mailbox import Filter, FolderCounts, MailboxState, Page
from stores.sqlite.mail_store import journal_and_rows, lists

_ALL_MAIL = """SELECT messages, unread_messages FROM conversation_count
    WHERE mailbox_key = ? AND folder_id = ?"""


def page(connection: Connection, part: PagePart[Filter]) -> Page:
    """Return a page. Raises Refused: the position cannot be counted."""
    key = journal_and_rows.header_of(connection, part.user_id).key
    state = journal_and_rows.state(connection, part.user_id)
    if part.position is None:
        list_ = _list(key, folders_of(state, part.folder_id), part)
        found = lists.page(connection, list_, part.start, part.limit, part.scan_max)
        return _page(part, found, part.start, state.seq)
    total, unread = _counts(connection, key, state, part.folder_id)
    check_position(part.position, total, is_filtered=part.is_filtered)
    list_ = _list(key, _with_messages(state, part.folder_id), part)
    known = part.known_total(total, unread)
    found = lists.page_at(connection, list_, part.position, part.limit)
    start = ListStart(place_of(found.rows[0]) if part.position and found.rows else None)
    made = _page(part, found, start, state.seq)
    total = lists.count(connection, list_) if known is None else known
    return msgspec.structs.replace(made, position=part.position, total=total)


def _list(key: int, folder_ids: tuple[FolderId, ...], part: PagePart[Filter]) -> lists.FilteredList:
    return lists.FilteredList(
        mailbox_key=key,
        folder_ids=folder_ids,
        filter=part.conditions,
        is_all_mail=part.folder_id is None,
    )


def _page(part: PagePart[Filter], found: lists.ListRows, start: ListStart, seq: int) -> Page:
    scope = list_scope(part.user_id, part.folder_id, part.conditions)
    cursors = cursors_of(start, list(map(place_of, found.rows)), found.end, *scope)
    return Page(found.rows, *cursors, seq=seq)


def _counts(
    connection: Connection, key: int, state: MailboxState, folder_id: FolderId | None
) -> tuple[int, int]:
    """Messages and unread messages of the list without a filter: one row, however many it has."""
    if folder_id is None:
        row = connection.execute(_ALL_MAIL, (key, ALL_MAIL)).fetchone() or (0, 0)
        return int(row[0]), int(row[1])
    counts = state.folders.get(folder_id) or FolderCounts(folder_id)
    return counts.total, counts.unread


def _with_messages(state: MailboxState, folder_id: FolderId | None) -> tuple[FolderId, ...]:
    """The folders of the list that show messages; the largest is last, where it is merged once."""
    counts = {id_: state.folders.get(id_) for id_ in folders_of(state, folder_id)}
    totals = {id_: row.total for id_, row in counts.items() if row is not None and row.total}
    return tuple(sorted(totals, key=totals.__getitem__))
