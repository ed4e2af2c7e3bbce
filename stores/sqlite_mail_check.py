"""A mailbox's tables held against its journal, as of one moment.

Looked at: state and its columns, message rows, lists (place, uid), threads, commands. A mailbox is
folded in memory for it, about 2 KB a message.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any, TypeVar

import msgspec

from mail import check as rules
from mail.history import History
from schemas.checks import COUNTS, LISTS, Checked, Difference
from schemas.events import MailboxChanged
from schemas.mailbox import MailboxState, Message
from schemas.snapshot import MessageRecord
from stores import sqlite_mail_fold as folds
from stores import sqlite_mail_lists as lists
from stores import sqlite_mail_rows as rows

T = TypeVar("T")
_STEP = 500
_ROWS = "SELECT message_key, message_id, mail_id, message FROM message WHERE mailbox_key = ?"
Row = tuple[Any, ...]


@dataclass(slots=True)
class Look:
    """What stands in the tables, and what should."""

    user_id: str
    domain_id: str
    box: rows.Box
    history: History
    check: rules.RowCheck
    commands: dict[str, int]  # of the journal that is not folded: id -> seq
    wrong_rows: dict[int, Message] = field(default_factory=dict)  # as they should be
    surplus: list[int] = field(default_factory=list)  # rows that should not be, by message_key
    keys: dict[str, int] = field(default_factory=dict)  # message id -> message_key
    places: set[Row] = field(default_factory=set)  # as they should be
    uids: set[Row] = field(default_factory=set)

    def expect(self, message_key: int, wanted: Message) -> None:
        """The message's lines in the lists."""
        key = self.box.key
        self.keys[wanted.message_id] = message_key
        self.places |= lists.places(key, message_key, wanted)
        self.uids |= {(key, id_, uid, message_key) for id_, uid in wanted.places.items()}


def check(connection: Connection, user_id: str) -> Checked:
    """Every difference of one mailbox."""
    try:
        look = look_at(connection, user_id)
    except rules.JournalDamaged as error:
        return Checked(differences=(rules.journal_difference(error),))
    without_row = look.check.missing()
    told = state(connection, look) + listing(connection, look)
    look.check.threads(threads(connection, look))
    return Checked(
        differences=tuple(sorted({*look.check.differences, *told})),
        messages=tuple(map(rules.kept, look.history.records.values())),
        without_row=tuple(map(rules.kept, without_row)),
    )


def look_at(connection: Connection, user_id: str) -> Look:
    """The journal folded, every row met. JournalDamaged."""
    box = rows.box_of(connection, user_id)
    commands: dict[str, int] = {}
    history = rules.folded(
        folds.snapshot(connection, user_id),
        _records(connection, user_id),
        _noted(_entries(connection, box), commands),
    )
    if history.state.seq < box.seq:
        end = f"it ends at seq {history.state.seq}, the mailbox is at {box.seq}"
        raise rules.JournalDamaged(end)
    found = connection.execute(
        "SELECT domain_id FROM mailbox WHERE mailbox_key = ?", (box.key,)
    ).fetchone()
    domain_id = found[0] if found else ""
    look = Look(user_id, domain_id, box, history, rules.RowCheck(history), commands)
    for message_key, message_id, mail_id, blob in connection.execute(_ROWS, (box.key,)):
        row = readable(rows.decode_message, blob)
        _take(look, message_key, message_id, row if row and row.mail_id == mail_id else None)
    return look


def state(connection: Connection, look: Look) -> list[Difference]:
    """Of the state row and its columns."""
    if not look.box.key:
        return []
    wanted = rules.recounted(look.history)
    told = rules.state_differences(state_of(connection, look.user_id), wanted)
    columns = connection.execute(
        "SELECT seq, size_bytes, messages FROM mailbox WHERE mailbox_key = ?", (look.box.key,)
    ).fetchone()
    if columns != (wanted.seq, wanted.usage.size_bytes, wanted.usage.messages):
        told.append(Difference(COUNTS, f"seq and usage beside the state are {columns}"))
    return told


def state_of(connection: Connection, user_id: str) -> MailboxState | None:
    """None: it cannot be read."""
    return readable(lambda id_: rows.state(connection, id_), user_id)


def listing(connection: Connection, look: Look) -> list[Difference]:
    """Of the lists by arrival and by uid, and of the commands that are done."""
    ids = {key: message_id for message_id, key in look.keys.items()}
    place = table(connection, "place", look) ^ look.places
    uid = table(connection, "uid", look) ^ look.uids
    told = {f"folder {row[1]}: message {row[4]} is listed wrongly or not" for row in place}
    told |= {
        f"folder {row[1]}: uid {row[2]} of message {ids.get(row[3], 'unknown')} is wrong or missing"
        for row in uid
    }
    told |= {f"command {id_} is not known as done" for id_, _ in undone(connection, look)}
    return [Difference(LISTS, what) for what in told]


def undone(connection: Connection, look: Look) -> list[tuple[str, int]]:
    """Commands of the journal that a repeat would not be recognised by."""
    query = "SELECT command_id, seq FROM command WHERE mailbox_key = ?"
    found = dict(connection.execute(query, (look.box.key,)).fetchall())
    return [(id_, seq) for id_, seq in look.commands.items() if found.get(id_) != seq]


def threads(connection: Connection, look: Look) -> dict[bytes, str]:
    query = "SELECT key, thread_id FROM thread WHERE mailbox_key = ?"
    return dict(connection.execute(query, (look.box.key,)).fetchall())


def table(connection: Connection, name: str, look: Look) -> set[Row]:
    """The mailbox's part of a list."""
    query = f"SELECT * FROM {name} WHERE mailbox_key = ?"  # noqa: S608  (one of our two names)
    return set(connection.execute(query, (look.box.key,)))


def readable(read: Callable[[Any], T], what: Any) -> T | None:
    """None: the bytes are no longer what was written."""
    try:
        return read(what)
    except (msgspec.MsgspecError, ValueError):
        return None


def _take(look: Look, message_key: int, message_id: str, row: Message | None) -> None:
    wanted = look.check.row(message_id, row)
    if wanted is None:
        look.surplus.append(message_key)
        return
    if wanted != row:
        look.wrong_rows[message_key] = wanted
    look.expect(message_key, wanted)


def _records(connection: Connection, user_id: str) -> Iterator[MessageRecord]:
    after = ""
    while found := folds.records(connection, user_id, after, _STEP):
        yield from found
        after = found[-1].message_id


def _entries(connection: Connection, box: rows.Box) -> Iterator[MailboxChanged]:
    after = box.folded_seq
    while found := rows.entries(connection, box.key, after, _STEP):
        yield from found
        after = found[-1].seq


def _noted(entries: Iterator[MailboxChanged], commands: dict[str, int]) -> Iterator[MailboxChanged]:
    for entry in entries:
        commands[entry.command_id] = entry.seq
        yield entry
