"""A mailbox's views compared with its journal, range by range, and rewritten where they differ.

Compared: state and its columns, commands, message rows, lists (place, uid), conversations (member),
bindings (thread). The journal's records stand in the scratch tables (rebuild_tables.py), at
the seq of the mailbox. Every function here looks at one bounded range of lines.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any, TypeVar

import msgspec

from mail.mailbox import consistency_check as rules
from mail.mailbox.counts import Recount
from mail.mailbox.threads import thread_keys
from schemas.consistency import COUNTS, LISTS, THREADS, ExpectedMessage, ViewDifference
from schemas.events.mailbox_events import MailboxChanged
from schemas.mail import HeaderSummary
from schemas.mailbox import MailboxState, Message
from schemas.snapshot import MessageRecord
from stores.sqlite.mail_store import folding as folds
from stores.sqlite.mail_store import journal_and_rows as rows
from stores.sqlite.mail_store import rebuild_tables as scratch
from stores.sqlite.mail_store import threads
from stores.sqlite.mail_store.list_rows import LISTINGS, ListTable
from stores.sqlite.mail_store.rebuild_tables import TOLD

T = TypeVar("T")
HEADS_MAX = 20  # contents that are read for one step
_ENTRIES = 100
_ROWS = """SELECT message_id, message_key, mail_id, message FROM message
    WHERE mailbox_key = ? AND message_id > ? ORDER BY message_id LIMIT ?"""
_Found = tuple[int, str, bytes]  # message_key, mail_id, message


@dataclass(slots=True, kw_only=True)
class CheckStep:
    """One step: what it works on, how much it may still do, and what it found.

    `mend`: rewrite what differs. `room`: lines that may still be looked at.
    """

    connection: Connection
    user_id: str
    box: rows.MailboxHeader
    parts: tuple[str, ...]
    mend: bool
    room: int
    state: MailboxState  # told by the journal's entries up to its seq
    recount: Recount
    after: tuple[Any, ...] = ()
    heads: Mapping[str, HeaderSummary] = field(default_factory=dict)  # of messages without a row
    lacking: tuple[ExpectedMessage, ...] = ()
    differences: list[ViewDifference] = field(default_factory=list)
    without_row: list[ExpectedMessage] = field(default_factory=list)

    def execute(self, statement: str, values: tuple[Any, ...]) -> None:
        """Rewrite something, unless this is but a look."""
        if self.mend:
            self.connection.execute(statement, values)

    def differs(self, part: str, what: str) -> None:
        self.differences.append(ViewDifference(part, what))


def copy_records(look: CheckStep) -> bool:
    """Take the snapshot's records into the scratch table; whether all are there."""
    connection, key = look.connection, look.box.key
    (after_id,) = look.after or ("",)
    try:
        found = folds.SNAPSHOT.behind(connection, key, after_id, look.room)
        if not look.after:
            look.state = folds.snapshot(connection, look.user_id).state
    except (msgspec.MsgspecError, ValueError) as error:
        raise rules.JournalDamaged(f"the snapshot cannot be read: {error}") from error
    for record in found:
        TOLD.put(connection, key, record)
        look.recount.move(None, record)
    look.after = (found[-1].message_id,) if found else look.after
    is_done = len(found) < look.room
    look.room -= len(found) + 1
    return is_done


def apply_entries(look: CheckStep) -> bool:
    """Bring the scratch table up to the mailbox's seq; whether it is there. JournalDamaged."""
    try:
        ahead = rows.entries(look.connection, look.box.key, look.state.seq, _ENTRIES)
        for entry in ahead:
            if look.room <= 0:
                return False
            _apply(look, entry)
    except (ValueError, KeyError, msgspec.MsgspecError) as error:
        raise rules.damaged(look.state.seq, error) from error
    if len(ahead) == _ENTRIES:
        return False
    if look.state.seq < look.box.seq:
        end = f"it ends at seq {look.state.seq}, the mailbox is at {look.box.seq}"
        raise rules.JournalDamaged(end)
    return True


