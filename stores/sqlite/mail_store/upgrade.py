"""Migrations of mail.sqlite to schemas 2 and 4, where SQL alone is not enough.

Schema 2: assign threads by the rule of mail/mailbox/threads.py, in the order of arrival; write the
lists; count the usage. Schema 4: remove heads and hops from tombstones. Both run in the transaction
that changes the schema, so an upgrade is complete or has not happened.
"""

import logging
from sqlite3 import Connection

import msgspec

from mail.mailbox.threads import bindings, thread_for, thread_keys
from schemas.mail import HeaderSummary
from schemas.mailbox import Message, Usage
from stores.sqlite.mail_store import journal_and_rows, lists, threads

log = logging.getLogger(__name__)


def upgrade(connection: Connection) -> None:
    mailboxes = connection.execute("SELECT mailbox_key, state FROM mailbox").fetchall()
    if mailboxes:
        log.warning("mail.sqlite: upgrading %d mailboxes, which may take minutes", len(mailboxes))
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
    lists.move(connection, key, message_key, None, row)
    return row


def _replace(connection: Connection, message_key: int, row: Message) -> None:
    connection.execute(
        "UPDATE message SET message = ? WHERE message_key = ?",
        (journal_and_rows.encode(row), message_key),
    )
