"""List tables of the mail store: the rows that a message has in each, and their statements.

The rows follow from the message row alone. A message that is marked as deleted in a folder is in no
list of the folder except `uid`; without another folder it is in no list at all.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any

from mail.mailbox.conversations import flags_of, keywords_of
from mail.mailbox.list_filters import places_of, sender_of
from schemas.consistency import LISTS, THREADS
from schemas.folder_slots import slot_of
from schemas.mailbox import SEEN, Message, is_unread

ListRow = tuple[Any, ...]
RowChange = tuple[Message | None, Message]  # before (None: a new message) and after


@dataclass(frozen=True, kw_only=True)
class KeyedTable:
    """A table whose primary key, which is its first columns, begins with mailbox_key."""

    table: str
    key: tuple[str, ...]  # the columns of the primary key after mailbox_key
    _get: str = field(init=False)
    _delete: str = field(init=False)

    def __post_init__(self) -> None:
        has_key = " AND ".join(f"{column} = ?" for column in ("mailbox_key", *self.key))
        object.__setattr__(self, "_get", f"SELECT * FROM {self.table} WHERE {has_key}")  # noqa: S608
        object.__setattr__(self, "_delete", f"DELETE FROM {self.table} WHERE {has_key}")  # noqa: S608

    def key_of(self, row: ListRow) -> ListRow:
        """The primary key of a row."""
        return row[: 1 + len(self.key)]

    def position(self, row: ListRow) -> ListRow:
        """The part of the primary key after mailbox_key."""
        return self.key_of(row)[1:]

    def get(self, connection: Connection, row: ListRow) -> ListRow | None:
        """Return the stored row with the primary key of `row`."""
        stored: ListRow | None = connection.execute(self._get, self.key_of(row)).fetchone()
        return stored

    def put(self, connection: Connection, row: ListRow) -> None:
        marks = ",".join("?" * len(row))
        connection.execute(f"INSERT OR REPLACE INTO {self.table} VALUES ({marks})", row)  # noqa: S608

    def delete(self, connection: Connection, row: ListRow) -> None:
        connection.execute(self._delete, self.key_of(row))

    def after(self, connection: Connection, key: int, after: ListRow, limit: int) -> list[ListRow]:
        """Return the mailbox's rows after a position, in key order; `after` () is the beginning."""
        columns, marks = ",".join(self.key), ",".join("?" * len(self.key))
        bound = f" AND ({columns}) > ({marks})" if after else ""
        query = (
            f"SELECT * FROM {self.table} WHERE mailbox_key = ?{bound}"  # noqa: S608
            f" ORDER BY mailbox_key,{columns} LIMIT ?"
        )
        return connection.execute(query, (key, *after, limit)).fetchall()


@dataclass(frozen=True, kw_only=True)
class ListTable(KeyedTable):
    """A list table: each row follows from one message row."""

    part: str  # of schemas/consistency.py
    message_key: int  # index of that column
    rows_of: Callable[[int, int, Message], Iterable[ListRow]]  # by mailbox_key, message_key, row
    difference: Callable[[ListRow, str], str]  # text for an operator, by list row and message id

    def move(self, connection: Connection, key: int, message_key: int, change: RowChange) -> None:
        """Update the rows of a changed message.

        Raises IntegrityError: a new row's primary key belongs to another message.
        """
        before, after = change
        old = {self.key_of(row): row for row in self._rows(key, message_key, before)}
        new = {self.key_of(row): row for row in self._rows(key, message_key, after)}
        for row_key in old.keys() - new.keys():
            connection.execute(self._delete, row_key)
        for row_key, row in new.items():
            if row_key not in old:
                marks = ",".join("?" * len(row))
                connection.execute(f"INSERT INTO {self.table} VALUES ({marks})", row)  # noqa: S608
            elif row != old[row_key]:
                self.put(connection, row)

    def _rows(self, key: int, message_key: int, row: Message | None) -> Iterable[ListRow]:
        return self.rows_of(key, message_key, row) if row else ()


def move(
    connection: Connection, key: int, message_key: int, before: Message | None, after: Message
) -> None:
    """Update every list for a changed message; `before` is None for a new message."""
    for table in LIST_TABLES:
        table.move(connection, key, message_key, (before, after))


def _places(key: int, message_key: int, row: Message) -> Iterable[ListRow]:
    unread, sender = int(is_unread(row.keywords)), sender_of(row)
    at_ms, id_ = row.received_at_ms, row.message_id
    for folder_id, flags in places_of(row):
        yield (key, folder_id, unread, at_ms, id_, message_key, flags, sender)


def _uids(key: int, message_key: int, row: Message) -> Iterable[ListRow]:
    for folder_id in row.places:
        uid, *slot = slot_of(row, folder_id)
        yield (key, folder_id, uid, message_key, *slot)


def _keywords(key: int, message_key: int, row: Message) -> Iterable[ListRow]:
    if row.shown_places:
        for keyword in row.keywords:
            if keyword != SEEN:
                yield (key, keyword, row.received_at_ms, row.message_id, message_key)


def _members(key: int, message_key: int, row: Message) -> Iterable[ListRow]:
    flags, keywords = flags_of(row), " ".join(keywords_of(row))
    at_ms, id_, thread_id = row.received_at_ms, row.message_id, row.thread_id
    for folder_id in row.shown_places:
        yield (key, thread_id, folder_id, at_ms, id_, message_key, flags, keywords)


PLACE = ListTable(
    table="place",
    part=LISTS,
    key=("folder_id", "unread", "received_at_ms", "message_id"),
    message_key=5,
    rows_of=_places,
    difference=lambda row, _: f"folder {row[1]}: list row of message {row[4]} is wrong or missing",
)
UID = ListTable(
    table="uid",
    part=LISTS,
    key=("folder_id", "uid"),
    message_key=3,
    rows_of=_uids,
    difference=lambda row, id_: (
        f"folder {row[1]}: uid {row[2]} of message {id_} is wrong or missing"
    ),
)
KEYWORD = ListTable(
    table="keyword",
    part=LISTS,
    key=("keyword", "received_at_ms", "message_id"),
    message_key=4,
    rows_of=_keywords,
    difference=lambda row, _: f"keyword {row[1]}: list row of message {row[3]} is wrong or missing",
)
MEMBER = ListTable(
    table="member",
    part=THREADS,
    key=("thread_id", "folder_id", "received_at_ms", "message_id"),
    message_key=5,
    rows_of=_members,
    difference=lambda row, _: f"thread {row[1]}: list row of message {row[4]} is wrong or missing",
)
LIST_TABLES = (PLACE, UID, KEYWORD, MEMBER)