def counts(look: CheckStep) -> bool:
    """The state row and its columns."""
    look.room -= 1
    wanted = look.recount.state(look.state)
    found = rules.state_differences(state_of(look.connection, look.user_id), wanted)
    columns = look.connection.execute(
        "SELECT seq, size_bytes, messages FROM mailbox WHERE mailbox_key = ?", (look.box.key,)
    ).fetchone()
    usage = (wanted.seq, wanted.usage.size_bytes, wanted.usage.messages)
    if columns != usage:
        found.append(ViewDifference(COUNTS, f"seq and usage beside the state are {columns}"))
    look.differences += found
    look.execute(
        "UPDATE mailbox SET seq = ?, size_bytes = ?, messages = ?, state = ? WHERE mailbox_key = ?",
        (*usage, rows.encode(wanted), look.box.key),
    )
    return True


def message_rows(look: CheckStep) -> bool:
    """A range of message ids: their rows, with their lines in every list."""
    limit, (after_id,) = look.room, look.after or ("",)
    records = TOLD.behind(look.connection, look.box.key, after_id, limit)
    found = look.connection.execute(_ROWS, (look.box.key, after_id, limit)).fetchall()
    told = {record.message_id: record for record in records}
    there = {message_id: (key, mail_id, blob) for message_id, key, mail_id, blob in found}
    ends = [max(ids) for ids in (told, there) if len(ids) == limit]
    ids = sorted(id_ for id_ in told.keys() | there.keys() if not ends or id_ <= min(ends))
    for message_id in ids:
        if not _message(look, message_id, told.get(message_id), there.get(message_id)):
            rest = (told[id_] for id_ in ids if id_ > message_id and id_ in told)
            lost = [record for record in rest if record.message_id not in there]
            alive = [record for record in (told[message_id], *lost) if not record.destroyed]
            look.lacking = tuple(map(rules.expected_message, alive[:HEADS_MAX]))
            look.room = 0
            return False
        look.after = (message_id,)
        look.room -= 1
    look.room -= 1
    return not ends


def listing(kind: ListTable) -> Callable[[CheckStep], bool]:
    """A range of a list: lines of no message go."""

    def walk(look: CheckStep) -> bool:
        limit = look.room
        found = kind.behind(look.connection, look.box.key, look.after, limit)
        for line in found:
            message_id, row = _owner(look, line[kind.message_key])
            if row is None or line not in kind.lines(look.box.key, line[kind.message_key], row):
                look.differs(kind.part, kind.named(line, message_id))
                if look.mend:
                    kind.delete(look.connection, line)
            look.after = kind.place(line)
        look.room -= len(found) + 1
        return len(found) < limit

    return walk


def bindings(look: CheckStep) -> bool:
    """A range of thread keys."""
    limit, (after,) = look.room, look.after or ("",)
    found = scratch.bindings(look.connection, look.box.key, bytes.fromhex(after), limit)
    wrong = [
        one
        for one in found
        if not rules.is_bound(
            one.found, thread_id=one.thread_id, created_seq=one.created_seq,
            destroyed_seq=one.destroyed_seq,
        )
    ]  # fmt: skip
    if wrong:
        look.differs(THREADS, f"{len(wrong)} message ids are bound wrongly or not")
    for one in wrong:
        row = (look.box.key, one.key, one.thread_id)
        look.execute("INSERT OR REPLACE INTO thread VALUES (?, ?, ?)", row)
    look.after = (found[-1].key.hex(),) if found else look.after
    look.room -= len(found) + 1
    return len(found) < limit


def state_of(connection: Connection, user_id: str) -> MailboxState | None:
    """None: it cannot be read."""
    return _readable(lambda id_: rows.state(connection, id_), user_id)


def _apply(look: CheckStep, entry: MailboxChanged) -> None:
    connection, key = look.connection, look.box.key
    look.state, known = folds.apply(connection, TOLD, key, look.state, entry)
    for change in entry.changes:
        after = TOLD.get(connection, key, change.message_id)
        assert after is not None
        look.recount.move(known.get(change.message_id), after)
    look.room -= 1 + len(entry.changes)
    if LISTS in look.parts:
        _command(look, entry)


