"""Statements of the mail store for the journal, the state and the message rows.

Every function runs in a thread of SqliteFile, inside a transaction. Lists are in lists.py,
conversations in threads.py, folding of the journal in folding.py.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from sqlite3 import Connection, IntegrityError

import msgspec

from mail.errors import JournalConflict, JournalTruncated
from mail.mailbox import commit_rules
from mail.mailbox.correspondents import is_drop_due
from mail.pagination import check_limit
from mail.ports import Commit
from schemas.events.legacy import MailboxChangedV1, current
from schemas.events.mailbox_commands import BulkFolderCommand
from schemas.events.mailbox_events import MailboxChanged
from schemas.ids import CommandId, DomainId, DraftId, MailId, MessageId, UserId
from schemas.mailbox import MailboxState, Message, Usage
from schemas.sqlite.mail_store import JOURNAL_KEY_SHIFT
from stores.sqlite.mail_store import conversations, list_rows, owner_settings, threads, vanished
from stores.sqlite.mail_store.correspondents import CORRESPONDENTS

encode = msgspec.msgpack.Encoder().encode
decode_message = msgspec.msgpack.Decoder(Message).decode
decode_state = msgspec.msgpack.Decoder(MailboxState).decode
_ENTRIES = msgspec.msgpack.Decoder(MailboxChanged | MailboxChangedV1)
_FOLLOW_UPS = msgspec.msgpack.Decoder(BulkFolderCommand)

# The counter is at least the highest message_key in use, even if the counter's row was lost.
_NEXT_KEY = """INSERT INTO message_counter
    VALUES (1, (SELECT coalesce(max(message_key), 0) + 1 FROM message))
    ON CONFLICT (id) DO UPDATE SET last_key = max(last_key + 1, excluded.last_key)
    RETURNING last_key"""
_BY_MAIL = "SELECT message FROM message WHERE mail_id = ?"
_BY_DRAFT = """SELECT message FROM mailbox JOIN message USING (mailbox_key)
    WHERE user_id = ? AND draft_id = ? ORDER BY message_key DESC LIMIT 1"""
_INSERT = """INSERT INTO message
    (message_key, mailbox_key, message_id, mail_id, message, draft_id) VALUES (?, ?, ?, ?, ?, ?)"""
_UPDATE = "UPDATE message SET message = ?, draft_id = ? WHERE message_key = ?"
_USAGE = """SELECT coalesce(sum(size_bytes), 0), coalesce(sum(messages), 0) FROM mailbox
    WHERE """
SEQ_MAX = (1 << JOURNAL_KEY_SHIFT) - 1


@dataclass(frozen=True, slots=True)
class MailboxHeader:
    """The columns of a mailbox's row that every write needs; zeros for a user without a row."""

    key: int = 0  # mailbox_key
    seq: int = 0
    folded_seq: int = 0


def decode_entry(blob: bytes) -> MailboxChanged:
    """Decode an entry; convert one of an older version to this version."""
    entry: MailboxChanged = current(_ENTRIES.decode(blob))
    return entry


def header_of(connection: Connection, user_id: UserId) -> MailboxHeader:
    row = connection.execute(
        "SELECT mailbox_key, seq, folded_seq FROM mailbox WHERE user_id = ?",
        (user_id,),
    ).fetchone()
    return MailboxHeader(*row) if row else MailboxHeader()


def state(connection: Connection, user_id: UserId) -> MailboxState:
    row = connection.execute("SELECT state FROM mailbox WHERE user_id = ?", (user_id,)).fetchone()
    return decode_state(row[0]) if row else MailboxState()


def by_command(
    connection: Connection, user_id: UserId, command_id: CommandId
) -> MailboxChanged | None:
    """Return the command's entry. Raises JournalTruncated, with the follow-up: it is folded."""
    row = connection.execute(
        "SELECT mailbox_key, command.seq, folded_seq, follow_up"
        " FROM mailbox JOIN command USING (mailbox_key) WHERE user_id = ? AND command_id = ?",
        (user_id, command_id),
    ).fetchone()
    if row is None:
        return None
    key, seq, folded_seq, follow_up = row
    if seq <= folded_seq:
        raise JournalTruncated(
            folded_seq, None if follow_up is None else _FOLLOW_UPS.decode(follow_up)
        )
    return entry_at(connection, key, seq)


