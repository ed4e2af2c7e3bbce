"""Migrations of mail.sqlite, where SQL alone is not enough.

Schema 2: assign threads by the rule of mail/mailbox/threads.py, in the order of arrival; write the
lists; count the usage. Schema 4: remove heads and hops from tombstones. Schema 5: write the slots
of the folders, count sizes. Schema 6: write the messages of each thread and the
conversations. Schema 7: count correspondents. All run in the transaction that changes the schema,
so an upgrade is complete or has not happened.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from sqlite3 import Connection

import msgspec

from mail.mailbox.threads import bindings, thread_for, thread_keys
from schemas.mail import HeaderSummary
from schemas.mailbox import Message, Usage
from stores.sqlite.mail_store import conversations, journal_and_rows, threads
from stores.sqlite.mail_store.correspondents import CORRESPONDENTS
from stores.sqlite.mail_store.list_rows import KEYWORD, MEMBER, PLACE, UID


def upgrade(connection: Connection) -> None:
    mailboxes = connection.execute("SELECT mailbox_key, state FROM mailbox").fetchall()
    for key, state in mailboxes:
        domain_id, usage = _upgrade_messages(connection, key)
        after = msgspec.structs.replace(journal_and_rows.decode_state(state), usage=usage)
        first = journal_and_rows.entries(connection, key, 0, 1)
        connection.execute(
            "UPDATE mailbox SET domain_id = ?, size_bytes = ?, messages = ?, state = ?,"
            " feed_from_ms = ? WHERE mailbox_key = ?",
            (
                domain_id, usage.size_bytes, usage.messages, journal_and_rows.encode(after),
                first[0].at_ms if first else None, key,
            ),
        )  # fmt: skip


def empty_tombstones(connection: Connection) -> None:
    """Remove heads and hops from the rows of destroyed messages."""
    rows = (
        (message_key, journal_and_rows.decode_message(blob))
        for message_key, blob in connection.execute("SELECT message_key, message FROM message")
    )
    tombstones = [(message_key, row) for message_key, row in rows if row.destroyed]
    for message_key, row in tombstones:
        _replace(
            connection, message_key, msgspec.structs.replace(row, head=HeaderSummary(), hops=())
        )


def fill_folder_views(connection: Connection) -> None:
    """Write the rows of `uid` and `keyword`, and the size of each folder into the states."""
    sizes: dict[int, Counter[str]] = defaultdict(Counter)
    for key, message_key, row in _rows(connection):
        for table in (UID, KEYWORD):
            for list_row in set(table.rows_of(key, message_key, row)):
                table.put(connection, list_row)
        for folder_id in row.places:
            sizes[key][folder_id] += row.content.size_bytes
    for key, blob in connection.execute("SELECT mailbox_key, state FROM mailbox").fetchall():
        state = journal_and_rows.decode_state(blob)
        folders = {
            id_: msgspec.structs.replace(counts, size_bytes=sizes[key][id_])
            for id_, counts in state.folders.items()
        }
        after = msgspec.structs.replace(state, folders=folders)
        update = "UPDATE mailbox SET state = ? WHERE mailbox_key = ?"
        connection.execute(update, (journal_and_rows.encode(after), key))


def fill_conversations(connection: Connection) -> None:
    """Write the rows of `member`, `conversation` and `conversation_count`, and place.flags."""
    for key, message_key, row in _rows(connection):
        for member in MEMBER.rows_of(key, message_key, row):
            MEMBER.put(connection, member)
        if len(row.shown_places) > 1:
            for place in PLACE.rows_of(key, message_key, row):
                PLACE.put(connection, place)
    conversations.fill(connection)


def count_correspondents(connection: Connection) -> None:
    """Count the correspondents of the messages that exist."""
    for key, _, row in _rows(connection):
        CORRESPONDENTS.count(connection, key, (None, row))
    for (key,) in connection.execute("SELECT mailbox_key FROM mailbox").fetchall():
        CORRESPONDENTS.drop(connection, key)


def _rows(connection: Connection) -> Iterator[tuple[int, int, Message]]:
    """mailbox_key, message_key and row of every message, tombstones too."""
    rows = connection.execute("SELECT mailbox_key, message_key, message FROM message")
    for key, message_key, blob in rows:
        yield key, message_key, journal_and_rows.decode_message(blob)


def _upgrade_messages(connection: Connection, key: int) -> tuple[str, Usage]:
    """Upgrade the messages of a mailbox, in the order of arrival; return its domain and usage."""
    size_bytes = messages = 0
    domain_id = ""
    keys = connection.execute(
        "SELECT message_key FROM message WHERE mailbox_key = ? ORDER BY message_key", (key,)
    ).fetchall()
    for (message_key,) in keys:
        row = _upgrade_message(connection, key, message_key)
        domain_id = row.domain_id
        if not row.destroyed:
            size_bytes, messages = size_bytes + row.content.size_bytes, messages + 1
    return domain_id, Usage(size_bytes, messages)


def _upgrade_message(connection: Connection, key: int, message_key: int) -> Message:
    (blob,) = connection.execute(
        "SELECT message FROM message WHERE message_key = ?", (message_key,)
    ).fetchone()
    row = journal_and_rows.decode_message(blob)
    keys = thread_keys(row.head)
    bound = threads.threads_of(connection, key, keys)
    thread_id = thread_for(row.message_id, keys, bound)
    row = msgspec.structs.replace(row, thread_id=thread_id)
    _replace(connection, message_key, row)
    threads.bind(connection, key, bindings(thread_id, keys, bound))
    for place in set(PLACE.rows_of(key, message_key, row)):
        PLACE.put(connection, place)
    return row


def _replace(connection: Connection, message_key: int, row: Message) -> None:
    connection.execute(
        "UPDATE message SET message = ? WHERE message_key = ?",
        (journal_and_rows.encode(row), message_key),
    )
