"""Compare a mailbox's views with its journal, range by range, and repair differences.

Compared are the state and its columns, commands, message rows, lists (place, uid, keyword), the
messages of threads (member), bindings (thread), settings and correspondents. The lists of
conversations are compared by conversation_check.py. They are compared with the rebuild tables
(rebuild_tables.py), which hold the journal's records at the seq of the mailbox. Each function reads
one bounded range of rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any, TypeVar

import msgspec

from mail.mailbox import consistency_check as rules
from mail.mailbox.correspondents import lacking
from mail.mailbox.counts import Recount
from mail.mailbox.threads import thread_keys
from mail.mailbox.user_settings import stored_after
from schemas.consistency import COUNTS, LISTS, THREADS, ExpectedMessage, ViewDifference
from schemas.events.mailbox_events import MailboxChanged
from schemas.ids import MessageId, UserId
from schemas.mail import HeaderSummary
from schemas.mailbox import MailboxState, Message
from schemas.snapshot import MessageRecord
from schemas.user_settings import StoredSettings
from stores.sqlite.mail_store import (
    folding,
    journal_and_rows,
    owner_settings,
    rebuild_tables,
    threads,
    vanished,
)
from stores.sqlite.mail_store.correspondents import CORRESPONDENTS, EXPECTED
from stores.sqlite.mail_store.journal_and_rows import draft_column, encode
from stores.sqlite.mail_store.list_rows import LIST_TABLES, ListTable
from stores.sqlite.mail_store.rebuild_tables import REBUILD_RECORDS

T = TypeVar("T")
HEADS_MAX = 20  # contents that the caller reads for one step
_ENTRIES = 100
_ROWS = """SELECT message_id, message_key, mail_id, message, draft_id FROM message
    WHERE mailbox_key = ? AND message_id > ? ORDER BY message_id LIMIT ?"""
_StoredRow = tuple[int, str, bytes, str | None]  # message_key, mail_id, message, draft_id


@dataclass(slots=True, kw_only=True)
class CheckStep:
    """The input, progress and result of one step.

    `repair`: write the correct rows. `rows_left`: rows that the step may still read.
    """

    connection: Connection
    user_id: UserId
    mailbox: journal_and_rows.MailboxHeader
    parts: tuple[str, ...]
    repair: bool
    rows_left: int
    state: MailboxState  # after the journal's entries up to state.seq
    recount: Recount
    settings: StoredSettings = field(default_factory=StoredSettings)  # likewise
    after: tuple[Any, ...] = ()  # position of the last row that the phase has read
    heads: Mapping[MessageId, HeaderSummary] = field(
        default_factory=dict
    )  # of messages without a row
    lacking: tuple[ExpectedMessage, ...] = ()
    differences: list[ViewDifference] = field(default_factory=list)
    without_row: list[ExpectedMessage] = field(default_factory=list)

    def execute(self, statement: str, values: tuple[Any, ...]) -> None:
        """Run a repair; do nothing during a check."""
        if self.repair:
            self.connection.execute(statement, values)

    def differs(self, part: str, what: str) -> None:
        self.differences.append(ViewDifference(part, what))


def copy_records(step: CheckStep) -> bool:
    """Copy a range of the snapshot's records to the rebuild table; return whether it is the last.

    Raises JournalDamaged: the snapshot cannot be read.
    """
    connection, key = step.connection, step.mailbox.key
    (after_id,) = step.after or ("",)
    try:
        records = folding.SNAPSHOT_RECORDS.after(connection, key, after_id, step.rows_left)
        if not step.after:
            snapshot = folding.snapshot(connection, step.user_id)
            step.state, step.settings = snapshot.state, snapshot.settings
    except (msgspec.MsgspecError, ValueError) as error:
        raise rules.JournalDamaged(f"the snapshot cannot be read: {error}") from error
    for record in records:
        REBUILD_RECORDS.put(connection, key, record)
        step.recount.move(None, record)
    step.after = (records[-1].message_id,) if records else step.after
    is_last = len(records) < step.rows_left
    step.rows_left -= len(records) + 1
    return is_last


def apply_entries(step: CheckStep) -> bool:
    """Apply entries to the rebuild table; return whether it has reached the mailbox's seq.

    Raises JournalDamaged: an entry cannot be read or applied, or the last entries are missing.
    """
    try:
        entries = journal_and_rows.entries(
            step.connection, step.mailbox.key, step.state.seq, _ENTRIES
        )
        for entry in entries:
            if step.rows_left <= 0:
                return False
            _apply(step, entry)
    except (ValueError, KeyError, msgspec.MsgspecError) as error:
        raise rules.damaged(step.state.seq, error) from error
    if len(entries) == _ENTRIES:
        return False
    if step.state.seq < step.mailbox.seq:
        end = f"it ends at seq {step.state.seq}, the mailbox is at {step.mailbox.seq}"
        raise rules.JournalDamaged(end)
    return True


def counts(step: CheckStep) -> bool:
    """Compare the state of the mailbox and the columns that repeat a part of it."""
    step.rows_left -= 1
    expected = step.recount.state(step.state)
    differences = rules.state_differences(read_state(step.connection, step.user_id), expected)
    columns = step.connection.execute(
        "SELECT seq, size_bytes, messages FROM mailbox WHERE mailbox_key = ?", (step.mailbox.key,)
    ).fetchone()
    usage = (expected.seq, expected.usage.size_bytes, expected.usage.messages)
    if columns != usage:
        what = f"the columns seq, size_bytes, messages are {columns}, expected {usage}"
        differences.append(ViewDifference(COUNTS, what))
    step.differences += differences
    step.execute(
        "UPDATE mailbox SET seq = ?, size_bytes = ?, messages = ?, state = ? WHERE mailbox_key = ?",
        (*usage, journal_and_rows.encode(expected), step.mailbox.key),
    )
    return True


def settings(step: CheckStep) -> bool:
    """Compare the settings of the mailbox's owner."""
    step.rows_left -= 1
    connection, key = step.connection, step.mailbox.key
    stored = _readable(lambda mailbox_key: owner_settings.read(connection, mailbox_key), key)
    differences = rules.settings_differences(stored, step.settings)
    step.differences += differences
    if differences and step.repair:
        owner_settings.put(connection, key, step.settings)
    return True


