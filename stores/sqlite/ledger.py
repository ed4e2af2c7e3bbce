"""Ledger in ledger.sqlite, written by the role `custody`; operators' commands reopen mails.

The row of a mail is small and is kept. The custodian reads open mails by their own index, so the
cost of one round does not grow with the number of mails accepted before.
"""

from collections.abc import Iterable
from sqlite3 import Connection

import msgspec

from mail.ids import message_id as id_of_message
from mail.ledger.states import short_hash
from mail.ports import Ledger
from schemas.ids import MailId, MessageId, UserId
from schemas.ledger import (
    GONE,
    OPEN,
    PARKED,
    AcceptedMail,
    DeadLetterState,
    LedgerEntry,
    LedgerTotals,
    LogPlace,
    Observation,
    RecipientState,
)
from schemas.sqlite.small_stores import LEDGER
from stores.sqlite.single_file_store import SingleFileStore, reads, writes

HEADERS_MAX = 100
_encode = msgspec.msgpack.Encoder().encode
_decode_states = msgspec.msgpack.Decoder(dict[UserId, RecipientState]).decode
_decode_letter = msgspec.msgpack.Decoder(DeadLetterState).decode

_ADD = """INSERT OR IGNORE INTO accepted
    (mail_id, accepted_at_ms, header_hash, look_at_ms, states, epoch_key, log_partition, log_offset)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_EPOCH = "SELECT epoch_key FROM received_epoch WHERE epoch = ?"
_NEW_EPOCH = "INSERT INTO received_epoch (epoch) VALUES (?)"
_SEVERAL = """UPDATE accepted SET epoch_key = NULL WHERE mail_id = ?
    AND (epoch_key, log_partition, log_offset) IS NOT (?, ?, ?)"""
_PLACE = """SELECT epoch, log_partition, log_offset FROM accepted JOIN received_epoch
    USING (epoch_key) WHERE mail_id = ?"""
_OWN = "INSERT INTO owner VALUES (?, ?, ?, ?)"
_RECORD = """UPDATE accepted SET states = ?, look_at_ms = ?, missing_since_ms = ?,
    header_hash = coalesce(?, header_hash)
    WHERE mail_id = ? AND reopened = ? AND look_at_ms IS NOT NULL"""
_REOPEN = "UPDATE accepted SET look_at_ms = ?, reopened = reopened + 1 WHERE mail_id = ?"
_ENTRY = "SELECT mail_id, accepted_at_ms, states, missing_since_ms, reopened FROM accepted "
_GET = _ENTRY + "WHERE mail_id = ?"
_DUE = _ENTRY + "WHERE look_at_ms <= ? ORDER BY look_at_ms LIMIT ?"
_FAR_AHEAD = _ENTRY + "WHERE look_at_ms > ? ORDER BY look_at_ms LIMIT ?"
_ACCEPTED = (
    _ENTRY + "WHERE (accepted_at_ms, mail_id) > (?, ?) AND accepted_at_ms < ?"
    " ORDER BY accepted_at_ms, mail_id LIMIT ?"
)
_BY_HEADER = _ENTRY + "WHERE header_hash = ? ORDER BY accepted_at_ms DESC LIMIT ?"
_OF_USER = """SELECT mail_id, accepted.accepted_at_ms, states, missing_since_ms, reopened
    FROM owner JOIN accepted USING (mail_key)
    WHERE user_id = ? AND owner.accepted_at_ms >= ? AND owner.accepted_at_ms < ?
    ORDER BY owner.accepted_at_ms DESC, mail_id DESC LIMIT ?"""
_BY_MESSAGE = """SELECT mail_id, user_id FROM owner JOIN accepted USING (mail_key)
    WHERE message_hash = ?"""
_TOTALS = """SELECT count(*), count(missing_since_ms), min(accepted_at_ms) FROM accepted
    INDEXED BY accepted_open WHERE look_at_ms IS NOT NULL"""
_OLD = """SELECT mail_key, mail_id, accepted_at_ms, states FROM accepted
    WHERE accepted_at_ms < ? AND look_at_ms IS NULL ORDER BY accepted_at_ms LIMIT ?"""
_DISOWN = "DELETE FROM owner WHERE user_id = ? AND accepted_at_ms = ? AND mail_key = ?"
_LETTER = "SELECT letter FROM letter WHERE letter_id = ?"
_LETTERS = "SELECT letter FROM letter WHERE mail_id = ?"
_OTHER_EPOCHS = "SELECT letter FROM letter WHERE letter_id < ? OR letter_id >= ?"


def _add(connection: Connection, mail: AcceptedMail) -> int:
    """Return 1 if the mail is new, else 0. The first check of a new mail is due at once."""
    at_ms, header = mail.accepted_at_ms, mail.message_id_header
    states = _encode(dict.fromkeys(mail.user_ids, OPEN))
    place = _place_columns(connection, mail.place)
    row = (mail.mail_id, at_ms, short_hash(header) if header else None, at_ms, states, *place)
    added = connection.execute(_ADD, row)
    if added.rowcount:
        connection.executemany(_OWN, _owners(mail, added.lastrowid or 0))
    else:
        connection.execute(_SEVERAL, (mail.mail_id, *place))
    return added.rowcount


def _place_columns(
    connection: Connection, place: LogPlace | None
) -> tuple[int | None, int | None, int | None]:
    if place is None:
        return None, None, None
    known = connection.execute(_EPOCH, (place.epoch,)).fetchone()
    epoch_key = known[0] if known else connection.execute(_NEW_EPOCH, (place.epoch,)).lastrowid
    return epoch_key, place.partition, place.offset


def _owners(mail: AcceptedMail, mail_key: int) -> Iterable[tuple[str, int, int, int]]:
    for user_id in mail.user_ids:
        message_hash = short_hash(id_of_message(mail.mail_id, user_id))
        yield user_id, mail.accepted_at_ms, mail_key, message_hash


def _record_dead_letters(connection: Connection, letters: Iterable[DeadLetterState]) -> None:
    for letter in letters:
        _record_dead_letter(connection, letter)


def _record_dead_letter(connection: Connection, letter: DeadLetterState) -> None:
    row = connection.execute(_LETTER, (letter.letter_id,)).fetchone()
    known = _decode_letter(row[0]) if row else None
    if known is None and not letter.mail_id:
        return
    if known is not None:
        if letter.state == PARKED:
            return
        letter = msgspec.structs.replace(known, state=letter.state, at_ms=letter.at_ms)
    _put_letter(connection, letter)


def _put_letter(connection: Connection, letter: DeadLetterState) -> None:
    row = (letter.letter_id, letter.mail_id, _encode(letter))
    connection.execute("INSERT OR REPLACE INTO letter VALUES (?, ?, ?)", row)
    _reopen(connection, [letter.mail_id], at_ms=0)


def _mark_dead_letters_gone(connection: Connection, *, epoch: str) -> int:
    """A dead letter's id is EPOCH/...; "0" is the character after "/", so it bounds the range."""
    rows = connection.execute(_OTHER_EPOCHS, (f"{epoch}/", f"{epoch}0")).fetchall()
    lost = [letter for (blob,) in rows if (letter := _decode_letter(blob)).state == PARKED]
    for letter in lost:
        _put_letter(connection, msgspec.structs.replace(letter, state=GONE))
    return len(lost)