def command_seqs(
    connection: Connection, user_id: UserId, command_ids: Sequence[CommandId]
) -> dict[CommandId, int]:
    key = header_of(connection, user_id).key
    statement = "SELECT seq FROM command WHERE mailbox_key = ? AND command_id = ?"
    rows = {id_: connection.execute(statement, (key, id_)).fetchone() for id_ in command_ids}
    return {id_: row[0] for id_, row in rows.items() if row}


def journal(
    connection: Connection, user_id: UserId, *, since_seq: int, limit: int
) -> list[MailboxChanged]:
    """Return the entries after `since_seq`. Raises JournalTruncated: some of them are folded."""
    mailbox = header_of(connection, user_id)
    after = min(max(since_seq, 0), SEQ_MAX)
    if after < mailbox.folded_seq:
        raise JournalTruncated(mailbox.folded_seq)
    return entries(connection, mailbox.key, after, limit)


def entries(
    connection: Connection, mailbox_key: int, after: int, limit: int
) -> list[MailboxChanged]:
    rows = connection.execute(
        "SELECT entry FROM journal WHERE journal_key > ? AND journal_key <= ?"
        " ORDER BY journal_key LIMIT ?",
        (journal_key(mailbox_key, after), journal_key(mailbox_key, SEQ_MAX), limit),
    )
    return [decode_entry(blob) for (blob,) in rows]


def message(connection: Connection, user_id: UserId, message_id: MessageId) -> Message | None:
    row = connection.execute(
        "SELECT message FROM mailbox JOIN message USING (mailbox_key)"
        " WHERE user_id = ? AND message_id = ?",
        (user_id, message_id),
    ).fetchone()
    return decode_message(row[0]) if row else None


def messages(
    connection: Connection, user_id: UserId, message_ids: Sequence[MessageId]
) -> dict[MessageId, Message]:
    """The rows with these ids, tombstones included."""
    rows = (message(connection, user_id, message_id) for message_id in message_ids)
    return {row.message_id: row for row in rows if row is not None}


def by_id(connection: Connection, user_id: UserId, *, after_id: str, limit: int) -> list[Message]:
    """Skips tombstones, without a limit on how many it reads."""
    check_limit(limit)
    blobs = connection.execute(
        "SELECT message FROM message WHERE mailbox_key = ? AND message_id > ? ORDER BY message_id",
        (header_of(connection, user_id).key, after_id),
    )
    alive = (row for (blob,) in blobs if not (row := decode_message(blob)).destroyed)
    return list(islice(alive, limit))


def rows_after(
    connection: Connection, user_id: UserId, *, after_id: str, limit: int
) -> list[Message]:
    """Rows in the order of their ids, tombstones included."""
    check_limit(limit)
    blobs = connection.execute(
        "SELECT message FROM message WHERE mailbox_key = ? AND message_id > ? ORDER BY message_id",
        (header_of(connection, user_id).key, after_id),
    )
    return list(islice(_readable(blobs), limit))


def _readable(blobs: Iterable[tuple[bytes]]) -> Iterator[Message]:
    for (blob,) in blobs:
        with suppress(msgspec.MsgspecError, ValueError):
            yield decode_message(blob)


def by_mails(connection: Connection, mail_ids: Iterable[MailId]) -> list[Message]:
    return [
        decode_message(blob)
        for mail_id in mail_ids
        for (blob,) in connection.execute(_BY_MAIL, (mail_id,))
    ]


def by_draft(connection: Connection, user_id: UserId, draft_id: DraftId) -> Message | None:
    row = connection.execute(_BY_DRAFT, (user_id, draft_id)).fetchone()
    return decode_message(row[0]) if row else None


def draft_column(row: Message) -> str | None:
    """The value of message.draft_id."""
    return None if row.destroyed else row.draft_id or None


def usage(connection: Connection, user_id: UserId) -> Usage:
    return Usage(*connection.execute(_USAGE + "user_id = ?", (user_id,)).fetchone())


def domain_usage(connection: Connection, domain_id: DomainId) -> Usage:
    return Usage(*connection.execute(_USAGE + "domain_id = ?", (domain_id,)).fetchone())


