"""Statements of mail.ports.ConversationLists: pages of the table `conversation`, and counts.

A list is one range of rows. One call with a cursor reads about SCAN_MAX of them under a filter; one
with a position reads at most POSITION_MAX.
"""

from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

from mail.mailbox.conversations import (
    MESSAGE_IDS_MAX,
    RECENT_MAX,
    folders_of_list,
    sent_beside,
)
from mail.pagination import (
    ListPosition,
    ListStart,
    PagePart,
    check_position,
    conversation_scope,
    cursors_of,
)
from schemas.conversations import (
    ALL_MAIL,
    Conversation,
    ConversationFilter,
    ConversationPage,
    ThreadCounts,
    ThreadLists,
)
from schemas.ids import FolderId, ThreadId, UserId
from stores.sqlite.mail_store import threads
from stores.sqlite.mail_store.conversations import CONVERSATION, decode_keywords, newest
from stores.sqlite.mail_store.journal_and_rows import MailboxHeader, header_of
from stores.sqlite.mail_store.list_rows import ListRow

_FROM = "FROM conversation WHERE mailbox_key = :mailbox AND folder_id = :list"
_ORDER = "ORDER BY received_at_ms DESC, message_id DESC LIMIT :limit"
_REVERSE = "ORDER BY received_at_ms, message_id LIMIT :limit"
_OLDER = "AND (received_at_ms, message_id) < (:at_ms, :id)"
_NEWER = "AND (received_at_ms, message_id) > (:at_ms, :id)"
_COUNTS = """SELECT folder_id, threads, unread_threads FROM conversation_count
    WHERE mailbox_key = ?"""
_CONDITIONS = {"unread": "unread", "flagged": "flagged", "has_attachments": "attachments"}


ConversationPart = PagePart[ConversationFilter]


def page(connection: Connection, part: ConversationPart) -> ConversationPage:
    """Return a page. Raises Refused: the position cannot be counted."""
    mailbox = header_of(connection, part.user_id)
    values = {
        "mailbox": mailbox.key,
        "list": part.folder_id or ALL_MAIL,
        "keyword": f'"{part.conditions.keyword}":',
    }
    total = None
    if part.position is not None:
        total = _total(connection, mailbox, part, values)
        rows, end = _rows_at(connection, part, values)
    elif part.start.is_newer:
        rows, end = _scanned(connection, part, values, (_NEWER, _REVERSE))
        rows.reverse()
    else:
        rows, end = _scanned(connection, part, values, (_OLDER, _ORDER))
    start = part.start
    if part.position:
        start = ListStart(_position(rows[0]) if rows else None)
    scope = conversation_scope(part.user_id, part.folder_id, part.conditions)
    next_cursor, previous_cursor = cursors_of(start, list(map(_position, rows)), end, *scope)
    return ConversationPage(
        conversations=tuple(_conversation(connection, mailbox.key, row) for row in rows),
        next_cursor=next_cursor,
        previous_cursor=previous_cursor,
        seq=mailbox.seq,
        position=part.position,
        total=total,
    )


def thread_lists(
    connection: Connection, user_id: UserId, thread_ids: Sequence[ThreadId]
) -> ThreadLists:
    mailbox, lists = header_of(connection, user_id), {}
    for thread_id in thread_ids:
        positions = sorted(newest(connection, mailbox.key, thread_id).items())
        keys = [(mailbox.key, list_id, *position) for list_id, position in positions]
        rows = [row for key in keys if (row := CONVERSATION.get(connection, key))]
        if rows:
            lists[thread_id] = {row[1]: _conversation(connection, mailbox.key, row) for row in rows}
    return ThreadLists(lists=lists, seq=mailbox.seq)


def thread_counts(connection: Connection, user_id: UserId) -> dict[FolderId, ThreadCounts]:
    rows = connection.execute(_COUNTS, (header_of(connection, user_id).key,))
    return {folder_id: ThreadCounts(*counts) for folder_id, *counts in rows}


