"""The journal's horizon: old entries become a snapshot, a row per message, in one transaction."""

from collections.abc import Iterable, Iterator
from sqlite3 import Connection

import msgspec

from mail.history import records_after, state_after, usage_after
from schemas.events import MailboxChanged
from schemas.snapshot import MessageRecord, Snapshot
from stores import sqlite_mail_rows as rows

FOLD_MAX = 100  # entries in one call
CHANGES_MAX = 500  # of messages in one call: about 20 ms; one entry at least
_record = msgspec.msgpack.Decoder(MessageRecord).decode
_snapshot = msgspec.msgpack.Decoder(Snapshot).decode


def foldable(connection: Connection, before_ms: int, limit: int) -> list[str]:
    found = connection.execute(
        "SELECT user_id FROM mailbox WHERE feed_from_ms < ? ORDER BY feed_from_ms LIMIT ?",
        (before_ms, limit),
    )
    return [user_id for (user_id,) in found]


def fold(connection: Connection, user_id: str, before_ms: int) -> int:
    """How many entries were folded."""
    box = rows.box_of(connection, user_id)
    ahead = rows.entries(connection, box.key, box.folded_seq, FOLD_MAX)
    made, due = snapshot(connection, user_id), list(_due(ahead, before_ms))
    for entry in due:
        made = _folded(connection, box.key, made, entry)
    if due:
        _put(connection, box.key, made)
    return len(due)


def snapshot(connection: Connection, user_id: str) -> Snapshot:
    found = connection.execute(
        "SELECT snapshot FROM mailbox JOIN snapshot USING (mailbox_key) WHERE user_id = ?",
        (user_id,),
    ).fetchone()
    return _snapshot(found[0]) if found else Snapshot()


def records(connection: Connection, user_id: str, after_id: str, limit: int) -> list[MessageRecord]:
    found = connection.execute(
        "SELECT record FROM mailbox JOIN snapshot_record USING (mailbox_key)"
        " WHERE user_id = ? AND message_id > ? ORDER BY message_id LIMIT ?",
        (user_id, after_id, limit),
    )
    return [_record(blob) for (blob,) in found]


def _due(ahead: Iterable[MailboxChanged], before_ms: int) -> Iterator[MailboxChanged]:
    """The first ones that are old, as long as there is room."""
    room = CHANGES_MAX
    for entry in ahead:
        if entry.at_ms >= before_ms or room <= 0:
            return
        room -= len(entry.changes)
        yield entry


def _folded(connection: Connection, key: int, before: Snapshot, entry: MailboxChanged) -> Snapshot:
    """Write the entry's records; the snapshot after it."""
    known = _known(connection, key, entry)
    for id_, record in records_after(entry, known).items():
        connection.execute(
            "INSERT OR REPLACE INTO snapshot_record VALUES (?, ?, ?)",
            (key, id_, rows.encode(record)),
        )
    usage = usage_after(before.state.usage, entry, known)
    return Snapshot(state=state_after(before.state, entry, usage), at_ms=entry.at_ms)


def _known(connection: Connection, key: int, entry: MailboxChanged) -> dict[str, MessageRecord]:
    found: dict[str, MessageRecord] = {}
    for change in entry.changes:
        row = connection.execute(
            "SELECT record FROM snapshot_record WHERE mailbox_key = ? AND message_id = ?",
            (key, change.message_id),
        ).fetchone()
        if row is not None:
            found[change.message_id] = _record(row[0])
    return found


def _put(connection: Connection, key: int, made: Snapshot) -> None:
    connection.execute("INSERT OR REPLACE INTO snapshot VALUES (?, ?)", (key, rows.encode(made)))
    connection.execute(
        "DELETE FROM journal WHERE journal_key > ? AND journal_key <= ?",
        (rows.journal_key(key, 0), rows.journal_key(key, made.seq)),
    )
    rest = rows.entries(connection, key, made.seq, 1)
    connection.execute(
        "UPDATE mailbox SET folded_seq = ?, feed_from_ms = ? WHERE mailbox_key = ?",
        (made.seq, rest[0].at_ms if rest else None, key),
    )