def correspondents(step: CheckStep) -> bool:
    """Compare the correspondents with those that were counted from the message rows."""
    step.rows_left -= 1
    connection, key = step.connection, step.mailbox.key
    wrong = lacking(CORRESPONDENTS.all(connection, key), EXPECTED.all(connection, key))
    step.differences += rules.correspondent_differences(len(wrong))
    if step.repair:
        for address, row in wrong.items():
            CORRESPONDENTS.put(connection, key, address, row)
        CORRESPONDENTS.drop(connection, key)
    return True


def message_rows(step: CheckStep) -> bool:
    """Compare the rows of a range of message ids, and the rows of these messages in every list."""
    limit, (after_id,) = step.rows_left, step.after or ("",)
    found = REBUILD_RECORDS.after(step.connection, step.mailbox.key, after_id, limit)
    records = {record.message_id: record for record in found}
    stored: dict[MessageId, _StoredRow] = {
        message_id: (key, mail_id, blob, draft_id)
        for message_id, key, mail_id, blob, draft_id in step.connection.execute(
            _ROWS, (step.mailbox.key, after_id, limit)
        )
    }
    ends = [max(ids) for ids in (records, stored) if len(ids) == limit]
    ids = sorted(id_ for id_ in records.keys() | stored.keys() if not ends or id_ <= min(ends))
    for message_id in ids:
        if not _message(step, message_id, records.get(message_id), stored.get(message_id)):
            rest = (records[id_] for id_ in ids if id_ > message_id and id_ in records)
            lost = [record for record in rest if record.message_id not in stored]
            alive = [record for record in (records[message_id], *lost) if not record.destroyed]
            step.lacking = tuple(map(rules.expected_message, alive[:HEADS_MAX]))
            step.rows_left = 0
            return False
        step.after = (message_id,)
        step.rows_left -= 1
    step.rows_left -= 1
    EXPECTED.drop(step.connection, step.mailbox.key)
    return not ends


