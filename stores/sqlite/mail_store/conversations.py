"""Tables `conversation` and `conversation_count`: the lists of conversations of a mailbox.

A row of `conversation` is one thread in one list, at the position of the thread's newest message
there. A commit adds the differences of its messages to the rows, once for each thread and list. The
newest message after a removal is the last row of a range of `member`. So the work of a commit
depends on its messages and on the number of folders of their threads, not on the length of a
thread.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from sqlite3 import Connection
from typing import Any

import msgspec

from mail.mailbox.conversations import (
    ConversationSums,
    flags_of,
    in_all_mail,
    keywords_of,
    lists_of,
)
from mail.pagination import ListPosition, place_of
from schemas.conversations import ALL_MAIL
from schemas.ids import FolderId, ThreadId
from schemas.mailbox import JUNK, TRASH
from stores.sqlite.mail_store.list_rows import KeyedTable, ListRow, RowChange

Newest = dict[FolderId, ListPosition]  # of a thread, by list
CONVERSATION = KeyedTable(table="conversation", key=("folder_id", "received_at_ms", "message_id"))
_THREAD = 4  # index of the column thread_id
_SUMS = slice(5, 10)
_FIRST = "(SELECT min(folder_id) FROM member WHERE mailbox_key = :mailbox AND thread_id = :thread"
_LAST = """FROM member WHERE mailbox_key = :mailbox AND thread_id = :thread
    AND member.folder_id = folder.id ORDER BY received_at_ms DESC, message_id DESC LIMIT 1"""
# Reads one row of `member` for each folder of the thread, however many messages the thread has.
_NEWEST = f"""WITH RECURSIVE folder (id) AS (
        SELECT {_FIRST})
        UNION ALL
        SELECT {_FIRST} AND folder_id > folder.id) FROM folder WHERE folder.id IS NOT NULL
    )
    SELECT folder.id, (SELECT received_at_ms {_LAST}), (SELECT message_id {_LAST})
    FROM folder WHERE folder.id IS NOT NULL"""  # noqa: S608  (constants only)
_FEW = 50  # members of a thread that are read at once
_FIRST_MEMBERS = f"""SELECT folder_id, received_at_ms, message_id FROM member
    WHERE mailbox_key = ? AND thread_id = ?
    ORDER BY folder_id, received_at_ms, message_id LIMIT {_FEW}"""  # noqa: S608  (constants only)
_EQUAL_MEMBERS = """SELECT folder_id, flags, keywords, count(*) FROM member
    WHERE mailbox_key = :mailbox AND thread_id = :thread GROUP BY folder_id, flags, keywords"""
# A message of several folders counts once.
_EQUAL_IN_ALL_MAIL = f"""SELECT flags, keywords, count(*) FROM (
        SELECT DISTINCT received_at_ms, message_id, flags, keywords FROM member
        WHERE mailbox_key = :mailbox AND thread_id = :thread
        AND folder_id NOT IN ('{JUNK}', '{TRASH}')
    ) GROUP BY flags, keywords"""  # noqa: S608  (constants only)
_DELETE = """DELETE FROM conversation WHERE mailbox_key = ? AND folder_id = ?
    AND received_at_ms = ? AND message_id = ?"""
_PUT = "INSERT OR REPLACE INTO conversation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_DELETE_COUNT = """DELETE FROM conversation_count
    WHERE mailbox_key = ? AND folder_id = ? AND messages = 0"""
_ADD_COUNTS = """INSERT INTO conversation_count VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (mailbox_key, folder_id) DO UPDATE SET
    threads = threads + excluded.threads,
    unread_threads = unread_threads + excluded.unread_threads,
    messages = messages + excluded.messages,
    unread_messages = unread_messages + excluded.unread_messages"""
_COUNT = """SELECT mailbox_key, folder_id, count(*), sum(unread > 0), sum(total), sum(unread)
    FROM conversation"""
_BY_LIST = " GROUP BY mailbox_key, folder_id"
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(dict[str, int]).decode
_Member = tuple[FolderId, int, str, int, str]


@dataclass(slots=True)
class _Differences:
    """What a commit changes in the lists: sums by thread and list, rows, counts by list."""

    sums: dict[tuple[ThreadId, FolderId], ConversationSums] = field(
        default_factory=lambda: defaultdict(ConversationSums)
    )
    deleted: list[ListRow] = field(default_factory=list)
    written: list[ListRow] = field(default_factory=list)
    counts: dict[FolderId, list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0, 0, 0])
    )


def newest(connection: Connection, key: int, thread_id: ThreadId) -> Newest:
    """Return the position of the thread's newest message in each list that shows the thread."""
    rows = connection.execute(_FIRST_MEMBERS, (key, thread_id)).fetchall()
    if len(rows) == _FEW:
        values = {"mailbox": key, "thread": thread_id}
        rows = connection.execute(_NEWEST, values).fetchall()
    # Rows are in the order of folder and position, so the last row of a folder remains.
    positions: Newest = {folder_id: (at_ms, id_) for folder_id, at_ms, id_ in rows}
    shown = [position for id_, position in positions.items() if in_all_mail(id_)]
    if shown:
        positions[ALL_MAIL] = max(shown)
    return positions


