"""RelayQueue over relay.sqlite."""

import json
from collections.abc import Collection, Sequence
from sqlite3 import Connection

from mail.pagination import check_limit
from mail.ports.mail_transport import RECIPIENTS_MAX
from mail.ports.relay_queue import RelayQueue, RelayQueueAdmin
from mail.sending import relay_rows as rules
from schemas.events.sending import MailRelay
from schemas.ids import CommandId, MailId
from schemas.relay import RelayBatch, RelayedMail, RelayOutcome, RelayReport, RelayRow
from schemas.sqlite.relay import RELAY
from stores.sqlite.relay_queue import administration
from stores.sqlite.relay_queue import rows as table
from stores.sqlite.relay_queue.rows import COLUMNS
from stores.sqlite.single_file_store import SingleFileStore, reads, writes

CLAIMS_MAX = 500  # released by one call
DUE = "state = 'waiting' AND report_id = ''"
TURNS = """SELECT turn_at_ms, destination FROM relay_destination
    WHERE partition = ? AND turn_at_ms <= ?
    AND destination NOT IN (SELECT value FROM json_each(?)) ORDER BY turn_at_ms LIMIT ?"""
FIRST = f"""SELECT mail_id FROM relay_recipient
    WHERE destination = ? AND {DUE} AND next_attempt_at_ms <= ?
    ORDER BY next_attempt_at_ms LIMIT 1"""  # noqa: S608
_DUE_ROWS = f"""SELECT {COLUMNS} FROM relay_recipient
    WHERE mail_id = ? AND destination = ? AND {DUE} AND next_attempt_at_ms <= ?
    ORDER BY address LIMIT {RECIPIENTS_MAX}"""  # noqa: S608
_SET_CLAIMED = "UPDATE relay_destination SET claimed_at_ms = ? WHERE destination = ?"
CLAIMED = f"""SELECT {COLUMNS} FROM relay_recipient
    WHERE partition = ? AND claim != '' AND claim != ? AND marked_at_ms IS NULL
    LIMIT ?"""  # noqa: S608
UNREPORTED = """SELECT DISTINCT report_id FROM relay_recipient
    WHERE partition = ? AND report_id != '' LIMIT ?"""
_OF_REPORT = f"""SELECT {COLUMNS} FROM relay_recipient
    WHERE report_id != '' AND report_id = ? ORDER BY address"""  # noqa: S608
SETTLED = """SELECT mail_id, destination FROM relay_mail
    WHERE is_released = 0 AND settled_at_ms IS NOT NULL ORDER BY settled_at_ms LIMIT ?"""
_RELEASE = "UPDATE relay_mail SET is_released = 1 WHERE mail_id = ? AND destination = ?"
RELEASED = """SELECT mail_id, destination FROM relay_mail
    WHERE is_released = 1 AND settled_at_ms < ? ORDER BY settled_at_ms LIMIT ?"""
_DELETE_ROWS = "DELETE FROM relay_recipient WHERE mail_id = ? AND destination = ?"
_DELETE_DESTINATION = """DELETE FROM relay_destination WHERE destination = ?1 AND NOT EXISTS
    (SELECT 1 FROM relay_recipient WHERE destination = ?1 AND state != 'done')"""
_DELETE_MAIL = "DELETE FROM relay_mail WHERE mail_id = ? AND destination = ?"


def _put(connection: Connection, mail: MailRelay, *, partition: int, at_ms: int) -> None:
    table.insert(connection, mail, partition=partition, at_ms=at_ms)


