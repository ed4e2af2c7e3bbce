"""The mail store's statements. Everything here runs in a thread of SqliteFile, in a transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from sqlite3 import Connection, IntegrityError

import msgspec

from mail.errors import JournalConflict
from mail.ports import Commit
from schemas.events import MailboxChanged
from schemas.mailbox import MailboxState, Message
from schemas.sqlite import JOURNAL_KEY_SHIFT
from stores import commits
from stores.cursors import Place

_encode = msgspec.msgpack.Encoder().encode
_entry = msgspec.msgpack.Decoder(MailboxChanged).decode
_message = msgspec.msgpack.Decoder(Message).decode
_state = msgspec.msgpack.Decoder(MailboxState).decode

_SEQ_MAX = (1 << JOURNAL_KEY_SHIFT) - 1
_NEWEST: Place = (2**63 - 1, "\U0010ffff")  # behind which every message lies
_BY_MAIL = "SELECT message FROM message WHERE mail_id = ?"
_ARRIVALS = """SELECT received_at_ms, message_id, message_key FROM place
    WHERE mailbox_key = :mailbox AND folder_id = :folder AND unread = :unread
    AND (received_at_ms, message_id) < (:received_at_ms, :message_id)
    ORDER BY received_at_ms DESC, message_id DESC LIMIT :limit"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of which list."""

    user_id: str
    folder_id: str
    unread: bool | None
    before: Place | None
    limit: int


def arrival(row: Message) -> Place:
    """Where a message stands in lists by arrival."""
    return row.received_at_ms, row.message_id


def state(connection: Connection, user_id: str) -> MailboxState:
    found = connection.execute("SELECT state FROM mailbox WHERE user_id = ?", (user_id,)).fetchone()
    return _state(found[0]) if found else MailboxState()


def by_command(connection: Connection, user_id: str, command_id: str) -> MailboxChanged | None:
    found = connection.execute(
        "SELECT mailbox_key, command.seq FROM mailbox JOIN command USING (mailbox_key)"
        " WHERE user_id = ? AND command_id = ?",
        (user_id, command_id),
    ).fetchone()
    return _entry_at(connection, *found) if found else None


def journal(
    connection: Connection, user_id: str, since_seq: int, limit: int
) -> list[MailboxChanged]:
    key, _ = _mailbox(connection, user_id)
    after = min(max(since_seq, 0), _SEQ_MAX)
    found = connection.execute(
        "SELECT entry FROM journal WHERE journal_key > ? AND journal_key <= ?"
        " ORDER BY journal_key LIMIT ?",
        (_journal_key(key, after), _journal_key(key, _SEQ_MAX), limit),
    )
    return [_entry(blob) for (blob,) in found]


def message(connection: Connection, user_id: str, message_id: str) -> Message | None:
    found = connection.execute(
        "SELECT message FROM mailbox JOIN message USING (mailbox_key)"
        " WHERE user_id = ? AND message_id = ?",
        (user_id, message_id),
    ).fetchone()
    return _message(found[0]) if found else None


def by_mails(connection: Connection, mail_ids: Iterable[str]) -> list[Message]:
    return [
        _message(blob)
        for mail_id in mail_ids
        for (blob,) in connection.execute(_BY_MAIL, (mail_id,))
    ]


def listed(connection: Connection, wanted: Wanted) -> list[Message]:
    """Newest first. Read and unread lie apart: each gives its newest, the newest of both stay."""
    flags = (False, True) if wanted.unread is None else (wanted.unread,)
    places = [place for flag in flags for place in _places(connection, wanted, unread=flag)]
    places.sort(reverse=True)
    return [_message_at(connection, key) for _, _, key in places[: wanted.limit]]


def write(connection: Connection, commit: Commit) -> None:
    """The whole commit; nothing when it stands there already. JournalConflict."""
    entry = commit.entry
    key, last_seq = _mailbox(connection, entry.user_id)
    journalled = _entry_at(connection, key, entry.seq) if entry.seq <= last_seq else None
    if commits.is_repeated(entry, last_seq=last_seq, journalled=journalled):
        return
    key = _put_state(connection, key, entry.user_id, commit.state)
    _put_entry(connection, key, entry)
    _put_message(connection, key, commit.message)


