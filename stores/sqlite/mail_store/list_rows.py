"""The lines that a message has in each list of the mail store, and where they stand."""

from collections.abc import Callable
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from schemas.consistency import LISTS, THREADS
from schemas.mailbox import Message
from stores.sqlite.mail_store import lists, threads

ListLine = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTable:
    """A table whose primary key begins with the mailbox's key."""

    table: str
    part: str  # of schemas/consistency.py
    key: tuple[str, ...]  # the primary key's columns behind mailbox_key; the table's first ones
    message_key: int  # that column's number
    lines: Callable[[int, int, Message], set[Any]]
    named: Callable[[ListLine, str], str]  # what is wrong with a line of a message

    def place(self, line: ListLine) -> ListLine:
        return line[1 : 1 + len(self.key)]

    def at(self, connection: Connection, line: ListLine) -> ListLine | None:
        """What stands at the line's place."""
        query = f"SELECT * FROM {self.table} WHERE {self._is_at}"  # noqa: S608
        found: ListLine | None = connection.execute(query, line[: 1 + len(self.key)]).fetchone()
        return found

    def put(self, connection: Connection, line: ListLine) -> None:
        marks = ",".join("?" * len(line))
        connection.execute(f"INSERT OR REPLACE INTO {self.table} VALUES ({marks})", line)  # noqa: S608

    def delete(self, connection: Connection, line: ListLine) -> None:
        statement = f"DELETE FROM {self.table} WHERE {self._is_at}"  # noqa: S608
        connection.execute(statement, line[: 1 + len(self.key)])

    def behind(
        self, connection: Connection, key: int, after: ListLine, limit: int
    ) -> list[ListLine]:
        """The mailbox's lines behind a place, in order; `after` is () at the beginning."""
        columns, marks = ",".join(self.key), ",".join("?" * len(self.key))
        behind = f" AND ({columns}) > ({marks})" if after else ""
        query = (
            f"SELECT * FROM {self.table} WHERE mailbox_key = ?{behind}"  # noqa: S608
            f" ORDER BY mailbox_key,{columns} LIMIT ?"
        )
        return connection.execute(query, (key, *after, limit)).fetchall()

    @property
    def _is_at(self) -> str:
        return " AND ".join(f"{column} = ?" for column in ("mailbox_key", *self.key))


def _uids(key: int, message_key: int, row: Message) -> set[ListLine]:
    return {(key, folder_id, uid, message_key) for folder_id, uid in row.places.items()}


PLACE = ListTable(
    table="place",
    part=LISTS,
    key=("folder_id", "unread", "received_at_ms", "message_id"),
    message_key=5,
    lines=lists.places,
    named=lambda line, _: f"folder {line[1]}: message {line[4]} is listed wrongly or not",
)
UID = ListTable(
    table="uid",
    part=LISTS,
    key=("folder_id", "uid"),
    message_key=3,
    lines=_uids,
    named=lambda line, id_: f"folder {line[1]}: uid {line[2]} of message {id_} is wrong or missing",
)
MEMBER = ListTable(
    table="member",
    part=THREADS,
    key=("thread_id", "received_at_ms", "message_id"),
    message_key=4,
    lines=threads.members_of,
    named=lambda line, _: f"thread {line[1]}: message {line[3]} is listed wrongly or not",
)
LISTINGS = (PLACE, UID, MEMBER)