def list_table(table: ListTable) -> Callable[[CheckStep], bool]:
    """Make the phase that deletes list rows without a message, or wrong for their message."""

    def phase(step: CheckStep) -> bool:
        limit = step.rows_left
        list_rows = table.after(step.connection, step.mailbox.key, step.after, limit)
        for list_row in list_rows:
            message_key = list_row[table.message_key]
            message_id, row = _owner(step, message_key)
            if row is None or list_row not in table.rows_of(step.mailbox.key, message_key, row):
                step.differs(table.part, table.difference(list_row, message_id))
                if step.repair:
                    table.delete(step.connection, list_row)
            step.after = table.position(list_row)
        step.rows_left -= len(list_rows) + 1
        return len(list_rows) < limit

    return phase


def bindings(step: CheckStep) -> bool:
    """Compare a range of thread keys."""
    limit, (after,) = step.rows_left, step.after or ("",)
    found = rebuild_tables.bindings(step.connection, step.mailbox.key, bytes.fromhex(after), limit)
    wrong = [
        binding
        for binding in found
        if not rules.is_bound(
            binding.bound_to, thread_id=binding.thread_id, created_seq=binding.created_seq,
            destroyed_seq=binding.destroyed_seq,
        )
    ]  # fmt: skip
    if wrong:
        step.differs(THREADS, f"{len(wrong)} message ids have a wrong thread or no thread")
    for binding in wrong:
        row = (step.mailbox.key, binding.key, binding.thread_id)
        step.execute("INSERT OR REPLACE INTO thread VALUES (?, ?, ?)", row)
    step.after = (found[-1].key.hex(),) if found else step.after
    step.rows_left -= len(found) + 1
    return len(found) < limit


def read_state(connection: Connection, user_id: UserId) -> MailboxState | None:
    """Return the state; None: it cannot be read."""
    return _readable(lambda id_: journal_and_rows.state(connection, id_), user_id)


def _apply(step: CheckStep, entry: MailboxChanged) -> None:
    connection, key = step.connection, step.mailbox.key
    step.state, known = folding.apply(connection, REBUILD_RECORDS, key, step.state, entry)
    step.settings = stored_after(step.settings, entry)
    for change in entry.changes:
        after = REBUILD_RECORDS.get(connection, key, change.message_id)
        assert after is not None
        step.recount.move(known.get(change.message_id), after)
    step.rows_left -= 1 + len(entry.changes)
    if LISTS in step.parts:
        _command(step, entry)
        _vanished(step, entry)


def _command(step: CheckStep, entry: MailboxChanged) -> None:
    """Compare the row by which a repeat of the entry's command is recognised."""
    key = (step.mailbox.key, entry.command_id)
    query = "SELECT seq FROM command WHERE mailbox_key = ? AND command_id = ?"
    if step.connection.execute(query, key).fetchone() != (entry.seq,):
        step.differs(LISTS, f"command {entry.command_id} has a wrong seq or no row")
        insert = "INSERT OR REPLACE INTO command (mailbox_key, command_id, seq) VALUES (?, ?, ?)"
        step.execute(insert, (*key, entry.seq))


def _vanished(step: CheckStep, entry: MailboxChanged) -> None:
    """Compare the uids that ended with the entry."""
    key = step.mailbox.key
    expected = vanished.rows_of(key, entry)
    if sorted(vanished.read(step.connection, key, entry.seq)) != sorted(expected):
        step.differs(LISTS, f"the uids that ended with seq {entry.seq} are wrong")
        query = "DELETE FROM vanished WHERE mailbox_key = ? AND seq = ?"
        step.execute(query, (key, entry.seq))
        if step.repair:
            vanished.put(step.connection, expected)


