"""The journal's horizon: old entries become a snapshot, a row per message, in one transaction."""

from collections.abc import Iterable, Iterator
from sqlite3 import Connection

import msgspec

from mail.mailbox.consistency_check import JournalDamaged
from mail.mailbox.journal_replay import records_after, state_after, usage_after
from mail.pagination import check_limit
from schemas.events.mailbox_events import MailboxChanged
from schemas.mailbox import MailboxState
from schemas.snapshot import MessageRecord, Snapshot
from stores.sqlite.mail_store import journal_and_rows as rows
from stores.sqlite.mail_store.rebuild_tables import JournalRecords, is_rebuilding

FOLD_MAX = 100  # entries in one call
CHANGES_MAX = 500  # of messages in one call: about 20 ms; one entry at least
SNAPSHOT = JournalRecords("snapshot_record")
_snapshot = msgspec.msgpack.Decoder(Snapshot).decode


def fold(connection: Connection, user_id: str, *, before_ms: int, to_seq: int) -> int:
    """The number of folded entries. JournalDamaged."""
    box = rows.box_of(connection, user_id)
    if is_rebuilding(connection, box.key):
        return 0
    try:
        ahead = rows.entries(connection, box.key, box.folded_seq, FOLD_MAX)
        due = list(_due(ahead, before_ms, to_seq))
        made = snapshot(connection, user_id) if due else Snapshot()
        for entry in due:
            made = _folded(connection, box.key, made, entry)
    except (ValueError, KeyError, msgspec.MsgspecError) as error:
        raise JournalDamaged(f"after seq {box.folded_seq}: {error}") from error
    if due:
        _put(connection, box.key, made)
    return len(due)


def snapshot(connection: Connection, user_id: str) -> Snapshot:
    found = connection.execute(
        "SELECT snapshot FROM mailbox JOIN snapshot USING (mailbox_key) WHERE user_id = ?",
        (user_id,),
    ).fetchone()
    return _snapshot(found[0]) if found else Snapshot()


def records(
    connection: Connection, user_id: str, *, after_id: str, limit: int
) -> list[MessageRecord]:
    check_limit(limit)
    key = rows.box_of(connection, user_id).key
    return SNAPSHOT.behind(connection, key, after_id, limit)


def apply(
    connection: Connection,
    table: JournalRecords,
    key: int,
    before: MailboxState,
    entry: MailboxChanged,
) -> tuple[MailboxState, dict[str, MessageRecord]]:
    """Write the entry's records into `table`; the state after it, and the records before it.

    ValueError, KeyError: it does not follow on `before`.
    """
    if entry.seq != before.seq + 1:
        msg = f"seq {entry.seq} does not follow on {before.seq}"
        raise ValueError(msg)
    ids = (change.message_id for change in entry.changes)
    known = {id_: it for id_ in ids if (it := table.get(connection, key, id_))}
    for record in records_after(entry, known).values():
        table.put(connection, key, record)
    return state_after(before, entry, usage_after(before.usage, entry, known)), known


def _due(ahead: Iterable[MailboxChanged], before_ms: int, to_seq: int) -> Iterator[MailboxChanged]:
    """The first ones that may be folded, as long as there is room."""
    room = CHANGES_MAX
    for entry in ahead:
        if entry.at_ms >= before_ms or entry.seq > to_seq or room <= 0:
            return
        room -= len(entry.changes)
        yield entry


def _folded(connection: Connection, key: int, before: Snapshot, entry: MailboxChanged) -> Snapshot:
    """The snapshot after the entry, whose records and follow-up are written."""
    state, _ = apply(connection, SNAPSHOT, key, before.state, entry)
    if entry.follow_up is not None:
        connection.execute(
            "UPDATE command SET follow_up = ? WHERE mailbox_key = ? AND command_id = ?",
            (rows.encode(entry.follow_up), key, entry.command_id),
        )
    return Snapshot(state=state, at_ms=entry.at_ms)


def _put(connection: Connection, key: int, made: Snapshot) -> None:
    connection.execute("INSERT OR REPLACE INTO snapshot VALUES (?, ?)", (key, rows.encode(made)))
    connection.execute(
        "DELETE FROM journal WHERE journal_key > ? AND journal_key <= ?",
        (rows.journal_key(key, 0), rows.journal_key(key, made.seq)),
    )
    connection.execute("UPDATE mailbox SET folded_seq = ? WHERE mailbox_key = ?", (made.seq, key))
