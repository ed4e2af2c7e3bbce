"""Rows of the relay queue, and what is derived from them: turns of destinations, settled mails."""

from collections.abc import Iterable, Sequence
from sqlite3 import Connection

import msgspec

from schemas.events.sending import MailRelay
from schemas.ids import MailId
from schemas.relay import RelayRow
from schemas.submissions import RecipientResult, RequestedRecipient

_encode = msgspec.msgpack.Encoder().encode
_mail = msgspec.msgpack.Decoder(MailRelay).decode
_recipient = msgspec.msgpack.Decoder(RequestedRecipient).decode
_result = msgspec.msgpack.Decoder(RecipientResult).decode

COLUMNS = """mail_id, destination, recipient, partition, state, next_attempt_at_ms, attempts, claim,
    marked_at_ms, report_id, is_delay_notified, result"""
_INSERT_MAIL = "INSERT OR IGNORE INTO relay_mail (mail_id, destination, mail) VALUES (?, ?, ?)"
_INSERT = """INSERT OR IGNORE INTO relay_recipient
    (mail_id, destination, address, partition, queued_at_ms, state, next_attempt_at_ms, recipient)
    VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?)"""
_MAIL = "SELECT mail FROM relay_mail WHERE mail_id = ? AND destination = ?"
_ROW = f"""SELECT {COLUMNS} FROM relay_recipient
    WHERE mail_id = ? AND destination = ? AND address = ?"""  # noqa: S608
_UPDATE = """UPDATE relay_recipient SET state = ?, next_attempt_at_ms = ?, attempts = ?, claim = ?,
    marked_at_ms = ?, report_id = ?, is_delay_notified = ?, result = ?
    WHERE mail_id = ? AND destination = ? AND address = ?"""
_SET_DESTINATION = """INSERT INTO relay_destination (destination, partition) VALUES (?, ?)
    ON CONFLICT DO UPDATE SET partition = excluded.partition"""
_SET_TURN = """UPDATE relay_destination SET turn_at_ms = (
        SELECT max(relay_destination.claimed_at_ms, next_attempt_at_ms) FROM relay_recipient
        WHERE destination = ?1 AND state = 'waiting' AND report_id = ''
        ORDER BY next_attempt_at_ms LIMIT 1)
    WHERE destination = ?1"""
_SETTLE = """UPDATE relay_mail SET settled_at_ms = (
        SELECT iif(sum(state != 'done' OR report_id != ''), NULL, max(next_attempt_at_ms))
        FROM relay_recipient WHERE mail_id = ?1 AND destination = ?2)
    WHERE mail_id = ?1 AND destination = ?2"""


def insert(connection: Connection, mail: MailRelay, *, partition: int, at_ms: int) -> None:
    """Add the mail and the rows that do not exist."""
    connection.execute(_INSERT_MAIL, (mail.mail_id, mail.destination, _encode(mail)))
    connection.executemany(
        _INSERT,
        [
            (
                mail.mail_id, mail.destination, each.address, partition, mail.queued_at_ms, at_ms,
                _encode(each),
            )
            for each in mail.recipients
        ],
    )  # fmt: skip
    connection.execute(_SET_DESTINATION, (mail.destination, partition))
    derive(connection, [(mail.mail_id, mail.destination)])


def mail_of(connection: Connection, mail_id: MailId, destination: str) -> MailRelay:
    (blob,) = connection.execute(_MAIL, (mail_id, destination)).fetchone()
    return _mail(blob)


def stored(connection: Connection, row: RelayRow) -> RelayRow | None:
    """The row as it is stored now."""
    key = (row.mail_id, row.destination, row.recipient.address)
    values = connection.execute(_ROW, key).fetchone()
    return row_of(values) if values else None


def row_of(values: Sequence[object]) -> RelayRow:
    """The row with the values of COLUMNS."""
    plain = dict(zip(RelayRow.__struct_fields__, values, strict=True))
    plain["recipient"] = _recipient(plain["recipient"])  # type: ignore[arg-type]
    plain["is_delay_notified"] = bool(plain["is_delay_notified"])
    result = plain["result"]
    plain["result"] = _result(result) if isinstance(result, bytes) else None
    return RelayRow(**plain)  # type: ignore[arg-type]


def update(connection: Connection, rows: Iterable[RelayRow]) -> None:
    """Replace rows; what is derived from them is not yet changed."""
    connection.executemany(
        _UPDATE,
        [
            (
                row.state, row.next_attempt_at_ms, row.attempts, row.claim, row.marked_at_ms,
                row.report_id, row.is_delay_notified, row.result and _encode(row.result),
                row.mail_id, row.destination, row.recipient.address,
            )
            for row in rows
        ],
    )  # fmt: skip


def derive(connection: Connection, mails: Iterable[tuple[MailId, str]]) -> None:
    """Derive what depends on the rows of these mails, by mail id and destination."""
    for mail_id, destination in dict.fromkeys(mails):
        connection.execute(_SETTLE, (mail_id, destination))
        connection.execute(_SET_TURN, (destination,))


def replace(connection: Connection, rows: Sequence[RelayRow]) -> None:
    """Replace rows and derive what depends on them."""
    update(connection, rows)
    derive(connection, [(row.mail_id, row.destination) for row in rows])