def _reopen(connection: Connection, mail_ids: Iterable[MailId], *, at_ms: int) -> None:
    connection.executemany(_REOPEN, [(at_ms, mail_id) for mail_id in mail_ids])


def _due(connection: Connection, *, now_ms: int, limit: int, horizon_ms: int) -> list[LedgerEntry]:
    due = _entries(connection.execute(_DUE, (now_ms, limit)))
    far_ahead = (now_ms + horizon_ms, limit - len(due))
    return due + _entries(connection.execute(_FAR_AHEAD, far_ahead))


def _record(connection: Connection, observation: Observation) -> int:
    """Return 1 if the mail is open and was not reopened since the observation, else 0."""
    header = observation.message_id_header
    row = (
        _encode(observation.states),
        observation.look_at_ms,
        observation.missing_since_ms,
        short_hash(header) if header else None,
        observation.mail_id,
        observation.reopened,
    )
    return connection.execute(_RECORD, row).rowcount


def _get(connection: Connection, mail_id: MailId) -> LedgerEntry | None:
    return next(iter(_entries(connection.execute(_GET, (mail_id,)))), None)


def _accepted(
    connection: Connection,
    *,
    since_ms: int,
    until_ms: int,
    limit: int,
    after: tuple[int, str] | None = None,
) -> list[LedgerEntry]:
    begin = after or (since_ms, "")
    return _entries(connection.execute(_ACCEPTED, (*begin, until_ms, limit)))


