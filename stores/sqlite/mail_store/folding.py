"""Fold the oldest journal entries of a mailbox into its snapshot, in one transaction.

The snapshot is one record per message, and the state after the last folded entry.
"""

from collections.abc import Iterable, Iterator
from sqlite3 import Connection

import msgspec

from mail.mailbox.consistency_check import JournalDamaged
from mail.mailbox.journal_replay import records_after, state_after, usage_after
from mail.mailbox.user_settings import stored_after
from mail.pagination import check_limit
from schemas.events.mailbox_events import MailboxChanged
from schemas.ids import MessageId, UserId
from schemas.mailbox import MailboxState
from schemas.snapshot import MessageRecord, Snapshot
from stores.sqlite.mail_store import journal_and_rows, vanished
from stores.sqlite.mail_store.rebuild_tables import RecordTable, is_rebuilding

FOLD_MAX = 100  # entries in one call
CHANGES_MAX = 500  # message changes in one call, about 20 ms; one entry in any case
SNAPSHOT_RECORDS = RecordTable("snapshot_record")
_snapshot = msgspec.msgpack.Decoder(Snapshot).decode


def fold(connection: Connection, user_id: UserId, *, before_ms: int, to_seq: int) -> int:
    """Return the number of folded entries; 0 during a rebuild. Raises JournalDamaged."""
    mailbox = journal_and_rows.header_of(connection, user_id)
    if is_rebuilding(connection, mailbox.key):
        return 0
    try:
        entries = journal_and_rows.entries(connection, mailbox.key, mailbox.folded_seq, FOLD_MAX)
        due = list(_due(entries, before_ms, to_seq))
        folded = snapshot(connection, user_id) if due else Snapshot()
        for entry in due:
            folded = _fold_entry(connection, mailbox.key, folded, entry)
    except (ValueError, KeyError, msgspec.MsgspecError) as error:
        raise JournalDamaged(f"after seq {mailbox.folded_seq}: {error}") from error
    if due:
        _put(connection, mailbox.key, folded)
        vanished.delete(connection, mailbox.key, to_seq=folded.seq)
    return len(due)


def snapshot(connection: Connection, user_id: UserId) -> Snapshot:
    row = connection.execute(
        "SELECT snapshot FROM mailbox JOIN snapshot USING (mailbox_key) WHERE user_id = ?",
        (user_id,),
    ).fetchone()
    return _snapshot(row[0]) if row else Snapshot()


def records(
    connection: Connection, user_id: UserId, *, after_id: str, limit: int
) -> list[MessageRecord]:
    """Return the snapshot's records with a message id above `after_id`, in the order of the ids."""
    check_limit(limit)
    key = journal_and_rows.header_of(connection, user_id).key
    return SNAPSHOT_RECORDS.after(connection, key, after_id, limit)


def apply(
    connection: Connection,
    table: RecordTable,
    key: int,
    before: MailboxState,
    entry: MailboxChanged,
) -> tuple[MailboxState, dict[MessageId, MessageRecord]]:
    """Write the records of `entry` to `table`; return the state after it and the records before it.

    Raises ValueError, KeyError: the entry does not follow `before`.
    """
    if entry.seq != before.seq + 1:
        msg = f"seq {entry.seq} does not follow on {before.seq}"
        raise ValueError(msg)
    ids = (change.message_id for change in entry.changes)
    known = {id_: record for id_ in ids if (record := table.get(connection, key, id_))}
    for record in records_after(entry, known).values():
        table.put(connection, key, record)
    return state_after(before, entry, usage_after(before.usage, entry, known)), known


def _due(
    entries: Iterable[MailboxChanged], before_ms: int, to_seq: int
) -> Iterator[MailboxChanged]:
    """The entries to fold: the first entries that may be folded, up to CHANGES_MAX changes."""
    changes_left = CHANGES_MAX
    for entry in entries:
        if entry.at_ms >= before_ms or entry.seq > to_seq or changes_left <= 0:
            return
        changes_left -= len(entry.changes)
        yield entry


def _fold_entry(
    connection: Connection, key: int, before: Snapshot, entry: MailboxChanged
) -> Snapshot:
    """Write the records and the follow-up of `entry`; return the snapshot after it."""
    state, _ = apply(connection, SNAPSHOT_RECORDS, key, before.state, entry)
    if entry.follow_up is not None:
        connection.execute(
            "UPDATE command SET follow_up = ? WHERE mailbox_key = ? AND command_id = ?",
            (journal_and_rows.encode(entry.follow_up), key, entry.command_id),
        )
    settings = stored_after(before.settings, entry)
    return Snapshot(state=state, at_ms=entry.at_ms, settings=settings)


def _put(connection: Connection, key: int, folded: Snapshot) -> None:
    """Write the snapshot and delete the folded entries."""
    row = (key, journal_and_rows.encode(folded))
    connection.execute("INSERT OR REPLACE INTO snapshot VALUES (?, ?)", row)
    connection.execute(
        "DELETE FROM journal WHERE journal_key > ? AND journal_key <= ?",
        (journal_and_rows.journal_key(key, 0), journal_and_rows.journal_key(key, folded.seq)),
    )
    connection.execute("UPDATE mailbox SET folded_seq = ? WHERE mailbox_key = ?", (folded.seq, key))