def _mailbox(connection: Connection, user_id: str) -> tuple[int, int]:
    """Key and last seq of a user; 0 and 0 for a new one."""
    found = connection.execute(
        "SELECT mailbox_key, seq FROM mailbox WHERE user_id = ?", (user_id,)
    ).fetchone()
    return found or (0, 0)


def _journal_key(mailbox_key: int, seq: int) -> int:
    return mailbox_key << JOURNAL_KEY_SHIFT | seq


def _entry_at(connection: Connection, mailbox_key: int, seq: int) -> MailboxChanged | None:
    key = (_journal_key(mailbox_key, seq),)
    found = connection.execute("SELECT entry FROM journal WHERE journal_key = ?", key).fetchone()
    return _entry(found[0]) if found else None


def _message_at(connection: Connection, message_key: int) -> Message:
    (blob,) = connection.execute(
        "SELECT message FROM message WHERE message_key = ?", (message_key,)
    ).fetchone()
    return _message(blob)


def _places(connection: Connection, wanted: Wanted, *, unread: bool) -> list[tuple[int, str, int]]:
    key, _ = _mailbox(connection, wanted.user_id)
    received_at_ms, message_id = wanted.before or _NEWEST
    named = {
        "mailbox": key,
        "folder": wanted.folder_id,
        "unread": unread,
        "received_at_ms": received_at_ms,
        "message_id": message_id,
        "limit": wanted.limit,
    }
    return connection.execute(_ARRIVALS, named).fetchall()


def _put_state(connection: Connection, key: int, user_id: str, after: MailboxState) -> int:
    """Write the state, and give the user a key if there is none yet."""
    row = (after.seq, _encode(after))
    if key:
        connection.execute(
            "UPDATE mailbox SET seq = ?, state = ? WHERE mailbox_key = ?", (*row, key)
        )
        return key
    cursor = connection.execute(
        "INSERT INTO mailbox (user_id, seq, state) VALUES (?, ?, ?)", (user_id, *row)
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _put_entry(connection: Connection, key: int, entry: MailboxChanged) -> None:
    if entry.seq > _SEQ_MAX:
        msg = f"user {entry.user_id} has no room for seq {entry.seq}"
        raise ValueError(msg)
    try:
        connection.execute(
            "INSERT INTO command VALUES (?, ?, ?)", (key, entry.command_id, entry.seq)
        )
    except IntegrityError as error:
        raise JournalConflict(entry.user_id, entry.seq) from error
    row = (_journal_key(key, entry.seq), _encode(entry))
    connection.execute("INSERT INTO journal VALUES (?, ?)", row)


def _put_message(connection: Connection, key: int, row: Message) -> None:
    """Write the row, and move it from the lists where it was to those where it is."""
    found = connection.execute(
        "SELECT message_key, message FROM message WHERE mailbox_key = ? AND message_id = ?",
        (key, row.message_id),
    ).fetchone()
    if found is None:
        cursor = connection.execute(
            "INSERT INTO message (mailbox_key, message_id, mail_id, message) VALUES (?, ?, ?, ?)",
            (key, row.message_id, row.mail_id, _encode(row)),
        )
        assert cursor.lastrowid is not None
        _move(connection, set(), _lists(key, cursor.lastrowid, row))
        return
    message_key, blob = found
    connection.execute(
        "UPDATE message SET message = ? WHERE message_key = ?", (_encode(row), message_key)
    )
    before = _lists(key, message_key, _message(blob))
    _move(connection, before, _lists(key, message_key, row))


_PlaceRow = tuple[int, str, int, int, str, int]


def _lists(key: int, message_key: int, row: Message) -> set[_PlaceRow]:
    """The rows of `place` that a message has; a destroyed one has none."""
    if row.destroyed:
        return set()
    unread = int(commits.is_unread(row.keywords))
    return {(key, folder, unread, *arrival(row), message_key) for folder in row.places}


def _move(connection: Connection, before: set[_PlaceRow], after: set[_PlaceRow]) -> None:
    for place in before - after:
        connection.execute(
            "DELETE FROM place WHERE mailbox_key = ? AND folder_id = ? AND unread = ?"
            " AND received_at_ms = ? AND message_id = ?",
            place[:5],
        )
    for place in after - before:
        connection.execute("INSERT INTO place VALUES (?, ?, ?, ?, ?, ?)", place)