def _claim(
    connection: Connection,
    partitions: Collection[int],
    *,
    claim: str,
    now_ms: int,
    until_ms: int,
    busy: Collection[str] = (),
    limit: int,
) -> list[RelayBatch]:
    check_limit(limit)
    left_out = json.dumps(list(busy))
    turns = [
        turn
        for partition in partitions
        for turn in connection.execute(TURNS, (partition, now_ms, left_out, limit))
    ]
    batches = []
    for _, destination in sorted(turns)[:limit]:
        first = connection.execute(FIRST, (destination, now_ms)).fetchone()
        values = connection.execute(_DUE_ROWS, (first[0], destination, now_ms))
        rows = [rules.claimed(table.row_of(each), claim, until_ms=until_ms) for each in values]
        connection.execute(_SET_CLAIMED, (now_ms, destination))
        table.replace(connection, rows)
        mail = table.mail_of(connection, first[0], destination)
        batches.append(RelayBatch(mail=mail, rows=tuple(rows)))
    return batches


def _release_claims(
    connection: Connection, partitions: Collection[int], *, claim: str, now_ms: int
) -> int:
    rows = [
        rules.unclaimed(table.row_of(values), at_ms=now_ms)
        for partition in partitions
        for values in connection.execute(CLAIMED, (partition, claim, CLAIMS_MAX))
    ][:CLAIMS_MAX]
    table.replace(connection, rows)
    return len(rows)


def _mark(connection: Connection, rows: Sequence[RelayRow], *, at_ms: int, until_ms: int) -> None:
    current = [table.stored(connection, row) for row in rows]
    table.replace(connection, rules.marked(rows, current, at_ms=at_ms, until_ms=until_ms))


def _record(connection: Connection, outcomes: Sequence[RelayOutcome]) -> None:
    current = [table.stored(connection, outcome.row) for outcome in outcomes]
    table.replace(connection, rules.recorded(outcomes, current))


def _unreported(
    connection: Connection, partitions: Collection[int], *, limit: int
) -> list[RelayReport]:
    check_limit(limit)
    ids = [
        report_id
        for partition in partitions
        for (report_id,) in connection.execute(UNREPORTED, (partition, limit))
    ]
    return [_report(connection, report_id) for report_id in ids[:limit]]


def _report(connection: Connection, report_id: CommandId) -> RelayReport:
    rows = [table.row_of(values) for values in connection.execute(_OF_REPORT, (report_id,))]
    mail = table.mail_of(connection, rows[0].mail_id, rows[0].destination)
    return rules.report_of(mail, rows)


def _set_reported(connection: Connection, report_ids: Sequence[CommandId]) -> None:
    for report_id in report_ids:
        rows = [table.row_of(values) for values in connection.execute(_OF_REPORT, (report_id,))]
        table.replace(connection, [rules.reported(row) for row in rows])


def _settled(connection: Connection, *, limit: int) -> list[RelayedMail]:
    check_limit(limit)
    return [_relayed(row) for row in connection.execute(SETTLED, (limit,))]


def _set_released(connection: Connection, mails: Sequence[RelayedMail]) -> None:
    connection.executemany(_RELEASE, [(mail.mail_id, mail.destination) for mail in mails])


def _delete_released(connection: Connection, *, before_ms: int, limit: int) -> int:
    check_limit(limit)
    keys = connection.execute(RELEASED, (before_ms, limit)).fetchall()
    connection.executemany(_DELETE_ROWS, keys)
    connection.executemany(_DELETE_MAIL, keys)
    connection.executemany(_DELETE_DESTINATION, {(destination,) for _, destination in keys})
    return len(keys)


def _relayed(key: tuple[MailId, str]) -> RelayedMail:
    return RelayedMail(mail_id=key[0], destination=key[1])


class SqliteRelayQueue(SingleFileStore, RelayQueue, RelayQueueAdmin):
    """The relay queue over one SQLite file. Create it with `open`; `close` it."""

    migrations = RELAY

    put = writes(_put)
    claim = writes(_claim)
    release_claims = writes(_release_claims)
    mark = writes(_mark)
    record = writes(_record)
    unreported = reads(_unreported)
    set_reported = writes(_set_reported)
    settled = reads(_settled)
    set_released = writes(_set_released)
    delete_released = writes(_delete_released)

    find = reads(administration.find)
    change = writes(administration.change)
    loads = reads(administration.loads)
    counts = reads(administration.counts)
    oldest = reads(administration.oldest)