def newest_of_all(
    connection: Connection, key: int, changes: Iterable[RowChange]
) -> dict[ThreadId, Newest]:
    """Return the newest positions of every thread of the changed messages."""
    thread_ids = {row.thread_id for change in changes for row in change if row is not None}
    return {thread_id: newest(connection, key, thread_id) for thread_id in thread_ids}


def update(
    connection: Connection,
    key: int,
    changes: Sequence[RowChange],
    before: Mapping[ThreadId, Newest],
) -> None:
    """Update the conversations of changed messages, after their rows of `member`.

    `before`: the newest positions of their threads before the rows of `member` were changed.
    """
    differences = _Differences()
    for old, new in changes:
        for row, sign in ((old, -1), (new, 1)):
            if row is not None and row.places:
                flags, keywords = flags_of(row), keywords_of(row)
                for list_id in lists_of(row.shown_places):
                    differences.sums[row.thread_id, list_id].add(flags, keywords, sign)
    by_thread: dict[ThreadId, list[RowChange]] = defaultdict(list)
    for change in changes:
        for thread_id in {row.thread_id for row in change if row is not None}:
            by_thread[thread_id].append(change)
    after = {
        thread_id: _newest_after(connection, key, thread_id, before[thread_id], of_thread)
        for thread_id, of_thread in by_thread.items()
    }
    damaged = {
        thread_id
        for (thread_id, list_id), sums in differences.sums.items()
        if not _change(
            connection, differences, key, (thread_id, list_id), sums,
            before[thread_id].get(list_id), after[thread_id].get(list_id),
        )
    }  # fmt: skip
    _write(connection, key, differences)
    for thread_id in damaged:
        for list_row in thread_rows(connection, key, thread_id):
            CONVERSATION.put(connection, list_row)


def thread_rows(connection: Connection, key: int, thread_id: ThreadId) -> list[ListRow]:
    """Compute the rows of a thread from all its rows of `member`.

    SQL counts messages with equal flags and keywords: 2 to 3 µs for each row on a busy machine.
    """
    positions = newest(connection, key, thread_id)
    values = {"mailbox": key, "thread": thread_id}
    sums: dict[FolderId, ConversationSums] = defaultdict(ConversationSums)
    for folder_id, flags, keywords, number in connection.execute(_EQUAL_MEMBERS, values):
        sums[folder_id].add(flags, keywords.split(), number)
    shown = list(filter(in_all_mail, sums))
    if len(shown) == 1:
        sums[ALL_MAIL] = sums[shown[0]]
    elif shown:
        for flags, keywords, number in connection.execute(_EQUAL_IN_ALL_MAIL, values):
            sums[ALL_MAIL].add(flags, keywords.split(), number)
    return [
        (
            key,
            list_id,
            *positions[list_id],
            thread_id,
            *_values(of_list),
            _keywords_after("", of_list),
        )
        for list_id, of_list in sorted(sums.items())
    ]


def fill(connection: Connection) -> None:
    """Compute all rows of both tables from `member`."""
    members = connection.execute(
        "SELECT mailbox_key, thread_id, folder_id, received_at_ms, message_id, flags, keywords"
        " FROM member ORDER BY mailbox_key, thread_id"
    )
    for (key, thread_id), rows in groupby(members, lambda row: row[:2]):
        for row in _rows_of(key, thread_id, (row[2:] for row in rows)):
            CONVERSATION.put(connection, row)
    connection.execute(f"INSERT INTO conversation_count {_COUNT} {_BY_LIST}")


def counts(connection: Connection, key: int) -> list[ListRow]:
    """Compute the rows of `conversation_count` from `conversation`."""
    query = f"{_COUNT} WHERE mailbox_key = ? {_BY_LIST}"
    return connection.execute(query, (key,)).fetchall()


