"""The statements of SqliteLedger; each function runs inside a transaction."""

from collections.abc import Iterable
from sqlite3 import Connection

import msgspec

from mail.ids import message_id as id_of_message
from mail.ledger.states import short_hash
from schemas.ledger import (
    GONE,
    OPEN,
    PARKED,
    AcceptedMail,
    DeadLetterState,
    LedgerEntry,
    LedgerTotals,
    Observation,
)

HEADERS_MAX = 100
_encode = msgspec.msgpack.Encoder().encode
_states = msgspec.msgpack.Decoder(dict[str, str]).decode
_letter = msgspec.msgpack.Decoder(DeadLetterState).decode

_ENTER = """INSERT OR IGNORE INTO accepted
    (mail_id, accepted_at_ms, header_hash, look_at_ms, states) VALUES (?, ?, ?, ?, ?)"""
_OWN = "INSERT INTO owner VALUES (?, ?, ?, ?)"
_MARK = """UPDATE accepted SET states = ?, look_at_ms = ?, missing_since_ms = ?,
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


def enter(connection: Connection, mail: AcceptedMail) -> int:
    """1 when it is new. Its first look is due at once: what can be known is known soon."""
    at_ms, header = mail.accepted_at_ms, mail.message_id_header
    states = _encode(dict.fromkeys(mail.user_ids, OPEN))
    row = (mail.mail_id, at_ms, short_hash(header) if header else None, at_ms, states)
    added = connection.execute(_ENTER, row)
    if added.rowcount:
        connection.executemany(_OWN, _owners(mail, added.lastrowid or 0))
    return added.rowcount


def _owners(mail: AcceptedMail, mail_key: int) -> Iterable[tuple[str, int, int, int]]:
    for user_id in mail.user_ids:
        message = short_hash(id_of_message(mail.mail_id, user_id))
        yield user_id, mail.accepted_at_ms, mail_key, message


def note(connection: Connection, letters: Iterable[DeadLetterState]) -> None:
    for letter in letters:
        _note(connection, letter)


def _note(connection: Connection, letter: DeadLetterState) -> None:
    found = connection.execute(_LETTER, (letter.letter_id,)).fetchone()
    known = _letter(found[0]) if found else None
    if known is None and not letter.mail_id:
        return
    if known is not None:
        if letter.state == PARKED:
            return
        letter = msgspec.structs.replace(known, state=letter.state, at_ms=letter.at_ms)
    _put(connection, letter)


def _put(connection: Connection, letter: DeadLetterState) -> None:
    row = (letter.letter_id, letter.mail_id, _encode(letter))
    connection.execute("INSERT OR REPLACE INTO letter VALUES (?, ?, ?)", row)
    reopen(connection, [letter.mail_id], 0)


def lose_letters(connection: Connection, epoch: str) -> int:
    """Ids of an epoch's letters begin with it and a slash, behind which "0" is the next."""
    others = connection.execute(_OTHER_EPOCHS, (f"{epoch}/", f"{epoch}0")).fetchall()
    lost = [letter for (blob,) in others if (letter := _letter(blob)).state == PARKED]
    for letter in lost:
        _put(connection, msgspec.structs.replace(letter, state=GONE))
    return len(lost)


def reopen(connection: Connection, mail_ids: Iterable[str], at_ms: int) -> None:
    connection.executemany(_REOPEN, [(at_ms, mail_id) for mail_id in mail_ids])


def due(connection: Connection, now_ms: int, limit: int, horizon_ms: int) -> list[LedgerEntry]:
    found = _entries(connection.execute(_DUE, (now_ms, limit)))
    rest = (now_ms + horizon_ms, limit - len(found))
    return found + _entries(connection.execute(_FAR_AHEAD, rest))


def mark(connection: Connection, looks: Iterable[Observation]) -> set[str]:
    return {look.mail_id for look in looks if _mark(connection, look)}


def _mark(connection: Connection, look: Observation) -> int:
    header = short_hash(look.message_id_header) if look.message_id_header else None
    found = (_encode(look.states), look.look_at_ms, look.missing_since_ms, header)
    return connection.execute(_MARK, (*found, look.mail_id, look.reopened)).rowcount


def get(connection: Connection, mail_id: str) -> LedgerEntry | None:
    return next(iter(_entries(connection.execute(_GET, (mail_id,)))), None)


def accepted(
    connection: Connection, after: tuple[int, str], until_ms: int, limit: int
) -> list[LedgerEntry]:
    return _entries(connection.execute(_ACCEPTED, (*after, until_ms, limit)))


def of_user(
    connection: Connection, user_id: str, span: tuple[int, int], limit: int
) -> list[LedgerEntry]:
    return _entries(connection.execute(_OF_USER, (user_id, *span, limit)))


def by_header(connection: Connection, header_hash: int) -> list[LedgerEntry]:
    return _entries(connection.execute(_BY_HEADER, (header_hash, HEADERS_MAX)))


def by_message(connection: Connection, message_id: str) -> tuple[str, str] | None:
    found = connection.execute(_BY_MESSAGE, (short_hash(message_id),))
    return next((row for row in found if id_of_message(*row) == message_id), None)


def letters(connection: Connection, mail_ids: Iterable[str]) -> list[DeadLetterState]:
    return [
        _letter(blob)
        for mail_id in mail_ids
        for (blob,) in connection.execute(_LETTERS, (mail_id,))
    ]


def totals(connection: Connection) -> LedgerTotals:
    open_mails, missing, oldest = connection.execute(_TOTALS).fetchone()
    return LedgerTotals(open_mails=open_mails, missing_mails=missing, oldest_open_at_ms=oldest)


def newest_ms(connection: Connection) -> int | None:
    newest: int | None = connection.execute("SELECT max(accepted_at_ms) FROM accepted").fetchone()[
        0
    ]
    return newest


def forget(connection: Connection, before_ms: int, limit: int) -> int:
    """Its letters go with a mail."""
    old = connection.execute(_OLD, (before_ms, limit)).fetchall()
    for mail_key, mail_id, at_ms, states in old:
        for user_id in _states(states):
            connection.execute(_DISOWN, (user_id, at_ms, mail_key))
        connection.execute("DELETE FROM letter WHERE mail_id = ?", (mail_id,))
        connection.execute("DELETE FROM accepted WHERE mail_key = ?", (mail_key,))
    return len(old)


def _entries(found: Iterable[tuple[str, int, bytes, int | None, int]]) -> list[LedgerEntry]:
    return [
        LedgerEntry(
            mail_id=mail_id,
            accepted_at_ms=at_ms,
            states=_states(states),
            missing_since_ms=missing_since_ms,
            reopened=reopened,
        )
        for mail_id, at_ms, states, missing_since_ms, reopened in found
    ]