def _conditions(conditions: ConversationFilter) -> str:
    """The conditions of a filter in SQL; each begins with AND."""
    has = [
        f"AND {column} {'>' if value else '='} 0"
        for name, column in _CONDITIONS.items()
        if (value := getattr(conditions, name)) is not None
    ]
    keyword = [] if conditions.keyword is None else ["AND instr(keywords, :keyword) > 0"]
    return " ".join((*has, *keyword))


def _scanned(
    connection: Connection,
    part: ConversationPart,
    values: dict[str, Any],
    direction: tuple[str, str],
) -> tuple[list[ListRow], ListPosition | None]:
    """Return rows in a direction, and where the list goes on; read about `scan_max` rows."""
    bound, order = direction
    first = part.start.before
    values = values | {"limit": part.limit + 1}
    values |= {"at_ms": first[0], "id": first[1]} if first else {}
    bound = bound if first else ""
    scan_end = None
    if part.is_filtered:
        last = f"SELECT received_at_ms, message_id {_FROM} {bound} {order} OFFSET :scan - 1"
        scan = max(part.scan_max, part.limit + 1)
        scan_end = connection.execute(last, values | {"limit": 1, "scan": scan}).fetchone()
    if scan_end is not None:
        comparison = ">=" if order == _ORDER else "<="
        bound += f" AND (received_at_ms, message_id) {comparison} (:end_ms, :end_id)"
        values |= {"end_ms": scan_end[0], "end_id": scan_end[1]}
    query = f"SELECT * {_FROM} {bound} {_conditions(part.conditions)} {order}"
    rows = connection.execute(query, values).fetchall()
    shown = rows[: part.limit]
    return shown, _position(shown[-1]) if len(rows) > part.limit else scan_end


def _rows_at(
    connection: Connection, part: ConversationPart, values: dict[str, Any]
) -> tuple[list[ListRow], ListPosition | None]:
    """Return the rows from the position on, and where the list goes on."""
    query = f"SELECT * {_FROM} {_conditions(part.conditions)} {_ORDER} OFFSET :position"
    values = values | {"limit": part.limit + 1, "position": part.position}
    rows = connection.execute(query, values).fetchall()
    shown = rows[: part.limit]
    return shown, _position(shown[-1]) if len(rows) > part.limit else None


def _total(
    connection: Connection, mailbox: MailboxHeader, part: ConversationPart, values: dict[str, Any]
) -> int:
    """The number of conversations that meet the filter; one row if it is of `unread` alone."""
    assert part.position is not None
    query = f"{_COUNTS} AND folder_id = ?"
    row = connection.execute(query, (mailbox.key, values["list"])).fetchone()
    counts = ThreadCounts(*row[1:]) if row else ThreadCounts()
    check_position(part.position, counts.threads, is_filtered=part.is_filtered)
    known = part.known_total(counts.threads, counts.unread_threads)
    if known is not None:
        return known
    query = f"SELECT count(*) {_FROM} {_conditions(part.conditions)}"
    ((total,),) = connection.execute(query, values).fetchall()
    return int(total)


def _position(row: ListRow) -> ListPosition:
    return row[2], row[3]


def _conversation(connection: Connection, key: int, row: ListRow) -> Conversation:
    """Read the newest messages of a row's thread; their number is bounded."""
    _, list_id, at_ms, message_id, thread_id, total, unread, flagged, attachments, drafts, words = (
        row
    )
    folder_ids = sorted(set(newest(connection, key, thread_id)) - {ALL_MAIL})
    shown = folders_of_list(list_id, folder_ids)
    members = threads.newest_members(connection, key, thread_id, shown, MESSAGE_IDS_MAX)
    sent = sent_beside(list_id, folder_ids)
    answers = threads.newest_members(connection, key, thread_id, sent, RECENT_MAX) if sent else []
    recent = sorted({*members[:RECENT_MAX], *answers}, reverse=True)
    return Conversation(
        thread_id=thread_id,
        folder_ids=tuple(folder_ids),
        received_at_ms=at_ms,
        total=total,
        unread=unread,
        is_flagged=flagged > 0,
        has_attachments=attachments > 0,
        has_draft=drafts > 0,
        keywords=tuple(sorted(decode_keywords(words))),
        message_ids=tuple(member[1] for member in members) or (message_id,),
        recent=tuple(threads.rows_of(connection, key, recent)),
    )
