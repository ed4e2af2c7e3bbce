"""The mail store's statements: journal, state, message rows.

Everything here runs in a thread of SqliteFile, in a transaction. Lists are in lists.py,
conversations in threads.py, the folding of the journal in folding.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from sqlite3 import Connection, IntegrityError

import msgspec

from mail.errors import JournalConflict, JournalTruncated
from mail.mailbox import commit_rules
from mail.pagination import check_limit
from mail.ports import Commit
from schemas.events.legacy import MailboxChangedV1, current
from schemas.events.mailbox_commands import BulkFolderCommand
from schemas.events.mailbox_events import MailboxChanged
from schemas.mailbox import MailboxState, Message, Usage
from schemas.sqlite.mail_store import JOURNAL_KEY_SHIFT
from stores.sqlite.mail_store import lists, threads

encode = msgspec.msgpack.Encoder().encode
decode_message = msgspec.msgpack.Decoder(Message).decode
decode_state = msgspec.msgpack.Decoder(MailboxState).decode
_ENTRIES = msgspec.msgpack.Decoder(MailboxChanged | MailboxChangedV1)
_FOLLOW_UPS = msgspec.msgpack.Decoder(BulkFolderCommand)

# The counter is never behind the keys that are there, even if its row is lost.
_NEXT_KEY = """INSERT INTO message_counter
    VALUES (1, (SELECT coalesce(max(message_key), 0) + 1 FROM message))
    ON CONFLICT (id) DO UPDATE SET last_key = max(last_key + 1, excluded.last_key)
    RETURNING last_key"""
_BY_MAIL = "SELECT message FROM message WHERE mail_id = ?"
_USAGE = """SELECT coalesce(sum(size_bytes), 0), coalesce(sum(messages), 0) FROM mailbox
    WHERE """
SEQ_MAX = (1 << JOURNAL_KEY_SHIFT) - 1


@dataclass(frozen=True, slots=True)
class MailboxHeader:
    """What every write needs of a mailbox's row; of a new user: zeros."""

    key: int = 0
    seq: int = 0
    folded_seq: int = 0


def decode_entry(blob: bytes) -> MailboxChanged:
    """An entry in the form of this version."""
    entry: MailboxChanged = current(_ENTRIES.decode(blob))
    return entry


def box_of(connection: Connection, user_id: str) -> MailboxHeader:
    found = connection.execute(
        "SELECT mailbox_key, seq, folded_seq FROM mailbox WHERE user_id = ?",
        (user_id,),
    ).fetchone()
    return MailboxHeader(*found) if found else MailboxHeader()


def state(connection: Connection, user_id: str) -> MailboxState:
    found = connection.execute("SELECT state FROM mailbox WHERE user_id = ?", (user_id,)).fetchone()
    return decode_state(found[0]) if found else MailboxState()


def by_command(connection: Connection, user_id: str, command_id: str) -> MailboxChanged | None:
    """JournalTruncated, with the follow-up: its entry is folded."""
    found = connection.execute(
        "SELECT mailbox_key, command.seq, folded_seq, follow_up"
        " FROM mailbox JOIN command USING (mailbox_key) WHERE user_id = ? AND command_id = ?",
        (user_id, command_id),
    ).fetchone()
    if found is None:
        return None
    key, seq, folded_seq, follow_up = found
    if seq <= folded_seq:
        raise JournalTruncated(
            folded_seq, None if follow_up is None else _FOLLOW_UPS.decode(follow_up)
        )
    return entry_at(connection, key, seq)


def journal(
    connection: Connection, user_id: str, *, since_seq: int, limit: int
) -> list[MailboxChanged]:
    """JournalTruncated: what was asked for begins before the first entry."""
    box = box_of(connection, user_id)
    after = min(max(since_seq, 0), SEQ_MAX)
    if after < box.folded_seq:
        raise JournalTruncated(box.folded_seq)
    return entries(connection, box.key, after, limit)


def entries(
    connection: Connection, mailbox_key: int, after: int, limit: int
) -> list[MailboxChanged]:
    found = connection.execute(
        "SELECT entry FROM journal WHERE journal_key > ? AND journal_key <= ?"
        " ORDER BY journal_key LIMIT ?",
        (journal_key(mailbox_key, after), journal_key(mailbox_key, SEQ_MAX), limit),
    )
    return [decode_entry(blob) for (blob,) in found]


def message(connection: Connection, user_id: str, message_id: str) -> Message | None:
    found = connection.execute(
        "SELECT message FROM mailbox JOIN message USING (mailbox_key)"
        " WHERE user_id = ? AND message_id = ?",
        (user_id, message_id),
    ).fetchone()
    return decode_message(found[0]) if found else None


def messages(
    connection: Connection, user_id: str, message_ids: Sequence[str]
) -> dict[str, Message]:
    """The rows with these ids, tombstones included."""
    rows = (message(connection, user_id, message_id) for message_id in message_ids)
    return {row.message_id: row for row in rows if row is not None}