def stored_counts(connection: Connection, key: int) -> list[ListRow]:
    query = "SELECT * FROM conversation_count WHERE mailbox_key = ? ORDER BY folder_id"
    return connection.execute(query, (key,)).fetchall()


def put_counts(connection: Connection, key: int, rows: Iterable[ListRow]) -> None:
    """Replace the counts of a mailbox."""
    connection.execute("DELETE FROM conversation_count WHERE mailbox_key = ?", (key,))
    connection.executemany("INSERT INTO conversation_count VALUES (?, ?, ?, ?, ?, ?)", rows)


def decode_keywords(text: str) -> dict[str, int]:
    """Return the number of messages with each keyword."""
    return _decode(text) if text else {}


def _newest_after(
    connection: Connection,
    key: int,
    thread_id: ThreadId,
    before: Newest,
    changes: Iterable[RowChange],
) -> Newest:
    """Read `member` again only if the newest message of a list has left it."""
    after = dict(before)
    for old, new in changes:
        was_in, is_in = (
            set(lists_of(row.shown_places)) if row and row.thread_id == thread_id else set()
            for row in (old, new)
        )
        position = place_of(new)
        if any(before.get(list_id) == position for list_id in was_in - is_in):
            return newest(connection, key, thread_id)
        for list_id in is_in - was_in:
            after[list_id] = max(after.get(list_id, position), position)
    return after


def _change(
    connection: Connection,
    differences: _Differences,
    key: int,
    thread_and_list: tuple[ThreadId, FolderId],
    sums: ConversationSums,
    before: ListPosition | None,
    after: ListPosition | None,
) -> bool:
    """Compute the row of a thread in a list; False: the row before is not what it should be."""
    thread_id, list_id = thread_and_list
    row: ListRow | None = (key, list_id, *(before or ()), thread_id, 0, 0, 0, 0, 0, "")
    if before is not None:
        row = CONVERSATION.get(connection, (key, list_id, *before))
        if row is None or row[_THREAD] != thread_id:
            return False
    assert row is not None
    old = row[_SUMS] if before else (0, 0, 0, 0, 0)
    new = [value + change for value, change in zip(old, _values(sums), strict=True)]
    if before is not None and before != after:
        differences.deleted.append((key, list_id, *before))
    if after is not None:
        keywords = _keywords_after(row[-1], sums)
        differences.written.append((key, list_id, *after, thread_id, *new, keywords))
    is_unread = (after is not None and new[1] > 0) - (before is not None and old[1] > 0)
    count = ((after is not None) - (before is not None), is_unread, sums.total, sums.unread)
    list_counts = differences.counts[list_id]
    differences.counts[list_id] = [a + b for a, b in zip(list_counts, count, strict=True)]
    return True


def _write(connection: Connection, key: int, differences: _Differences) -> None:
    changed = [(key, id_, *count) for id_, count in differences.counts.items() if any(count)]
    emptied = [(key, id_) for id_, count in differences.counts.items() if count[2] < 0]
    for statement, rows in (
        (_DELETE, differences.deleted),
        (_PUT, differences.written),
        (_ADD_COUNTS, changed),
        (_DELETE_COUNT, emptied),
    ):
        if rows:
            connection.executemany(statement, rows)


def _rows_of(key: int, thread_id: ThreadId, members: Iterable[_Member]) -> list[ListRow]:
    """The rows of a thread in every list, from its rows of `member`."""
    lists: dict[FolderId, dict[ListPosition, tuple[int, str]]] = defaultdict(dict)
    for folder_id, at_ms, message_id, flags, keywords in members:
        for list_id in lists_of([folder_id]):
            lists[list_id][at_ms, message_id] = flags, keywords
    rows = []
    for list_id, shown in sorted(lists.items()):
        sums = ConversationSums()
        for flags, keywords in shown.values():
            sums.add(flags, keywords.split())
        rows.append(
            (key, list_id, *max(shown), thread_id, *_values(sums), _keywords_after("", sums))
        )
    return rows


def _values(sums: ConversationSums) -> tuple[Any, ...]:
    return sums.total, sums.unread, sums.flagged, sums.attachments, sums.drafts


def _keywords_after(text: str, sums: ConversationSums) -> str:
    if not sums.keywords:
        return text
    counted = decode_keywords(text)
    for keyword, change in sums.keywords.items():
        counted[keyword] = counted.get(keyword, 0) + change
    counted = {keyword: number for keyword, number in counted.items() if number}
    return _encode(counted).decode() if counted else ""