def _command(look: CheckStep, entry: MailboxChanged) -> None:
    """A repeat of the entry's command is recognised by this row."""
    row = (look.box.key, entry.command_id)
    query = "SELECT seq FROM command WHERE mailbox_key = ? AND command_id = ?"
    if look.connection.execute(query, row).fetchone() != (entry.seq,):
        look.differs(LISTS, f"command {entry.command_id} is not known as done")
        insert = "INSERT OR REPLACE INTO command (mailbox_key, command_id, seq) VALUES (?, ?, ?)"
        look.execute(insert, (*row, entry.seq))


def _message(
    look: CheckStep, message_id: str, record: MessageRecord | None, found: _Found | None
) -> bool:
    """False: the head of a lost row is needed first."""
    row = _read(message_id, found) if found else None
    if record is not None and row is None:
        return _lost(look, record, found)
    assert found is not None
    look.differences += (differences := rules.row_differences(message_id, record, row))
    if record is None or row is None:
        look.execute("DELETE FROM message WHERE message_key = ?", (found[0],))
        return True
    wanted = rules.expected_row(record, row)
    if differences:
        _rewrite(look, found[0], wanted)
    _lines(look, found[0], wanted)
    return True


def _lost(look: CheckStep, record: MessageRecord, found: _Found | None) -> bool:
    """A message without a row, or with one that cannot be read."""
    head = HeaderSummary() if record.destroyed else look.heads.get(record.message_id)
    if look.mend and head is None:
        return False
    look.without_row.append(rules.expected_message(record))
    look.differences += (
        rules.row_differences(record.message_id, record, None)
        if found
        else [rules.missing_row(record.message_id)]
    )
    if look.mend and head is not None:
        row = _made(look, record, head)
        if found is None:
            message_key = rows.insert_message(look.connection, look.box.key, row)
        else:
            message_key = found[0]
            _rewrite(look, message_key, row)
        _lines(look, message_key, row)
    return True


def _made(look: CheckStep, record: MessageRecord, head: HeaderSummary) -> Message:
    bound = threads.threads_of(look.connection, look.box.key, thread_keys(head))
    (domain_id,) = look.connection.execute(
        "SELECT domain_id FROM mailbox WHERE mailbox_key = ?", (look.box.key,)
    ).fetchone()
    return rules.rebuilt_row(
        record, user_id=look.user_id, domain_id=domain_id, head=head, bound=bound
    )


def _rewrite(look: CheckStep, message_key: int, row: Message) -> None:
    look.execute(
        "UPDATE message SET message = ?, mail_id = ? WHERE message_key = ?",
        (rows.encode(row), row.mail_id, message_key),
    )


def _lines(look: CheckStep, message_key: int, row: Message) -> None:
    """The message's lines in every list, and what it says of threads."""
    for kind in LISTINGS:
        for line in kind.lines(look.box.key, message_key, row):
            if kind.at(look.connection, line) != line:
                look.differs(kind.part, kind.named(line, row.message_id))
                if look.mend:
                    kind.put(look.connection, line)
    scratch.bind(look.connection, look.box.key, row)


def _owner(look: CheckStep, message_key: int) -> tuple[str, Message | None]:
    """The id, and the row as it should be, of this mailbox's message."""
    found = look.connection.execute(
        "SELECT message_id, mail_id, message FROM message"
        " WHERE mailbox_key = ? AND message_key = ?",
        (look.box.key, message_key),
    ).fetchone()
    if found is None:
        return "unknown", None
    message_id, mail_id, blob = found
    record = TOLD.get(look.connection, look.box.key, message_id)
    row = _read(message_id, (message_key, mail_id, blob))
    return message_id, rules.expected_row(record, row) if record and row else None


def _read(message_id: str, found: _Found) -> Message | None:
    _, mail_id, blob = found
    row = _readable(rows.decode_message, blob)
    is_whole = row is not None and (row.message_id, row.mail_id) == (message_id, mail_id)
    return row if is_whole else None


def _readable(read: Callable[[Any], T], what: Any) -> T | None:
    """None: the bytes are no longer what was written."""
    try:
        return read(what)
    except (msgspec.MsgspecError, ValueError):
        return None
