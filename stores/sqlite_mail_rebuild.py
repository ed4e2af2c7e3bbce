"""A mailbox's tables written anew from its journal, where they differ; in one transaction."""

from collections.abc import Collection, Mapping
from sqlite3 import Connection

import msgspec

from mail import check as rules
from mail.errors import Refused
from schemas.checks import COUNTS, LISTS, Difference, Rebuilt
from schemas.mail import Head
from schemas.mailbox import Message
from stores import sqlite_mail_rows as rows
from stores.sqlite_mail_check import (
    Look,
    Row,
    listing,
    look_at,
    state,
    state_of,
    table,
    threads,
    undone,
)


def rebuild(
    connection: Connection, user_id: str, parts: Collection[str], heads: Mapping[str, Head]
) -> Rebuilt:
    """Mend `parts`: lists (rows and threads with them), counts. `heads` of messages without a row.

    JournalDamaged. Refused: the counts are not to be mended, and cannot be read.
    """
    look = look_at(connection, user_id)
    mended: list[Difference] = []
    if LISTS in parts:
        mended += _rows(connection, look, heads)
        mended += _lists(connection, look)
    if COUNTS in parts:
        mended += state(connection, look)
        _put_state(connection, look)
    found = state_of(connection, user_id)
    if found is None:
        raise Refused("the state cannot be read: rebuild the counts first")
    return Rebuilt(state=found, mended=tuple(sorted(set(mended))))


def _rows(connection: Connection, look: Look, heads: Mapping[str, Head]) -> list[Difference]:
    for message_key in look.surplus:
        connection.execute("DELETE FROM message WHERE message_key = ?", (message_key,))
    for record in look.check.missing():
        head = heads.get(record.message_id, rules.UNKNOWN)
        row = look.check.made(
            record.message_id, user_id=look.user_id, domain_id=look.domain_id, head=head
        )
        look.expect(_inserted(connection, look, row), row)
    _threads(connection, look)
    for message_key, row in look.wrong_rows.items():
        connection.execute(
            "UPDATE message SET message = ?, mail_id = ? WHERE message_key = ?",
            (rows.encode(row), row.mail_id, message_key),
        )
    return look.check.differences


def _inserted(connection: Connection, look: Look, row: Message) -> int:
    cursor = connection.execute(
        "INSERT INTO message (mailbox_key, message_id, mail_id, message) VALUES (?, ?, ?, ?)",
        (look.box.key, row.message_id, row.mail_id, rows.encode(row)),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _threads(connection: Connection, look: Look) -> None:
    lacking, moved = look.check.threads(threads(connection, look))
    connection.executemany(
        "INSERT OR REPLACE INTO thread VALUES (?, ?, ?)",
        [(look.box.key, key, thread_id) for key, thread_id in lacking.items()],
    )
    for message_id, thread_id in moved.items():
        message_key = look.keys[message_id]
        row = look.wrong_rows.get(message_key) or rows.message(connection, look.user_id, message_id)
        assert row is not None
        look.wrong_rows[message_key] = msgspec.structs.replace(row, thread_id=thread_id)


def _lists(connection: Connection, look: Look) -> list[Difference]:
    told = listing(connection, look)
    _replace(connection, "place", look, look.places)
    _replace(connection, "uid", look, look.uids)
    connection.executemany(
        "INSERT OR REPLACE INTO command VALUES (?, ?, ?)",
        [(look.box.key, id_, seq) for id_, seq in undone(connection, look)],
    )
    return told


def _replace(connection: Connection, name: str, look: Look, wanted: set[Row]) -> None:
    """Make the mailbox's part of a list `wanted`; all of it anew, which is rare and simple."""
    if table(connection, name, look) == wanted:
        return
    connection.execute(f"DELETE FROM {name} WHERE mailbox_key = ?", (look.box.key,))  # noqa: S608
    marks = ",".join("?" * len(next(iter(wanted), ())))
    insert = f"INSERT INTO {name} VALUES ({marks})"  # noqa: S608  (one of our two names)
    connection.executemany(insert, sorted(wanted))


def _put_state(connection: Connection, look: Look) -> None:
    after = rules.recounted(look.history)
    connection.execute(
        "UPDATE mailbox SET seq = ?, size_bytes = ?, messages = ?, state = ? WHERE mailbox_key = ?",
        (after.seq, after.usage.size_bytes, after.usage.messages, rows.encode(after), look.box.key),
    )