def _list_of_user(
    connection: Connection, user_id: UserId, *, since_ms: int, until_ms: int, limit: int
) -> list[LedgerEntry]:
    return _entries(connection.execute(_OF_USER, (user_id, since_ms, until_ms, limit)))


def _list_by_header(connection: Connection, message_id_header: str) -> list[LedgerEntry]:
    key = (short_hash(message_id_header), HEADERS_MAX)
    return _entries(connection.execute(_BY_HEADER, key))


def _by_message(connection: Connection, message_id: MessageId) -> tuple[MailId, UserId] | None:
    owners = connection.execute(_BY_MESSAGE, (short_hash(message_id),))
    return next((owner for owner in owners if id_of_message(*owner) == message_id), None)


def _dead_letters(connection: Connection, mail_ids: Iterable[MailId]) -> list[DeadLetterState]:
    return [
        _decode_letter(blob)
        for mail_id in mail_ids
        for (blob,) in connection.execute(_LETTERS, (mail_id,))
    ]


def _places(connection: Connection, mail_ids: Iterable[MailId]) -> dict[MailId, LogPlace]:
    return {
        mail_id: LogPlace(epoch=epoch, partition=partition, offset=offset)
        for mail_id in mail_ids
        for epoch, partition, offset in connection.execute(_PLACE, (mail_id,))
    }


def _totals(connection: Connection) -> LedgerTotals:
    open_mails, missing, oldest = connection.execute(_TOTALS).fetchone()
    return LedgerTotals(open_mails=open_mails, missing_mails=missing, oldest_open_at_ms=oldest)


def _newest_accepted_ms(connection: Connection) -> int | None:
    newest: int | None
    (newest,) = connection.execute("SELECT max(accepted_at_ms) FROM accepted").fetchone()
    return newest


def _prune(connection: Connection, *, before_ms: int, limit: int) -> int:
    """Deletes the dead letters of each deleted mail, too."""
    old = connection.execute(_OLD, (before_ms, limit)).fetchall()
    for mail_key, mail_id, at_ms, states in old:
        for user_id in _decode_states(states):
            connection.execute(_DISOWN, (user_id, at_ms, mail_key))
        connection.execute("DELETE FROM letter WHERE mail_id = ?", (mail_id,))
        connection.execute("DELETE FROM accepted WHERE mail_key = ?", (mail_key,))
    return len(old)


def _entries(rows: Iterable[tuple[MailId, int, bytes, int | None, int]]) -> list[LedgerEntry]:
    return [
        LedgerEntry(
            mail_id=mail_id,
            accepted_at_ms=at_ms,
            states=_decode_states(states),
            missing_since_ms=missing_since_ms,
            reopened=reopened,
        )
        for mail_id, at_ms, states, missing_since_ms, reopened in rows
    ]


class SqliteLedger(SingleFileStore, Ledger):
    """Ledger over one SQLite file. Create it with `open`; `close` it."""

    migrations = LEDGER

    mark_dead_letters_gone = writes(_mark_dead_letters_gone)
    due = reads(_due)
    get = reads(_get)
    accepted = reads(_accepted)
    list_of_user = reads(_list_of_user)
    list_by_header = reads(_list_by_header)
    by_message = reads(_by_message)
    totals = reads(_totals)
    newest_accepted_ms = reads(_newest_accepted_ms)
    prune = writes(_prune)

    async def add(self, mails: Iterable[AcceptedMail]) -> int:
        rows = tuple(mails)
        return await self.file.write(lambda c: sum(_add(c, mail) for mail in rows))

    async def record_dead_letters(self, letters: Iterable[DeadLetterState]) -> None:
        rows = tuple(letters)
        await self.file.write(lambda c: _record_dead_letters(c, rows))

    async def reopen(self, mail_ids: Iterable[MailId], *, at_ms: int) -> None:
        ids = tuple(mail_ids)
        await self.file.write(lambda c: _reopen(c, ids, at_ms=at_ms))

    async def record(self, observations: Iterable[Observation]) -> set[MailId]:
        rows = tuple(observations)
        return await self.file.write(lambda c: {row.mail_id for row in rows if _record(c, row)})

    async def dead_letters(self, mail_ids: Iterable[MailId]) -> list[DeadLetterState]:
        ids = tuple(mail_ids)
        return await self.file.read(lambda c: _dead_letters(c, ids))

    async def places(self, mail_ids: Iterable[MailId]) -> dict[MailId, LogPlace]:
        ids = tuple(mail_ids)
        return await self.file.read(lambda c: _places(c, ids))