def _message(
    step: CheckStep, message_id: MessageId, record: MessageRecord | None, stored: _StoredRow | None
) -> bool:
    """Compare one message row. False: the head of a lost row is needed first."""
    row = _read(message_id, stored) if stored else None
    if record is not None and row is None:
        return _lost(step, record, stored)
    assert stored is not None
    step.differences += (differences := rules.row_differences(message_id, record, row))
    if record is None or row is None:
        step.execute("DELETE FROM message WHERE message_key = ?", (stored[0],))
        return True
    expected = rules.expected_row(record, row)
    if not differences and stored[3] != draft_column(expected):
        step.differs(LISTS, f"message {message_id} has a wrong draft id in its column")
        differences = step.differences[-1:]
    if differences:
        _replace(step, stored[0], expected)
    _list_rows(step, stored[0], expected)
    return True


def _lost(step: CheckStep, record: MessageRecord, stored: _StoredRow | None) -> bool:
    """Report, and restore, a row that is missing or cannot be read. False: its head is needed."""
    head = HeaderSummary() if record.destroyed else step.heads.get(record.message_id)
    if step.repair and head is None:
        return False
    step.without_row.append(rules.expected_message(record))
    step.differences += (
        rules.row_differences(record.message_id, record, None)
        if stored
        else [rules.missing_row(record.message_id)]
    )
    if step.repair and head is not None:
        row = _restored_row(step, record, head)
        if stored is None:
            message_key = journal_and_rows.insert_message(step.connection, step.mailbox.key, row)
        else:
            message_key = stored[0]
            _replace(step, message_key, row)
        _list_rows(step, message_key, row)
    return True


def _restored_row(step: CheckStep, record: MessageRecord, head: HeaderSummary) -> Message:
    bound = threads.threads_of(step.connection, step.mailbox.key, thread_keys(head))
    (domain_id,) = step.connection.execute(
        "SELECT domain_id FROM mailbox WHERE mailbox_key = ?", (step.mailbox.key,)
    ).fetchone()
    return rules.rebuilt_row(
        record, user_id=step.user_id, domain_id=domain_id, head=head, bound=bound
    )


def _replace(step: CheckStep, message_key: int, row: Message) -> None:
    step.execute(
        "UPDATE message SET message = ?, mail_id = ?, draft_id = ? WHERE message_key = ?",
        (encode(row), row.mail_id, draft_column(row), message_key),
    )


def _list_rows(step: CheckStep, message_key: int, row: Message) -> None:
    """Compare the rows of the message in every list; bind its thread keys in the rebuild table."""
    for table in LIST_TABLES:
        for list_row in table.rows_of(step.mailbox.key, message_key, row):
            if table.get(step.connection, list_row) != list_row:
                step.differs(table.part, table.difference(list_row, row.message_id))
                if step.repair:
                    table.put(step.connection, list_row)
    rebuild_tables.bind(step.connection, step.mailbox.key, row)
    EXPECTED.count(step.connection, step.mailbox.key, (None, row))


def _owner(step: CheckStep, message_key: int) -> tuple[str, Message | None]:
    """Return the id and the correct row of the message of this mailbox that has `message_key`."""
    stored = step.connection.execute(
        "SELECT message_id, mail_id, message FROM message"
        " WHERE mailbox_key = ? AND message_key = ?",
        (step.mailbox.key, message_key),
    ).fetchone()
    if stored is None:
        return "unknown", None
    message_id, mail_id, blob = stored
    record = REBUILD_RECORDS.get(step.connection, step.mailbox.key, message_id)
    row = _read(message_id, (message_key, mail_id, blob, None))
    return message_id, rules.expected_row(record, row) if record and row else None


def _read(message_id: MessageId, stored: _StoredRow) -> Message | None:
    """Decode the row. None: it cannot be read, or its ids differ from its columns."""
    _, mail_id, blob, _ = stored
    row = _readable(journal_and_rows.decode_message, blob)
    is_whole = row is not None and (row.message_id, row.mail_id) == (message_id, mail_id)
    return row if is_whole else None


def _readable(read: Callable[[Any], T], source: Any) -> T | None:
    """Return what `read` returns; None if the stored bytes are damaged."""
    try:
        return read(source)
    except (msgspec.MsgspecError, ValueError):
        return None