def write(connection: Connection, commit: Commit) -> None:
    """Write the whole commit; do nothing if the journal already has it.

    Raises JournalConflict: another commit has its seq or its command. ValueError: the commit is
    not whole.
    """
    commit_rules.check_whole(commit)
    entry = commit.entry
    mailbox = header_of(connection, entry.user_id)
    journalled = entry_at(connection, mailbox.key, entry.seq) if entry.seq <= mailbox.seq else None
    if commit_rules.is_repeated(entry, last_seq=mailbox.seq, journalled=journalled):
        return
    key = _put_state(connection, mailbox, commit)
    _put_entry(connection, key, entry)
    vanished.put(connection, vanished.rows_of(key, entry))
    _put_messages(connection, key, commit)
    threads.bind(connection, key, commit.threads)
    owner_settings.apply(connection, key, entry)
    if is_drop_due(entry.seq):
        CORRESPONDENTS.drop(connection, key)


def write_all(connection: Connection, commits: Sequence[Commit]) -> None:
    """Write the commits in their order; if one fails, nothing is written. Raises as `write`."""
    for commit in commits:
        write(connection, commit)


def journal_key(mailbox_key: int, seq: int) -> int:
    return mailbox_key << JOURNAL_KEY_SHIFT | seq


def entry_at(connection: Connection, mailbox_key: int, seq: int) -> MailboxChanged | None:
    key = (journal_key(mailbox_key, seq),)
    row = connection.execute("SELECT entry FROM journal WHERE journal_key = ?", key).fetchone()
    return decode_entry(row[0]) if row else None


def insert_message(connection: Connection, key: int, row: Message) -> int:
    """Insert the message row; return its message_key."""
    ((message_key,),) = connection.execute(_NEXT_KEY).fetchall()
    connection.execute(
        _INSERT, (message_key, key, row.message_id, row.mail_id, encode(row), draft_column(row))
    )
    return int(message_key)


def _put_messages(connection: Connection, key: int, commit: Commit) -> None:
    """Write the message rows, and update their rows in every list and in the conversations."""
    changes: list[tuple[int, Message | None, Message]] = []
    for change, row in zip(commit.entry.changes, commit.messages, strict=True):
        if change.delivered:
            changes.append((insert_message(connection, key, row), None, row))
        else:
            changes.append((*_replace_message(connection, key, row), row))
    pairs = [(before, row) for _, before, row in changes]
    newest = conversations.newest_of_all(connection, key, pairs)
    for message_key, before, row in changes:
        list_rows.move(connection, key, message_key, before, row)
        CORRESPONDENTS.count(connection, key, (before, row))
    conversations.update(connection, key, pairs, newest)


def _replace_message(connection: Connection, key: int, row: Message) -> tuple[int, Message]:
    """Replace the message row; return its message_key and the row before."""
    message_key, blob = connection.execute(
        "SELECT message_key, message FROM message WHERE mailbox_key = ? AND message_id = ?",
        (key, row.message_id),
    ).fetchone()
    connection.execute(_UPDATE, (encode(row), draft_column(row), message_key))
    return message_key, decode_message(blob)


def _put_state(connection: Connection, mailbox: MailboxHeader, commit: Commit) -> int:
    """Write the state; return the mailbox_key, a new one for a user without a row."""
    entry, after = commit.entry, commit.state
    row = (after.seq, after.usage.size_bytes, after.usage.messages, encode(after))
    if not mailbox.key:
        cursor = connection.execute(
            "INSERT INTO mailbox (user_id, domain_id, folded_seq,"
            " seq, size_bytes, messages, state) VALUES (?, ?, 0, ?, ?, ?, ?)",
            (entry.user_id, entry.domain_id, *row),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid
    connection.execute(
        "UPDATE mailbox SET seq = ?, size_bytes = ?, messages = ?, state = ? WHERE mailbox_key = ?",
        (*row, mailbox.key),
    )
    return mailbox.key


def _put_entry(connection: Connection, key: int, entry: MailboxChanged) -> None:
    if entry.seq > SEQ_MAX:
        msg = f"seq {entry.seq} of user {entry.user_id} exceeds {SEQ_MAX}"
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