def by_id(connection: Connection, user_id: str, *, after_id: str, limit: int) -> list[Message]:
    """Skips tombstones, without a limit on how many it reads."""
    check_limit(limit)
    found = connection.execute(
        "SELECT message FROM message WHERE mailbox_key = ? AND message_id > ? ORDER BY message_id",
        (box_of(connection, user_id).key, after_id),
    )
    alive = (row for (blob,) in found if not (row := decode_message(blob)).destroyed)
    return list(islice(alive, limit))


def by_mails(connection: Connection, mail_ids: Iterable[str]) -> list[Message]:
    return [
        decode_message(blob)
        for mail_id in mail_ids
        for (blob,) in connection.execute(_BY_MAIL, (mail_id,))
    ]


def usage(connection: Connection, user_id: str) -> Usage:
    found = connection.execute(_USAGE + "user_id = ?", (user_id,))
    return Usage(*found.fetchone())


def domain_usage(connection: Connection, domain_id: str) -> Usage:
    found = connection.execute(_USAGE + "domain_id = ?", (domain_id,))
    return Usage(*found.fetchone())


def write(connection: Connection, commit: Commit) -> None:
    """Write the whole commit; do nothing if the journal already has it.

    Raises JournalConflict: another commit has its seq or its command. ValueError: the commit is
    not whole.
    """
    commit_rules.check_whole(commit)
    entry = commit.entry
    box = box_of(connection, entry.user_id)
    journalled = entry_at(connection, box.key, entry.seq) if entry.seq <= box.seq else None
    if commit_rules.is_repeated(entry, last_seq=box.seq, journalled=journalled):
        return
    key = _put_state(connection, box, commit)
    _put_entry(connection, key, entry)
    for change, row in zip(entry.changes, commit.messages, strict=True):
        put = _create_message if change.delivered else _change_message
        put(connection, key, row)
    threads.bind(connection, key, commit.threads)


def journal_key(mailbox_key: int, seq: int) -> int:
    return mailbox_key << JOURNAL_KEY_SHIFT | seq


def entry_at(connection: Connection, mailbox_key: int, seq: int) -> MailboxChanged | None:
    key = (journal_key(mailbox_key, seq),)
    found = connection.execute("SELECT entry FROM journal WHERE journal_key = ?", key).fetchone()
    return decode_entry(found[0]) if found else None


def insert_message(connection: Connection, key: int, row: Message) -> int:
    """The new row's message_key."""
    ((message_key,),) = connection.execute(_NEXT_KEY).fetchall()
    connection.execute(
        "INSERT INTO message VALUES (?, ?, ?, ?, ?)",
        (message_key, key, row.message_id, row.mail_id, encode(row)),
    )
    return int(message_key)


def _create_message(connection: Connection, key: int, row: Message) -> None:
    message_key = insert_message(connection, key, row)
    lists.move(connection, key, message_key, None, row)
    threads.join(connection, key, message_key, row)


def _change_message(connection: Connection, key: int, row: Message) -> None:
    """Write the row, and move it from the lists where it was to those where it is."""
    message_key, blob = connection.execute(
        "SELECT message_key, message FROM message WHERE mailbox_key = ? AND message_id = ?",
        (key, row.message_id),
    ).fetchone()
    connection.execute(
        "UPDATE message SET message = ? WHERE message_key = ?", (encode(row), message_key)
    )
    lists.move(connection, key, message_key, decode_message(blob), row)
    if row.destroyed:
        threads.leave(connection, key, row)


def _put_state(connection: Connection, box: MailboxHeader, commit: Commit) -> int:
    """Write the state, and give the user a key if there is none yet."""
    entry, after = commit.entry, commit.state
    row = (after.seq, after.usage.size_bytes, after.usage.messages, encode(after))
    if not box.key:
        cursor = connection.execute(
            "INSERT INTO mailbox (user_id, domain_id, folded_seq,"
            " seq, size_bytes, messages, state) VALUES (?, ?, 0, ?, ?, ?, ?)",
            (entry.user_id, entry.domain_id, *row),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid
    connection.execute(
        "UPDATE mailbox SET seq = ?, size_bytes = ?, messages = ?, state = ? WHERE mailbox_key = ?",
        (*row, box.key),
    )
    return box.key


def _put_entry(connection: Connection, key: int, entry: MailboxChanged) -> None:
    if entry.seq > SEQ_MAX:
        msg = f"user {entry.user_id} has no room for seq {entry.seq}"
        raise ValueError(msg)
    try:
        connection.execute(
            "INSERT INTO command (mailbox_key, command_id, seq) VALUES (?, ?, ?)",
            (key, entry.command_id, entry.seq),
        )
    except IntegrityError as error:
        raise JournalConflict(entry.user_id, entry.seq) from error
    row = (journal_key(key, entry.seq), encode(entry))
    connection.execute("INSERT INTO journal VALUES (?, ?)", row)
