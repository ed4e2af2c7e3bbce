"""Schemas 2 and 4 of mail.sqlite: what follows from the messages that earlier ones left.

Schema 2: threads by the rule of mail/mailbox/threads.py, in the order in which the messages came;
lists; usage. Schema 4: tombstones without heads and hops. In the transaction that changes the
schema, so that it happens whole or not at all.
"""

import logging
from sqlite3 import Connection

import msgspec

from mail.mailbox.threads import bindings, thread_for, thread_keys
from schemas.mail import HeaderSummary
from schemas.mailbox import Message, Usage
from stores.sqlite.mail_store import journal_and_rows as rows
from stores.sqlite.mail_store import lists, threads

log = logging.getLogger(__name__)


def upgrade(connection: Connection) -> None:
    found = connection.execute("SELECT mailbox_key, state FROM mailbox").fetchall()
    if found:
        log.warning("mail.sqlite: upgrading %d mailboxes, which may take minutes", len(found))
    for key, state in found:
        domain_id, usage = _messages(connection, key)
        after = msgspec.structs.replace(rows.decode_state(state), usage=usage)
        first = rows.entries(connection, key, 0, 1)
        connection.execute(
            "UPDATE mailbox SET domain_id = ?, size_bytes = ?, messages = ?, state = ?,"
            " feed_from_ms = ? WHERE mailbox_key = ?",
            (
                domain_id, usage.size_bytes, usage.messages, rows.encode(after),
                first[0].at_ms if first else None, key,
            ),
        )  # fmt: skip


def empty_tombstones(connection: Connection) -> None:
    """Take from destroyed messages what they kept of their mails."""
    found = connection.execute("SELECT message_key, message FROM message")
    gone = ((key, row) for key, blob in found if (row := rows.decode_message(blob)).destroyed)
    for message_key, row in list(gone):
        emptied = msgspec.structs.replace(row, head=HeaderSummary(), hops=())
        connection.execute(
            "UPDATE message SET message = ? WHERE message_key = ?",
            (rows.encode(emptied), message_key),
        )


def _messages(connection: Connection, key: int) -> tuple[str, Usage]:
    """Domain and usage of a mailbox whose messages are written anew, in their order of arrival."""
    size_bytes = messages = 0
    domain_id = ""
    keys = connection.execute(
        "SELECT message_key FROM message WHERE mailbox_key = ? ORDER BY message_key", (key,)
    ).fetchall()
    for (message_key,) in keys:
        row = _message(connection, key, message_key)
        domain_id = row.domain_id
        if not row.destroyed:
            size_bytes, messages = size_bytes + row.content.size_bytes, messages + 1
    return domain_id, Usage(size_bytes, messages)


def _message(connection: Connection, key: int, message_key: int) -> Message:
    (blob,) = connection.execute(
        "SELECT message FROM message WHERE message_key = ?", (message_key,)
    ).fetchone()
    row = rows.decode_message(blob)
    keys = thread_keys(row.head)
    bound = threads.threads_of(connection, key, keys)
    thread_id = thread_for(row.message_id, keys, bound)
    row = msgspec.structs.replace(row, thread_id=thread_id)
    connection.execute(
        "UPDATE message SET message = ? WHERE message_key = ?", (rows.encode(row), message_key)
    )
    threads.bind(connection, key, bindings(thread_id, keys, bound))
    lists.move(connection, key, message_key, None, row)
    return row
