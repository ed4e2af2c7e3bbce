"""List tables of the mail store (place, uid, member): the rows of a message, and range reads."""

from collections.abc import Callable
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from schemas.consistency import LISTS, THREADS
from schemas.mailbox import Message
from stores.sqlite.mail_store import lists, threads

ListRow = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTable:
    """A list table. Its primary key, which is its first columns, begins with mailbox_key."""

    table: str
    part: str  # of schemas/consistency.py
    key: tuple[str, ...]  # the columns of the primary key after mailbox_key
    message_key: int  # index of that column
    rows_of: Callable[[int, int, Message], set[Any]]  # by mailbox_key, message_key, message row
    difference: Callable[[ListRow, str], str]  # text for an operator, by list row and message id

    def position(self, row: ListRow) -> ListRow:
        """The part of the primary key after mailbox_key."""
        return row[1 : 1 + len(self.key)]

    def get(self, connection: Connection, row: ListRow) -> ListRow | None:
        """Return the stored row with the primary key of `row`."""
        query = f"SELECT * FROM {self.table} WHERE {self._has_key}"  # noqa: S608
        stored: ListRow | None = connection.execute(query, row[: 1 + len(self.key)]).fetchone()
        return stored

    def put(self, connection: Connection, row: ListRow) -> None:
        marks = ",".join("?" * len(row))
        connection.execute(f"INSERT OR REPLACE INTO {self.table} VALUES ({marks})", row)  # noqa: S608

    def delete(self, connection: Connection, row: ListRow) -> None:
        statement = f"DELETE FROM {self.table} WHERE {self._has_key}"  # noqa: S608
        connection.execute(statement, row[: 1 + len(self.key)])

    def after(self, connection: Connection, key: int, after: ListRow, limit: int) -> list[ListRow]:
        """Return the mailbox's rows after a position, in key order; `after` () is the beginning."""
        columns, marks = ",".join(self.key), ",".join("?" * len(self.key))
        bound = f" AND ({columns}) > ({marks})" if after else ""
        query = (
            f"SELECT * FROM {self.table} WHERE mailbox_key = ?{bound}"  # noqa: S608
            f" ORDER BY mailbox_key,{columns} LIMIT ?"
        )
        return connection.execute(query, (key, *after, limit)).fetchall()

    @property
    def _has_key(self) -> str:
        return " AND ".join(f"{column} = ?" for column in ("mailbox_key", *self.key))


def _uids(key: int, message_key: int, row: Message) -> set[ListRow]:
    return {(key, folder_id, uid, message_key) for folder_id, uid in row.places.items()}


PLACE = ListTable(
    table="place",
    part=LISTS,
    key=("folder_id", "unread", "received_at_ms", "message_id"),
    message_key=5,
    rows_of=lists.places,
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
MEMBER = ListTable(
    table="member",
    part=THREADS,
    key=("thread_id", "received_at_ms", "message_id"),
    message_key=4,
    rows_of=threads.members_of,
    difference=lambda row, _: f"thread {row[1]}: list row of message {row[3]} is wrong or missing",
)
LIST_TABLES = (PLACE, UID, MEMBER)
